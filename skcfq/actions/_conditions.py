"""What rules across features say, with no knowledge of any column."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

__all__ = ["Changes", "Condition", "IsIn", "Linear", "Rule"]


@dataclass(frozen=True)
class Linear:
    """``sum(coefficient * value) + sum(coefficient * change) <= limit``.

    Parameters
    ----------
    values, changes : dict of name to float
        Coefficients of raw values after the action, and of what the action adds.
    limit : float
    """

    values: dict[Hashable, float]
    changes: dict[Hashable, float]
    limit: float

    @property
    def names(self) -> set[Hashable]:
        """Columns that the condition reads."""
        return {*self.values, *self.changes}


@dataclass(frozen=True)
class IsIn:
    """A category, or a number, is one of some levels, or none of them."""

    name: Hashable
    levels: tuple
    inside: bool

    @property
    def names(self) -> set[Hashable]:
        """Columns that the condition reads."""
        return {self.name}


@dataclass(frozen=True)
class Changes:
    """A feature changes, or stays."""

    name: Hashable
    changes: bool

    @property
    def names(self) -> set[Hashable]:
        """Columns that the condition reads."""
        return {self.name}


Condition = Linear | IsIn | Changes


@dataclass(frozen=True)
class Rule:
    """Where all premises hold, all conclusions hold; without premises always.

    Parameters
    ----------
    text : str
        As it was written.
    premises, conclusions : tuple of Condition
    """

    text: str
    premises: tuple[Condition, ...]
    conclusions: tuple[Condition, ...]

    @property
    def names(self) -> set[Hashable]:
        """Columns that the rule reads."""
        return set().union(*(c.names for c in (*self.premises, *self.conclusions)))
