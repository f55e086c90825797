"""The quantized network f_q: LSQ weights, PACT activations, one width per layer (§4.3, 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, cast

import torch
from torch import Tensor, nn

from skcfq.nn._activation_widths import activation_widths_of, width_of
from skcfq.nn._array_state import ArrayState
from skcfq.nn._losses import boundary_loss
from skcfq.nn._mlp import FullPrecisionMLP, layer_shapes, shape_settings
from skcfq.nn._quantized_network import LogitsOfUnit, QuantizedNetwork
from skcfq.quantization import (
    FULL_PRECISION_BITS,
    QuantizedLinear,
    quantize_activation,
    quantize_layers,
)

# Clips that are tried, as shares of that of least squared error.
_CLIP_SHARES = [2.0 ** (-exponent / 4) for exponent in range(21)]


class QuantizedMLP(ArrayState, QuantizedNetwork):
    """Quantized multi-layer perceptron with bit-specific steps and clips.

    Parameters
    ----------
    n_inputs : int
        Number of encoded columns.
    hidden_layer_sizes : sequence of int
        Units of each hidden layer; empty for logistic regression.
    n_classes : int
        Number of classes, each with its logit.
    candidates : iterable of int, default=(2, 3, 4, 8)
        Increasing weight widths, R of them.
    activation_bits : int, None or sequence of these, default=None
        Width of the hidden activations, one for all or one for each hidden layer; ``None`` follows
        the weight width of the layer that produces them, 32 leaves them unquantized.
    input_bits : int or None, default=8
        Width of the inputs; ``None`` or 32 leaves them unquantized.
    start : {"lsq", "mse"}, default="lsq"
        Rule of :meth:`calibrate` for steps and clips.
    per_channel : bool, default=False
        One weight step for each unit instead of one for each layer.
    input_units : sequence of float of shape (n_inputs,) or None, default=None
        Powers of two: the first layer reads column j divided by its unit, so that columns of very
        different scales have weights of a like size. None stands for 1.

    Attributes
    ----------
    layers : ModuleList of QuantizedLinear
        The L layers.
    bit_widths, n_weights, log_input_step, input_factors, input_centers
        As in :class:`QuantizedNetwork`.

    Notes
    -----
    One step for all columns is the coarsest column's: with a heavy tail in one of them (capital
    gains), the 8 bits of the others are 3, and that error is the largest one at recourse points.
    With powers of two the codes are still added up as integers, after a shift.

    The logits are not quantized, nor are the biases.

    Examples
    --------
    >>> network = QuantizedMLP(5, (8,), 2)
    >>> network.calibrate(torch.randn(50, 5, generator=torch.Generator().manual_seed(0)))
    >>> network.set_bit_widths([4, 2])
    >>> network(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    input_units: Tensor | None

    def __init__(
        self,
        n_inputs: int,
        hidden_layer_sizes: Sequence[int],
        n_classes: int,
        candidates: Iterable[int] = (2, 3, 4, 8),
        activation_bits: int | Sequence[int | None] | None = None,
        input_bits: int | None = 8,
        start: str = "lsq",
        per_channel: bool = False,
        input_units: Sequence[float] | None = None,
    ) -> None:
        super().__init__(candidates, input_bits)
        units = None if input_units is None else torch.tensor([float(one) for one in input_units])
        # Fixed by the constructor, so not a part of the state.
        self.register_buffer("input_units", units, persistent=False)
        shapes = layer_shapes(n_inputs, hidden_layer_sizes, n_classes)
        widths = activation_widths_of(activation_bits, len(shapes) - 1)
        given_one = activation_bits is None or isinstance(activation_bits, Integral)
        self.activation_bits = activation_bits if given_one else tuple(widths)
        self.layers = nn.ModuleList(
            QuantizedLinear(
                n_in,
                n_out,
                self.candidates,
                rectified=position < len(shapes) - 1,
                activation_bits=bits,
                start=start,
                per_channel=per_channel,
            )
            for position, ((n_in, n_out), bits) in enumerate(
                zip(shapes, [*widths, None], strict=True)
            )
        )
        self._set_up(n_inputs, [n_in * n_out for n_in, n_out in shapes])

    def _settings(self) -> dict[str, Any]:
        return {
            **shape_settings(self.layers),
            "candidates": self.candidates,
            "activation_bits": self.activation_bits,
            "input_bits": self.input_bits,
            "start": self.quantized_layers[0].start,
            "per_channel": self.quantized_layers[0].per_channel,
            "input_units": None if self.input_units is None else tuple(self.input_units.tolist()),
        }

    def forward(
        self,
        x: Tensor,
        selection: Tensor | None = None,
        dither: Callable[[tuple[int, ...]], Tensor] | None = None,
    ) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            Encoded rows.
        selection : Tensor of shape (L, R), optional
            Straight-through one-hot sample of the widths; the fixed widths by default.
        dither : callable, optional
            A shape to numbers in [0, 1), for the training: thresholds between coarse codes of
            activations are drawn by it.

        Returns
        -------
        Tensor of shape (n_samples, n_classes)
        """
        return self.from_first_inputs(self.first_inputs(x), selection, dither)

    def from_first_inputs(
        self,
        x: Tensor,
        selection: Tensor | None = None,
        dither: Callable[[tuple[int, ...]], Tensor] | None = None,
    ) -> Tensor:
        """Return the logits for what :meth:`first_inputs` gave, which calibration fixes.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
        selection, dither
            As in :meth:`forward`.
        """
        choices, rows = self._selected(selection)
        layers = self.quantized_layers
        weights = quantize_layers(layers, choices, selection)
        for layer, weight, choice, row in zip(layers, weights, choices, rows, strict=True):
            x = layer.apply_weight(x, weight, choice, row, dither)
        return x

    @property
    def quantized_layers(self) -> list[QuantizedLinear]:
        """The L layers."""
        return cast("list[QuantizedLinear]", self.layers)

    @property
    def n_macs(self) -> list[int]:
        """Multiplications that every layer makes for one row: one for each weight."""
        return list(self.n_weights)

    @property
    def activation_widths(self) -> list[int]:
        """Bits of what enters every layer at the fixed widths; 32 where it is not quantized."""
        hidden = [
            width_of(layer.activation_bits, layer.widest) for layer in self.quantized_layers[:-1]
        ]
        return [width_of(self.input_bits, FULL_PRECISION_BITS), *hidden]

    def unquantized(self, x: Tensor) -> Tensor:
        """Return the logits without any quantizer, shape (n_samples, n_classes)."""
        *hidden, last = self.quantized_layers
        x = self._in_units(x)
        for layer in hidden:
            x = torch.relu(nn.functional.linear(x, layer.weight, layer.bias))
        return nn.functional.linear(x, last.weight, last.bias)

    def layer_inputs(self, x: Tensor) -> list[Tensor]:
        """Return what enters every layer, without any quantizer.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
        """
        entering = [self._in_units(x)]
        for layer in self.quantized_layers[:-1]:
            values = nn.functional.linear(entering[-1], layer.weight, layer.bias)
            entering.append(torch.relu(values))
        return entering

    def with_unit(self, x: Tensor, position: int) -> LogitsOfUnit:
        """Return the logits as a function of what one unit has, without any quantizer."""
        entering, (layer, *after) = self.layer_inputs(x)[position], self.quantized_layers[position:]
        own = nn.functional.linear(entering, layer.weight, layer.bias)
        following = [
            nn.functional.linear(torch.relu(own), one.weight, one.bias) for one in after[:1]
        ]

        def logits(unit: int, weights: Tensor, shift: Tensor) -> Tensor:
            moved = entering @ weights + (layer.bias[unit] + shift)
            if not after:
                return own.index_copy(1, torch.tensor([unit], device=x.device), moved.unsqueeze(1))
            # One unit alone changes, so the next layer needs no product of matrices.
            change = torch.relu(moved) - torch.relu(own[:, unit])
            values = torch.addr(following[0], change, after[0].weight[:, unit])
            for one in after[1:]:
                values = nn.functional.linear(torch.relu(values), one.weight, one.bias)
            return values

        return logits

    def partly_quantized(self, x: Tensor, position: int, index: int) -> Tensor:
        """Return the logits with one layer alone, and its rectified output, quantized."""
        x = self._in_units(x)
        for own_position, layer in enumerate(self.quantized_layers):
            if own_position == position:
                x = layer(x, index)
                continue
            x = nn.functional.linear(x, layer.weight, layer.bias)
            x = torch.relu(x) if layer.rectified else x
        return x

    def first_inputs(self, x: Tensor) -> Tensor:
        """Return what the first layer multiplies: quantized inputs, in units of their columns."""
        return self.to_first_inputs()(x)

    def to_first_inputs(self) -> Callable[[Tensor], Tensor]:
        """Return :meth:`first_inputs` as it is now, for many calls without a new calibration."""
        quantizer = self.input_quantizer()
        if quantizer is None or self.input_units is None:
            return quantizer or self._in_units
        return replace(quantizer, scales=quantizer.scales / self.input_units)

    def _in_units(self, x: Tensor) -> Tensor:
        return x if self.input_units is None else x / self.input_units

    @torch.no_grad()
    def add_logit_bias(self, position: int, bias: float) -> None:
        """Add a constant to the logit of one class."""
        self.quantized_layers[-1].bias[position] += bias

    @torch.no_grad()
    def load_from(self, network: FullPrecisionMLP) -> None:
        """Copy weights and biases of a full-precision network, and reset the weight steps.

        Parameters
        ----------
        network : FullPrecisionMLP
            Network with layers of the same shapes, which reads columns in ``input_units``.
        """
        sources = cast("list[nn.Linear]", network.layers)
        shapes = [tuple(layer.weight.shape) for layer in self.quantized_layers]
        given = [tuple(layer.weight.shape) for layer in sources]
        if shapes != given:
            raise ValueError(
                f"network has layers of shapes {given}, this one {shapes}; build both with the "
                "same n_inputs, hidden_layer_sizes and n_classes."
            )
        for layer, source in zip(self.quantized_layers, sources, strict=True):
            layer.weight.copy_(source.weight)
            layer.bias.copy_(source.bias)
            layer.reset_steps()

    @torch.no_grad()
    def _set_activations(
        self,
        x: Tensor,
        sample_weight: Tensor | None,
        rule: str | None,
        indices: Sequence[list[int] | None],
    ) -> None:
        values, hidden = self._in_units(x), self.quantized_layers[:-1]
        for position, (layer, chosen) in enumerate(zip(hidden, indices, strict=False)):
            values = nn.functional.linear(values, layer.weight, layer.bias)
            layer.reset_clips(values, sample_weight, rule, chosen)
            if (layer.start if rule is None else rule) == "mse":
                self._refine_clips(position, values, sample_weight, chosen)
            values = torch.relu(values)

    def _refine_clips(
        self,
        position: int,
        values: Tensor,
        sample_weight: Tensor | None,
        indices: list[int] | None,
    ) -> None:
        """Choose clips by what the logits lose.

        The squared error of an activation with a heavy tail is that of its tail, where no
        decision is at stake, and leaves a few codes to all others.
        """
        layer, after = self.quantized_layers[position], self.quantized_layers[position + 1 :]
        if layer.log_clips is None:
            return

        def logits(values: Tensor) -> Tensor:
            for one in after:
                values = nn.functional.linear(values, one.weight, one.bias)
                values = torch.relu(values) if one.rectified else values
            return values

        wanted = logits(torch.relu(values))
        for index in range(len(layer.log_clips)) if indices is None else indices:
            largest, bits = layer.clip_at(index)
            clips = largest * torch.tensor(_CLIP_SHARES, dtype=values.dtype)
            tried = (logits(quantize_activation(values, clip, bits)) for clip in clips)
            losses = [boundary_loss(found, wanted, sample_weight) for found in tried]
            layer.log_clips[index] = clips[int(torch.stack(losses).argmin())].log()
