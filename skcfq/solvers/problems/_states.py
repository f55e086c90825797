"""Candidate points of some people, and the best of each person."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class States:
    """Candidate points of some people: N points, several of which may belong to one person.

    Attributes
    ----------
    person : Tensor of shape (N,), int64
        Position in the batch of the person whom each point belongs to.
    values : Tensor of shape (N, m)
        Numeric features, in encoded units.
    levels : Tensor of shape (N, c), int64
        Levels of the categorical features; -1 keeps an unrecognized category.
    cost, slack : Tensor of shape (N,)
        Cost of the action, and the slack of its validity (not negative: valid).
    """

    person: Tensor
    values: Tensor
    levels: Tensor
    cost: Tensor
    slack: Tensor

    def __len__(self) -> int:
        return len(self.person)

    @property
    def valid(self) -> Tensor:
        return self.slack >= 0

    def take(self, index: Tensor) -> States:
        """Select points by mask or position."""
        return States(
            self.person[index],
            self.values[index],
            self.levels[index],
            self.cost[index],
            self.slack[index],
        )

    def of(self, people: Tensor) -> States:
        """Renumber the people: person i becomes ``people[i]``."""
        return replace(self, person=people[self.person])

    def replace(self, index: Tensor, other: States) -> States:
        """Put the points ``other`` at the positions ``index``."""
        fields = []
        for mine, theirs in zip(self._fields(), other._fields(), strict=True):
            merged = mine.clone()
            merged[index] = theirs
            fields.append(merged)
        return States(*fields)

    def _fields(self) -> tuple[Tensor, ...]:
        return self.person, self.values, self.levels, self.cost, self.slack

    @staticmethod
    def concatenate(parts: list[States]) -> States:
        """Join several sets of points into one."""
        return States(
            *(torch.cat(fields) for fields in zip(*(p._fields() for p in parts), strict=True))
        )


def best_per_person(person: Tensor, score: Tensor, count: int) -> Tensor:
    """Return the positions of each person's ``count`` lowest scores, best first.

    Ties go to the earlier position, so that the choice is the same on every machine.
    """
    order = torch.argsort(score, stable=True)
    order = order[torch.argsort(person[order], stable=True)]
    sorted_person = person[order]
    index = torch.arange(len(order))
    starts = torch.ones(len(order), dtype=torch.bool)
    starts[1:] = sorted_person[1:] != sorted_person[:-1]
    first = torch.cummax(torch.where(starts, index, torch.zeros_like(index)), dim=0).values
    return order[index - first < count]
