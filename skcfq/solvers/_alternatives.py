"""Several actions a person: each leaves alone at least one feature of every cheaper one.

The actions are enumerated in the order of their cost. Once an action that changes the features S
is taken, the remaining ones lie in the |S| sub-problems that hold one more feature of S fixed;
the cheapest solution of any open sub-problem is the next action (Lawler's procedure).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from skcfq.solvers.problems import Solution

# Takes N positions of people and the features that each must leave alone, bool of shape (N, F).
Solve = Callable[[np.ndarray, np.ndarray], Solution]
# Sub-problems of one person that are solved, for each action that is asked for.
_SUBPROBLEMS = 64


def enumerate_actions(
    solve: Solve, first: Solution, own: Solution, n_alternatives: int
) -> list[Solution]:
    """Find the cheapest action of each person, the next cheapest with other features, and so on.

    Parameters
    ----------
    solve : callable
        Solves people again with some features fixed.
    first : Solution
        The cheapest actions of n people.
    own : Solution
        The same people without any action.
    n_alternatives : int
        Actions for each person, the first one included.

    Returns
    -------
    solutions : list of n_alternatives Solution
        Cheapest first. Of two actions of a person, neither changes all the features that the
        cheaper one changes. Who has fewer is ``"not_found"`` in the later ones, or
        ``"infeasible"`` where every sub-problem is proved to have no solution, or ``"time_limit"``
        where Ctrl-C came before.
    """
    n, n_features = first.changed.shape
    frozen = np.zeros((n, n_features), dtype=bool)
    batches = [first]
    people = [_Person(n_alternatives) for _ in range(n)]
    owners, interrupted = np.arange(n), first.interrupted
    try:
        while len(owners):
            for row, owner in enumerate(owners.tolist()):
                people[owner].add(batches[-1], len(batches) - 1, row, frozen[row])
            if interrupted:
                break
            wanted = [(one, mask) for one, person in enumerate(people) for mask in person.expand()]
            owners = np.array([owner for owner, _ in wanted], dtype=np.int64)
            if len(owners):
                frozen = np.stack([mask for _, mask in wanted])
                batches.append(solve(owners, frozen))
                interrupted = batches[-1].interrupted
    except KeyboardInterrupt:
        interrupted = True
    for person in people:
        person.unfinished = interrupted and person.open
    for person in people:
        person.sort(batches)
    best = _ranked(batches, people, 0, first)
    ranks = [best, *(_ranked(batches, people, k, own) for k in range(1, n_alternatives))]
    return [replace(rank, interrupted=interrupted) for rank in ranks]


class _Person:
    """The open sub-problems of one person, and the actions that were taken."""

    def __init__(self, n_alternatives: int) -> None:
        self.n_alternatives = n_alternatives
        self.taken: list[tuple[int, int]] = []
        self.exhausted = False
        self.unfinished = False
        self._features: list[np.ndarray] = []
        self._open: list[tuple[float, int, int, int, np.ndarray, np.ndarray]] = []
        self._seen: set[bytes] = set()
        self._count = 0
        self._all_proved = True

    def add(self, batch: Solution, number: int, row: int, frozen: np.ndarray) -> None:
        """Note the solution of a sub-problem."""
        if not batch.found[row]:
            self._all_proved &= bool(batch.status[row] == "infeasible")
            return
        self._count += 1
        entry = (float(batch.cost[row]), self._count, number, row, frozen, batch.changed[row])
        heapq.heappush(self._open, entry)

    def expand(self) -> list[np.ndarray]:
        """Take the next actions; return the sub-problems that must be solved before the next."""
        while self._open and len(self.taken) < self.n_alternatives:
            _, _, number, row, frozen, changed = heapq.heappop(self._open)
            if not any((changed >= features).all() for features in self._features):
                self.taken.append((number, row))
                self._features.append(changed)
                if len(self.taken) == self.n_alternatives:
                    break
            branches = self._branches(frozen, changed)
            if branches:
                return branches
        self.exhausted = len(self.taken) < self.n_alternatives
        return []

    def sort(self, batches: list[Solution]) -> None:
        """Put what a heuristic found cheaper late first, and drop what that makes pointless."""
        self.taken.sort(key=lambda entry: float(batches[entry[0]].cost[entry[1]]))
        kept: list[tuple[int, int]] = []
        for number, row in self.taken:
            changed = batches[number].changed[row]
            if not any((changed >= batches[other].changed[at]).all() for other, at in kept):
                kept.append((number, row))
        self.taken = kept

    def _branches(self, frozen: np.ndarray, changed: np.ndarray) -> list[np.ndarray]:
        branches = []
        for feature in np.flatnonzero(changed):
            mask = frozen.copy()
            mask[feature] = True
            if mask.tobytes() in self._seen:
                continue
            if len(self._seen) >= _SUBPROBLEMS * self.n_alternatives:
                self._all_proved = False
                break
            self._seen.add(mask.tobytes())
            branches.append(mask)
        return branches

    @property
    def open(self) -> bool:
        """Whether there may be more actions."""
        return not self.exhausted and len(self.taken) < self.n_alternatives

    def missing(self, rank: int) -> bool:
        """Tell whether there is no action of this rank."""
        return len(self.taken) <= rank

    @property
    def missing_status(self) -> str:
        """Status of the actions that were not found."""
        if self.unfinished:
            return "time_limit"
        return "infeasible" if self.exhausted and self._all_proved else "not_found"


def _ranked(batches: list[Solution], people: list[_Person], rank: int, other: Solution) -> Solution:
    """Return everybody's action of one rank; who has none gets the row of ``other``."""
    offsets = np.cumsum([0, *(len(batch) for batch in batches)])
    has = np.array([len(person.taken) > rank for person in people], dtype=bool)
    source = offsets[-1] + np.arange(len(people))
    for owner in np.flatnonzero(has).tolist():
        number, row = people[owner].taken[rank]
        source[owner] = offsets[number] + row
    picked = Solution.concatenate([*batches, other]).take(source)
    if rank > 0:
        picked.status[~has] = [person.missing_status for person in people if person.missing(rank)]
        picked.bound[picked.status == "infeasible"] = np.inf
    return picked
