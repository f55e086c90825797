"""A fake-quantized network to the integers that :mod:`skcfq.deploy._arithmetic` runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.deploy._arithmetic import IntegerLayer, IntegerNetwork
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
class LayerParts:
    """What :func:`integer_network` needs to know of a layer.

    Attributes
    ----------
    weight : integer ndarray of shape (n_out, n_in)
        Weight codes.
    bits : int or ndarray of shape (n_out,), int64
        Their width, in the layer or in each unit.
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
    bits: int | np.ndarray
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

    Examples
    --------
    >>> layer = LayerParts(np.array([[0, 0], [1, -2]]), bits=2, step=0.5, bias=np.array([0, 0.1]))
    >>> network = integer_network(input_step=0.25, input_bits=8, layers=[layer])
    >>> network.logits(np.array([[1.0, 0.3]])).round(6).tolist()
    [[0.0, 0.35]]
    """
    n_inputs = layers[0].weight.shape[1]
    shifts = np.zeros(n_inputs, dtype=np.int64)
    if input_shifts is not None:
        shifts = np.asarray(input_shifts, dtype=np.int64)
    units, centers = _unless_zero(input_units), _unless_zero(input_centers)
    # Above this, a sum is too large long before a shift is.
    largest = 2 ** (input_bits - 1) + np.abs(0 if centers is None else centers)
    highest = np.left_shift(largest, np.minimum(shifts, ACCUMULATOR_BITS))
    step, made = float(input_step), []
    for position, parts in enumerate(layers):
        _check_finite(parts, position, step)
        layer, step = _integer_layer(parts, step, highest, is_last=position == len(layers) - 1)
        highest = np.array(layer.levels)
        made.append(layer)
    return IntegerNetwork(
        float(input_step), int(input_bits), tuple(made), step, shifts, units, centers
    )


def _unless_zero(exponents: np.ndarray | None) -> np.ndarray | None:
    """Return whole numbers as int64, and None where all of them are 0."""
    if exponents is None:
        return None
    exponents = np.asarray(exponents, dtype=np.int64)
    return exponents if exponents.any() else None


def _check_finite(parts: LayerParts, position: int, step: float) -> None:
    units = step * _steps(parts)
    if not (np.isfinite(units).all() and (units > 0).all() and np.isfinite(parts.bias).all()):
        raise UnsupportedModelError(
            f"Layer {position} has the step {parts.step!r} behind the step {step!r}, or a bias "
            "that is not finite; the training has diverged. Fit with a smaller learning rate."
        )


def _integer_layer(
    parts: LayerParts, step: float, highest: np.ndarray, *, is_last: bool
) -> tuple[IntegerLayer, float]:
    """Return a layer as integers, and the step of what leaves it (the scale of the logits).

    Parameters
    ----------
    parts : LayerParts
    step : float
        Of what enters.
    highest : ndarray of shape () or (n_in,)
        Highest absolute code that enters.
    is_last : bool
        Whether the totals are not rectified.
    """
    steps = _steps(parts)
    units = step * steps
    fraction_bits, bias, bounds = _accumulator(parts, units, highest)
    units = np.ldexp(units, -fraction_bits)
    rescale = _last_rescaling if is_last else _rescaling
    levels, multiplier, shift, step = rescale(parts, units, bounds)
    layer = IntegerLayer(
        weight=parts.weight.astype(np.int8 if np.max(parts.bits) <= 8 else np.int16),
        bits=parts.bits if np.ndim(parts.bits) else int(parts.bits),
        step=_plain(steps, parts),
        bias=bias,
        fraction_bits=_plain(fraction_bits, parts),
        multiplier=_plain(multiplier, parts),
        shift=_plain(shift, parts),
        levels=levels,
    )
    return layer, step


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
            f"A layer of {parts.weight.shape[1]} inputs at {np.max(parts.bits)} bits can reach "
            f"totals of {max(bounds):.2g}, which float64 does not hold exactly. Use fewer bits."
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
