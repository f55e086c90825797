"""A network as the proofs read it: layers of products, and what bounds their activations.

Rectifiers and the staircases of integer networks are the two kinds. Of each it is known what it
does to a total, and two straight lines between which it lies over an interval of totals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from skcfq.models import rectified_layers
from skcfq.utils import tile_products

if TYPE_CHECKING:
    from skcfq.deploy import IntegerLayer, IntegerNetwork
    from skcfq.models import Predictor


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines above and below a function of N × H totals, each array of shape (N, H)."""

    upper_slope: np.ndarray
    upper_intercept: np.ndarray
    lower_slope: np.ndarray
    lower_intercept: np.ndarray

    def take(self, rows: np.ndarray) -> Lines:
        """Return the lines around some of the totals."""
        parts = self.upper_slope, self.upper_intercept, self.lower_slope, self.lower_intercept
        return Lines(*(part[rows] for part in parts))

    def gap(self, total: np.ndarray) -> np.ndarray:
        """Return how far apart the lines are at some totals."""
        slope = self.upper_slope - self.lower_slope
        return slope * total + (self.upper_intercept - self.lower_intercept)


class Activation(Protocol):
    """What follows a hidden layer; rising."""

    def __call__(self, total: np.ndarray) -> np.ndarray:
        """Return the activations of totals (N, H)."""

    def lines(self, low: np.ndarray, high: np.ndarray) -> Lines:
        """Return lines around the function over intervals of totals, ends of shape (N, H)."""


