"""The network, its objective and its supervision as one module, on the device of the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor

from skcfq.encoding import FeatureSpace
from skcfq.models import Predictor
from skcfq.nn import FaithfulModule, LossWeights, QuantizedMLP, QuantizedNetwork
from skcfq.quantization import GumbelBits
from skcfq.training._supervision import Supervision

# Positions and targets of people to what stands for their recourse points, and validity.
Online = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def faithful_module(
    network: QuantizedNetwork,
    policy: GumbelBits | None,
    supervision: Supervision | None,
    generator: torch.Generator,
    *,
    loss: LossWeights,
    teacher: Predictor,
    space: FeatureSpace,
    worst_group: bool,
    bit_penalty: float,
    device: torch.device,
    quantized_samples: bool = False,
    dither: bool = False,
) -> FaithfulModule:
    """Return a module whose loss is that of the objective.

    Parameters
    ----------
    network : QuantizedNetwork
        On ``device``.
    policy : GumbelBits or None
        Learns the widths; None keeps them.
    supervision : Supervision or None
    generator : torch.Generator
        On ``device``.
    loss : LossWeights
    teacher : Predictor
        On the CPU, as everything that knows rules: what is asked of it travels.
    space : FeatureSpace
    worst_group : bool
    bit_penalty : float
    device : torch.device
    quantized_samples : bool, default=False
        Whether batches hold first inputs of the network.
    dither : bool, default=False
        Whether thresholds between coarse codes move in the training.
    """
    online = group_weights = matching = None
    if supervision is not None:
        matching = supervision.matching
        if supervision.online is not None:
            online = _travelling(supervision.online, device)
            if quantized_samples:
                online = giving_first_inputs(online, cast(QuantizedMLP, network))
        if supervision.groups is not None and supervision.groups.weights is not None:
            group_weights = supervision.groups.weights.to(device)
    dtype = next(network.parameters()).dtype
    return FaithfulModule(
        network,
        policy,
        loss=loss,
        bit_penalty=bit_penalty,
        generator=generator,
        teacher=_travelling(teacher.logits_in(dtype), device) if loss.of_teacher else None,
        matching=matching,
        online=online,
        blocks=block_columns(space),
        quantized_samples=quantized_samples,
        dither=dither,
        worst_group=worst_group,
        group_weights=group_weights,
    ).to(device, dtype)


def first_inputs_suffice(network: QuantizedNetwork, loss: LossWeights) -> bool:
    """Tell whether nobody but the network reads the samples, so that they are quantized only once.

    Parameters
    ----------
    network : QuantizedNetwork
    loss : LossWeights
    """
    return isinstance(network, QuantizedMLP) and not loss.of_teacher


def giving_first_inputs(online: Online, network: QuantizedMLP) -> Online:
    """Let what computes recourse points return the first inputs of a calibrated network for them.

    Parameters
    ----------
    online : callable
        Positions and targets of people to their recourse points, and validity.
    network : QuantizedMLP
    """
    dtype, to_first_inputs = network.input_factors.dtype, network.to_first_inputs()

    def quantized(positions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        points, valid = online(positions, targets)
        return to_first_inputs(points.to(dtype)), valid

    return quantized


def block_columns(space: FeatureSpace) -> Tensor:
    """Return which encoded columns belong to each raw feature, shape (n_features, n_encoded)."""
    filled = [block.columns for block in space.blocks if block.width]
    blocks = torch.zeros(len(filled), space.n_encoded)
    for row, columns in zip(blocks, filled, strict=True):
        row[torch.from_numpy(np.asarray(columns, dtype=np.int64))] = 1.0
    return blocks


def _travelling(function: Callable, device: torch.device) -> Callable:
    """Let a function on the CPU be asked from a device."""
    if device.type == "cpu":
        return function

    def asked(*tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        answer = function(*(tensor.cpu() for tensor in tensors))
        if isinstance(answer, tuple):
            return tuple(tensor.to(device) for tensor in answer)
        return answer.to(device)

    return asked
