"""Moves of one feature that nobody has asked the model about: from where, to where."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from skcfq.solvers.problems import RecourseProblem, States

# The feature of a move that leaves a point as it is.
_NONE = -1


@dataclass(frozen=True, eq=False)
class Moves:
    """N moves, each of one feature of a point; no row is written down before it is asked about.

    Attributes
    ----------
    parent : Tensor of shape (N,), int64
        Position of the point that is moved.
    feature : Tensor of shape (N,), int64
        Which feature, numbers first; -1 for none.
    number : Tensor of shape (N,)
        The value that a number gets; 0 for others.
    level : Tensor of shape (N,), int64
        The level that a category gets; -1 for others.
    """

    parent: Tensor
    feature: Tensor
    number: Tensor
    level: Tensor

    def __len__(self) -> int:
        return len(self.parent)

    @classmethod
    def of_numbers(cls, parent: Tensor, feature: Tensor, number: Tensor) -> Moves:
        """Return moves of numbers."""
        return cls(parent, feature, number, torch.full_like(parent, -1))

    @classmethod
    def of_levels(cls, parent: Tensor, feature: Tensor, level: Tensor) -> Moves:
        """Return moves of categories."""
        return cls(parent, feature, torch.zeros(len(parent), dtype=torch.float64), level)

    @classmethod
    def nowhere(cls, parent: Tensor) -> Moves:
        """Return moves that leave points as they are."""
        none = torch.full_like(parent, _NONE)
        return cls(parent, none, torch.zeros(len(parent), dtype=torch.float64), none)

    @classmethod
    def none(cls) -> Moves:
        """Return no moves."""
        return cls.nowhere(torch.empty(0, dtype=torch.int64))

    def take(self, index: Tensor | slice) -> Moves:
        """Select moves by mask, position or slice."""
        return Moves(*(getattr(self, field.name)[index] for field in fields(self)))

    @staticmethod
    def concatenate(parts: list[Moves]) -> Moves:
        """Join several sets of moves of the same points into one."""
        return Moves(
            *(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Moves))
        )

    def written(self, states: States) -> tuple[Tensor, Tensor]:
        """Return values and levels after the moves of some points, shapes (N, m) and (N, c)."""
        values, levels = states.values[self.parent], states.levels[self.parent]
        m = values.shape[1]
        numbers = ((self.feature >= 0) & (self.feature < m)).nonzero().squeeze(1)
        values[numbers, self.feature[numbers]] = self.number[numbers]
        categories = (self.feature >= m).nonzero().squeeze(1)
        levels[categories, self.feature[categories] - m] = self.level[categories]
        return values, levels

    def changes(
        self, problem: RecourseProblem, states: States, changed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tell whether the feature of each move differs from the person's own, before and after.

        Parameters
        ----------
        problem : RecourseProblem
        states : States
            The points that are moved.
        changed : Tensor of shape (n, n_features), bool
            Their changes.
        """
        m = states.values.shape[1]
        after = torch.zeros(len(self), dtype=torch.bool)
        person = states.person[self.parent]
        numbers = ((self.feature >= 0) & (self.feature < m)).nonzero().squeeze(1)
        own = problem.values[person[numbers], self.feature[numbers]]
        # A gap can only be kept.
        after[numbers] = (self.number[numbers] != own) & ~torch.isnan(own)
        categories = (self.feature >= m).nonzero().squeeze(1)
        own_level = problem.levels[person[categories], self.feature[categories] - m]
        after[categories] = self.level[categories] != own_level
        moved = self.feature >= 0
        before = torch.zeros_like(after)
        before[moved] = changed[self.parent[moved], self.feature[moved]]
        return before, after
