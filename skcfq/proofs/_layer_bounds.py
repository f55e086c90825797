r"""Bounds of a network's margin over intervals of its first totals: forward, then one row backward.

Intervals of all totals follow from those of the first layer, layer by layer. Between the ends of
its interval every activation lies between two lines, and going backward with the row of one margin,
the better line of each gives

.. math:: \text{margin} \le \text{constant} + \sum_i \lambda_i t_i

for the totals t of the first layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.proofs._layers import Lines, Network
from skcfq.utils import tile_products


@dataclass(frozen=True, eq=False)
class HiddenSpans:
    """What the hidden layers of a network can be in N boxes.

    Attributes
    ----------
    lines : list of Lines
        Around the activation of every hidden layer.
    reach : list of ndarray of shape (N, H_l)
        How far the activations of every hidden layer range.
    gaps : list of ndarray of shape (N, H_l)
        How far apart the lines are in the middle.
    """

    lines: list[Lines]
    reach: list[np.ndarray]
    gaps: list[np.ndarray]

    def take(self, rows: np.ndarray) -> HiddenSpans:
        """Return what activations can be for some of the intervals."""
        return HiddenSpans(
            [lines.take(rows) for lines in self.lines],
            [reach[rows] for reach in self.reach],
            [gaps[rows] for gaps in self.gaps],
        )


def hidden_spans(network: Network, low: np.ndarray, high: np.ndarray) -> HiddenSpans:
    """Bound all hidden layers.

    Parameters
    ----------
    network : Network
    low, high : ndarray of shape (N, H)
        Ends of the totals of the first layer.

    Notes
    -----
    For an integer network every interval is that of exact arithmetic.
    """
    lines, reach, gaps = [], [], []
    for layer, following in zip(network.layers, network.layers[1:], strict=False):
        assert layer.activation is not None
        around = layer.activation.lines(low, high)
        gaps.append(around.gap((low + high) / 2))
        least, most = layer.activation(low), layer.activation(high)
        lines.append(around)
        reach.append(most - least)
        low, high = following.totals_between(least, most)
    return HiddenSpans(lines, reach, gaps)


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
    network: Network, spans: HiddenSpans, target: np.ndarray, rival: np.ndarray
) -> MarginBound:
    """Bound a margin over boxes.

    Parameters
    ----------
    network : Network
    spans : HiddenSpans
    target, rival : int64 ndarray of shape (N,)
        The margin is the total of the one class less that of the other.

    Notes
    -----
    In a network of one layer the slope is the row itself: its totals are what the first layer has.
    """
    layers = network.layers
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


def blame_per_total(
    network: Network, first: tuple[np.ndarray, np.ndarray], spans: HiddenSpans, bound: MarginBound
) -> np.ndarray:
    """Return how much of what a bound may lose is due to each unit by which a first total ranges.

    Parameters
    ----------
    network : Network
    first : (ndarray, ndarray) of shape (N, H)
        Ends of the totals of the first layer.
    spans : HiddenSpans
    bound : MarginBound

    Returns
    -------
    blame : ndarray of shape (N, H)

    Notes
    -----
    What a unit's lines lose is shared out by how far the inputs of its total range.
    """
    layers, losses = network.layers, bound.losses
    blame = losses[-1] if losses else np.abs(bound.slope)
    for k in range(len(losses) - 1, 0, -1):
        reach = spans.reach[k - 1]
        share = _shares(blame, tile_products(reach, layers[k].absolute))
        blame = losses[k - 1] + reach * tile_products(share, layers[k].absolute.T)
    return _shares(blame, first[1] - first[0])


def _shares(part: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.divide(part, total, out=np.zeros_like(part), where=total > 0)
