"""Bounds of a network's totals over boxes of rungs, and which feature is to blame for their width.

A box allows every feature a stretch of its rungs. Intervals of the totals of the first layer, which
are a sum over features, follow from its tables; the rest from the layers in turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.proofs._boxes import Boxes
from skcfq.proofs._layer_bounds import HiddenSpans, MarginBound, blame_per_total, hidden_spans
from skcfq.proofs._tables import Tables
from skcfq.utils import tile_products


@dataclass(frozen=True, eq=False)
class Spans:
    """What the totals of a network can be in N boxes.

    Attributes
    ----------
    near, far : ndarray of shape (N, m)
        Coordinates of numbers at both ends of the box.
    first : (ndarray, ndarray) of shape (N, H)
        Ends of the totals of the first layer.
    hidden : HiddenSpans
        What follows from these.
    level_reach : list of c ndarrays of shape (N, H)
        How far what each category adds ranges.
    """

    near: np.ndarray
    far: np.ndarray
    first: tuple[np.ndarray, np.ndarray]
    hidden: HiddenSpans
    level_reach: list[np.ndarray]

    def take(self, rows: np.ndarray) -> Spans:
        """Return what the totals can be in some of the boxes."""
        low, high = self.first
        return Spans(
            self.near[rows],
            self.far[rows],
            (low[rows], high[rows]),
            self.hidden.take(rows),
            [reach[rows] for reach in self.level_reach],
        )


def spans_of(tables: Tables, boxes: Boxes) -> Spans:
    """Bound all totals of a network over boxes.

    Parameters
    ----------
    tables : Tables
    boxes : Boxes

    Notes
    -----
    For an integer network every interval is that of exact arithmetic.
    """
    m = tables.n_numbers
    near = tables.coordinates(boxes.person, boxes.low[:, :m])
    far = tables.coordinates(boxes.person, boxes.high[:, :m])
    middle = tables.rest[boxes.person] + tile_products((near + far) / 2, tables.slopes)
    radius = tile_products(np.abs(far - near) / 2, np.abs(tables.slopes))
    low, high = middle - radius, middle + radius
    level_reach = []
    for c, table in enumerate(tables.ranges):
        least, most = table.over(boxes.person, boxes.low[:, m + c], boxes.high[:, m + c])
        low += least
        high += most
        level_reach.append(most - least)
    return Spans(near, far, (low, high), hidden_spans(tables.network, low, high), level_reach)


def blame_of(tables: Tables, spans: Spans, bound: MarginBound) -> np.ndarray:
    """Return how much of what a bound may lose is due to each feature, shape (N, F).

    Notes
    -----
    What a unit's lines lose is shared out by how far the inputs of its total range.
    """
    share = blame_per_total(tables.network, spans.first, spans.hidden, bound)
    numbers = tile_products(share, np.abs(tables.slopes).T) * np.abs(spans.far - spans.near)
    levels = [np.einsum("nh,nh->n", share, reach) for reach in spans.level_reach]
    return np.column_stack([numbers, *levels])
