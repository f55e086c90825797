r"""Bounds of the difference of two networks over boxes, followed layer by layer.

With inputs :math:`x` and :math:`\hat x = x + \delta` of a layer, its totals differ by

.. math:: \hat z - z = \hat W \delta + (\hat W - W) x + \hat b - b ,

so that what the weights, the biases, the codes of the inputs and the rounding of the activations do
is each a term of its own, and small boxes have small terms. Intervals go forward; one row of the
last difference then goes backward through lines around the activations, as a row on
:math:`\hat z - z` and one on :math:`z`. Behind the first layer, many units have common lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skcfq.proofs import Lines, Rectifier, Staircase
from skcfq.theory._network_pairs import LayerPair, NetworkPair, Totals
from skcfq.theory._squared_differences import SquaredDifferences, squared_differences
from skcfq.utils import tile_products

# What sums of float64 may err by, as a share of the sum of their absolute parts.
_ROUNDING = 1e-12

Ends = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Ends of what a layer reads, each (N, n_in): of the reference, the deployed network, δ."""

    own: Ends
    other: Ends
    apart: Ends


@dataclass(frozen=True, eq=False)
class _Hidden:
    """A hidden layer over N boxes.

    Attributes
    ----------
    own, other : Lines
        Around the activations of both networks, by their totals.
    apart : Lines
        Around their difference, by the difference of the totals.
    middle : (ndarray, ndarray) of shape (N, H)
        Middles of the reference's totals and of the difference.
    rounding : (ndarray, ndarray) of shape (N, H)
        Ends of what rounding adds to the activations of the deployed network.
    squares : SquaredDifferences or None
        What is known of the differences of the totals together.
    """

    own: Lines
    other: Lines
    apart: Lines
    middle: Totals
    rounding: Ends
    squares: SquaredDifferences | None = None


class _Planes(NamedTuple):
    """Planes by what totals have apart and by the reference's own, each array of shape (N, H)."""

    apart: np.ndarray
    own: np.ndarray
    at: np.ndarray

    def height(self, point: Totals) -> np.ndarray:
        return self.apart * point[1] + self.own * point[0] + self.at

    def but(self, where: np.ndarray, others: _Planes) -> _Planes:
        """Return the other planes at some places."""
        pairs = zip(others, self, strict=True)
        return _Planes(*(np.where(where, other, mine) for other, mine in pairs))


