"""The network, its objective and its supervision as one module, on the device of the training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from skcfq.encoding import FeatureSpace
from skcfq.nn import FaithfulModule, GroupWeights, LossWeights, QuantizedMLP, QuantizedNetwork
from skcfq.quantization import GumbelBits
from skcfq.training._plan import TrainingPlan
from skcfq.training._validation import Validation

# Positions and targets of people to what stands for their recourse points, and validity.
Online = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def faithful_module(
    plan: TrainingPlan,
    network: QuantizedNetwork,
    generator: torch.Generator,
    *,
    device: torch.device,
    policy: GumbelBits | None = None,
    bit_penalty: float = 0.0,
    quantized_samples: bool = False,
) -> FaithfulModule:
    """Return a module whose loss is that of a plan.

    Parameters
    ----------
    plan : TrainingPlan
        Its teacher, as everything that knows rules, is on the CPU: what is asked of it travels.
    network : QuantizedNetwork
        On ``device``.
    generator : torch.Generator
        On ``device``.
    device : torch.device
    policy : GumbelBits, optional
        Learns the widths; None keeps them.
    bit_penalty : float, default=0.0
    quantized_samples : bool, default=False
        Whether batches hold first inputs of the network.
    """
    online = group_weights = matching = None
    if plan.supervision is not None:
        matching, groups = plan.supervision.matching, plan.supervision.groups
        if plan.supervision.online is not None:
            online = _travelling(plan.supervision.online, device)
            if quantized_samples:
                online = giving_first_inputs(online, cast(QuantizedMLP, network))
        if groups is not None and groups.weights is not None:
            group_weights = groups.weights.to(device)
    dtype = next(network.parameters()).dtype
    logits = plan.teacher.logits_in(dtype) if plan.loss.of_teacher else None
    row_groups = None
    if plan.task_groups is not None:
        row_groups = GroupWeights(plan.task_groups.factors(plan.rows).to(device, dtype))
    return FaithfulModule(
        network,
        policy,
        loss=plan.loss,
        bit_penalty=bit_penalty,
        generator=generator,
        teacher=None if logits is None else _travelling(logits, device),
        matching=matching,
        online=online,
        blocks=block_columns(plan.space),
        quantized_samples=quantized_samples,
        dither=plan.dither,
        worst_group=plan.worst_group,
        group_weights=group_weights,
        row_groups=row_groups,
    ).to(device, dtype)


def validation_of(
    plan: TrainingPlan, network: QuantizedNetwork, device: torch.device
) -> Validation | None:
    """Return what judges every pass: the same loss, on held-out rows; None where there are none.

    Parameters
    ----------
    plan : TrainingPlan
    network : QuantizedNetwork
        On ``device``.
    device : torch.device
    """
    if plan.held_out is None:
        return None
    rows, supervision = plan.held_out
    people = None
    if supervision is not None:
        rows = supervision.added_to(rows)
        people = torch.where(supervision.promised, supervision.weights, 0.0).to(device)
    judged = replace(plan, supervision=supervision, dither=False)
    generator = torch.Generator(device).manual_seed(0)
    module = faithful_module(judged, network, generator, device=device)
    return Validation(module, rows.to(device), people)


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
