r"""Bounds of a network's margin over boxes of rungs: intervals forward, one row backward.

A box allows every feature a stretch of its rungs. Intervals of all totals follow from the tables of
the first layer and from the layers in turn. Between the ends of its interval every activation lies
between two lines, and going backward with the row of one margin, the better line of each gives

.. math:: \text{margin} \le \text{constant} + \sum_i \lambda_i t_i

for the totals t of the first layer, which are a sum over features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.proofs._boxes import Boxes
from skcfq.proofs._layers import Lines
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
    lines : list of Lines
        Around the activation of every hidden layer.
    reach : list of ndarray of shape (N, H_l)
        How far the activations of every hidden layer range.
    gaps : list of ndarray of shape (N, H_l)
        How far apart the lines are in the middle.
    level_reach : list of c ndarrays of shape (N, H)
        How far what each category adds ranges.
    """

    near: np.ndarray
    far: np.ndarray
    first: tuple[np.ndarray, np.ndarray]
    lines: list[Lines]
    reach: list[np.ndarray]
    gaps: list[np.ndarray]
    level_reach: list[np.ndarray]

    def take(self, rows: np.ndarray) -> Spans:
        """Return what the totals can be in some of the boxes."""
        return Spans(
            self.near[rows],
            self.far[rows],
            (self.first[0][rows], self.first[1][rows]),
            [lines.take(rows) for lines in self.lines],
            *(
                [part[rows] for part in parts]
                for parts in (self.reach, self.gaps, self.level_reach)
            ),
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
    first = low, high
    lines, reach, gaps = [], [], []
    for layer, following in zip(tables.network.layers, tables.network.layers[1:], strict=False):
        assert layer.activation is not None
        around = layer.activation.lines(low, high)
        gaps.append(around.gap((low + high) / 2))
        least, most = layer.activation(low), layer.activation(high)
        lines.append(around)
        reach.append(most - least)
        middle = tile_products((least + most) / 2, following.matrix) + following.offset
        radius = tile_products((most - least) / 2, following.absolute)
        low, high = middle - radius, middle + radius
    return Spans(near, far, first, lines, reach, gaps, level_reach)


@dataclass(frozen=True, eq=False)
class MarginBound:
    """The margin is at most ``constant + slope · t`` for the totals t of the first layer.

    Attributes
    ----------
    constant : ndarray of shape (N,)
    slope : ndarray of shape (N, H)
    losses : list of ndarray of shape (N, H_l)
        How much the lines of every hidden layer may lose.
    """

    constant: np.ndarray
    slope: np.ndarray
    losses: list[np.ndarray]


def margin_bound(
    tables: Tables, spans: Spans, target: np.ndarray, rival: np.ndarray
) -> MarginBound:
    """Bound a margin over boxes.

    Parameters
    ----------
    tables : Tables
    spans : Spans
    target, rival : int64 ndarray of shape (N,)
        The margin is the total of the one class less that of the other.
    """
    layers = tables.network.layers
    rows = np.eye(len(layers[-1].offset))
    slope = rows[target] - rows[rival]
    constant = np.zeros(len(target))
    losses: list[np.ndarray] = []
    for k in range(len(layers) - 1, 0, -1):
        constant = constant + np.einsum("nh,h->n", slope, layers[k].offset)
        slope = tile_products(slope, layers[k].matrix.T)
        lines, rises = spans.lines[k - 1], slope > 0
        intercept = np.where(rises, lines.upper_intercept, lines.lower_intercept)
        constant = constant + np.einsum("nh,nh->n", slope, intercept)
        losses.append(np.abs(slope) * spans.gaps[k - 1])
        slope = slope * np.where(rises, lines.upper_slope, lines.lower_slope)
    return MarginBound(constant, slope, losses[::-1])


def blame_of(tables: Tables, spans: Spans, bound: MarginBound) -> np.ndarray:
    """Return how much of what a bound may lose is due to each feature, shape (N, F).

    Notes
    -----
    What a unit's lines lose is shared out by how far the inputs of its total range.
    """
    layers, losses = tables.network.layers, bound.losses
    blame = losses[-1] if losses else np.abs(bound.slope)
    for k in range(len(losses) - 1, 0, -1):
        reach = spans.reach[k - 1]
        share = _shares(blame, tile_products(reach, layers[k].absolute))
        blame = losses[k - 1] + reach * tile_products(share, layers[k].absolute.T)
    share = _shares(blame, spans.first[1] - spans.first[0])
    numbers = tile_products(share, np.abs(tables.slopes).T) * np.abs(spans.far - spans.near)
    levels = [np.einsum("nh,nh->n", share, reach) for reach in spans.level_reach]
    return np.column_stack([numbers, *levels])


def _shares(part: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.divide(part, total, out=np.zeros_like(part), where=total > 0)
