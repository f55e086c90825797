"""The limits of numbers without a grid, for all people and all such numbers in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from skcfq.actions._numeric import SAME_VALUE, NumericFeature
from skcfq.utils import snap_integers

__all__ = ["PlainNumbers", "not_short", "within_limits"]


@dataclass(frozen=True, eq=False)
class PlainNumbers:
    """Continuous numeric features with an affine code, as arrays of shape (k,).

    What :class:`NumericFeature` says of one column, this says of k columns at once: a table of
    many numeric columns would otherwise be read column by column, which costs more than solving.

    Attributes
    ----------
    index : ndarray of int
        Positions among the numeric features.
    columns : ndarray of int
        Raw columns.
    fill : ndarray
        Raw values of gaps; NaN where a gap stays one.
    """

    index: np.ndarray
    columns: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    fill: np.ndarray
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    most: np.ndarray
    direction: np.ndarray
    is_integer: np.ndarray

    @classmethod
    def of(cls, features: Sequence[NumericFeature]) -> PlainNumbers:
        """Collect the plain ones among some features."""
        index = [j for j, feature in enumerate(features) if _is_plain(feature)]
        plain = [features[j] for j in index]
        return cls(
            np.array(index, dtype=np.int64),
            np.array([f.column for f in plain], dtype=np.int64),
            _array(f.block.scale for f in plain),
            _array(f.block.offset for f in plain),
            _array(np.nan if f.block.fill is None else f.block.fill for f in plain),
            _array(f.low for f in plain),
            _array(f.high for f in plain),
            _array(min(f.relative[0], 0.0) for f in plain),
            _array(max(f.relative[1], 0.0) for f in plain),
            np.array([f.direction for f in plain], dtype=np.int64),
            np.array([f.block.is_integer for f in plain], dtype=bool),
        )

    def limits(
        self, own: np.ndarray, own_encoded: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return raw lower, raw upper, lower and upper limits, each of shape (n, k).

        Parameters
        ----------
        own : ndarray of shape (n, k)
            Raw values, gaps filled.
        own_encoded : ndarray of shape (n, k)
        """
        raw_lower = np.maximum(np.minimum(self.low, own), own + self.least)
        raw_upper = np.minimum(np.maximum(self.high, own), own + self.most)
        if self.direction.any():
            raw_lower = np.where(self.direction > 0, own, raw_lower)
            raw_upper = np.where(self.direction < 0, own, raw_upper)
        first, last = raw_lower, raw_upper
        if (self.scale < 0).any():
            first = np.where(self.scale > 0, raw_lower, raw_upper)
            last = np.where(self.scale > 0, raw_upper, raw_lower)
        return (
            raw_lower,
            raw_upper,
            self._encoded_limit(first, own, own_encoded, np.minimum),
            self._encoded_limit(last, own, own_encoded, np.maximum),
        )

    def take(self, features: Any) -> PlainNumbers:
        """Return some of them, in the given order, repeats allowed."""
        return PlainNumbers(*(getattr(self, name)[features] for name in _FIELDS))

    def encode(self, own: np.ndarray) -> np.ndarray:
        """Return the codes of raw values without gaps, shape (..., k)."""
        coded = own * self.scale
        coded += self.offset
        return coded

    def raw_values(
        self,
        values: np.ndarray,
        limits: tuple[np.ndarray, np.ndarray],
        raw_limits: tuple[np.ndarray, np.ndarray],
    ) -> np.ndarray:
        """Return the raw values of encoded ones, exactly at a limit where the code is at it.

        Parameters
        ----------
        values : ndarray of shape (..., k)
        limits, raw_limits : pair of ndarray of shape (..., k)
            What :meth:`limits` returned.
        """
        raw = values - self.offset
        raw /= self.scale
        if self.is_integer.any():
            raw = np.where(self.is_integer, snap_integers(raw), raw)
        return within_limits(raw, values, limits, raw_limits, self.scale > 0)

    def _encoded_limit(
        self, limit: np.ndarray, own: np.ndarray, own_encoded: np.ndarray, outer: Any
    ) -> np.ndarray:
        encoded = limit * self.scale
        encoded += self.offset
        outer(encoded, own_encoded, out=encoded)
        # At the own value, and against rounding, the person's own code decides.
        np.copyto(encoded, own_encoded, where=limit == own)
        return encoded


_FIELDS = tuple(field.name for field in fields(PlainNumbers))


def within_limits(
    raw: np.ndarray,
    encoded: np.ndarray,
    limits: tuple[np.ndarray, np.ndarray],
    raw_limits: tuple[np.ndarray, np.ndarray],
    rising: np.ndarray,
) -> np.ndarray:
    """Return raw values inside their limits, exactly at a limit where the code is at it."""
    low, high = raw_limits
    raw = np.clip(raw, low, high)
    if rising.all():
        first, last = low, high
    else:
        first, last = np.where(rising, low, high), np.where(rising, high, low)
    # Up to rounding; nothing is at an open end.
    slack = np.abs(encoded)
    slack += 1.0
    slack *= SAME_VALUE
    np.copyto(raw, last, where=np.abs(encoded - limits[1]) <= slack)
    np.copyto(raw, first, where=np.abs(encoded - limits[0]) <= slack)
    return raw


def not_short(
    raw: np.ndarray, own: np.ndarray, least: float, limits: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return changed raw values, those that rounding left short of the smallest change at it.

    Parameters
    ----------
    raw, own : ndarray of shape (k,)
        They differ by the smallest change at least, but for rounding.
    least : float
    limits : (ndarray of shape (k,), ndarray of shape (k,))
        Where they leave no room, the limit stands.

    Returns
    -------
    raw : ndarray of shape (k,)
        ``abs(raw - own) >= least`` in floating point too.
    """
    up = raw > own
    out = own + np.where(up, least, -least)
    out = np.where(np.abs(out - own) < least, np.nextafter(out, np.where(up, np.inf, -np.inf)), out)
    return np.where(np.abs(raw - own) < least, np.clip(out, *limits), raw)


def _is_plain(feature: NumericFeature) -> bool:
    free = feature.step is None and feature.values is None and not feature.is_whole
    return free and feature.block.kind == "affine"


def _array(values: Any) -> np.ndarray:
    return np.fromiter(values, dtype=np.float64)
