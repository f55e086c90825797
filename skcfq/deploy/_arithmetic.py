r"""The one arithmetic of quantized networks: what ``predict`` computes, wherever it runs.

Inputs are rounded to signed codes, each column at its own power of two of one step. Every layer
adds up products of integer codes exactly, adds an integer bias, and hidden layers rescale the sum
by an integer multiplier and a shift, round half to even, and clip. All classes share one scale, so
the decision is the argmax of integers; of equal ones the first class wins. With input :math:`z`,
step :math:`s_0`, column shift :math:`c` and unit :math:`2^u`, weight codes :math:`W`, bias
:math:`b`, accumulator shift :math:`f`, multiplier :math:`m`, shift :math:`k` and highest code
:math:`Q`:

.. math::
    q_0 &= 2^c\,\mathrm{clip}(\lfloor z/(2^{c+u} s_0)\rceil, -2^{b_0-1}, 2^{b_0-1}-1) \\
    t_\ell &= 2^{f_\ell}\,W_\ell q_{\ell-1} + b_\ell \\
    q_\ell &= \mathrm{clip}(\lfloor t_\ell m_\ell / 2^{k_\ell}\rceil, 0, Q_\ell)

Where every unit has a weight step of its own, :math:`f`, :math:`m` and :math:`k` are those of the
unit, and the totals of the last layer are multiplied by :math:`m`, which gives the classes their
common scale.

The integers are carried in float64, because the fast matrix products of numpy, torch and
onnxruntime are those of floating-point numbers. Every number above stays below 2^53, so each
product, sum and shift is exact in any order: an engine that computes in int32 or int64 gets the
same result, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from skcfq.exceptions import UnsupportedModelError

# Totals fit into int32 with this many bits beside the sign, wherever widths are at most 8.
ACCUMULATOR_BITS = 30
# Totals times multipliers stay below 2^52, exact in float64.
PRODUCT_BITS = 52
# Bits of an activation that is called unquantized: as precise as float32.
UNQUANTIZED_BITS = 24
_MOST_FRACTION_BITS = 20
_MOST_MULTIPLIER_BITS = 31
# A bias beyond this drowns every product of codes; it is held here.
_LARGEST_BIAS = 2.0**40


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """One layer of an :class:`IntegerNetwork`.

    Attributes
    ----------
    weight : int8 or int16 ndarray of shape (n_out, n_in)
        Weight codes.
    bits : int
        Width of the codes.
    step : float or ndarray of shape (n_out,), float64
        Weight step, of the layer or of each unit: a weight is its code times this.
    bias : int64 ndarray of shape (n_out,)
        In units of the accumulator.
    fraction_bits : int or int64 ndarray of shape (n_out,)
        f: the accumulator's unit is the product of the input's step and ``step``, over 2^f.
    multiplier, shift : int or int64 ndarray of shape (n_out,)
        m and k. In the last layer 0 and 0, and its totals are the logits; with one step a class
        the totals are multiplied by m, and k is 0.
    levels : int
        Highest code Q of the rectified output; 0 in the last layer.
    """

    weight: np.ndarray
    bits: int
    step: float | np.ndarray
    bias: np.ndarray
    fraction_bits: int | np.ndarray
    multiplier: int | np.ndarray = 0
    shift: int | np.ndarray = 0
    levels: int = 0

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return self.weight.size

    @cached_property
    def matrix(self) -> np.ndarray:
        """Weight codes times 2^f as float64, shape (n_in, n_out)."""
        return np.ascontiguousarray(self.weight.T.astype(np.float64)) * self.unit_factors

    @cached_property
    def offset(self) -> np.ndarray:
        """Bias as float64, shape (n_out,)."""
        return self.bias.astype(np.float64)

    @property
    def unit_factors(self) -> np.ndarray:
        """2^f as float64, shape () or (n_out,)."""
        return np.ldexp(1.0, self.fraction_bits)

    @cached_property
    def rescale(self) -> float | np.ndarray | None:
        """The factor m / 2^k, exactly, of shape () or (n_out,); None where there is none."""
        if not np.any(self.multiplier):
            return None
        factor = np.ldexp(np.asarray(self.multiplier, dtype=np.float64), -np.asarray(self.shift))
        return factor if factor.ndim else float(factor)

    @property
    def is_per_channel(self) -> bool:
        """Whether every unit has a step of its own."""
        return np.ndim(self.step) > 0

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is computed on demand."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """A quantized network as integers; numpy alone runs it.

    Attributes
    ----------
    input_step : float
        Step of the finest inputs.
    input_bits : int
        Width of the inputs.
    layers : tuple of IntegerLayer
    logit_scale : float
        A logit is an integer total times this.
    input_shifts : int64 ndarray of shape (n_inputs,)
        A column's codes are shifted by this, so that its step is ``input_step`` times 2 to this.
    input_units : int64 ndarray of shape (n_inputs,) or None
        A column is divided by 2 to this before all else; None divides by 1.
    input_centers : int64 ndarray of shape (n_inputs,) or None
        The codes of a column lie around this one; None stands for 0.

    Examples
    --------
    >>> layer = LayerParts(np.array([[0, 0], [1, -2]]), bits=2, step=0.5, bias=np.array([0, 0.1]))
    >>> network = integer_network(input_step=0.25, input_bits=8, layers=[layer])
    >>> network.logits(np.array([[1.0, 0.3]])).round(6).tolist()
    [[0.0, 0.35]]
    >>> network.decisions(np.array([[1.0, 0.3], [-1.0, 1.0]])).tolist()
    [1, 0]
    """

    input_step: float
    input_bits: int
    layers: tuple[IntegerLayer, ...]
    logit_scale: float
    input_shifts: np.ndarray
    input_units: np.ndarray | None = None
    input_centers: np.ndarray | None = None

    @cached_property
    def input_factors(self) -> np.ndarray:
        """What the shifts multiply by, float64 of shape (n_inputs,)."""
        return np.ldexp(1.0, self.input_shifts)

    @cached_property
    def input_steps(self) -> np.ndarray:
        """The step that each column is rounded at, float64 of shape (n_inputs,)."""
        steps = self.input_step * self.input_factors
        return steps if self.input_units is None else np.ldexp(steps, self.input_units)

    @property
    def n_inputs(self) -> int:
        """Number of encoded columns."""
        return self.layers[0].weight.shape[1]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.layers[-1].bias)

    @cached_property
    def input_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest code of every column, before its shift, float64 of (n_inputs,)."""
        centers = np.zeros(self.n_inputs) if self.input_centers is None else self.input_centers
        half = 2.0 ** (self.input_bits - 1)
        return centers - half, centers + (half - 1)

    def codes(self, Z: np.ndarray) -> np.ndarray:
        """Return the integer codes of encoded rows, as float64 of shape (n, n_inputs).

        Parameters
        ----------
        Z : ndarray of shape (n, n_inputs), float64
        """
        codes = np.rint(np.asarray(Z, dtype=np.float64) / self.input_steps)
        np.clip(codes, *self.input_range, out=codes)
        codes *= self.input_factors
        return codes

    def totals(self, Z: np.ndarray) -> np.ndarray:
        """Return the integer totals of the last layer, as float64 of shape (n, n_classes).

        Parameters
        ----------
        Z : ndarray of shape (n, n_inputs), float64
            Encoded rows without gaps.
        """
        codes = self.codes(Z)
        for layer in self.layers:
            codes = codes @ layer.matrix
            codes += layer.offset
            if layer.rescale is not None:
                codes *= layer.rescale
            if layer.levels:
                np.rint(codes, out=codes)
                np.clip(codes, 0.0, float(layer.levels), out=codes)
        return codes

    def logits(self, Z: np.ndarray) -> np.ndarray:
        """Return the logits of encoded rows, shape (n, n_classes), float64."""
        return self.totals(Z) * self.logit_scale

    def decisions(self, Z: np.ndarray) -> np.ndarray:
        """Return the position of the decided class, shape (n,): the first of the largest totals."""
        return self.totals(Z).argmax(axis=1)


