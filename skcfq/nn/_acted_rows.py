"""The people of a batch who have a recourse point of the teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class ActedRows:
    """What the terms at recourse points read.

    Attributes
    ----------
    points : Tensor of shape (k, d)
        x + δ.
    targets : Tensor of shape (k,), int64
    weights : Tensor of shape (k,)
    rows : Tensor of shape (k, d), or None
        Not kept where nothing reads them.
    groups : Tensor of shape (k,), int64, or None
        Not kept where every row counts alike.
    positions : Tensor of shape (k,), int64, or None
        Place of each row among the training rows.
    known : Tensor of shape (k, n_classes), or None
        The teacher's logits at the points, where they were computed before.
    """

    points: Tensor
    targets: Tensor
    weights: Tensor
    rows: Tensor | None = None
    groups: Tensor | None = None
    positions: Tensor | None = None
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def grouped(self) -> bool:
        """Whether their groups are weighed against each other."""
        return self.groups is not None

    def where(self, acted: Tensor) -> ActedRows:
        """Return those of a mask of shape (k,)."""
        if acted.all():
            return self
        indices = acted.nonzero().squeeze(1)
        return ActedRows(*(_taken(getattr(self, name), indices) for name in _FIELDS))

    def moved_by(self, online: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> ActedRows:
        """Return those whom an action that is computed now leads to the target, at its end.

        Parameters
        ----------
        online : callable
            Positions and targets to points and their validity.
        """
        assert self.positions is not None
        points, valid = online(self.positions, self.targets)
        return replace(self, points=points.to(self.points.dtype), known=None).where(valid)


_FIELDS = tuple(field.name for field in fields(ActedRows))


def _taken(values: Tensor | None, indices: Tensor) -> Any:
    return None if values is None else values.index_select(0, indices)
