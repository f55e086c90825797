"""Branch and bound over the lattices of many people, whatever it is that bounds their boxes.

Every round takes the most promising boxes of each person and hands them on; what comes back are the
boxes that are still open. What happens to one person depends on that person alone.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from skcfq.proofs._boxes import Boxes, whole_lattice
from skcfq.proofs._lattice import RELATIVE_GAP, Lattice
from skcfq.proofs._objective import Objective
from skcfq.utils import rows_in_memory, rows_waiting

# A person's boxes in one round: a share of those that wait, within limits.
_SHARE, _FEWEST, _MOST = 4, 8, 256
# Boxes that wait, beyond which one person after the other is brought to an end: so many, and no
# more than this share of what those of one person may be.
_MOST_WAITING, _WAITING_SHARE = 500_000, 2
# Boxes that are bounded together at most: their arrays then stay in the cache.
_BLOCK = 1024
# Answers of one box that are tried together, the cheapest first.
_TRIED = 64


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best points of P people.

    Attributes
    ----------
    rungs : int64 ndarray of shape (P, F)
        The own ones where nothing was found.
    cost, bound : ndarray of shape (P,)
        Cost, infinite where nothing was found, and its proved lower bound.
    finished : bool ndarray of shape (P,)
        Whether the search was complete.
    n_boxes : int64 ndarray of shape (P,)
        How many boxes were bounded.
    interrupted : bool
        Whether Ctrl-C came; the rest is what was known then.
    """

    rungs: np.ndarray
    cost: np.ndarray
    bound: np.ndarray
    finished: np.ndarray
    n_boxes: np.ndarray
    interrupted: bool


# Tells which points are answers: people (M,) and their rungs (M, F) to bool (M,).
Judge = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class LatticeProblem(ABC):
    """Where answers are looked for, and who says what is one.

    Attributes
    ----------
    lattice : Lattice
        With prices for costs.
    is_valid : Judge
    objective : Objective
    """

    lattice: Lattice
    is_valid: Judge
    objective: Objective

    def widths(self) -> np.ndarray:
        """Return the numbers about a box of each person in the largest array that divides it."""
        return np.full(self.lattice.n_people, self.lattice.n_features)

    @abstractmethod
    def divide(self, boxes: Boxes, best: Best) -> Boxes:
        """Offer answers from boxes, each person's together, and return what is left of them."""


def branch_and_bound(
    problem: LatticeProblem,
    *,
    most_boxes: int,
    time_limit: float | None = None,
    starts: Sequence[np.ndarray] = (),
) -> Optimum:
    """Find the cheapest point of every person.

    Parameters
    ----------
    problem : LatticeProblem
    most_boxes : int
        Boxes of one person that are bounded before the proof is given up. It is given up before,
        too, where those that wait would take too much memory.
    time_limit : float, optional
        Seconds for all people together.
    starts : sequence of int64 ndarray of shape (P, F)
        Rungs of points that may be answers.

    Notes
    -----
    Certified, within the relative gap of the lattice.
    """
    n = problem.lattice.n_people
    objective = problem.objective
    lattice = problem.lattice
    best = Best(objective, lattice.own.copy(), np.full(n, np.inf), lattice.gap)
    for rungs in starts:
        try_points(problem, np.arange(n), rungs, best)
    n_boxes = np.zeros(n, dtype=np.int64)
    waiting, widths = whole_lattice(lattice), problem.widths()
    most = np.clip([rows_in_memory(int(width)) for width in widths], _FEWEST, _MOST)
    width = int(widths.max(initial=1))
    given_up = lattice.horizon.copy()
    deadline = None if time_limit is None else time.monotonic() + time_limit
    interrupted = False
    while len(waiting):
        late = deadline is not None and time.monotonic() > deadline
        many = np.bincount(waiting.person, minlength=n) > rows_waiting(lattice.n_features)
        spent = late | ((n_boxes >= most_boxes) | many)[waiting.person]
        if spent.any():
            np.minimum.at(given_up, waiting.person[spent], waiting.bound[spent])
            waiting = waiting.take(~spent)
            continue
        try:
            waiting = _round(problem, waiting, best, n_boxes, most, width)
        except KeyboardInterrupt:
            # The boxes of the broken round are open still.
            interrupted = True
            break
    np.minimum.at(given_up, waiting.person, waiting.bound)
    bound = np.minimum(best.cost, objective.least_cost(given_up))
    return Optimum(best.rungs, best.cost, bound, given_up >= best.room, n_boxes, interrupted)


