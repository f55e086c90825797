"""The last step of a training that follows a teacher: integer weights by what the logits lose."""

from __future__ import annotations

import math

import torch

from skcfq.nn import QuantizedMLP, Samples, Tuning, reconstruct_logits
from skcfq.training._distillation_set import DistillationSet
from skcfq.training._plan import TrainingPlan
from skcfq.utils import Progress

# Samples of each kind that codes are fitted to; for a wide network as many as so many products
# allow. One that gets few takes four times as many products: it would be fitted to too few.
_MOST_SAMPLES, _FEW_SAMPLES, _LEAST_SAMPLES, _PRODUCTS, _FOR_FEW = 16384, 4096, 256, 1.5e10, 6e10
# Updates cost the same on many samples as on few, but many take memory, in a wide table the more.
_TUNED_SAMPLES, _TUNED_NUMBERS, _VALIDATION_SAMPLES = 32768, 2**22, 8192
# Updates of a round, as a share of those of the training and at most, and passes over the samples.
_TUNING, _UPDATES, _PASSES, _BATCH_SIZE = 1.25, 750, 60, 512
# Rounds of a table with at least so many rows, and of smaller ones: a first model of few rows is to
# take a few seconds, and what it does to others depends on these rows more than on the rounds.
_MANY_ROWS, _ROUNDS, _ROUNDS_OF_FEW = 2000, 3, 1
# The share where every update sees all samples: fewer are enough, and each lets the order in which
# they are summed show a little more.
_TUNING_WHOLE = 0.3


def round_to_teacher(
    network: QuantizedMLP,
    plan: TrainingPlan,
    n_passes: int,
    batch_size: int,
    generator: torch.Generator,
    *,
    n_rounds: int | bool = True,
    verbose: bool = False,
) -> None:
    """Choose codes, steps and biases of a trained network again.

    Parameters
    ----------
    network : QuantizedMLP
        float64, on the CPU; changed in place.
    plan : TrainingPlan
        Of the training.
    n_passes, batch_size : int
        Of the training.
    generator : torch.Generator
    n_rounds : int or True, default=True
        How often the network is tuned and its codes are chosen again; True is as often as suits
        the number of different rows.
    verbose : bool, default=False
        Whether to show a progress bar.

    Raises
    ------
    KeyboardInterrupt
        The network is that of the last finished pass over its codes.
    """
    source = DistillationSet.of(plan, generator)
    n_batches = math.ceil(plan.n_visits / batch_size)
    with Progress("rounding", "pass", shown=verbose) as progress:
        samples, tuned = source.draw(_samples_for(network)), source.draw(_tuned_for(network))
        if samples is None or tuned is None:
            return
        if n_rounds is True:
            n_rounds = _ROUNDS if source.n_rows >= _MANY_ROWS else _ROUNDS_OF_FEW
        tuning = _tuning(
            tuned,
            n_passes * n_batches,
            generator,
            n_rounds,
            dither=plan.dither,
            # One batch was the whole table: a weight of 2 was the same as two rows, and stays so.
            whole=n_batches == 1,
        )
        # Feature mixup draws samples anew; without it these would be the fitted ones again.
        mixup = source.loss.mixup > 0
        validation = source.draw(_VALIDATION_SAMPLES) if mixup else None
        for loss in reconstruct_logits(network, samples, tuning, validation):
            progress.update(figures=f"loss={loss:.4f}")


def _tuning(
    samples: Samples,
    n_updates: int,
    generator: torch.Generator,
    n_rounds: int,
    *,
    dither: bool,
    whole: bool,
) -> Tuning:
    """Return the tuning of a round after so many updates of the training."""
    batch_size = len(samples.rows) if whole else _BATCH_SIZE
    wanted = math.ceil((_TUNING_WHOLE if whole else _TUNING) * n_updates)
    passes = _PASSES * math.ceil(len(samples.rows) / batch_size)
    most = min(wanted, _UPDATES, passes)
    # In single precision, the same rows in another order are another sum.
    dtype = torch.float64 if whole else torch.float32
    return Tuning(samples, most, batch_size, generator, dither, n_rounds=n_rounds, dtype=dtype)


def _samples_for(network: QuantizedMLP) -> int:
    """Return how many samples of a kind a network's rounding can afford."""
    sizes = [layer.weight.shape for layer in network.quantized_layers]
    products = sum(n_in * n_out**2 for n_out, n_in in sizes) * sizes[-1][0]
    affordable = max(_PRODUCTS / products, min(_FEW_SAMPLES, _FOR_FEW / products))
    return int(min(max(affordable, _LEAST_SAMPLES), _MOST_SAMPLES))


def _tuned_for(network: QuantizedMLP) -> int:
    """Return on how many samples of a kind a network is tuned."""
    in_memory = _TUNED_NUMBERS // network.quantized_layers[0].in_features
    return min(max(in_memory, _VALIDATION_SAMPLES), _TUNED_SAMPLES)
