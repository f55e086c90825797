"""Straight-through training on places: many codes move at once, which no single one would."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skcfq.nn._losses import logit_distance
from skcfq.nn._places import Places
from skcfq.nn._quantized_mlp import QuantizedMLP


@dataclass(frozen=True, eq=False)
class Tuning:
    """How long, how fast and in which order a network is trained.

    Attributes
    ----------
    n_updates : int
    batch_size : int
    generator : torch.Generator
        Of the order of the places.
    learning_rate : float
        It falls to 0 along a cosine.
    dtype : torch.dtype
        Precision of the computation. Single is four times as quick as double, and its errors are
        far below those of a code.
    """

    n_updates: int
    batch_size: int
    generator: torch.Generator
    learning_rate: float = 1e-3
    dtype: torch.dtype = torch.float32


def tune(network: QuantizedMLP, places: Places, tuning: Tuning) -> None:
    """Lower the distance to the wanted logits by Adam, at fixed widths.

    Parameters
    ----------
    network : QuantizedMLP
        float64; changed in place.
    places : Places
    tuning : Tuning
    """
    wanted = places.wanted.to(tuning.dtype)
    weights = (places.weights / places.weights.mean()).to(tuning.dtype)
    trained = [parameter.requires_grad for parameter in network.parameters()]
    with torch.no_grad():
        inputs = network.first_inputs(places.rows).to(tuning.dtype)
    network.to(tuning.dtype).requires_grad_(True)
    groups = network.parameter_groups()
    adam = torch.optim.Adam(groups, lr=tuning.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, tuning.n_updates)
    with torch.enable_grad():
        for batch in _batches(len(inputs), tuning):
            distance = logit_distance(
                network.from_first_inputs(inputs[batch]), wanted[batch], places.transition
            )
            loss = (distance * weights[batch]).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
    network.double()
    for parameter, was_trained in zip(network.parameters(), trained, strict=True):
        parameter.grad = None
        parameter.requires_grad_(was_trained)


def _batches(n: int, tuning: Tuning) -> list[Tensor]:
    """Return the places of every update."""
    batches: list[Tensor] = []
    while len(batches) < tuning.n_updates:
        batches += torch.randperm(n, generator=tuning.generator).split(tuning.batch_size)
    return batches[: tuning.n_updates]
