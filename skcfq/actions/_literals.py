"""The conditions that inequalities and if-then rules are made of, for given people, as tensors.

A *point* is a state of one person: values of shape (m,), levels of shape (c,), the person's
position among the n people, and which of the F features differ from the own ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from skcfq.actions._weighted_sum import weighted_sum

__all__ = ["ChangeLiteral", "LevelLiteral", "LinearLiteral", "Literal"]

# Share of a limit by which rounding may pass it.
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class LinearLiteral:
    """``numeric · values + Σ levels[c][level_c] <= limit``.

    Parameters
    ----------
    numeric : Tensor of shape (m,)
    levels : list of c Tensors of shape (n, L)
    limit : Tensor of shape (n,)
    """

    numeric: Tensor
    levels: list[Tensor]
    limit: Tensor

    def take(self, rows: Tensor) -> LinearLiteral:
        return LinearLiteral(self.numeric, [t[rows] for t in self.levels], self.limit[rows])

    @cached_property
    def _tables(self) -> list[tuple[int, Tensor]]:
        """The categories that add anything, by their positions."""
        return [(c, table) for c, table in enumerate(self.levels) if bool(table.any())]

    def left_side(self, values: Tensor, levels: Tensor, person: Tensor) -> Tensor:
        """Return the left side of the inequality, shape (N,)."""
        total = weighted_sum(torch.nan_to_num(values), self.numeric)
        for c, table in self._tables:
            level = levels[:, c]
            part = table[person, level.clamp_min(0)]
            total = total + torch.where(level < 0, 0.0, part)
        return total

    def excess(self, values: Tensor, levels: Tensor, person: Tensor) -> Tensor:
        """Return by how much points pass the limit, 0 where rounding explains it, shape (N,)."""
        limit = self.limit[person]
        size = weighted_sum(torch.nan_to_num(values).abs(), self.numeric.abs())
        slack = _TOLERANCE * (1 + size + torch.nan_to_num(limit, posinf=0.0).abs())
        over = self.left_side(values, levels, person) - limit
        return torch.where(over > slack, over, 0.0)

    def holds(self, values: Tensor, levels: Tensor, person: Tensor, changed: Tensor) -> Tensor:
        """Return at which points the inequality holds, up to rounding, shape (N,)."""
        return self.excess(values, levels, person) == 0


@dataclass(frozen=True, eq=False)
class LevelLiteral:
    """A category is in a set of levels.

    Parameters
    ----------
    categorical : int
        Position among the categoricals.
    mask : bool Tensor of shape (L,)
    unknown : bool
        Whether an unrecognized category counts as inside.
    """

    categorical: int
    mask: Tensor
    unknown: bool

    def take(self, rows: Tensor) -> LevelLiteral:
        return self

    def holds(self, values: Tensor, levels: Tensor, person: Tensor, changed: Tensor) -> Tensor:
        """Return at which points the category is in the set, shape (N,)."""
        level = levels[:, self.categorical]
        known = self.mask[level.clamp_min(0)]
        return torch.where(level < 0, torch.full_like(known, self.unknown), known)


@dataclass(frozen=True, eq=False)
class ChangeLiteral:
    """A feature changes, or stays.

    Parameters
    ----------
    feature : int
        Position among all features, numeric first.
    changes : bool
    """

    feature: int
    changes: bool

    def take(self, rows: Tensor) -> ChangeLiteral:
        return self

    def holds(self, values: Tensor, levels: Tensor, person: Tensor, changed: Tensor) -> Tensor:
        """Return at which points the feature does what is asked of it, shape (N,)."""
        return changed[:, self.feature] == self.changes


Literal = LinearLiteral | LevelLiteral | ChangeLiteral
