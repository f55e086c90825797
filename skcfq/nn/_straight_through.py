"""Straight-through training on samples: many codes move at once, which no single one would."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from skcfq.nn._losses import logit_distance
from skcfq.nn._quantized_mlp import QuantizedMLP
from skcfq.nn._samples import Samples


@dataclass(frozen=True, eq=False)
class Tuning:
    """Where, how long and how fast a network is trained.

    Attributes
    ----------
    samples : Samples
    n_updates : int
    batch_size : int
    generator : torch.Generator
        Of the order of the samples, and of the dither.
    dither : bool
        Whether thresholds between coarse codes of activations move.
    learning_rate : float
        It falls to 0 along a cosine.
    n_rounds : int
        How often it follows a descent over codes, and is followed by another one.
    dtype : torch.dtype
        Precision of the computation. Single is four times as quick as double, and its errors are
        far below those of a code.
    """

    samples: Samples
    n_updates: int
    batch_size: int
    generator: torch.Generator
    dither: bool = False
    learning_rate: float = 5e-4
    n_rounds: int = 3
    dtype: torch.dtype = torch.float32


def tune(network: QuantizedMLP, tuning: Tuning) -> None:
    """Lower the distance to the wanted logits by Adam, at fixed widths.

    Parameters
    ----------
    network : QuantizedMLP
        float64; changed in place.
    tuning : Tuning
    """
    samples, dtype = tuning.samples, tuning.dtype
    wanted = samples.wanted.to(dtype)
    weights = (samples.weights / samples.weights.mean()).to(dtype)
    trained = [parameter.requires_grad for parameter in network.parameters()]
    with torch.no_grad():
        inputs = network.first_inputs(samples.rows).to(dtype)
    network.to(dtype).requires_grad_(True)
    adam = torch.optim.Adam(network.parameter_groups(), lr=tuning.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, tuning.n_updates)
    moving = partial(torch.rand, generator=tuning.generator, dtype=dtype)
    dither = moving if tuning.dither else None
    with torch.enable_grad():
        for batch in _batches(len(inputs), tuning):
            logits = network.from_first_inputs(inputs[batch], None, dither)
            distance = logit_distance(logits, wanted[batch], samples.transition)
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
    """Return the samples of every update."""
    if n <= tuning.batch_size:
        # Nothing is drawn: n is not that of a table whose rows of weight 2 stand there twice.
        return [torch.arange(n)] * tuning.n_updates
    batches: list[Tensor] = []
    while len(batches) < tuning.n_updates:
        batches += torch.randperm(n, generator=tuning.generator).split(tuning.batch_size)
    return batches[: tuning.n_updates]
