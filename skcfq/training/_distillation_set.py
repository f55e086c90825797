"""Where a student is compared with its teacher once the training is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from skcfq.encoding import FeatureSpace
from skcfq.models import Predictor
from skcfq.nn import LossWeights, Samples, feature_mixup, near_boundary
from skcfq.training._batches import calibration_rows
from skcfq.training._module import block_columns
from skcfq.training._plan import TrainingPlan
from skcfq.training._supervision import Supervision

# What a sample of each kind counts: what is promised is promised at recourse points.
_COUNTS = {"distillation": 1.0, "margins": 2.0, "path": 1.0, "mixup": 1.0}
# A kind weighs as many samples as it has, up to so many, however many of them are drawn.
_COUNTED = 16384
# Of few people, more feature mixup says nothing new.
_MIXUP_OF_A_ROW = 8


class _Kind(NamedTuple):
    """Samples of one kind, their weights, and how many of them the kind weighs."""

    samples: Tensor
    weights: Tensor
    counted: int

    @property
    def shares(self) -> Tensor:
        """What every sample counts, so that samples of all kinds count alike.

        Were all kinds alike instead, the network would be fitted to the few recourse points of a
        small table.
        """
        return self.counted * self.weights / self.weights.sum()


@dataclass(frozen=True, eq=False)
class DistillationSet:
    """Rows of a training, recourse points, samples half way to them, and feature mixup.

    Attributes
    ----------
    rows : Tensor of shape (n, n_encoded)
    weights : Tensor of shape (n,)
    supervision : Supervision or None
    loss : LossWeights
        Kinds of samples that its terms look at.
    teacher : Predictor
    space : FeatureSpace
    generator : torch.Generator
    """

    rows: Tensor
    weights: Tensor
    supervision: Supervision | None
    loss: LossWeights
    teacher: Predictor
    space: FeatureSpace
    generator: torch.Generator

    @classmethod
    def of(cls, plan: TrainingPlan, generator: torch.Generator) -> DistillationSet:
        """Return the set of a training.

        Parameters
        ----------
        plan : TrainingPlan
        generator : torch.Generator
        """
        own = plan.rows
        return cls(
            own.rows, own.weights, plan.supervision, plan.loss, plan.teacher, plan.space, generator
        )

    @torch.no_grad()
    def draw(self, most: int) -> Samples | None:
        """Return samples with the logits that the teacher has there.

        Parameters
        ----------
        most : int
            Samples of each kind, at most.

        Returns
        -------
        samples : Samples or None
            None where no term finds any, because nobody is refused, say.
        """
        chosen = self._some(torch.arange(len(self.rows)), most)
        kinds = {"distillation": _Kind(*self._distinct(chosen, self.rows), self.n_rows)}
        if self.supervision is not None:
            people = self._some(self._people, most)
            pairs, weights = self._distinct(
                people, self.rows, self.supervision.points, weights=self._weights_of(people)
            )
            own, points = pairs.chunk(2, dim=1)
            kinds["margins"] = _Kind(points, weights, self._n_people)
            # The same point for all: a row of weight 2 is the same as two rows.
            kinds["path"] = kinds["margins"]._replace(samples=(own + points) / 2)
        kinds = {name: kind for name, kind in kinds.items() if kind.weights.sum() > 0}
        if self.loss.mixup > 0:
            sources = [kinds[name] for name in ("distillation", "margins") if name in kinds]
            kinds["mixup"] = self._mixed(sources, most)
        asked = [(_COUNTS[name], kinds[name]) for name in kinds if getattr(self.loss, name) > 0]
        if not asked:
            return None
        samples = torch.cat([kind.samples for _, kind in asked])
        wanted = self.teacher.logits(samples)
        counted = torch.cat([count * kind.shares for count, kind in asked])
        return Samples(samples, wanted, near_boundary(wanted, counted), self.loss.transition)

    def _some(self, rows: Tensor, most: int) -> Tensor:
        return rows[calibration_rows(len(rows), self.generator, most)]

    @property
    def _people(self) -> Tensor:
        """Rows whose recourse points are trained on."""
        assert self.supervision is not None
        return self.supervision.promised.nonzero().squeeze(1)

    @cached_property
    def n_rows(self) -> int:
        """Number of different rows."""
        return self._n_distinct(torch.arange(len(self.rows)))

    @cached_property
    def _n_people(self) -> int:
        return self._n_distinct(self._people)

    def _n_distinct(self, rows: Tensor) -> int:
        _, weights = self._distinct(self._some(rows, _COUNTED), self.rows)
        return int((weights > 0).sum())

    def _weights_of(self, people: Tensor) -> Tensor:
        """Return what people with recourse points count, in the shares of their groups."""
        assert self.supervision is not None
        weights, groups = self.weights[people], self.supervision.groups
        return weights if groups is None else groups.balance(people, weights)

    def _distinct(
        self, rows: Tensor, *tables: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return rows of tables side by side, each once and in a fixed order, and their weights.

        So a row of weight 2 is the same as two rows, wherever they stand.
        """
        given = torch.cat([table[rows].double() for table in tables], dim=1)
        distinct, of_given = given.unique(dim=0, return_inverse=True)
        own = (self.weights[rows] if weights is None else weights).double()
        return distinct, own.new_zeros(len(distinct)).index_add_(0, of_given, own)

    def _mixed(self, sources: list[_Kind], most: int) -> _Kind:
        def uniform(shape: Sequence[int]) -> Tensor:
            return torch.rand(tuple(shape), generator=self.generator, dtype=torch.float64)

        available = _MIXUP_OF_A_ROW * self.n_rows
        samples = torch.cat([kind.samples for kind in sources])
        weights = torch.cat([kind.weights for kind in sources])
        blocks = block_columns(self.space).double()
        mixed = feature_mixup(samples, weights, blocks, uniform, min(most, available))
        return _Kind(mixed, mixed.new_ones(len(mixed)), min(_COUNTED, available))
