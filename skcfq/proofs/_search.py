"""Exact branch and bound over the lattices of many people, under one or more networks.

Every round takes the most promising boxes of each person, leaves out what cannot be cheaper than
the best point so far, and bounds the rest: the margin by a linear function of the first layer, and
so the cost by a knapsack. The knapsack's solutions, put on the lattice, are tried as answers; small
boxes are enumerated, the others are cut in two. What happens to one person depends on that person
alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from skcfq.proofs._bounds import blame_of, margin_bound, spans_of
from skcfq.proofs._boxes import Boxes, contract, cut, whole_lattice
from skcfq.proofs._choice_bound import ChoiceBound, choice_bound
from skcfq.proofs._gains import Choosing, Gains
from skcfq.proofs._lattice import Lattice
from skcfq.proofs._leaves import points_of
from skcfq.proofs._objective import Objective
from skcfq.proofs._rounding import rounded
from skcfq.proofs._tables import Tables

# An action is optimal when no bound is lower than its cost by more than this share.
RELATIVE_GAP = 1e-9
# A person's boxes in one round: a share of those that wait, within limits.
_SHARE, _FEWEST, _MOST = 4, 8, 64
# Boxes that wait, beyond which one person after the other is brought to an end.
_MOST_WAITING = 500_000
# Boxes that are bounded together: their arrays then stay in the cache.
_BLOCK = 1024
# Answers of one box that are tried together, the cheapest first.
_TRIED = 64


@dataclass(frozen=True, eq=False)
class Demand:
    """What one margin of a network must reach.

    Attributes
    ----------
    tables : Tables
    target, rival : int64 ndarray of shape (P,)
        The margin of each person is the total of the one class less that of the other.
    need : ndarray of shape (P,)
        What a bound must reach for a box to hold an answer, in the units of the totals.
    tolerance : float
        Share of its parts by which a bound may err.
    """

    tables: Tables
    target: np.ndarray
    rival: np.ndarray
    need: np.ndarray
    tolerance: float


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
class Search:
    """What is searched: the lattice, what must be reached, and who says what is an answer.

    Attributes
    ----------
    lattice : Lattice
        With prices for costs.
    demands : sequence of Demand
        All of them must be met.
    is_valid : Judge
    objective : Objective
    leaf : int, default=256
        Points up to which a box is enumerated rather than cut.
    """

    lattice: Lattice
    demands: Sequence[Demand]
    is_valid: Judge
    objective: Objective
    leaf: int = 256


def search_networks(
    search: Search,
    *,
    max_nodes: int,
    time_limit: float | None = None,
    starts: Sequence[np.ndarray] = (),
) -> Optimum:
    """Find the cheapest point of every person.

    Parameters
    ----------
    search : Search
    max_nodes : int
        Boxes of one person that are bounded before the proof is given up.
    time_limit : float, optional
        Seconds for all people together.
    starts : sequence of int64 ndarray of shape (P, F)
        Rungs of points that may be answers.

    Notes
    -----
    Certified, within a relative gap of 1e-9.
    """
    n = search.lattice.n_people
    objective = search.objective
    best = _Best(objective, search.lattice.own.copy(), np.full(n, np.inf))
    for rungs in starts:
        _try(search, np.arange(n), rungs, best)
    n_boxes = np.zeros(n, dtype=np.int64)
    waiting = whole_lattice(search.lattice)
    given_up = np.full(n, np.inf)
    deadline = None if time_limit is None else time.monotonic() + time_limit
    interrupted = False
    while len(waiting):
        late = deadline is not None and time.monotonic() > deadline
        spent = late | (n_boxes >= max_nodes)[waiting.person]
        if spent.any():
            np.minimum.at(given_up, waiting.person[spent], waiting.bound[spent])
            waiting = waiting.take(~spent)
            continue
        try:
            waiting = _round(search, waiting, best, n_boxes)
        except KeyboardInterrupt:
            # The boxes of the broken round are open still.
            interrupted = True
            break
    np.minimum.at(given_up, waiting.person, waiting.bound)
    bound = np.minimum(best.cost, objective.least_cost(given_up))
    return Optimum(best.rungs, best.cost, bound, given_up >= best.room, n_boxes, interrupted)


def _round(search: Search, waiting: Boxes, best: _Best, n_boxes: np.ndarray) -> Boxes:
    """Bound some of the boxes, and return those that are open afterwards, sorted by person."""
    chosen = _of_this_round(waiting)
    now = waiting.take(chosen)
    n_boxes += np.bincount(now.person, minlength=len(n_boxes))
    parts = [_process(search, block, best) for block in _blocks(now)]
    waiting = Boxes.concatenate([waiting.take(~chosen), *parts])
    waiting = waiting.take(waiting.bound < best.room[waiting.person])
    return waiting.take(np.argsort(waiting.person, kind="stable"))


@dataclass(eq=False)
class _Best:
    """The best point of every person so far."""

    objective: Objective
    rungs: np.ndarray
    cost: np.ndarray

    @property
    def to_beat(self) -> np.ndarray:
        """Costs below which an action is better."""
        return self.cost * (1 - RELATIVE_GAP)

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


def _of_this_round(waiting: Boxes) -> np.ndarray:
    """Return which boxes are bounded next: those of lowest bound of each person."""
    order = np.lexsort((waiting.bound, waiting.person))
    person = waiting.person[order]
    count = np.bincount(person, minlength=int(person.max(initial=-1)) + 1)
    quota = np.clip(count // _SHARE, _FEWEST, _MOST)
    chosen = np.zeros(len(waiting), dtype=bool)
    chosen[order[_rank(person) < quota[person]]] = True
    if len(waiting) > _MOST_WAITING:
        chosen &= waiting.person == waiting.person[0]
    return chosen


def _blocks(boxes: Boxes) -> list[Boxes]:
    """Cut boxes, which are sorted by person, so that nobody's are cut apart."""
    last = np.flatnonzero(np.append(boxes.person[1:] != boxes.person[:-1], True)) + 1
    blocks, begin = [], 0
    for at, end in enumerate(last):
        if at + 1 == len(last) or last[at + 1] - begin > _BLOCK:
            blocks.append(boxes.take(slice(begin, int(end))))
            begin = int(end)
    return blocks


