"""Lines below rectifiers, turned until they bound best.

A rectifier lies above every line through its kink with a slope between 0 and 1. Of these, the one
that bounds a margin best is steep if the total is positive at the solution of the relaxed problem,
flat if it is negative, and in between where it is zero: the slope is a multiplier, and the total at
the solution its derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from skcfq.proofs._bounds import Spans
from skcfq.proofs._tables import Tables
from skcfq.utils import tile_products


@dataclass(frozen=True, eq=False)
class Tilts:
    """Lower slopes in N boxes, and between which ones the best are looked for.

    Attributes
    ----------
    spans : Spans
        With these slopes.
    brackets : list of _Bracket
        Of every hidden layer.
    """

    spans: Spans
    brackets: list[_Bracket]

    @classmethod
    def of(cls, spans: Spans) -> Tilts:
        """Return what is known before the first turn."""
        return cls(
            spans, [_Bracket.around(lines.lower_slope.shape) for lines in spans.hidden.lines]
        )

    def take(self, rows: np.ndarray) -> Tilts:
        """Return the slopes in some of the boxes."""
        return Tilts(self.spans.take(rows), [bracket.take(rows) for bracket in self.brackets])

    def turned(self, tables: Tables, total: np.ndarray) -> Tilts:
        """Turn the lines.

        Parameters
        ----------
        tables : Tables
            Of a network of rectifiers.
        total : ndarray of shape (N, H)
            Of the first layer, at the solutions under the slopes of now.
        """
        layers, brackets, slopes = tables.network.layers, [], []
        following = zip(self.spans.hidden.lines, self.brackets, layers, layers[1:], strict=False)
        for lines, bracket, layer, after in following:
            assert layer.activation is not None
            bends = (lines.upper_slope > 0) & (lines.upper_slope < 1)
            brackets.append(bracket.narrowed(lines.lower_slope, total))
            slopes.append(np.where(bends, brackets[-1].middle(), lines.lower_slope))
            total = tile_products(layer.activation(total), after.matrix) + after.offset
        return Tilts(with_lower_slopes(self.spans, slopes), brackets)


def with_lower_slopes(spans: Spans, slopes: Sequence[np.ndarray]) -> Spans:
    """Return spans with other slopes of the lines below every hidden layer, through its kinks."""
    pairs = zip(spans.hidden.lines, slopes, strict=True)
    lines = [replace(lines, lower_slope=slope) for lines, slope in pairs]
    return replace(spans, hidden=replace(spans.hidden, lines=lines))


@dataclass(frozen=True, eq=False)
class _Bracket:
    """Slopes (N, H) under which totals are positive and negative at the solutions, and the totals.

    Totals are NaN where no such slope was met.
    """

    low: np.ndarray
    high: np.ndarray
    above: np.ndarray
    below: np.ndarray

    @classmethod
    def around(cls, shape: tuple[int, ...]) -> _Bracket:
        unknown = np.full(shape, np.nan)
        return cls(np.zeros(shape), np.ones(shape), unknown, unknown)

    def take(self, rows: np.ndarray) -> _Bracket:
        return _Bracket(self.low[rows], self.high[rows], self.above[rows], self.below[rows])

    def narrowed(self, slope: np.ndarray, total: np.ndarray) -> _Bracket:
        positive = total > 0
        return _Bracket(
            np.where(positive, slope, self.low),
            np.where(positive, self.high, slope),
            np.where(positive, total, self.above),
            np.where(positive, self.below, total),
        )

    def middle(self) -> np.ndarray:
        """Return where the total would vanish if it fell evenly, or else the end not yet met."""
        with np.errstate(invalid="ignore"):
            share = self.above / (self.above - self.below)
        at_an_end = np.where(np.isnan(self.above), self.low, self.high)
        between = self.low + share * (self.high - self.low)
        return np.where(np.isnan(share), at_an_end, between)
