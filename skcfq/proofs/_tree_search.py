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
from skcfq.proofs._rung_gains import Grid, rung_gains, split_by_feature


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
    lattice, objective = search.lattice, search.objective
    boxes = contract(lattice, boxes, best.room[boxes.person], objective.most_changes)
    for demand in search.demands:
        most = demand.tables.most(demand.tables.admitted(boxes), boxes.person).sum(axis=1)
        boxes = boxes.take(most >= demand.need[boxes.person])
    if len(boxes) == 0:
        return boxes
    grid = Grid.of(lattice, boxes)
    each = [rung_gains(demand.tables, boxes, grid) for demand in search.demands]
    for gains, demand in zip(each, search.demands, strict=True):
        may = gains.most >= demand.need[boxes.person][:, None, None]
        grid = replace(grid, there=grid.there & may)
    alive = np.flatnonzero(grid.leaves_room(lattice, boxes, objective.most_changes))
    boxes, grid, each = boxes.take(alive), grid.take(alive), [gains.take(alive) for gains in each]
    if len(boxes) == 0:
        return boxes
    views = []
    for gains, demand in zip(each, search.demands, strict=True):
        options = gains.options(lattice, boxes, grid, objective.most_changes)
        found = choice_bound(options.options, demand.need[boxes.person] - gains.begin)
        views.append((demand, gains, options, found))
    bounds = np.stack([found.bound for *_, found in views])
    # Each box goes on with the demand that says most about it.
    which = bounds.argmax(axis=0)
    boxes = replace(boxes, bound=np.maximum(boxes.bound, bounds.max(axis=0)))
    children = []
    for d, (demand, gains, options, found) in enumerate(views):
        open_ = np.flatnonzero((which == d) & (boxes.bound < best.room[boxes.person]))
        if len(open_) == 0:
            continue
        inside, point = boxes.take(open_), options.points(found.over)[open_]
        for choice in (found.over, found.under):
            try_points(search, inside.person, options.points(choice)[open_], best)
        # What is a point has been tried.
        large = (inside.bound < best.room[inside.person]) & (inside.n_points() > 1)
        inside, point, rows = inside.take(large), point[large], open_[large]
        if len(inside):
            part = grid.take(rows), gains.take(rows)
            children.append(split_by_feature(demand.tables, inside, *part, point))
    return Boxes.concatenate(children) if children else boxes.take(slice(0))