@dataclass(frozen=True, eq=False)
class DifferenceSpans:
    """What a pair of networks can be in N boxes.

    Attributes
    ----------
    pair : NetworkPair
    inputs : _Inputs
    hidden : list of _Hidden
    """

    pair: NetworkPair
    inputs: _Inputs
    hidden: list[_Hidden]

    def most(self, on_apart: np.ndarray, on_own: np.ndarray | None = None) -> np.ndarray:
        """Bound a sum over the totals of the layer behind the hidden ones, or over logits.

        Parameters
        ----------
        on_apart : ndarray of shape (N, H)
            Factors of what the deployed network adds to each.
        on_own : ndarray of shape (N, H), optional
            Factors of what the reference has; 0 by default.

        Returns
        -------
        most : ndarray of shape (N,)
        """
        if on_own is None:
            on_own = np.zeros_like(on_apart)
        middles = [hidden.middle for hidden in self.hidden]
        bound, worst = self._most(on_apart, on_own, middles)
        # Lines that are low halfway to the worst point are often better than those of the middle.
        low, high = self.inputs.own
        halfway = (np.where(worst > 0, high, low) + (low + high) / 2) / 2
        points = self.pair.hidden_totals(halfway)[: len(middles)]
        return np.minimum(bound, self._most(on_apart, on_own, points)[0])

    def _most(
        self, on_apart: np.ndarray, on_own: np.ndarray, points: list[Totals]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the bound with lines that are low at some totals, and the last row on inputs."""
        layers = self.pair.layers[: len(self.hidden) + 1]
        bound = _Backward(len(on_apart))
        on_apart, on_own = bound.through(layers[-1], on_apart, on_own)
        hidden_layers = zip(layers[-2::-1], self.hidden[::-1], points[::-1], strict=True)
        for layer, hidden, point in hidden_layers:
            on_apart, on_own = bound.behind(hidden, on_apart, on_own, point)
            on_apart, on_own = bound.through(layer, on_apart, on_own)
        return bound.at(self.inputs, on_apart, on_own), on_own

    def closer(self, own: Ends, apart: Ends) -> tuple[Ends, Ends]:
        """Return ends of the next totals and of their difference that no interval alone gives."""
        row = np.zeros_like(own[0])
        nothing, found = np.zeros_like(row), [end.copy() for end in (*own, *apart)]
        middles = [hidden.middle for hidden in self.hidden]
        for unit in range(row.shape[1]):
            for sign, side, closest in ((-1.0, 0, np.maximum), (1.0, 1, np.minimum)):
                row[:, unit] = sign
                rows = (nothing, row), (row, nothing)
                most = [self._most(*pair, middles)[0] for pair in rows]
                for ends, bound in zip((found[side], found[side + 2]), most, strict=True):
                    ends[:, unit] = closest(ends[:, unit], sign * bound)
            row[:, unit] = 0.0
        return (found[0], found[1]), (found[2], found[3])


def difference_spans(pair: NetworkPair, low: np.ndarray, high: np.ndarray) -> DifferenceSpans:
    """Bound a pair of networks over boxes of encoded points.

    Parameters
    ----------
    pair : NetworkPair
    low, high : ndarray of shape (N, d)
    """
    inputs = first = _read(pair, low, high)
    hidden: list[_Hidden] = []
    for layer in pair.layers[:-1]:
        own = _products(inputs.own, layer.matrix, layer.offset)
        other = _products(inputs.other, layer.other_matrix, layer.other_offset)
        apart = _totals_apart(layer, inputs, own, other)
        if hidden:
            own, apart = DifferenceSpans(pair, first, hidden).closer(own, apart)
        # Each of the three follows from the other two as well.
        other = _both(other, (own[0] + apart[0], own[1] + apart[1]))
        relaxed, inputs = _activated(layer, own, other, apart)
        if not hidden:
            straddles = [ends[0] * ends[1] < 0 for ends in (own, other, apart)]
            counts = (straddles[0] | straddles[1]) & straddles[2]
            relaxed = replace(relaxed, squares=_squares(pair, first, counts))
        hidden.append(relaxed)
    return DifferenceSpans(pair, first, hidden)


def _squares(pair: NetworkPair, inputs: _Inputs, counts: np.ndarray) -> SquaredDifferences:
    """Return what is known of the differences of the first totals together."""
    layer, behind = pair.layers[:2]
    matrix, (low, high) = layer.difference, inputs.own
    center = tile_products((low + high) / 2, matrix) + layer.offset_difference
    halves = (high - low) / 2
    if pair.input_steps is not None:
        low, high = inputs.apart
        center += tile_products((low + high) / 2, layer.other_matrix)
        matrix = np.concatenate([matrix, layer.other_matrix])
        halves = np.concatenate([halves, (high - low) / 2], axis=1)
    return squared_differences(center, halves, matrix, counts, behind.other_matrix)


def _read(pair: NetworkPair, low: np.ndarray, high: np.ndarray) -> _Inputs:
    """Return what the first layers read of boxes."""
    other = pair.read_as(low), pair.read_as(high)
    apart = other[0] - high, other[1] - low
    if pair.input_steps is None:
        zero = np.zeros_like(low)
        return _Inputs((low, high), other, (zero, zero))
    # A code is half a step off, or as far as the last code is away.
    half = np.broadcast_to(pair.input_steps / 2 * (1 + _ROUNDING), low.shape)
    apart = (
        np.maximum(apart[0], np.minimum(-half, other[1] - high)),
        np.minimum(apart[1], np.maximum(half, other[0] - low)),
    )
    return _Inputs((low, high), other, apart)


def _totals_apart(layer: LayerPair, inputs: _Inputs, own: Ends, other: Ends) -> Ends:
    """Return ends of the difference of totals, the best of three ways to sum it up."""
    by_own = _sum(
        _products(inputs.apart, layer.other_matrix, layer.offset_difference),
        _products(inputs.own, layer.difference),
    )
    by_other = _sum(
        _products(inputs.apart, layer.matrix, layer.offset_difference),
        _products(inputs.other, layer.difference),
    )
    return _both(_both(by_own, by_other), (other[0] - own[1], other[1] - own[0]))


def _activated(layer: LayerPair, own: Ends, other: Ends, apart: Ends) -> tuple[_Hidden, _Inputs]:
    """Return lines around the activations of a layer, and what the next layer reads."""
    rectifier = Rectifier()
    own_after = rectifier(own[0]), rectifier(own[1])
    rounded, rounding = _rectified_apart(own, other, apart), _rounding(layer, other)
    around = rectifier.lines(*other)
    other_after = rectifier(other[0]), rectifier(other[1])
    if layer.step is not None:
        stairs = Staircase(1.0 / layer.step, layer.top)
        around = _scaled(stairs.lines(*other), layer.step)
        other_after = stairs(other[0]) * layer.step, stairs(other[1]) * layer.step
        rounded = _shifted(rounded, rounding)
    after = _both(
        _values(rounded, apart), (other_after[0] - own_after[1], other_after[1] - own_after[0])
    )
    middle = (own[0] + own[1]) / 2, (apart[0] + apart[1]) / 2
    lines = _flatter(rounded, after, middle[1])
    hidden = _Hidden(rectifier.lines(*own), around, lines, middle, rounding)
    return hidden, _Inputs(own_after, other_after, after)


def _rectified_apart(own: Ends, other: Ends, apart: Ends) -> Lines:
    """Return lines around max(z + Δ, 0) - max(z, 0), by Δ.

    Notes
    -----
    It lies between min(Δ, 0) and max(Δ, 0). Where the second total is never negative it is at
    most Δ, where the first one is not, at least Δ; and 0 where neither is positive.
    """
    low, high = apart
    above, under = np.maximum(high, 0.0), np.minimum(low, 0.0)
    width = np.where(above > under, above - under, 1.0)
    crosses = (low < 0) & (high > 0)
    up = np.where(crosses, above / width, (low >= 0) & (high > 0))
    up_at = np.where(crosses, -above * under / width, 0.0)
    down = np.where(crosses, -under / width, (high <= 0) & (low < 0))
    down_at = np.where(crosses, under * above / width, 0.0)
    first_on, second_on = own[0] >= 0, other[0] >= 0
    up, up_at = np.where(second_on, 1.0, up), np.where(second_on, 0.0, up_at)
    down, down_at = np.where(first_on, 1.0, down), np.where(first_on, 0.0, down_at)
    # Without the one activation, the difference has one sign.
    down_off, up_off = own[1] <= 0, other[1] <= 0
    down, down_at = np.where(down_off, 0.0, down), np.where(down_off, 0.0, down_at)
    up, up_at = np.where(up_off, 0.0, up), np.where(up_off, 0.0, up_at)
    return Lines(up, up_at, down, down_at)


def _rounding(layer: LayerPair, other: Ends) -> Ends:
    """Return ends of what rounding and clipping add to the deployed network's activations."""
    if layer.step is None:
        return np.zeros_like(other[0]), np.zeros_like(other[1])
    half = layer.step / 2 + _ROUNDING * np.maximum(np.abs(other[0]), np.abs(other[1]))
    silent = other[1] <= 0
    clipped = np.minimum(layer.step * layer.top - other[1], -half)
    return np.where(silent, 0.0, clipped), np.where(silent, 0.0, half)


def _shifted(lines: Lines, by: Ends) -> Lines:
    return Lines(
        lines.upper_slope,
        lines.upper_intercept + by[1],
        lines.lower_slope,
        lines.lower_intercept + by[0],
    )


def _scaled(lines: Lines, by: np.ndarray) -> Lines:
    return Lines(
        lines.upper_slope * by,
        lines.upper_intercept * by,
        lines.lower_slope * by,
        lines.lower_intercept * by,
    )


def _values(lines: Lines, at: Ends) -> Ends:
    """Return what rising lines say at most of a stretch."""
    return (
        lines.lower_slope * at[0] + lines.lower_intercept,
        lines.upper_slope * at[1] + lines.upper_intercept,
    )


def _flatter(lines: Lines, ends: Ends, middle: np.ndarray) -> Lines:
    """Return flat lines where these are closer in the middle."""
    up = ends[1] < lines.upper_slope * middle + lines.upper_intercept
    down = ends[0] > lines.lower_slope * middle + lines.lower_intercept
    return Lines(
        np.where(up, 0.0, lines.upper_slope),
        np.where(up, ends[1], lines.upper_intercept),
        np.where(down, 0.0, lines.lower_slope),
        np.where(down, ends[0], lines.lower_intercept),
    )


def _both(first: Ends, second: Ends) -> Ends:
    return np.maximum(first[0], second[0]), np.minimum(first[1], second[1])


def _sum(first: Ends, second: Ends) -> Ends:
    return first[0] + second[0], first[1] + second[1]


def _products(ends: Ends, matrix: np.ndarray, offset: np.ndarray | float = 0.0) -> Ends:
    """Return ends of ``inputs @ matrix + offset``, a little apart for what rounding may do."""
    low, high = ends
    absolute = np.abs(matrix)
    middle = tile_products((low + high) / 2, matrix) + offset
    radius = tile_products((high - low) / 2, absolute)
    size = tile_products(np.maximum(np.abs(low), np.abs(high)), absolute) + np.abs(offset)
    radius += _ROUNDING * size
    return middle - radius, middle + radius


class _Backward:
    """The constant of a bound of N rows on its way back, and the size of what was summed up."""

    def __init__(self, n: int):
        self.constant, self.size = np.zeros(n), np.zeros(n)

    def _add(self, parts: np.ndarray) -> None:
        self.constant += parts.sum(axis=1)
        self.size += np.abs(parts).sum(axis=1)

    def through(
        self, layer: LayerPair, on_apart: np.ndarray, on_own: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take rows on totals to rows on inputs."""
        self._add(on_apart * layer.offset_difference + on_own * layer.offset)
        own = tile_products(on_apart, layer.difference.T) + tile_products(on_own, layer.matrix.T)
        return tile_products(on_apart, layer.other_matrix.T), own

    def behind(
        self, hidden: _Hidden, on_apart: np.ndarray, on_own: np.ndarray, point: Totals
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take rows on activations to rows on totals.

        Notes
        -----
        Either the difference has lines of its own, alone or in common with other units, or both
        activations have; unit by unit, those that are lowest at a point.
        """
        slope, at = _upper(hidden.apart, on_apart)
        own_slope, own_at = _upper(hidden.own, on_own)
        planes = _Planes(slope, own_slope, at + own_at)
        one, one_at = _upper(hidden.other, on_apart)
        two, two_at = _upper(hidden.own, on_own - on_apart)
        singly = _Planes(one, one + two, one_at + two_at)
        planes = planes.but(singly.height(point) < planes.height(point), singly)
        if hidden.squares is not None:
            own_at = own_at + _largest(hidden.rounding, on_apart)
            height = planes.height(point) - own_slope * point[0] - own_at
            slope, at, used, rest = hidden.squares.lines(on_apart, height, point[1])
            planes = planes.but(used, _Planes(slope, own_slope, at + own_at))
            self._add(rest[:, None])
        self._add(planes.at)
        return planes.apart, planes.own

    def at(self, inputs: _Inputs, on_apart: np.ndarray, on_own: np.ndarray) -> np.ndarray:
        """Return the bound over what the first layer reads."""
        together = _largest(inputs.apart, on_apart) + _largest(inputs.own, on_own)
        singly = _largest(inputs.other, on_apart) + _largest(inputs.own, on_own - on_apart)
        self._add(np.minimum(together, singly))
        ends = np.maximum(np.abs(inputs.own[0]), np.abs(inputs.own[1]))
        self.size += ((np.abs(on_apart) + np.abs(on_own)) * (ends + 1.0)).sum(axis=1)
        return self.constant + _ROUNDING * self.size


def _upper(lines: Lines, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and intercept of a line above a function of lines, times factors."""
    rises = factor > 0
    slope = np.where(rises, lines.upper_slope, lines.lower_slope)
    intercept = np.where(rises, lines.upper_intercept, lines.lower_intercept)
    return factor * slope, factor * intercept


def _largest(ends: Ends, factor: np.ndarray) -> np.ndarray:
    return np.maximum(factor * ends[0], factor * ends[1])