@dataclass(frozen=True, eq=False)
class LayerParts:
    """What :func:`integer_network` needs to know of a layer.

    Attributes
    ----------
    weight : integer ndarray of shape (n_out, n_in)
        Weight codes.
    bits : int
        Their width.
    step : float or ndarray of shape (n_out,), float64
        Their step, of the layer or of each unit.
    bias : ndarray of shape (n_out,), float64
        Bias in real units.
    clip : float or None
        Threshold of the rectified output; None leaves it unquantized. Not read in the last layer.
    levels : int
        Highest code of the rectified output.
    """

    weight: np.ndarray
    bits: int
    step: float | np.ndarray
    bias: np.ndarray
    clip: float | None = None
    levels: int = 0


def integer_network(
    input_step: float,
    input_bits: int,
    layers: Sequence[LayerParts],
    input_shifts: np.ndarray | None = None,
    input_units: np.ndarray | None = None,
    input_centers: np.ndarray | None = None,
) -> IntegerNetwork:
    """Turn a fake-quantized network into integers.

    Parameters
    ----------
    input_step : float
        Step of the finest inputs.
    input_bits : int
        Width of the inputs.
    layers : sequence of LayerParts
        All but the last are rectified.
    input_shifts : int ndarray of shape (n_inputs,), optional
        Not negative; the step of a column is ``input_step`` times 2 to this. 0 by default.
    input_units : int ndarray of shape (n_inputs,), optional
        The first layer's weights are for columns that are divided by 2 to this. 0 by default.
    input_centers : int ndarray of shape (n_inputs,), optional
        The codes of a column lie around this one. 0 by default.

    Returns
    -------
    network : IntegerNetwork

    Raises
    ------
    UnsupportedModelError
        A step is not a positive finite number, or a layer is too wide for exact sums.

    Notes
    -----
    Two parameters are rounded. A bias becomes an integer: as many fraction bits as int32 has room
    for keep it to a millionth of a logit or so. The ratio of accumulator and activation step
    becomes m / 2^k: this moves a clip by at most 2^-20 of itself where widths are at most 8.
    Steps of single classes are brought to one scale by such a ratio too. An unquantized activation
    keeps 24 bits.
    """
    shifts = np.zeros(layers[0].weight.shape[1], dtype=np.int64)
    if input_shifts is not None:
        shifts = np.asarray(input_shifts, dtype=np.int64)
    if input_units is not None:
        input_units = np.asarray(input_units, dtype=np.int64)
        input_units = input_units if input_units.any() else None
    if input_centers is not None:
        input_centers = np.asarray(input_centers, dtype=np.int64)
        input_centers = input_centers if input_centers.any() else None
    step: float = float(input_step)
    # Above this, a sum is too large long before a shift is.
    largest = 2 ** (input_bits - 1) + np.abs(0 if input_centers is None else input_centers)
    highest = np.left_shift(largest, np.minimum(shifts, ACCUMULATOR_BITS))
    made = []
    for position, parts in enumerate(layers):
        steps = _steps(parts)
        units = step * steps
        if not (np.isfinite(units).all() and (units > 0).all() and np.isfinite(parts.bias).all()):
            raise UnsupportedModelError(
                f"Layer {position} has the step {parts.step!r} behind the step {step!r}, or a bias "
                "that is not finite; the training has diverged. Fit with a smaller learning rate."
            )
        fraction_bits, bias, bounds = _accumulator(parts, units, highest)
        units = np.ldexp(units, -fraction_bits)
        rescale = _last_rescaling if position == len(layers) - 1 else _rescaling
        levels, multiplier, shift, step = rescale(parts, units, bounds)
        highest = np.array(levels)
        layer = IntegerLayer(
            weight=parts.weight.astype(np.int8 if parts.bits <= 8 else np.int16),
            bits=int(parts.bits),
            step=_plain(steps, parts),
            bias=bias,
            fraction_bits=_plain(fraction_bits, parts),
            multiplier=_plain(multiplier, parts),
            shift=_plain(shift, parts),
            levels=levels,
        )
        made.append(layer)
    return IntegerNetwork(
        float(input_step), int(input_bits), tuple(made), step, shifts, input_units, input_centers
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits, row by row.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _steps(parts: LayerParts) -> np.ndarray:
    """Return the steps, shape (1,) or (n_out,); a unit without weights takes the coarsest."""
    steps = np.atleast_1d(np.asarray(parts.step, dtype=np.float64))
    if np.ndim(parts.step) and parts.weight.any():
        dead = ~parts.weight.any(axis=1)
        # Its own would be near 0, and its bias too large a number of it.
        steps = np.where(dead, steps[~dead].max(), steps)
    return steps


def _plain(values: np.ndarray, parts: LayerParts) -> Any:
    """Return a number where the layer has one step."""
    return values if np.ndim(parts.step) else values.item()


def _accumulator(
    parts: LayerParts, units: np.ndarray, highest: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return fraction bits, integer bias, and bounds of the absolute totals, one a step."""
    bias = np.asarray(parts.bias, dtype=np.float64)
    reach = (np.abs(parts.weight.astype(np.int64)) * highest).sum(axis=1)
    largest = np.abs(bias)
    if not np.ndim(parts.step):
        reach, largest = (one.max(initial=0)[None] for one in (reach, largest))
    totals = np.maximum(reach + largest / units, 1.0) + 1
    room = ACCUMULATOR_BITS - np.ceil(np.log2(totals)).astype(np.int64)
    fraction_bits = np.clip(room, 0, _MOST_FRACTION_BITS)
    scaled = np.ldexp(bias / units, fraction_bits)
    codes = np.rint(np.clip(scaled, -_LARGEST_BIAS, _LARGEST_BIAS)).astype(np.int64)
    offsets = np.abs(codes)
    if not np.ndim(parts.step):
        offsets = offsets.max(initial=0)[None]
    # In Python's integers: what is refused may be beyond 64 bits.
    bounds = [
        (int(most) << int(bits)) + int(offset)
        for most, bits, offset in zip(reach, fraction_bits, offsets, strict=True)
    ]
    if max(bounds).bit_length() > PRODUCT_BITS - 8:
        raise UnsupportedModelError(
            f"A layer of {parts.weight.shape[1]} inputs at {parts.bits} bits can reach totals of "
            f"{max(bounds):.2g}, which float64 does not hold exactly. Use fewer bits."
        )
    return fraction_bits, codes, np.array([bound.bit_length() for bound in bounds])


def _rescaling(
    parts: LayerParts, units: np.ndarray, lengths: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray, float]:
    """Return highest code, multipliers, shifts, and the step of the rectified output."""
    per_channel = np.ndim(parts.step) > 0
    levels, clip = parts.levels, parts.clip
    if clip is None:
        levels = 2**UNQUANTIZED_BITS - 1
        shift = np.maximum(lengths - UNQUANTIZED_BITS, 0)
        step = float(np.ldexp(units, shift).max())
        if not per_channel:
            return levels, np.ones(1, dtype=np.int64), shift, step
    else:
        step = float(clip) / levels
    mantissas, exponents = np.frexp(units / step if clip is None else units * levels / float(clip))
    bits = np.minimum(PRODUCT_BITS - lengths, _MOST_MULTIPLIER_BITS)
    multipliers = np.rint(np.ldexp(mantissas, bits)).astype(np.int64)
    shifts = bits - exponents
    if not per_channel:
        # The next layer takes the ratio as it was rounded.
        step = float(np.ldexp(units, shifts)[0] / multipliers[0])
    return int(levels), multipliers, shifts, step


def _last_rescaling(
    parts: LayerParts, units: np.ndarray, lengths: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray, float]:
    """Return 0, multipliers, shifts of 0, and the scale of the logits."""
    nothing = np.zeros_like(lengths)
    if not np.ndim(parts.step):
        return 0, nothing, nothing, float(units[0])
    coarsest = float(units.max())
    bits = min(PRODUCT_BITS - int(lengths.max()), _MOST_MULTIPLIER_BITS)
    multipliers = np.rint(np.ldexp(units / coarsest, bits)).astype(np.int64)
    return 0, multipliers, nothing, math.ldexp(coarsest, -bits)
