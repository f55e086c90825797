"""Exact branch and bound over the lattices of many people, under one or more ensembles of trees.

In a box, a tree says at most what the best leaf says that the box admits, and with one feature on
a rung, at most what the best leaf of these says. For every tree one feature is chosen to speak, so
the score is at most a sum over features of what their rungs gain, and the cost is bounded by a
knapsack. Rungs with which the score cannot be reached at all are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from skcfq.proofs._boxes import Boxes, contract
from skcfq.proofs._branching import (
    Best,
    LatticeProblem,
    Optimum,
    branch_and_bound,
    try_points,
)
from skcfq.proofs._choice_bound import choice_bound
from skcfq.proofs._leaf_tables import LeafTables
from skcfq.proofs._rung_gains import Grid, RungBounds, RungOptions, halved, rung_bounds


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


def search_trees(
    search: TreeSearch, *, most_boxes: int, time_limit: float | None = None
) -> Optimum:
    """Find the cheapest point of every person.

    Parameters
    ----------
    search : TreeSearch
    most_boxes : int
        Boxes of one person that are bounded before the proof is given up.
    time_limit : float, optional
        Seconds for all people together.

    Notes
    -----
    Certified, within a relative gap of 1e-9.
    """
    process = partial(_process, search)
    return branch_and_bound(search, process, most_boxes=most_boxes, time_limit=time_limit)


def _process(search: TreeSearch, boxes: Boxes, best: Best) -> Boxes:
    """Bound boxes, try what follows from that, and return what they are cut into."""
    lattice, most = search.lattice, search.objective.most_changes
    boxes = contract(lattice, boxes, best.room[boxes.person], most)
    for demand in search.demands:
        said = demand.tables.most(demand.tables.admitted(boxes), boxes.person)
        boxes = boxes.take(said.sum(axis=1) >= demand.need[boxes.person])
    if len(boxes) == 0:
        return boxes
    grid = Grid.of(lattice, boxes)
    each = [rung_bounds(demand.tables, boxes, grid) for demand in search.demands]
    for bounds, demand in zip(each, search.demands, strict=True):
        may = bounds.most >= demand.need[boxes.person][:, None, None]
        grid = replace(grid, there=grid.there & may)
    alive = grid.leaves_room(lattice, boxes, most)
    views = [
        _view(search, demand, boxes, grid, bounds, np.flatnonzero(alive))
        for demand, bounds in zip(search.demands, each, strict=True)
    ]
    found = np.stack([view.bound for view in views])
    # Each box goes on with the demand that says most about it.
    which = found.argmax(axis=0)
    boxes = replace(boxes, bound=np.maximum(boxes.bound, found.max(axis=0)))
    children = []
    for d, view in enumerate(views):
        here = np.flatnonzero(which == d)
        here = here[boxes.bound[here] < best.room[boxes.person[here]]]
        for point in view.points:
            try_points(search, boxes.person[here], point[here], best)
        # What is a point has been tried.
        here = here[boxes.bound[here] < best.room[boxes.person[here]]]
        children.append(halved(boxes.take(here), grid.take(here), view.blame[here]))
    return Boxes.concatenate(children)


@dataclass(frozen=True, eq=False)
class _View:
    """N boxes as one demand sees them.

    Attributes
    ----------
    bound : ndarray of shape (N,)
        Least price of what gains enough.
    points : tuple of int64 ndarrays of shape (N, F)
        What the bound promises: enough, or nearly.
    blame : ndarray of shape (N, F)
        How much less than the most is said with each feature where it promises enough.
    """

    bound: np.ndarray
    points: tuple[np.ndarray, np.ndarray]
    blame: np.ndarray


def _view(
    search: TreeSearch,
    demand: TreeDemand,
    boxes: Boxes,
    grid: Grid,
    bounds: RungBounds,
    alive: np.ndarray,
) -> _View:
    bound = np.full(len(boxes), np.inf)
    enough, nearly = grid.near.copy(), grid.near.copy()
    begin, gain = bounds.gains()
    person = boxes.person[alive]
    options = RungOptions.of(
        search.lattice, person, grid.take(alive), gain[alive], search.objective.most_changes
    )
    found = choice_bound(options.options, demand.need[person] - begin[alive])
    bound[alive] = found.bound
    enough[alive], nearly[alive] = options.points(found.over), options.points(found.under)
    return _View(bound, (enough, nearly), bounds.lost_at(grid, enough))
