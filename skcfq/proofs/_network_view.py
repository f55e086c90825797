"""What the margin of one network says about boxes: bounds of their cost, and what loosens them.

Squares on a continuum ask for more. Along the boundary of what is valid their cost hardly rises, so
very many small boxes would lie around the optimum; and that lies on the kink of a rectifier more
often than not. The line below a rectifier may have any slope between 0 and 1, and the best bound
over all slopes loses nothing at such a kink: so open boxes have their lines turned, as the totals
at the knapsack's solution say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.proofs._bounds import Spans, blame_of, spans_of
from skcfq.proofs._boxes import Boxes
from skcfq.proofs._choice_bound import ChoiceBound, choice_bound
from skcfq.proofs._gains import Choosing, Gains
from skcfq.proofs._lattice import Lattice
from skcfq.proofs._layer_bounds import margin_bound
from skcfq.proofs._objective import Objective
from skcfq.proofs._tables import Tables
from skcfq.proofs._tilts import Tilts, with_lower_slopes

# How many times the lines of an open box are turned.
_TURNS = 6


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
class View:
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

    def take(self, rows: np.ndarray) -> View:
        """Return what is seen of some of the boxes."""
        return View(
            self.gains.take(rows),
            self.choosing.take(rows),
            self.need[rows],
            self.found.take(rows),
            self.blame[rows],
        )

    def first_totals(self) -> np.ndarray:
        """Return the totals of the first layer (N, H) where the relaxed need is just met."""
        tables, boxes = self.gains.tables, self.gains.boxes
        begin, end, share = self.choosing.mixture(self.found, self.need)
        option, own = self.found.over.option, tables.lattice.own[boxes.person]
        coordinates = tables.coordinates(boxes.person, np.where(option >= 0, option, own))
        coordinates[:, : tables.n_numbers] = begin + share[:, None] * (end - begin)
        return tables.totals_at(boxes.person, coordinates)


def view_of(
    lattice: Lattice, objective: Objective, demand: NetworkDemand, boxes: Boxes, room: np.ndarray
) -> View:
    """Bound boxes by a margin that must be reached.

    Parameters
    ----------
    lattice : Lattice
        With prices for costs.
    objective : Objective
    demand : NetworkDemand
    boxes : Boxes
    room : ndarray of shape (N,)
        Sums of prices below which a box is open.
    """
    spans = spans_of(demand.tables, boxes)
    view = _view(lattice, objective, demand, boxes, spans)
    if lattice.continuum is None or not objective.squared:
        return view
    rows = np.flatnonzero(view.found.bound < room)
    if len(rows) == 0:
        return view
    best, slopes = view.found.bound, [lines.lower_slope.copy() for lines in spans.hidden.lines]
    part, tilts = view.take(rows), Tilts.of(spans.take(rows))
    for _ in range(_TURNS):
        boxes_now = part.gains.boxes
        tilts = tilts.turned(demand.tables, part.first_totals())
        part = _view(lattice, objective, demand, boxes_now, tilts.spans)
        better = part.found.bound > best[rows]
        best[rows[better]] = part.found.bound[better]
        for slope, lines in zip(slopes, tilts.spans.hidden.lines, strict=True):
            slope[rows[better]] = lines.lower_slope[better]
        open_ = np.flatnonzero(best[rows] < room[rows])
        if len(open_) == 0:
            break
        rows, part, tilts = rows[open_], part.take(open_), tilts.take(open_)
    view = _view(lattice, objective, demand, boxes, with_lower_slopes(spans, slopes))
    np.maximum(view.found.bound, best, out=view.found.bound)
    return view


def _view(
    lattice: Lattice, objective: Objective, demand: NetworkDemand, boxes: Boxes, spans: Spans
) -> View:
    tables, person = demand.tables, boxes.person
    line = margin_bound(tables.network, spans.hidden, demand.target[person], demand.rival[person])
    parts = line.slope * tables.base[person]
    own = line.constant + parts.sum(axis=1)
    size = 1 + np.abs(line.constant) + np.abs(parts).sum(axis=1)
    need = demand.need[person] - demand.tolerance * size - own
    ends = spans.near, spans.far
    gains = Gains.of(tables, boxes, lattice.start[person], ends, line.slope)
    choosing = gains.options(lattice, objective)
    found = choice_bound(choosing.options, need)
    return View(gains, choosing, need, found, blame_of(tables, spans, line))
