"""Exact branch and bound over the lattices of many people, under one or more networks.

Every round takes the most promising boxes of each person, leaves out what cannot be cheaper than
the best point so far, and bounds the rest: the margin by a linear function of the first layer, and
so the cost by a knapsack. The knapsack's solutions, put on the lattice, are tried as answers; small
boxes are enumerated, the others are cut in two. What happens to one person depends on that person
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from skcfq.proofs._bounds import blame_of, spans_of
from skcfq.proofs._box_points import points_of
from skcfq.proofs._boxes import Boxes, contract, cut
from skcfq.proofs._branching import (
    Best,
    LatticeProblem,
    Optimum,
    branch_and_bound,
    try_points,
)
from skcfq.proofs._choice_bound import ChoiceBound, choice_bound
from skcfq.proofs._gains import Choosing, Gains
from skcfq.proofs._layer_bounds import margin_bound
from skcfq.proofs._rounding import rounded
from skcfq.proofs._tables import Tables


@dataclass(frozen=True, eq=False)
class NetworkDemand:
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
class NetworkSearch(LatticeProblem):
    """What is searched under networks.

    Attributes
    ----------
    demands : sequence of NetworkDemand
        All of them must be met.
    leaf : int, default=256
        Points up to which a box is enumerated rather than cut.
    """

    demands: Sequence[NetworkDemand]
    leaf: int = 256


def search_networks(
    search: NetworkSearch,
    *,
    most_boxes: int,
    time_limit: float | None = None,
    starts: Sequence[np.ndarray] = (),
) -> Optimum:
    """Find the cheapest point of every person.

    Parameters
    ----------
    search : NetworkSearch
    most_boxes : int
        Boxes of one person that are bounded before the proof is given up.
    time_limit : float, optional
        Seconds for all people together.
    starts : sequence of int64 ndarray of shape (P, F)
        Rungs of points that may be answers.

    Notes
    -----
    Certified, within a relative gap of 1e-9.
    """
    process = partial(_process, search)
    return branch_and_bound(
        search, process, most_boxes=most_boxes, time_limit=time_limit, starts=starts
    )


def _process(search: NetworkSearch, boxes: Boxes, best: Best) -> Boxes:
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


def _view(search: NetworkSearch, demand: NetworkDemand, boxes: Boxes) -> _View:
    tables, person = demand.tables, boxes.person
    start = search.lattice.start[person]
    spans = spans_of(tables, boxes)
    line = margin_bound(tables.network, spans.hidden, demand.target[person], demand.rival[person])
    parts = line.slope * tables.base[person]
    own = line.constant + parts.sum(axis=1)
    size = 1 + np.abs(line.constant) + np.abs(parts).sum(axis=1)
    need = demand.need[person] - demand.tolerance * size - own
    gains = Gains.of(tables, boxes, start, (spans.near, spans.far), line.slope)
    choosing = gains.options(search.lattice, search.objective)
    found = choice_bound(choosing.options, need)
    return _View(gains, choosing, need, found, blame_of(tables, spans, line))


def _divide(search: NetworkSearch, boxes: Boxes, view: _View, best: Best) -> Boxes:
    """Try the knapsack's solutions, enumerate small boxes, and cut the others in two."""
    person, rungs = rounded(search.lattice, view.gains, view.choosing, view.found, view.need)
    try_points(search, person, rungs, best)
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
        try_points(search, person, rungs, best)
    large = np.flatnonzero(open_ & ~small)
    return cut(search.lattice, boxes.take(large), view.blame[large])
