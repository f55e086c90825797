r"""The one arithmetic of quantized networks: what ``predict`` computes, wherever it runs.

Inputs are rounded to signed codes, each column at its own power of two of one step. Every layer
adds up products of integer codes exactly, adds an integer bias, and hidden layers rescale the sum
by an integer multiplier and a shift, round half to even, and clip. All classes share one scale, so
the decision is the argmax of integers; of equal ones the first class wins. With input :math:`z`,
step :math:`s_0`, column shift :math:`c`, weight codes :math:`W`, bias :math:`b`, accumulator shift
:math:`f`, multiplier :math:`m`, shift :math:`k` and highest code :math:`Q`:

.. math::
    q_0 &= 2^c\,\mathrm{clip}(\lfloor z/(2^c s_0)\rceil, -2^{b_0-1}, 2^{b_0-1}-1) \\
    t_\ell &= 2^{f_\ell}\,W_\ell q_{\ell-1} + b_\ell \\
    q_\ell &= \mathrm{clip}(\lfloor t_\ell m_\ell / 2^{k_\ell}\rceil, 0, Q_\ell)

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
    step : float
        Weight step: a weight is its code times this.
    bias : int64 ndarray of shape (n_out,)
        In units of the accumulator.
    fraction_bits : int
        f: the accumulator's unit is the product of the input's step and ``step``, over 2^f.
    multiplier, shift : int
        m and k; 0 and 0 in the last layer, whose totals are the logits.
    levels : int
        Highest code Q of the rectified output; 0 in the last layer.
    """

    weight: np.ndarray
    bits: int
    step: float
    bias: np.ndarray
    fraction_bits: int
    multiplier: int = 0
    shift: int = 0
    levels: int = 0

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return self.weight.size

    @cached_property
    def matrix(self) -> np.ndarray:
        """Weight codes times 2^f as float64, shape (n_in, n_out)."""
        return np.ascontiguousarray(self.weight.T.astype(np.float64)) * 2.0**self.fraction_bits

    @cached_property
    def offset(self) -> np.ndarray:
        """Bias as float64, shape (n_out,)."""
        return self.bias.astype(np.float64)

    @property
    def rescale(self) -> float:
        """The factor m / 2^k, exactly."""
        return math.ldexp(self.multiplier, -self.shift)

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
        A column's step is ``input_step`` times 2 to this.

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

    @cached_property
    def input_factors(self) -> np.ndarray:
        """What the shifts multiply by, float64 of shape (n_inputs,)."""
        return np.ldexp(1.0, self.input_shifts)

    @property
    def n_inputs(self) -> int:
        """Number of encoded columns."""
        return self.layers[0].weight.shape[1]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.layers[-1].bias)

    @property
    def input_range(self) -> tuple[int, int]:
        """Lowest and highest input code."""
        return -(2 ** (self.input_bits - 1)), 2 ** (self.input_bits - 1) - 1

    def codes(self, Z: np.ndarray) -> np.ndarray:
        """Return the integer codes of encoded rows, as float64 of shape (n, n_inputs).

        Parameters
        ----------
        Z : ndarray of shape (n, n_inputs), float64
        """
        factors = self.input_factors
        codes = np.rint(np.asarray(Z, dtype=np.float64) / (self.input_step * factors))
        np.clip(codes, *self.input_range, out=codes)
        codes *= factors
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
            if layer.levels:
                codes *= layer.rescale
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
    step : float
        Their step.
    bias : ndarray of shape (n_out,), float64
        Bias in real units.
    clip : float or None
        Threshold of the rectified output; None leaves it unquantized. Not read in the last layer.
    levels : int
        Highest code of the rectified output.
    """

    weight: np.ndarray
    bits: int
    step: float
    bias: np.ndarray
    clip: float | None = None
    levels: int = 0


def integer_network(
    input_step: float,
    input_bits: int,
    layers: Sequence[LayerParts],
    input_shifts: np.ndarray | None = None,
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
    An unquantized activation keeps 24 bits.
    """
    shifts = np.zeros(layers[0].weight.shape[1], dtype=np.int64)
    if input_shifts is not None:
        shifts = np.asarray(input_shifts, dtype=np.int64)
    step = float(input_step)
    # Above this, a sum is too large long before a shift is.
    highest = np.left_shift(2 ** (input_bits - 1), np.minimum(shifts, ACCUMULATOR_BITS))
    made = []
    for position, parts in enumerate(layers):
        unit = step * float(parts.step)
        if not (math.isfinite(unit) and unit > 0 and np.isfinite(parts.bias).all()):
            raise UnsupportedModelError(
                f"Layer {position} has the step {parts.step!r} behind the step {step!r}, or a bias "
                "that is not finite; the training has diverged. Fit with a smaller learning rate."
            )
        fraction_bits, bias, bound = _accumulator(parts, unit, highest)
        layer: dict[str, Any] = {
            "weight": parts.weight.astype(np.int8 if parts.bits <= 8 else np.int16),
            "bits": int(parts.bits),
            "step": float(parts.step),
            "bias": bias,
            "fraction_bits": fraction_bits,
        }
        unit = math.ldexp(unit, -fraction_bits)
        if position < len(layers) - 1:
            levels, multiplier, shift = _rescaling(parts, unit, bound)
            layer |= {"levels": levels, "multiplier": multiplier, "shift": shift}
            step, highest = math.ldexp(unit, shift) / multiplier, np.array(levels)
        made.append(IntegerLayer(**layer))
    return IntegerNetwork(float(input_step), int(input_bits), tuple(made), unit, shifts)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits, row by row.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _accumulator(
    parts: LayerParts, unit: float, highest: np.ndarray
) -> tuple[int, np.ndarray, int]:
    """Return fraction bits, integer bias, and a bound of the absolute totals."""
    reach = int((np.abs(parts.weight.astype(np.int64)) * highest).sum(axis=1).max(initial=0))
    largest = float(np.abs(parts.bias).max(initial=0.0)) / unit
    room = ACCUMULATOR_BITS - math.ceil(math.log2(max(reach + largest, 1.0) + 1))
    fraction_bits = min(max(room, 0), _MOST_FRACTION_BITS)
    scaled = np.ldexp(np.asarray(parts.bias, dtype=np.float64) / unit, fraction_bits)
    bias = np.rint(np.clip(scaled, -_LARGEST_BIAS, _LARGEST_BIAS)).astype(np.int64)
    bound = (reach << fraction_bits) + int(np.abs(bias).max(initial=0))
    if bound.bit_length() > PRODUCT_BITS - 8:
        raise UnsupportedModelError(
            f"A layer of {parts.weight.shape[1]} inputs at {parts.bits} bits can reach totals of "
            f"{bound:.2g}, which float64 does not hold exactly. Use fewer bits."
        )
    return fraction_bits, bias, bound


def _rescaling(parts: LayerParts, unit: float, bound: int) -> tuple[int, int, int]:
    """Return highest code, multiplier and shift that turn totals into activation codes."""
    if parts.clip is None:
        return 2**UNQUANTIZED_BITS - 1, 1, max(bound.bit_length() - UNQUANTIZED_BITS, 0)
    mantissa, exponent = math.frexp(unit * parts.levels / float(parts.clip))
    bits = min(PRODUCT_BITS - bound.bit_length(), _MOST_MULTIPLIER_BITS)
    return int(parts.levels), round(math.ldexp(mantissa, bits)), bits - exponent