class Rectifier:
    """max(total, 0)."""

    def __call__(self, total: np.ndarray) -> np.ndarray:
        """Return the activations of totals (N, H)."""
        return np.maximum(total, 0.0)

    def lines(self, low: np.ndarray, high: np.ndarray) -> Lines:
        """Return the chord above; 0 or the total below, whichever is closer."""
        positive, negative = np.maximum(high, 0.0), np.minimum(low, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = positive / (positive - negative)
        slope = np.where(low >= 0, 1.0, np.where(high <= 0, 0.0, slope))
        closer = (high > -low).astype(np.float64)
        below = np.where(low >= 0, 1.0, np.where(high <= 0, 0.0, closer))
        return Lines(slope, -slope * negative, below, np.zeros_like(slope))


@dataclass(frozen=True, eq=False)
class Staircase:
    """``clip(rint(total * scale), 0, top)``.

    Parameters
    ----------
    scale : float or ndarray of shape (H,)
    top : float or ndarray of shape (H,)
    """

    scale: float | np.ndarray
    top: float | np.ndarray

    def __call__(self, total: np.ndarray) -> np.ndarray:
        """Return the activations of totals (N, H)."""
        code = total * self.scale
        np.rint(code, out=code)
        return np.clip(code, 0.0, self.top, out=code)

    def lines(self, low: np.ndarray, high: np.ndarray) -> Lines:
        """Return the best of three lines on each side, as seen from the middle."""
        first, last = low * self.scale, high * self.scale
        bottom = np.clip(np.rint(first), 0.0, self.top)
        top = np.clip(np.rint(last), 0.0, self.top)
        upper = _line_above(first, last, bottom, top)
        # Turned by half a circle, what is below is above.
        slope, intercept = _line_above(
            self.top - last, self.top - first, self.top - top, self.top - bottom
        )
        lower = slope, self.top - intercept - slope * self.top
        return Lines(upper[0] * self.scale, upper[1], lower[0] * self.scale, lower[1])


def _line_above(
    first: np.ndarray, last: np.ndarray, bottom: np.ndarray, top: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and intercept of a line above a clipped rounding over [first, last].

    Notes
    -----
    The function goes from ``bottom`` to ``top``. Its highest value is one line; half a unit above
    the identity another, where that is not below 0; and where the function is flat to the left,
    or has a single step, so is the chord to the edge of the last step.
    """
    middle = (first + last) / 2
    slope, intercept = np.zeros_like(first), top.copy()
    height = top.copy()
    better = (first >= -0.5) & (middle + 0.5 < height)
    slope[better], intercept[better] = 1.0, 0.5
    height = np.where(better, middle + 0.5, height)
    run = top - 0.5 - first
    flat = (bottom == 0) & (first <= -0.5)
    usable = (flat | (top - bottom == 1)) & (run > 0) & (top > bottom)
    steep = np.divide(top - bottom, run, out=np.zeros_like(run), where=usable)
    offset = bottom - steep * first
    better = usable & (steep * middle + offset < height)
    slope[better], intercept[better] = steep[better], offset[better]
    return slope, intercept


@dataclass(frozen=True, eq=False)
class Layer:
    """Totals ``inputs @ matrix + offset``, and what follows them.

    Attributes
    ----------
    matrix : ndarray of shape (n_in, n_out)
    offset : ndarray of shape (n_out,)
    activation : Activation or None
        None in the last layer.
    """

    matrix: np.ndarray
    offset: np.ndarray
    activation: Activation | None

    @cached_property
    def absolute(self) -> np.ndarray:
        """The absolute weights, shape (n_in, n_out)."""
        return np.abs(self.matrix)

    def totals_between(self, least: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the totals where inputs lie between ends of shape (N, n_in)."""
        middle = tile_products((least + most) / 2, self.matrix) + self.offset
        radius = tile_products((most - least) / 2, self.absolute)
        return middle - radius, middle + radius


@dataclass(frozen=True, eq=False)
class Network:
    """Layers, and what lies before and behind them.

    Attributes
    ----------
    layers : tuple of Layer
    unit : float
        A logit is a total of the last layer times this, less its shift.
    shift : ndarray of shape (K,)
    integers : IntegerNetwork or None
        Where inputs are integer codes and every total is an integer; None where they are the
        encoded columns themselves.
    late : int64 ndarray of shape (D,) or None
        Columns whose codes are made behind the first layer.
    """

    layers: tuple[Layer, ...]
    unit: float
    shift: np.ndarray
    integers: IntegerNetwork | None
    late: np.ndarray | None = None

    @property
    def n_classes(self) -> int:
        """Number K of classes."""
        return len(self.shift)

    def inputs(self, encoded: np.ndarray) -> np.ndarray:
        """Return what the first layer reads of encoded rows, shape (N, n_inputs)."""
        if self.integers is None:
            return encoded
        codes = self.integers.codes(encoded)
        if self.late is not None:
            codes[:, self.late] = encoded[:, self.late]
        return codes

    def column_inputs(self, encoded: np.ndarray, column: int) -> np.ndarray:
        """Return what the first layer reads of values (N,) of one encoded column."""
        if self.integers is None or (self.late is not None and column in self.late):
            return encoded
        low, high = self.integers.input_range
        code = np.clip(
            np.rint(encoded / self.integers.input_steps[column]), low[column], high[column]
        )
        return code * self.integers.input_factors[column]

    def logits(self, first: np.ndarray) -> np.ndarray:
        """Return the logits (N, K) for totals of the first layer (N, H)."""
        total = first
        for before, layer in zip(self.layers, self.layers[1:], strict=False):
            assert before.activation is not None
            total = tile_products(before.activation(total), layer.matrix) + layer.offset
        return total * self.unit - self.shift


def with_late_codes(network: Network, columns: np.ndarray) -> Network:
    """Return a network that reads some columns as they are, and rounds them in a layer of its own.

    What several features add to one column of an integer network adds up before it is rounded.

    Parameters
    ----------
    network : Network
        Of integers.
    columns : int64 ndarray of shape (D,)
        Encoded columns.
    """
    assert network.integers is not None
    first, d = network.layers[0], len(columns)
    n_inputs, n_units = first.matrix.shape
    matrix = np.zeros((n_inputs, d + n_units))
    matrix[:, d:] = first.matrix
    matrix[columns] = 0.0
    matrix[columns, np.arange(d)] = 1.0
    rounding = InputCodes(network.integers, columns)
    before = Layer(matrix, np.concatenate([np.zeros(d), first.offset]), rounding)
    after = Layer(
        np.concatenate([first.matrix[columns], np.eye(n_units)]),
        np.zeros(n_units),
        first.activation,
    )
    return replace(network, layers=(before, after, *network.layers[1:]), late=columns)


@dataclass(frozen=True, eq=False)
class InputCodes:
    """Input codes of the first D totals; the others stay as they are.

    Parameters
    ----------
    integers : IntegerNetwork
    columns : int64 ndarray of shape (D,)
        Encoded columns that the totals are.
    """

    integers: IntegerNetwork
    columns: np.ndarray

    def __call__(self, total: np.ndarray) -> np.ndarray:
        """Return the activations of totals (N, D + H)."""
        steps, low, high, factors = self._grid
        d = len(self.columns)
        code = np.clip(np.rint(total[:, :d] / steps), low, high) * factors
        return np.concatenate([code, total[:, d:]], axis=1)

    def lines(self, low: np.ndarray, high: np.ndarray) -> Lines:
        """Return the lines of a staircase for the codes, and the identity for the others."""
        steps, least, most, factors = self._grid
        d = len(self.columns)
        # A staircase that begins at 0, moved to where the codes begin.
        first, last = low[:, :d] / steps - least, high[:, :d] / steps - least
        stairs = Staircase(1.0, most - least).lines(first, last)
        one, zero = np.ones_like(low[:, d:]), np.zeros_like(low[:, d:])

        def put(slope: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            moved = (intercept + least - slope * least) * factors
            scaled = slope * factors / steps
            return np.concatenate([scaled, one], axis=1), np.concatenate([moved, zero], axis=1)

        return Lines(
            *put(stairs.upper_slope, stairs.upper_intercept),
            *put(stairs.lower_slope, stairs.lower_intercept),
        )

    @cached_property
    def _grid(self) -> tuple[np.ndarray, ...]:
        low, high = self.integers.input_range
        parts = self.integers.input_steps, low, high, self.integers.input_factors
        return tuple(part[self.columns] for part in parts)


def network_of(predictor: Predictor) -> Network | None:
    """Read a network of rectifiers or staircases; None for any other model.

    Parameters
    ----------
    predictor : Predictor
    """
    # A threshold other than one half is a shift of the last logit.
    shift = np.zeros(len(predictor.classes))
    shift[-1] = getattr(predictor.head, "shift", 0.0)
    integers = predictor.integers
    if integers is not None:
        layers = tuple(_integer_layer(layer) for layer in integers.layers)
        return Network(layers, integers.logit_scale, shift, integers)
    arrays = rectified_layers(predictor)
    if arrays is None:
        return None
    *hidden, last = arrays
    rectified = [Layer(matrix, offset, Rectifier()) for matrix, offset in hidden]
    return Network((*rectified, Layer(*last, None)), 1.0, shift, None)


def _integer_layer(layer: IntegerLayer) -> Layer:
    scale = 1.0 if layer.rescale is None else layer.rescale
    if layer.levels:
        return Layer(layer.matrix, layer.offset, Staircase(scale, float(layer.levels)))
    # What brings classes to one scale is an integer, so the products stay exact.
    return Layer(layer.matrix * scale, layer.offset * scale, None)
