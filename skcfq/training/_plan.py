"""What the training of one student needs, beside the parameters of its estimator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from skcfq.encoding import FeatureSpace
from skcfq.models import Predictor
from skcfq.nn import LossWeights, TrainingRows
from skcfq.training._batches import calibration_rows, visits_again
from skcfq.training._bit_policy import BitSample
from skcfq.training._supervision import Supervision, known_logits
from skcfq.training._task_groups import BoundedGroups, TaskGroups, WorstGroup


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """Rows, teacher, loss and supervision of one training.

    Attributes
    ----------
    rows : TrainingRows
        What is trained on, on the CPU.
    teacher : Predictor
    space : FeatureSpace
        Of teacher and student.
    loss : LossWeights
    supervision : Supervision or None
        The teacher's recourse; None where no term asks for it.
    worst_group : bool
        Whether the terms at recourse points are those of the worst group.
    task_groups : TaskGroups or None
        How the terms at x weigh the groups of ``rows``; None: every row alike.
    dither : bool
        Whether thresholds between coarse codes move in the training.
    fitted_steps : bool
        Whether weight steps follow the weights by least squared error, instead of being learned.
    held_out : tuple of (TrainingRows, Supervision or None), or None
        The validation share, and the teacher's recourse there.
    """

    rows: TrainingRows
    teacher: Predictor
    space: FeatureSpace
    loss: LossWeights = field(default_factory=LossWeights)
    supervision: Supervision | None = None
    worst_group: bool = False
    task_groups: TaskGroups | None = None
    dither: bool = False
    fitted_steps: bool = False
    held_out: tuple[TrainingRows, Supervision | None] | None = None

    def without_calibration_people(self) -> TrainingPlan:
        """Return the plan in which those whom the bias is read off weigh nothing.

        They must be as unknown to the network as anybody else.
        """
        if self.supervision is None or self.supervision.held is None:
            return self
        weights = torch.where(self.supervision.held, 0.0, self.rows.weights)
        return replace(self, rows=replace(self.rows, weights=weights))

    def bit_sample(self, generator: torch.Generator) -> BitSample:
        """Draw the rows, and the recourse points, that quantizers and policies are set on.

        Parameters
        ----------
        generator : torch.Generator
        """
        own, told = self.rows, self.supervision
        chosen = calibration_rows(len(own), generator)
        rows, labels, weights = (one[chosen] for one in (own.rows, own.labels, own.weights))
        if told is None:
            return BitSample(rows, labels, weights, rows[:0], labels[:0], weights[:0])
        promised = told.promised.nonzero().squeeze(1)
        promised = promised[calibration_rows(len(promised), generator)]
        points, targets = told.points[promised], told.targets[promised]
        return BitSample(rows, labels, weights, points, targets, own.weights[promised])

    def calibration_sample(self, sample: BitSample) -> tuple[Tensor, Tensor]:
        """Return the rows that steps and clips are set on, and their weights.

        Parameters
        ----------
        sample : BitSample
            Of this plan. Its recourse points count where the loss follows the teacher's logits.
        """
        if not self.loss.of_teacher:
            return sample.rows, sample.weights
        rows = torch.cat([sample.rows, sample.points])
        return rows, torch.cat([sample.weights, sample.point_weights])

    @property
    def span(self) -> tuple[Tensor, Tensor]:
        """The least and the largest value of every column, at rows and at recourse points."""
        counted = self.rows.weights > 0
        known = self.rows.rows[counted]
        if self.supervision is not None:
            known = torch.cat([known, self.supervision.points[self.supervision.promised & counted]])
        return known.amin(0), known.amax(0)

    def taught_rows(self) -> TrainingRows:
        """Return the rows with what the loss reads of their recourse."""
        if self.supervision is None:
            return self.rows
        known = None
        if self.loss.of_teacher:
            known = known_logits(self.teacher, self.rows.rows, self.supervision.points)
        return self.supervision.added_to(self.rows, known)

    def group_updates(self, device: torch.device) -> WorstGroup | BoundedGroups | None:
        """Return what moves the weights of groups after every pass; None where they are fixed.

        Parameters
        ----------
        device : torch.device
        """
        groups = self.task_groups
        if groups is None or groups.weights is not None:
            return None
        if groups.bound is None:
            return WorstGroup(groups, self.rows)
        assert self.held_out is not None
        return BoundedGroups(groups, self.rows, self.held_out[0].to(device), self.teacher)

    @cached_property
    def rows_again(self) -> Tensor | None:
        """Rows that every pass visits once more, for each time they are listed."""
        told = self.supervision
        if told is None or not self.loss.of_teacher:
            return None
        looks_at_points = self.loss.at_points or told.matching is not None
        return visits_again(told.acted) if looks_at_points else None

    @property
    def n_visits(self) -> int:
        """Visits of rows in one pass."""
        return len(self.rows) + (0 if self.rows_again is None else len(self.rows_again))
