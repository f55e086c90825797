"""The rows that a network is trained on, and a batch of them with their recourse points below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.data import Dataset


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows x and, below them, the recourse points x + δ of those who have one.

    One below the other, because the network is asked about all of them in one pass, and a copy
    costs as much as a small layer.

    Attributes
    ----------
    n_rows : int
    samples : Tensor of shape (n_rows + k, d)
        x of every row, then x + δ of k of them, or room for it until :meth:`moved_by`.
    classes : Tensor of shape (n_rows + k,), int64
        The label of every row, then the targets of the k.
    weights : Tensor of shape (n_rows + k,)
    positions : Tensor of shape (k,), int64, or None
        Position of each of the k among all training rows; None where there is no recourse at all.
    acted : Tensor of shape (k,), int64, or None
        Which of the rows the k are; None for all of them, in their order.
    groups : Tensor of shape (k,), int64, or None
    known : Tensor of shape (n_rows or n_rows + k, n_classes), or None
        The teacher's logits at the samples that were known before the batch was made.
    row_groups : Tensor of shape (n_rows,), int64, or None
    """

    n_rows: int
    samples: Tensor
    classes: Tensor
    weights: Tensor
    positions: Tensor | None = None
    acted: Tensor | None = None
    groups: Tensor | None = None
    known: Tensor | None = None
    row_groups: Tensor | None = None

    def __len__(self) -> int:
        return self.n_rows

    @property
    def rows(self) -> Tensor:
        """The x of every row."""
        return self.samples[: self.n_rows]

    @property
    def points(self) -> Tensor:
        """The x + δ of those k rows that have it."""
        return self.samples[self.n_rows :]

    @property
    def moved_rows(self) -> Tensor:
        """The x of those k rows."""
        return self.rows if self.acted is None else self.rows.index_select(0, self.acted)

    @property
    def labels(self) -> Tensor:
        """Label of every row."""
        return self.classes[: self.n_rows]

    @property
    def targets(self) -> Tensor:
        """Target of the k rows that have a recourse point."""
        return self.classes[self.n_rows :]

    @property
    def row_weights(self) -> Tensor:
        """Weight of every row."""
        return self.weights[: self.n_rows]

    @property
    def point_weights(self) -> Tensor:
        """Weight of the k rows that have a recourse point."""
        return self.weights[self.n_rows :]

    def moved_by(self, online: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Batch:
        """Return the batch with the points that are computed now; who gets none is left out.

        The points are written below the rows of this batch, where there is room for them.

        Parameters
        ----------
        online : callable
            Positions and targets of the k to what stands for their points, and validity.
        """
        assert self.positions is not None
        points, valid = online(self.positions, self.targets)
        self.points.copy_(points)
        return self if valid.all() else self._with_points_of(valid.nonzero().squeeze(1))

    def _with_points_of(self, kept: Tensor) -> Batch:
        """Return the batch with some of its points."""
        index = torch.cat([torch.arange(self.n_rows, device=kept.device), self.n_rows + kept])
        assert self.positions is not None
        return replace(
            self,
            samples=self.samples.index_select(0, index),
            classes=self.classes.index_select(0, index),
            weights=self.weights.index_select(0, index),
            positions=self.positions.index_select(0, kept),
            acted=kept if self.acted is None else self.acted.index_select(0, kept),
            groups=None if self.groups is None else self.groups.index_select(0, kept),
        )


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """All rows of a training, and what is known of each.

    Attributes
    ----------
    rows : Tensor of shape (n, d)
    labels : Tensor of shape (n,), int64
    weights : Tensor of shape (n,)
    points : Tensor of shape (n, d), or None
        Teacher recourse points x + δ; read where ``acted``.
    targets : Tensor of shape (n,), int64, or None
    acted : Tensor of shape (n,), bool, or None
        Rows that have a teacher action.
    groups : Tensor of shape (n,), int64, or None
    known : Tensor of shape (n, 2, n_classes), or None
        The teacher's logits at the rows and at the points.
    """

    rows: Tensor
    labels: Tensor
    weights: Tensor
    points: Tensor | None = None
    targets: Tensor | None = None
    acted: Tensor | None = None
    groups: Tensor | None = None
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str) -> TrainingRows:
        """Return the same rows on a device."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {name: one.to(device) for name, one in given.items() if one is not None}
        return TrainingRows(**moved)

    def mapped(self, function: Callable[[Tensor], Tensor]) -> TrainingRows:
        """Return the same with another x and x + δ.

        Parameters
        ----------
        function : callable
            Samples of shape (m, d) to what stands for them.
        """
        points = None if self.points is None else function(self.points)
        return replace(self, rows=function(self.rows), points=points)


class SampleTable(Dataset):
    """Training rows as batches are looked up in: the points of all below the rows of all.

    Parameters
    ----------
    given : TrainingRows
    with_points : bool, default=True
        Whether batches have the recourse points; without, there is room for those that are
        computed later.

    Examples
    --------
    >>> rows = torch.tensor([[0.0], [1.0], [2.0]])
    >>> labels, weights = torch.tensor([0, 1, 0]), torch.ones(3)
    >>> acted = torch.tensor([True, False, True])
    >>> given = TrainingRows(rows, labels, weights, rows + 5, 1 - labels, acted)
    >>> batch = SampleTable(given).take(torch.tensor([1, 2]))
    >>> batch.samples.squeeze(1), batch.classes, batch.acted
    (tensor([1., 2., 7.]), tensor([1, 0, 1]), tensor([1]))
    """

    def __init__(self, given: TrainingRows, with_points: bool = True) -> None:
        self.n_rows = len(given)
        self.with_points = with_points and given.acted is not None
        self.acted, self.groups = given.acted, given.groups
        self._all_acted = given.acted is not None and bool(given.acted.all())
        self.samples = _stacked(given.rows, given.points if self.with_points else None)
        # Who gets a point later has a target and a weight already.
        self.classes = _stacked(given.labels, given.targets)
        self.weights = given.weights if given.acted is None else given.weights.repeat(2)
        self.known = None
        if given.known is not None:
            at_rows, at_points = given.known.unbind(1)
            self.known = _stacked(at_rows, at_points if self.with_points else None)

    def __len__(self) -> int:
        return self.n_rows

    def take(self, rows: Tensor) -> Batch:
        """Return a batch.

        Parameters
        ----------
        rows : Tensor of shape (m,), int64
            Positions of its rows.
        """
        index, moved, acted = rows, None, None
        if self.acted is not None:
            moved = rows
            if not self._all_acted:
                acted = self.acted.index_select(0, rows).nonzero().squeeze(1)
                moved = rows.index_select(0, acted)
            index = torch.cat([rows, moved + self.n_rows])
        seen = index if self.with_points else rows
        samples = self.samples.new_empty(len(index), self.samples.shape[1])
        torch.index_select(self.samples, 0, seen, out=samples[: len(seen)])
        return Batch(
            len(rows),
            samples,
            self.classes.index_select(0, index),
            self.weights.index_select(0, index),
            moved,
            acted,
            None if self.groups is None or moved is None else self.groups.index_select(0, moved),
            None if self.known is None else self.known.index_select(0, seen),
            None if self.groups is None else self.groups.index_select(0, rows),
        )

    @cached_property
    def whole(self) -> Batch:
        """All rows, as one batch."""
        return self.take(torch.arange(self.n_rows, device=self.samples.device))


def _stacked(of_rows: Tensor, of_points: Tensor | None) -> Tensor:
    return of_rows if of_points is None else torch.cat([of_rows, of_points])