def _process(search: Search, boxes: Boxes, best: _Best) -> Boxes:
    """Bound boxes, try what follows from that, and return what they are cut into."""
    lattice = search.lattice
    boxes = contract(lattice, boxes, best.room[boxes.person], search.objective.most_changes)
    if len(boxes) == 0:
        return boxes
    views = [_view(search, demand, boxes) for demand in search.demands]
    bounds = np.stack([view.found.bound for view in views])
    # Each box goes on with the demand that says most about it.
    which = bounds.argmax(axis=0)
    boxes = replace(boxes, bound=np.maximum(boxes.bound, bounds.max(axis=0)))
    children = []
    for d, view in enumerate(views):
        open_ = np.flatnonzero((which == d) & (boxes.bound < best.room[boxes.person]))
        if len(open_):
            children.append(_divide(search, boxes.take(open_), view.take(open_), best))
    return Boxes.concatenate(children) if children else boxes.take(slice(0))


@dataclass(frozen=True, eq=False)
class _View:
    """N boxes as one demand sees them.

    Attributes
    ----------
    gains : Gains
    choosing : Choosing
    need : ndarray of shape (N,)
        What gains must reach.
    found : ChoiceBound
    blame : ndarray of shape (N, F)
        How much of what the bound may lose is due to each feature.
    """

    gains: Gains
    choosing: Choosing
    need: np.ndarray
    found: ChoiceBound
    blame: np.ndarray

    def take(self, rows: np.ndarray) -> _View:
        return _View(
            self.gains.take(rows),
            self.choosing.take(rows),
            self.need[rows],
            self.found.take(rows),
            self.blame[rows],
        )


def _view(search: Search, demand: Demand, boxes: Boxes) -> _View:
    tables, person = demand.tables, boxes.person
    start = search.lattice.start[person]
    spans = spans_of(tables, boxes, start)
    line = margin_bound(tables, spans, demand.target[person], demand.rival[person])
    parts = line.slope * tables.base[person]
    own = line.constant + parts.sum(axis=1)
    size = 1 + np.abs(line.constant) + np.abs(parts).sum(axis=1)
    need = demand.need[person] - demand.tolerance * size - own
    gains = Gains.of(tables, boxes, start, (spans.near, spans.far), line.slope)
    choosing = gains.options(search.lattice, search.objective)
    found = choice_bound(choosing.options, need)
    return _View(gains, choosing, need, found, blame_of(tables, spans, line))


def _divide(search: Search, boxes: Boxes, view: _View, best: _Best) -> Boxes:
    """Try the knapsack's solutions, enumerate small boxes, and cut the others in two."""
    person, rungs = rounded(search.lattice, view.gains, view.choosing, view.found, view.need)
    _try(search, person, rungs, best)
    open_ = boxes.bound < best.room[boxes.person]
    small = boxes.n_points() <= search.leaf
    leaves = np.flatnonzero(open_ & small)
    if len(leaves):
        inside = boxes.take(leaves)
        limit = best.room[inside.person]
        part = view.take(leaves)
        person, rungs = points_of(
            search.lattice,
            inside,
            limit,
            search.objective.most_changes,
            part.gains,
            part.need,
        )
        _try(search, person, rungs, best)
    large = np.flatnonzero(open_ & ~small)
    return cut(search.lattice, boxes.take(large), view.blame[large])


def _try(search: Search, person: np.ndarray, rungs: np.ndarray, best: _Best) -> None:
    """Ask about points, each person's cheapest first, until all are dearer than an answer."""
    cost = search.objective.costs(search.lattice.cost[search.lattice.places(person, rungs)])
    order = np.lexsort((cost, person))
    person, rungs, cost = person[order], rungs[order], cost[order]
    while True:
        cheaper = cost < best.to_beat[person]
        person, rungs, cost = person[cheaper], rungs[cheaper], cost[cheaper]
        if len(person) == 0:
            return
        now = _rank(person) < _TRIED
        valid = np.flatnonzero(now)[search.is_valid(person[now], rungs[now])]
        best.offer(person[valid], rungs[valid], cost[valid])
        person, rungs, cost = person[~now], rungs[~now], cost[~now]


def _rank(person: np.ndarray) -> np.ndarray:
    """Return the how-manieth of its person every point is; persons are sorted."""
    starts = np.flatnonzero(np.concatenate([[True], person[1:] != person[:-1]]))
    count = np.diff(np.append(starts, len(person)))
    return np.arange(len(person)) - np.repeat(starts, count)
