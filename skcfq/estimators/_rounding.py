"""The last step of a training that follows a teacher: integer weights by what the logits lose."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

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
from skcfq.nn._places import Places
from skcfq.nn._reconstruction import reconstruct_logits
from skcfq.nn._straight_through import Tuning

# Places of each kind that codes are fitted to; for a wide network as many as so many products
# allow. One that gets few takes four times as many products: too few would be learned by heart.
_MOST_PLACES, _FEW_PLACES, _LEAST_PLACES, _PRODUCTS, _FOR_FEW = 16384, 4096, 256, 1.5e10, 6e10
# Updates cost the same on many places as on few.
_TUNED_PLACES, _JUDGED_PLACES = 32768, 8192
# Of few people, more mixtures say nothing new.
_MIXTURES_OF_A_ROW = 32
# Updates of a round, as a share of those of the training and at most, and passes over the places.
_TUNING, _UPDATES, _PASSES, _BATCH_SIZE = 1.25, 750, 60, 512
# What a place of each kind counts: what is promised is promised at recourse points.
_COUNTS = {"distillation": 1.0, "margins": 2.0, "path": 1.0, "mixture": 1.0}


class _Kind(NamedTuple):
    """Places of one kind, their weights, and how many there are but for repetitions."""

    places: Tensor
    weights: Tensor
    n_distinct: int

    @property
    def shares(self) -> Tensor:
        """What every place counts, so that places of all kinds count alike.

        Were all kinds alike instead, the few recourse points of a small table would be learned by
        heart.
        """
        return self.n_distinct * self.weights / self.weights.sum()


def round_to_teacher(
    network: QuantizedMLP,
    draw: Callable[[int], Places | None],
    n_updates: int,
    generator: torch.Generator,
    *,
    dither: bool = False,
    whole: bool = False,
    verbose: bool = False,
) -> None:
    """Choose codes, steps and biases of a trained network again.

    Parameters
    ----------
    network : QuantizedMLP
        float64, on the CPU; changed in place.
    draw : callable
        :func:`places_of` of the training.
    n_updates : int
        Of the training.
    generator : torch.Generator
        Of the order of the places, and of the dither.
    dither : bool, default=False
        Whether thresholds between coarse codes of activations move in the rounds.
    whole : bool, default=False
        Whether one batch of the training was the whole table, so that a weight of 2 was the same
        as two rows; then it stays so.
    verbose : bool, default=False
        Whether to show a progress bar.
    """
    places, tuned = draw(_places_for(network)), draw(_TUNED_PLACES)
    if places is None or tuned is None:
        return
    judge = draw(_JUDGED_PLACES)
    tuning = _tuning(tuned, n_updates, generator, dither=dither, whole=whole)
    with tqdm(desc="rounding", unit="pass", disable=not verbose) as bar:
        try:
            for loss in reconstruct_logits(network, places, tuning, judge):
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
    most: int,
    rows: Tensor,
    weights: Tensor,
    supervision: Supervision | None,
    *,
    loss: LossWeights,
    teacher: Predictor,
    space: FeatureSpace,
    generator: torch.Generator,
) -> Places | None:
    """Return where the objective compares with the teacher: x, x + δ, half way and mixtures.

    Parameters
    ----------
    most : int
        Places of each kind, at most.
    rows : Tensor of shape (n, n_encoded)
        Of the training.
    weights : Tensor of shape (n,)
    supervision : Supervision or None
    loss : LossWeights
        Kinds of places that its terms look at.
    teacher : Predictor
    space : FeatureSpace
    generator : torch.Generator

    Returns
    -------
    places : Places or None
        None where no term finds any, because nobody is refused, say.
    """
    chosen = calibration_rows(len(rows), generator, most)
    own, counts = rows[chosen].double(), weights[chosen].double()
    n_rows = _n_distinct(own, counts)
    kinds = {"distillation": _Kind(own, counts, n_rows)}
    if supervision is not None:
        people = supervision.promised.nonzero().squeeze(1)
        people = people[calibration_rows(len(people), generator, most)]
        own, points = rows[people].double(), supervision.points[people].double()
        counts = weights[people].double()
        kinds["margins"] = _Kind(points, counts, _n_distinct(own, counts))
        # One place for all: a row of weight 2 is the same as two rows.
        kinds["path"] = kinds["margins"]._replace(places=(own + points) / 2)
    kinds = {name: kind for name, kind in kinds.items() if kind.weights.sum() > 0}
    if loss.mixture > 0:
        sources = [kinds[name] for name in ("distillation", "margins") if name in kinds]
        blocks = block_columns(space).double()
        count = min(most, _MIXTURES_OF_A_ROW * n_rows)
        kinds["mixture"] = _mixtures(sources, blocks, math.ceil(count / N_MIXTURES), generator)
    kept = [(_COUNTS[name], kind) for name, kind in kinds.items() if getattr(loss, name) > 0]
    if not kept:
        return None
    places = torch.cat([kind.places for _, kind in kept])
    wanted = teacher.logits(places)
    counted = torch.cat([count * kind.shares for count, kind in kept])
    return Places(places, wanted, near_boundary(wanted, counted), loss.transition)


def _tuning(
    places: Places, n_updates: int, generator: torch.Generator, *, dither: bool, whole: bool
) -> Tuning:
    """Return the tuning of a round after so many updates of the training."""
    batch_size = len(places.rows) if whole else _BATCH_SIZE
    passes = _PASSES * math.ceil(len(places.rows) / batch_size)
    most = min(math.ceil(_TUNING * n_updates), _UPDATES, passes)
    # In single precision, the same rows in another order are another sum.
    dtype = torch.float64 if whole else torch.float32
    return Tuning(places, most, batch_size, generator, dither, dtype=dtype)


def _n_distinct(rows: Tensor, weights: Tensor) -> int:
    """Count rows; one that stands there twice is the same as one of weight 2."""
    return len(rows[weights > 0].unique(dim=0))


def _places_for(network: QuantizedMLP) -> int:
    """Return how many places of a kind a network's rounding can afford."""
    sizes = [layer.weight.shape for layer in network.linear_layers]
    products = sum(n_in * n_out**2 for n_out, n_in in sizes) * sizes[-1][0]
    affordable = max(_PRODUCTS / products, min(_FEW_PLACES, _FOR_FEW / products))
    return int(min(max(affordable, _LEAST_PLACES), _MOST_PLACES))


def _mixtures(
    sources: list[_Kind], blocks: Tensor, n_batches: int, generator: torch.Generator
) -> _Kind:
    def uniform(shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=generator, dtype=torch.float64)

    places = torch.cat([kind.places for kind in sources])
    weights = torch.cat([kind.weights for kind in sources])
    mixed = [mixtures(places, weights, blocks, uniform) for _ in range(n_batches)]
    n = n_batches * N_MIXTURES
    return _Kind(torch.cat(mixed), torch.ones(n, dtype=torch.float64), n)
