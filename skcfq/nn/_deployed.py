"""The integer network as a differentiable torch module: the values of deployment, with gradients.

The values are those of :mod:`skcfq.deploy`, bit for bit. The gradients are the straight-through
estimates that the network was trained with, so that solvers can walk on what will be deployed.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skcfq.deploy import IntegerNetwork, LayerParts, integer_network
from skcfq.exceptions import UnsupportedModelError
from skcfq.nn._lanes import in_lanes, product
from skcfq.nn._quantized_mlp import QuantizedMLP
from skcfq.quantization import QuantizedLinear, step_position, unsigned_levels


class DeployedNetwork(nn.Module):
    """An integer network on tensors.

    Parameters
    ----------
    network : IntegerNetwork

    Examples
    --------
    >>> source = QuantizedMLP(3, (4,), 2)
    >>> network = integers_of(source)
    >>> Z = torch.zeros(1, 3, dtype=torch.float64)
    >>> bool((DeployedNetwork(network)(Z).numpy() == network.logits(Z.numpy())).all())
    True
    """

    def __init__(self, network: IntegerNetwork) -> None:
        super().__init__()
        self.network = network
        for position, layer in enumerate(network.layers):
            self.register_buffer(f"matrix_{position}", torch.from_numpy(layer.matrix))
            self.register_buffer(f"offset_{position}", torch.from_numpy(layer.offset))
            rescale = layer.rescale
            if isinstance(rescale, np.ndarray):
                self.register_buffer(f"rescale_{position}", torch.from_numpy(rescale))

    @property
    def n_inputs(self) -> int:
        """Number of encoded columns."""
        return self.network.n_inputs

    def extra_repr(self) -> str:
        """Return what the buffers do not hold: every scale."""
        network = self.network
        layers = [(_plain(layer.rescale), layer.levels) for layer in network.layers]
        inputs: list[Any] = [network.input_bits, network.input_steps.tolist()]
        inputs.append(network.input_shifts.tolist())
        if network.input_centers is not None:
            inputs.append(network.input_centers.tolist())
        return f"{tuple(inputs)}, {layers}, {network.logit_scale}"

    def forward(self, Z: Tensor) -> Tensor:
        """Map encoded rows (n, n_inputs), float64, to logits (n, n_classes)."""
        if Z.requires_grad and torch.is_grad_enabled():
            return _StraightThrough.apply(Z, self)
        return self.run(Z, None)

    def run(self, Z: Tensor, masks: list[Tensor] | None) -> Tensor:
        """Return the logits; with a list, append where gradients pass, inputs first."""
        network = self.network
        low, high = map(torch.from_numpy, network.input_range)
        codes = (Z / torch.from_numpy(network.input_steps)).round_()
        if masks is not None:
            masks.append((codes >= low) & (codes <= high))
        codes.clamp_(low, high).mul_(torch.from_numpy(network.input_factors))
        return self._after(torch.addmm(self.first_offset, codes, self.first_weights), masks)

    def input_codes(self, values: Tensor, columns: Tensor | None = None) -> Tensor:
        """Return the integer codes of encoded values, float64 like them.

        Parameters
        ----------
        values : Tensor of shape (..., k)
            Of all columns, or of the given ones.
        columns : Tensor of shape (k,), int64, optional
        """
        network = self.network
        parts = (network.input_steps, *network.input_range, network.input_factors)
        steps, low, high, factors = map(torch.from_numpy, parts)
        if columns is not None:
            steps, low, high, factors = (part[columns] for part in (steps, low, high, factors))
        return (values / steps).round_().clamp_(low, high).mul_(factors)

    @property
    def first_weights(self) -> Tensor:
        """The weight codes of the first layer, in the units of its sums, shape (n_inputs, H)."""
        # Not through the module: that takes as long as a small product.
        return cast(dict[str, Tensor], self._buffers)["matrix_0"]

    @property
    def first_offset(self) -> Tensor:
        """What is added to the products of the first layer, shape (H,)."""
        return cast(dict[str, Tensor], self._buffers)["offset_0"]

    @property
    def largest_first_sum(self) -> float:
        """A number that no sum of some products of the first layer exceeds, nor their negatives."""
        network = self.network
        low, high = network.input_range
        reach = np.maximum(np.abs(low), np.abs(high)) * network.input_factors
        layer = network.layers[0]
        return float((reach @ np.abs(layer.matrix) + np.abs(layer.offset)).max(initial=0.0))

    def logits_after_first(self, sums: Tensor) -> Tensor:
        """Return the logits where the first layer adds up to some sums, which are written over.

        Parameters
        ----------
        sums : Tensor of shape (n, H), float64
        """
        return self._after(sums, None)

    def _after(self, codes: Tensor, masks: list[Tensor] | None) -> Tensor:
        network, buffers = self.network, cast(dict[str, Tensor], self._buffers)
        for position, layer in enumerate(network.layers):
            if position:
                offset, matrix = buffers[f"offset_{position}"], buffers[f"matrix_{position}"]
                codes = torch.addmm(offset, codes, matrix)
            if layer.rescale is not None:
                codes.mul_(self.rescale(position))
            if not layer.levels:
                continue
            if masks is not None:
                masks.append((codes > 0) & (codes < layer.levels))
            codes.round_().clamp_(0, layer.levels)
        return codes.mul_(network.logit_scale)

    def rescale(self, position: int) -> Any:
        """Return what the totals of a layer are multiplied by: a number, or one a unit."""
        one = self.network.layers[position].rescale
        return self.get_buffer(f"rescale_{position}") if isinstance(one, np.ndarray) else one


class _StraightThrough(torch.autograd.Function):
    """Exact values, and the gradients of the clipped network without rounding."""

    @staticmethod
    def forward(ctx: Any, Z: Tensor, module: DeployedNetwork) -> Tensor:
        masks: list[Tensor] = []
        logits = module.run(Z, masks)
        ctx.module = module
        ctx.save_for_backward(*masks)
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        module, masks = ctx.module, ctx.saved_tensors
        network = module.network
        grad = grad * network.logit_scale
        for position in reversed(range(len(network.layers))):
            if network.layers[position].rescale is not None:
                grad *= module.rescale(position)
            grad = in_lanes(partial(product, weight=module.get_buffer(f"matrix_{position}")), grad)
            grad *= masks[position]
        units = network.input_steps / network.input_factors
        return grad / torch.from_numpy(units), None


def integers_of(network: QuantizedMLP) -> IntegerNetwork:
    """Return a trained network in the arithmetic of deployment.

    Parameters
    ----------
    network : QuantizedMLP
        Its fixed widths are taken.

    Returns
    -------
    IntegerNetwork

    Raises
    ------
    UnsupportedModelError
        The inputs are not quantized.
    """
    if network.log_input_step is None or network.input_bits is None:
        raise UnsupportedModelError(
            "A network with unquantized inputs has no integer form. Give input_bits=8."
        )
    layers = network.quantized_layers
    parts = [_parts(layer, layer is layers[-1]) for layer in layers]
    units = None if network.input_units is None else _exponents(network.input_units)
    exponents = _exponents(network.input_factors) - (0 if units is None else units)
    # Factors are powers of two; the smallest goes into the step, so that shifts are not negative.
    lowest = int(exponents.min(initial=0)) if len(exponents) else 0
    step = math.ldexp(network.log_input_step.detach().double().exp().item(), lowest)
    centers = network.input_centers.double().round().to(torch.int64).numpy()
    return integer_network(step, network.input_bits, parts, exponents - lowest, units, centers)


def _exponents(factors: Tensor) -> np.ndarray:
    return factors.double().log2().round().to(torch.int64).numpy()


def _parts(layer: QuantizedLinear, is_last: bool) -> LayerParts:
    choice = layer.choice
    steps = layer.log_steps[step_position(choice)].detach().double().exp().numpy()
    step = steps if layer.per_channel else steps.item()
    weight = layer.weight.detach().double().numpy()
    codes = np.rint(weight / steps[..., None])
    codes = codes.clip(*(np.asarray(ends)[..., None] for ends in layer.codes_at(choice)))
    clip, levels = None, 0
    if not is_last and layer.log_clips is not None:
        position, _ = layer.activation_choice(choice)
        levels = unsigned_levels(layer.activation_widths[position])
        clip = layer.log_clips.detach().double().exp()[position].item()
    bias = layer.bias.detach().double().numpy()
    bits = layer.widest if isinstance(choice, int) else layer.unit_bits.numpy().copy()
    return LayerParts(codes.astype(np.int64), bits, step, bias, clip, levels)


def _plain(rescale: float | np.ndarray | None) -> Any:
    return rescale.tolist() if isinstance(rescale, np.ndarray) else rescale
