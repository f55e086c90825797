"""Points to begin with under ensembles of trees: greedy steps to an answer, then to cheaper ones.

Boxes are small as soon as a good answer is known: a search that begins without one spends most of
its time on finding it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from skcfq.proofs._boxes import Boxes, contract, whole_lattice
from skcfq.proofs._branching import Best, try_points
from skcfq.proofs._rung_gains import Grid, scores_beside
from skcfq.proofs._tree_search import TreeSearch, cache_sized

# Steps that a person takes at most; most need less than five.
_MOST_STEPS = 40
# What is free counts as if it cost so much.
_FREE = 1e-12


def greedy_points(search: TreeSearch, *, until: float | None = None) -> np.ndarray:
    """Look for an answer of every person.

    Parameters
    ----------
    search : TreeSearch
    until : float, optional
        When to stop, as :func:`time.monotonic` tells it.

    Returns
    -------
    rungs : int64 ndarray of shape (P, F)
        The own ones where nothing was found.

    Notes
    -----
    Heuristic. A step changes one feature. As long as the scores do not suffice, it is the change
    that brings them nearest for its price; from the cheapest answer seen on the way, it is the
    change to the cheapest answer.
    """
    everybody, own = np.arange(search.lattice.n_people), search.lattice.own
    best = Best(search.objective, own.copy(), np.full(len(own), np.inf), search.lattice.gap)
    greedy = _Greedy(search, best, np.ones((len(search.demands), len(own))))
    lack = greedy.lack_at(everybody, own)
    greedy = _Greedy(search, best, np.where(lack > 0, lack, 1.0))
    person, rungs = everybody, own
    for _ in range(_MOST_STEPS):
        if len(person) == 0 or _late(until):
            break
        person, rungs = greedy.step(person, rungs)
    person = np.flatnonzero(np.isfinite(best.cost))
    while len(person) and not _late(until):
        before = best.cost[person]
        greedy.step(person, best.rungs[person])
        person = person[best.cost[person] < before]
    return best.rungs


def _late(until: float | None) -> bool:
    return until is not None and time.monotonic() > until


@dataclass(frozen=True, eq=False)
class _Greedy:
    """Steps of everybody.

    Attributes
    ----------
    search : TreeSearch
    best : Best
        Answers found so far.
    unit : ndarray of shape (D, P)
        In which the lacks of different scores are compared.
    """

    search: TreeSearch
    best: Best
    unit: np.ndarray

    def step(self, person: np.ndarray, rungs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Offer each person's cheapest answer beside a point; go on to the best point beside it.

        Parameters
        ----------
        person : int64 ndarray of shape (N,)
        rungs : int64 ndarray of shape (N, F)

        Returns
        -------
        person : int64 ndarray of shape (M,)
            For whom some change helps.
        rungs : int64 ndarray of shape (M, F)
        """
        # Nothing is cheaper than what is free.
        open_ = self.best.room[person] > 0
        person, rungs = person[open_], rungs[open_]
        if len(person) == 0:
            return person, rungs
        lattice, most = self.search.lattice, self.search.objective.most_changes
        # Everybody may stay, so that nobody's box is left out.
        reach = contract(lattice, whole_lattice(lattice).take(person), self.best.room[person], most)
        parts = cache_sized(self.search, reach)
        steps = [self._look(reach.take(part), rungs[part]) for part in parts]
        found, onward = (np.concatenate(each) for each in zip(*steps, strict=True))
        answers = np.flatnonzero((found != rungs).any(axis=1))
        try_points(self.search, person[answers], found[answers], self.best)
        goes = np.flatnonzero((onward != rungs).any(axis=1))
        return person[goes], onward[goes]

    def _look(self, reach: Boxes, rungs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cheapest answers and the best points beside some, or these themselves."""
        lattice, person = self.search.lattice, reach.person
        grid, own = Grid.of(lattice, reach), lattice.own[person]
        now = lattice.costs(person, rungs)
        others = now.sum(axis=1, keepdims=True) - now
        price = lattice.cost[lattice.start[person][:, :, None] + grid.rung] + others[:, :, None]
        moved = rungs != own
        changes = (moved.sum(axis=1, keepdims=True) - moved)[:, :, None]
        changes = changes + (grid.rung != own[:, :, None])
        may = grid.there & (grid.rung != rungs[:, :, None])
        may &= changes <= self.search.objective.most_changes
        may &= price < self.best.room[person][:, None, None]
        lack = np.zeros(price.shape)
        for demand, unit in zip(self.search.demands, self.unit, strict=True):
            scores = scores_beside(demand.tables, reach, grid, rungs)
            need, unit = (part[person][:, None, None] for part in (demand.need, unit))
            lack += np.maximum(need - scores, 0.0) / unit
        found = _changed(grid, rungs, np.where(may & (lack == 0), -price, -np.inf))
        nearer = self.lack_at(person, rungs).sum(axis=0)[:, None, None] - lack
        dearer = np.maximum(price - now.sum(axis=1)[:, None, None], _FREE)
        may &= (lack > 0) & (nearer > 0)
        return found, _changed(grid, rungs, np.where(may, nearer / dearer, -np.inf))

    def lack_at(self, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return what the scores of points lack, shape (D, N)."""
        lack = np.zeros((len(self.unit), len(person)))
        for d, demand in enumerate(self.search.demands):
            scores = demand.tables.at_points(person, rungs)
            lack[d] = np.maximum(demand.need[person] - scores, 0.0) / self.unit[d, person]
        return lack


def _changed(grid: Grid, rungs: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Return points with the one change that is worth most; without any where none is allowed."""
    rows, flat = np.arange(len(rungs)), worth.reshape(len(rungs), -1)
    at = flat.argmax(axis=1)
    some = np.flatnonzero(np.isfinite(flat[rows, at]))
    feature, v = np.divmod(at[some], worth.shape[2])
    points = rungs.copy()
    points[some, feature] = grid.rung[some, feature, v]
    return points
