"""Constraints that link features, for given people, as tensors (extends the template of Eq. 5).

A linear rule becomes one inequality in encoded units. An if-then rule keeps its conditions as
literals. Who breaks a rule already may stay: an inequality is then relaxed to the own side, an
if-then rule is waived while nothing that it names changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skcfq.actions._literals import LinearLiteral, Literal

__all__ = ["Implication", "LinkingConstraints"]


@dataclass(frozen=True, eq=False)
class Implication:
    """Where all premises hold, all conclusions hold.

    Parameters
    ----------
    text : str
    premises, conclusions : tuple of Literal
    features : bool Tensor of shape (F,)
        Features that the rule names.
    broken : bool Tensor of shape (n,)
        Whether the rule is broken at the own point.
    """

    text: str
    premises: tuple[Literal, ...]
    conclusions: tuple[Literal, ...]
    features: Tensor
    broken: Tensor

    def is_broken(self, values: Tensor, levels: Tensor, person: Tensor, changed: Tensor) -> Tensor:
        """Return which points break the rule and are not excused, bool of shape (N,).

        Parameters
        ----------
        values : Tensor of shape (N, m)
        levels : int64 Tensor of shape (N, c)
        person : int64 Tensor of shape (N,)
        changed : bool Tensor of shape (N, F)
        """

        def hold(literals: tuple[Literal, ...]) -> Tensor:
            result = torch.ones(len(person), dtype=torch.bool)
            for literal in literals:
                result &= literal.holds(values, levels, person, changed)
            return result

        waived = self.broken[person] & ~(changed & self.features).any(dim=1)
        return hold(self.premises) & ~hold(self.conclusions) & ~waived

    def take(self, rows: Tensor) -> Implication:
        return Implication(
            self.text,
            tuple(literal.take(rows) for literal in self.premises),
            tuple(literal.take(rows) for literal in self.conclusions),
            self.features,
            self.broken[rows],
        )


@dataclass(frozen=True, eq=False)
class LinkingConstraints:
    """The rules across features of n people.

    Parameters
    ----------
    own_values : Tensor of shape (n, m)
    own_levels : int64 Tensor of shape (n, c)
    inequalities : tuple of q LinearLiteral
        Relaxed to the own side where the person breaks the rule already.
    implications : tuple of Implication
    """

    own_values: Tensor
    own_levels: Tensor
    inequalities: tuple[LinearLiteral, ...]
    implications: tuple[Implication, ...]

    @property
    def linear_numeric(self) -> Tensor:
        """Coefficients of the inequalities on numeric features, shape (q, m)."""
        rows = [literal.numeric for literal in self.inequalities]
        return torch.stack(rows) if rows else self.own_values.new_zeros(0, self.own_values.shape[1])

    @property
    def linear_levels(self) -> list[Tensor]:
        """Their values at the levels of each categorical feature, c Tensors of shape (n, q, L)."""
        if not self.inequalities:
            return []
        by_feature = zip(*(literal.levels for literal in self.inequalities), strict=True)
        return [torch.stack(tables, 1) for tables in by_feature]

    @property
    def limit(self) -> Tensor:
        """Their limits, shape (n, q)."""
        limits = [literal.limit for literal in self.inequalities]
        return torch.stack(limits, 1) if limits else self.own_values.new_zeros(len(self), 0)

    def linear_at_own(self) -> Tensor:
        """Return the left sides of the inequalities at the own points, shape (n, q)."""
        person = torch.arange(len(self))
        sides = [a.left_side(self.own_values, self.own_levels, person) for a in self.inequalities]
        return torch.stack(sides, 1) if sides else self.own_values.new_zeros(len(self), 0)

    def __len__(self) -> int:
        return len(self.own_values)

    def take(self, rows: Tensor) -> LinkingConstraints:
        """Return the rules of some of the people."""
        return LinkingConstraints(
            self.own_values[rows],
            self.own_levels[rows],
            tuple(literal.take(rows) for literal in self.inequalities),
            tuple(rule.take(rows) for rule in self.implications),
        )

    def violation(self, values: Tensor, levels: Tensor, person: Tensor) -> Tensor:
        """Return how badly states break the rules, 0 where all hold.

        Parameters
        ----------
        values : Tensor of shape (N, m)
        levels : int64 Tensor of shape (N, c)
        person : int64 Tensor of shape (N,)

        Returns
        -------
        violation : Tensor of shape (N,)
            Sum of the excesses of the inequalities, plus 1 for each broken if-then rule.
        """
        total = values.new_zeros(len(person))
        for literal in self.inequalities:
            total = total + literal.excess(values, levels, person)
        if self.implications:
            own = self.own_values[person]
            # A gap equals nothing, itself included; it can only be kept.
            moved = (values != own) & ~torch.isnan(own)
            changed = torch.cat([moved, levels != self.own_levels[person]], dim=1)
            for rule in self.implications:
                broken = rule.is_broken(values, levels, person, changed)
                total = total + broken.to(values.dtype)
        return total