def _round(
    problem: LatticeProblem,
    waiting: Boxes,
    best: Best,
    n_boxes: np.ndarray,
    most: np.ndarray,
    width: int,
) -> Boxes:
    """Bound some of the boxes, and return those that are open afterwards, sorted by person."""
    chosen = _of_this_round(waiting, most)
    now = waiting.take(chosen)
    n_boxes += np.bincount(now.person, minlength=len(n_boxes))
    parts = [problem.divide(block, best) for block in _blocks(now, width)]
    waiting = Boxes.concatenate([waiting.take(~chosen), *parts])
    waiting = waiting.take(waiting.bound < best.room[waiting.person])
    return waiting.take(np.argsort(waiting.person, kind="stable"))


@dataclass(eq=False)
class Best:
    """The best point of every person so far."""

    objective: Objective
    rungs: np.ndarray
    cost: np.ndarray
    gap: float = RELATIVE_GAP

    @property
    def to_beat(self) -> np.ndarray:
        """Costs below which an action is better."""
        return self.cost * (1 - self.gap)

    @property
    def room(self) -> np.ndarray:
        """Sums of prices below which all better actions lie."""
        return self.objective.room(self.to_beat)

    def offer(self, person: np.ndarray, rungs: np.ndarray, cost: np.ndarray) -> None:
        """Keep each person's cheapest of some answers; of equal ones the first."""
        order = np.lexsort((cost, person))
        first = np.ones(len(order), dtype=bool)
        first[1:] = person[order[1:]] != person[order[:-1]]
        chosen = order[first]
        chosen = chosen[cost[chosen] < self.to_beat[person[chosen]]]
        self.rungs[person[chosen]], self.cost[person[chosen]] = rungs[chosen], cost[chosen]


def _of_this_round(waiting: Boxes, most: np.ndarray) -> np.ndarray:
    """Return which boxes are bounded next: those of lowest bound of each person.

    How many depends on the person alone, so that the answer does: at most `most` (P,).
    """
    order = np.lexsort((waiting.bound, waiting.person))
    person = waiting.person[order]
    count = np.bincount(person, minlength=len(most))
    quota = np.clip(count // _SHARE, _FEWEST, most)
    chosen = np.zeros(len(waiting), dtype=bool)
    chosen[order[rank_of(person) < quota[person]]] = True
    room = rows_waiting(waiting.low.shape[1]) // _WAITING_SHARE
    if len(waiting) > min(_MOST_WAITING, room):
        chosen &= waiting.person == waiting.person[0]
    return chosen


def _blocks(boxes: Boxes, width: int) -> list[Boxes]:
    """Cut boxes, which are sorted by person, so that nobody's are cut apart."""
    most = min(_BLOCK, rows_in_memory(width))
    last = np.flatnonzero(np.append(boxes.person[1:] != boxes.person[:-1], True)) + 1
    blocks, begin = [], 0
    for at, end in enumerate(last):
        if at + 1 == len(last) or last[at + 1] - begin > most:
            blocks.append(boxes.take(slice(begin, int(end))))
            begin = int(end)
    return blocks


def try_points(problem: LatticeProblem, person: np.ndarray, rungs: np.ndarray, best: Best) -> None:
    """Ask about points, each person's cheapest first, until all are dearer than an answer."""
    cost = problem.objective.costs(problem.lattice.costs(person, rungs))
    order = np.lexsort((cost, person))
    person, rungs, cost = person[order], rungs[order], cost[order]
    tried = _TRIED
    while True:
        cheaper = cost < best.to_beat[person]
        person, rungs, cost = person[cheaper], rungs[cheaper], cost[cheaper]
        if len(person) == 0:
            return
        now = rank_of(person) < tried
        valid = np.flatnonzero(now)[problem.is_valid(person[now], rungs[now])]
        best.offer(person[valid], rungs[valid], cost[valid])
        person, rungs, cost = person[~now], rungs[~now], cost[~now]
        tried *= 4


def rank_of(person: np.ndarray) -> np.ndarray:
    """Return the how-manieth of its person every point is; persons are sorted."""
    starts = np.flatnonzero(np.concatenate([[True], person[1:] != person[:-1]]))
    count = np.diff(np.append(starts, len(person)))
    return np.arange(len(person)) - np.repeat(starts, count)
