"""How much of a margin a box can take: the largest excess of a rival's logit over the target's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.proofs import Network, blame_per_total, hidden_spans, margin_bound
from skcfq.theory._network_inputs import NetworkInputs
from skcfq.utils import tile_products

# What sums of float64 may err by, as a share of the sum of their absolute parts.
_ROUNDING = 1e-12
# A margin below this share of the logits is none: raw rows round.
CLEAR = 1e-9


@dataclass(frozen=True, eq=False)
class ExcessBound:
    """Bounds over N boxes, for the rival that comes nearest to winning in each.

    Attributes
    ----------
    excess : ndarray of shape (N,)
        Upper bound of a rival's logit less the target's, in logit units.
    excluded : bool ndarray of shape (N,)
        Whether every point of the box is the target's.
    gain : ndarray of shape (N, m)
        By how much the bound rises with a unit of what moves.
    blame : ndarray of shape (N, m)
        How much of what the bound may lose is due to each column.
    """

    excess: np.ndarray
    excluded: np.ndarray
    gain: np.ndarray
    blame: np.ndarray


def excess_bound(
    inputs: NetworkInputs, row: np.ndarray, low: np.ndarray, high: np.ndarray, target: np.ndarray
) -> ExcessBound:
    """Bound how far any rival may be above the target in boxes.

    Parameters
    ----------
    inputs : NetworkInputs
    row : int64 ndarray of shape (N,)
    low, high : ndarray of shape (N, m)
        In units.
    target : int64 ndarray of shape (N,)
        Positions of the classes that are to win.
    """
    network = inputs.network
    first = inputs.totals_between(row, low, high)
    spans = hidden_spans(network, *first)
    middle, radius = (low + high) / 2, (high - low) / 2
    best: ExcessBound | None = None
    for offset in range(1, network.n_classes):
        rival = (target + offset) % network.n_classes
        line = margin_bound(network, spans, rival, target)
        gain = tile_products(line.slope, inputs.slopes.T)
        parts = line.slope * inputs.rest[row]
        most = line.constant + parts.sum(axis=1)
        most = most + (gain * middle).sum(axis=1) + (np.abs(gain) * radius).sum(axis=1)
        size = np.abs(line.constant) + np.abs(parts).sum(axis=1)
        size += (np.abs(gain) * (np.abs(middle) + radius)).sum(axis=1)
        most += _ROUNDING * size
        share = blame_per_total(network, first, spans, line)
        blame = tile_products(share, np.abs(inputs.slopes).T) * (high - low)
        shift = network.shift[rival] - network.shift[target]
        excess = most * network.unit - shift
        excluded = _excluded(network, most, excess, rival, target, size)
        found = ExcessBound(excess, excluded, gain, blame)
        best = found if best is None else _worse(best, found)
    assert best is not None
    return best


def _excluded(
    network: Network,
    most: np.ndarray,
    excess: np.ndarray,
    rival: np.ndarray,
    target: np.ndarray,
    size: np.ndarray,
) -> np.ndarray:
    """Tell where a rival cannot win."""
    if network.integers is not None and not network.shift.any():
        # Whole numbers: of equal ones the first class wins.
        return most < np.where(rival < target, -0.5, 0.5)
    return excess < -CLEAR * np.maximum(size * network.unit, 1.0)


def _worse(first: ExcessBound, second: ExcessBound) -> ExcessBound:
    """Return, box by box, what is said about the rival that is nearer to winning."""
    alike = first.excluded == second.excluded
    later = (first.excluded & ~second.excluded) | (alike & (second.excess > first.excess))
    return ExcessBound(
        np.maximum(first.excess, second.excess),
        first.excluded & second.excluded,
        np.where(later[:, None], second.gain, first.gain),
        np.where(later[:, None], second.blame, first.blame),
    )
