"""The last step of a training that follows a teacher: integer weights by what the logits lose."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm.auto import tqdm

from skcfq.encoding import FeatureSpace
from skcfq.estimators._batches import calibration_rows
from skcfq.estimators._module import block_columns
from skcfq.estimators._supervision import Supervision
from skcfq.exceptions import InterruptedWarning
from skcfq.models import Predictor
from skcfq.nn import LossWeights, QuantizedMLP
from skcfq.nn._losses import near_boundary
from skcfq.nn._mixtures import N_MIXTURES, mixtures
from skcfq.nn._reconstruction import Places, reconstruct_logits

# Mixtures are drawn in batches, as in the training; as many as there are rows of other kinds.
_MIXTURE_BATCHES = 8
# What is promised is promised at recourse points.
_COUNTS = {"distillation": 1.0, "margins": 4.0, "path": 1.0, "mixture": 1.0}


def round_to_teacher(network: QuantizedMLP, places: Places, *, verbose: bool = False) -> None:
    """Choose codes, steps and biases of a trained network again.

    Parameters
    ----------
    network : QuantizedMLP
        float64, on the CPU; changed in place.
    places : Places
    verbose : bool, default=False
        Whether to show a progress bar.
    """
    with tqdm(desc="rounding", unit="pass", disable=not verbose) as bar:
        try:
            for loss in reconstruct_logits(network, places):
                bar.set_postfix(loss=f"{loss:.4f}")
                bar.update()
        except KeyboardInterrupt:
            warnings.warn(
                "Interrupted while integer weights were chosen: the network is that of the last "
                "finished pass, and can be used.",
                InterruptedWarning,
                stacklevel=4,
            )


@torch.no_grad()
def places_of(
    rows: Tensor,
    weights: Tensor,
    supervision: Supervision | None,
    *,
    loss: LossWeights,
    teacher: Predictor,
    space: FeatureSpace,
    generator: torch.Generator,
) -> Places:
    """Return where the objective compares with the teacher: x, x + δ, half way and mixtures.

    Parameters
    ----------
    rows : Tensor of shape (n, n_encoded)
        Of the training.
    weights : Tensor of shape (n,)
    supervision : Supervision or None
    loss : LossWeights
        Kinds of places that its terms look at.
    teacher : Predictor
    space : FeatureSpace
    generator : torch.Generator
    """
    chosen = calibration_rows(len(rows), generator)
    kinds = {"distillation": (rows[chosen].double(), weights[chosen].double())}
    if supervision is not None:
        people = supervision.promised.nonzero().squeeze(1)
        people = people[calibration_rows(len(people), generator)]
        own, points = rows[people].double(), supervision.points[people].double()
        counts = weights[people].double()
        kinds["margins"] = points, counts
        # One place for all: a row of weight 2 is the same as two rows.
        kinds["path"] = (own + points) / 2, counts
    kinds = {name: kind for name, kind in kinds.items() if len(kind[0])}
    if loss.mixture > 0:
        sources = [kinds[name] for name in ("distillation", "margins") if name in kinds]
        kinds["mixture"] = _mixtures(sources, block_columns(space).double(), generator)
    kept = [(_COUNTS[name], *kind) for name, kind in kinds.items() if getattr(loss, name) > 0]
    places = torch.cat([places for _, places, _ in kept])
    wanted = teacher.logits(places)
    counted = torch.cat([count * weights / weights.sum() for count, _, weights in kept])
    return Places(places, wanted, near_boundary(wanted, counted), loss.transition)


def _mixtures(
    sources: list[tuple[Tensor, Tensor]], blocks: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    def uniform(shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=generator, dtype=torch.float64)

    places, weights = (torch.cat(parts) for parts in zip(*sources, strict=True))
    mixed = [mixtures(places, weights, blocks, uniform) for _ in range(_MIXTURE_BATCHES)]
    return torch.cat(mixed), torch.ones(_MIXTURE_BATCHES * N_MIXTURES, dtype=torch.float64)
