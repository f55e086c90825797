"""Post-training quantization of a rectifier network, layer by layer (Appendix F, Eq. 20 to 24)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from skcfq.nn._input_codes import COVERING_BITS, span_of, widened_span
from skcfq.nn._losses import target_margin
from skcfq.nn._mlp import FullPrecisionMLP
from skcfq.nn._quantized_mlp import QuantizedMLP
from skcfq.quantization import (
    QuantizedLinear,
    bias_shift,
    layer_sensitivities,
    mse_clip,
    mse_step,
    quantize_activation,
    quantize_input,
    quantize_weight,
    range_clip,
    range_step,
    reconstruction_clip,
    reconstruction_step,
    round_adaptively,
    signed_range,
)


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    r"""Rows that quantizers are set on: :math:`U_{cal}` of Eq. 21, or :math:`X_{cal}` alone.

    Attributes
    ----------
    rows : Tensor of shape (n, n_inputs), float64
    weights : Tensor of shape (n,), float64
    """

    rows: Tensor
    weights: Tensor

    def in_units(self, units: Tensor) -> CalibrationSet:
        """Return the rows with each column divided by its unit."""
        return CalibrationSet(self.rows / units, self.weights)


@torch.no_grad()
def calibrate_layers(
    network: QuantizedMLP,
    source: FullPrecisionMLP,
    calibration: CalibrationSet,
    *,
    calibrator: str = "mse",
    percentile: float = 99.9,
    adaptive_rounding: bool = False,
    bias_correction: bool = False,
) -> None:
    """Set input step, weight steps and clips of a network at its fixed widths.

    Layers are treated in order: each sees the inputs that the quantized layers before it give,
    and is compared with what the full-precision network has there.

    Parameters
    ----------
    network : QuantizedMLP
        float64; changed in place.
    source : FullPrecisionMLP
        float64, with layers of the same shapes.
    calibration : CalibrationSet
        Where the network has ``input_units``, source and rows are in these units.
    calibrator : {"minmax", "percentile", "mse", "reconstruction"}, default="mse"
    percentile : float, default=99.9
    adaptive_rounding : bool, default=False
        Choose the codes of the weights too, between the two neighbors of each.
    bias_correction : bool, default=False
        Shift biases so that the mean pre-activations are those of full precision.
    """
    network.load_from(source)
    rows, weights = calibration.rows, calibration.weights
    exact, given = rows, rows
    if network.log_input_step is not None and network.input_bits is not None:
        if network.input_bits >= COVERING_BITS:
            step = _step_beyond(rows, weights, network.input_bits)
        else:
            step = range_step(rows, network.input_bits, calibrator, percentile, weights)
        network.log_input_step.fill_(step.log())
        network.input_factors.fill_(1.0)
        network.input_centers.zero_()
        if network.input_units is not None:
            network.input_factors.copy_(network.input_units)
        given = quantize_input(rows, step, network.input_bits)
    for layer in network.quantized_layers:
        # One step a layer, so one width for all of its units.
        index, bits = layer.candidates.index(layer.widest), layer.widest
        product = exact @ layer.weight.T
        wanted = product + layer.bias
        if calibrator == "reconstruction":
            step = reconstruction_step(
                layer.weight, bits, given, wanted, layer.bias, layer.rectified, weights
            )
        else:
            step = range_step(layer.weight, bits, calibrator, percentile)
        layer.log_steps[index] = step.log()
        # What is stored is the logarithm, so the codes must be those of its exponential.
        step = layer.log_steps[index].exp()
        if adaptive_rounding:
            layer.weight.copy_(round_adaptively(layer.weight, step, bits, given, product, weights))
        values = nn.functional.linear(given, quantize_weight(layer.weight, step, bits), layer.bias)
        if bias_correction:
            shift = bias_shift(wanted, values, weights)
            layer.bias.add_(shift)
            values += shift
        exact = torch.relu(wanted)
        given = _activate(layer, index, values, exact, weights, calibrator, percentile)


def _step_beyond(rows: Tensor, weights: Tensor, bits: int) -> Tensor:
    """Return the one step whose codes go beyond the rows in every column."""
    low, high = widened_span(*span_of(rows, weights))
    largest = torch.maximum(-low, high).amax()
    return (largest if largest > 0 else torch.ones_like(largest)) / signed_range(bits)[1]


def _activate(
    layer: QuantizedLinear,
    index: int,
    values: Tensor,
    wanted: Tensor,
    weights: Tensor,
    calibrator: str,
    percentile: float,
) -> Tensor:
    if layer.log_clips is None:
        return torch.relu(values)
    position, _ = layer.activation_choice(index)
    width = layer.activation_widths[position]
    if calibrator == "reconstruction":
        clip = reconstruction_clip(values, width, wanted, weights)
    else:
        clip = range_clip(values, width, calibrator, percentile, weights)
    layer.log_clips[position] = clip.log()
    return quantize_activation(values, clip, width)


@torch.no_grad()
def sensitivities(
    source: FullPrecisionMLP, calibration: CalibrationSet, labels: Tensor
) -> list[float]:
    """Return the sensitivity of every layer (Eq. 23), on the rows that are given.

    Parameters
    ----------
    source : FullPrecisionMLP
    calibration : CalibrationSet
    labels : Tensor of shape (n,), int64
        Targets at recourse points, or true labels of factual rows.
    """
    layers = cast("list[nn.Linear]", list(source.layers))
    found = layer_sensitivities(
        [layer.weight for layer in layers],
        [layer.bias for layer in layers],
        calibration.rows,
        labels,
        calibration.weights,
    )
    return found.tolist()


@torch.no_grad()
def margin_losses(
    source: FullPrecisionMLP,
    calibration: CalibrationSet,
    target: Tensor,
    candidates: tuple[int, ...],
    activation_bits: int | None,
) -> list[list[float]]:
    """Return how far one quantized layer at a time moves target margins, shape (n_layers, R).

    Parameters
    ----------
    source : FullPrecisionMLP
    calibration : CalibrationSet
        Recourse points.
    target : Tensor of shape (n,), int64
    candidates : tuple of int
    activation_bits : int or None
        As in :class:`QuantizedMLP`.

    Returns
    -------
    losses : list of list of float
        Root of the weighted mean square of the change, in logit units.
    """
    layers = cast("list[nn.Linear]", list(source.layers))
    shares = calibration.weights / calibration.weights.sum()
    before, values = target_margin(source(calibration.rows), target), calibration.rows
    losses = []
    for position, layer in enumerate(layers):
        row = []
        is_last = position == len(layers) - 1
        for bits in candidates:
            quantized = quantize_weight(layer.weight, mse_step(layer.weight, bits), bits)
            moved = nn.functional.linear(values, quantized, layer.bias)
            if not is_last:
                width = bits if activation_bits is None else activation_bits
                clip = mse_clip(moved, width, calibration.weights) if width <= 16 else 1.0
                moved = quantize_activation(moved, clip, width)
            for after in layers[position + 1 :]:
                moved = after(moved)
                moved = moved if after is layers[-1] else torch.relu(moved)
            change = target_margin(moved, target) - before
            row.append(float((shares @ change.square()).sqrt()))
        losses.append(row)
        values = torch.relu(layer(values))
    return losses
