"""Exact branch and bound over the lattices of many people, under one or more ensembles of trees.

In a box, a tree says at most what the best leaf says that the box admits, and with one feature on
a rung, at most what the best leaf of these says. For every tree one feature is chosen to speak, so
the score is at most a sum over features of what their rungs gain, and the cost is bounded by a
knapsack. Rungs with which the score cannot be reached at all are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np

from skcfq.proofs._boxes import Boxes, contract
from skcfq.proofs._branching import (
    Best,
    LatticeProblem,
    try_points,
)
from skcfq.proofs._choice_bound import choice_bound
from skcfq.proofs._leaf_tables import LeafTables
from skcfq.proofs._rung_gains import Grid, RungOptions, quartered, rung_bounds
from skcfq.utils import rows_in_memory

# What trees say on the rungs of boxes that are looked at together, in numbers.
_NUMBERS = 1 << 20


@dataclass(frozen=True, eq=False)
class TreeDemand:
    """What a score of an ensemble must reach.

    Attributes
    ----------
    tables : LeafTables
    need : ndarray of shape (P,)
        What a bound must reach for a box to hold an answer.
    """

    tables: LeafTables
    need: np.ndarray


@dataclass(frozen=True, eq=False)
class TreeSearch(LatticeProblem):
    """What is searched under ensembles of trees.

    Attributes
    ----------
    demands : sequence of TreeDemand
        All of them must be met.
    """

    demands: Sequence[TreeDemand]

    def divide(self, boxes: Boxes, best: Best) -> Boxes:
        """Bound boxes, try what follows from that, and return what they are cut into."""
        boxes = contract(self.lattice, boxes, best.room[boxes.person], self.objective.most_changes)
        for demand in self.demands:
            said = demand.tables.most(demand.tables.admitted(boxes), boxes.person)
            boxes = boxes.take(said.sum(axis=1) >= demand.need[boxes.person])
        if len(boxes) == 0:
            return boxes
        views = [_view(self, boxes.take(part)) for part in cache_sized(self, boxes)]
        view = _View.concatenate(views)
        boxes = replace(
            boxes, bound=np.maximum(boxes.bound, view.bound), low=view.low, high=view.high
        )
        for point in (view.enough, view.nearly):
            open_ = np.flatnonzero(boxes.bound < best.room[boxes.person])
            try_points(self, boxes.person[open_], point[open_], best)
        # What is a point has been tried.
        open_ = boxes.bound < best.room[boxes.person]
        open_ &= (boxes.high > boxes.low).any(axis=1)
        return quartered(boxes.take(open_), view.blame[open_])


def cache_sized(search: TreeSearch, boxes: Boxes) -> list[slice]:
    """Cut boxes into parts whose arrays are small."""
    n_trees = max(len(demand.tables.first_word) for demand in search.demands)
    length = boxes.high - boxes.low + 1
    # Grids of rungs are padded to the longest stretch.
    padded = length.shape[1] * int(length.max(initial=1))
    least = -(-_NUMBERS // rows_in_memory(padded))
    numbers = np.cumsum(np.maximum(length.sum(axis=1) * n_trees, least))
    ends = np.searchsorted(numbers, np.arange(_NUMBERS, int(numbers[-1]), _NUMBERS)) + 1
    edges = np.unique(np.concatenate([[0], ends, [len(boxes)]]))
    return [slice(*pair) for pair in pairwise(edges.tolist())]


@dataclass(frozen=True, eq=False)
class _View:
    """What is known of N boxes.

    Attributes
    ----------
    bound : ndarray of shape (N,)
        Least price of what gains enough, under the demand that says most about the box.
    low, high : int64 ndarray of shape (N, F)
        First and last rung that can be part of an answer.
    enough, nearly : int64 ndarray of shape (N, F)
        What the bound promises: enough, or nearly.
    blame : ndarray of shape (N, F)
        How much less than the most is said with each feature where it promises enough.
    """

    bound: np.ndarray
    low: np.ndarray
    high: np.ndarray
    enough: np.ndarray
    nearly: np.ndarray
    blame: np.ndarray

    @staticmethod
    def concatenate(parts: list[_View]) -> _View:
        """Join what is known of several sets of boxes."""
        names = [field.name for field in fields(_View)]
        return _View(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def _view(search: TreeSearch, boxes: Boxes) -> _View:
    lattice, most = search.lattice, search.objective.most_changes
    grid = Grid.of(lattice, boxes)
    each = [rung_bounds(demand.tables, boxes, grid) for demand in search.demands]
    for bounds, demand in zip(each, search.demands, strict=True):
        may = bounds.most >= demand.need[boxes.person][:, None, None]
        grid = replace(grid, there=grid.there & may)
    alive = np.flatnonzero(grid.leaves_room(lattice, boxes, most))
    person, inside = boxes.person[alive], grid.take(alive)
    bound = np.full(len(boxes), np.inf)
    bound[alive] = -np.inf
    enough, nearly = grid.near.copy(), grid.near.copy()
    blame = np.zeros(grid.near.shape)
    for bounds, demand in zip(each, search.demands, strict=True):
        begin, gain = bounds.gains()
        options = RungOptions.of(lattice, person, inside, gain[alive], most)
        found = choice_bound(options.options, demand.need[person] - begin[alive])
        better = found.bound > bound[alive]
        here = alive[better]
        bound[here] = found.bound[better]
        enough[here] = options.points(found.over)[better]
        nearly[here] = options.points(found.under)[better]
        blame[here] = bounds.lost_at(grid, enough)[here]
    return _View(bound, *grid.ends(boxes), enough, nearly, blame)
