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

import numpy as np

from skcfq.proofs._box_points import points_of
from skcfq.proofs._boxes import Boxes, contract, cut
from skcfq.proofs._branching import (
    Best,
    LatticeProblem,
    try_points,
)
from skcfq.proofs._network_view import NetworkDemand, View, view_of
from skcfq.proofs._rounding import rounded


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

    def widths(self) -> np.ndarray:
        """Return the options of all features, padded to those of the longest category, (P,)."""
        levels = self.lattice.size[:, self.lattice.n_numbers :]
        return self.lattice.n_features * levels.max(axis=1, initial=2)

    def divide(self, boxes: Boxes, best: Best) -> Boxes:
        """Bound boxes, try what follows from that, and return what they are cut into."""
        lattice = self.lattice
        boxes = contract(lattice, boxes, best.room[boxes.person], self.objective.most_changes)
        if len(boxes) == 0:
            return boxes
        room = best.room[boxes.person]
        views = [
            view_of(self.lattice, self.objective, demand, boxes, room) for demand in self.demands
        ]
        bounds = np.stack([view.found.bound for view in views])
        # Each box goes on with the demand that says most about it.
        which = bounds.argmax(axis=0)
        boxes = replace(boxes, bound=np.maximum(boxes.bound, bounds.max(axis=0)))
        children = []
        for d, view in enumerate(views):
            open_ = np.flatnonzero((which == d) & (boxes.bound < best.room[boxes.person]))
            if len(open_):
                children.append(_divide(self, boxes.take(open_), view.take(open_), best))
        return Boxes.concatenate(children) if children else boxes.take(slice(0))


def _divide(search: NetworkSearch, boxes: Boxes, view: View, best: Best) -> Boxes:
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
