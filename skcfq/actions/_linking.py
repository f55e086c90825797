"""Rules across features, for given people, as tensors (extends the template of Eq. 5).

A linear rule becomes one inequality in encoded units. An if-then rule keeps its conditions as
atoms. Who breaks a rule already may stay: an inequality is then relaxed to the own side, an
if-then rule is waived while nothing that it names changes.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from skcfq.actions._constraint_language import Changes, Condition, IsIn, Linear, Rule
from skcfq.actions._downstream import DownstreamEffects
from skcfq.actions._raw import is_missing
from skcfq.exceptions import ActionSetError
from skcfq.utils import as_numbers

if TYPE_CHECKING:
    from skcfq.actions._compiled import CompiledActions

__all__ = [
    "Atom",
    "ChangeLiteral",
    "LinkingConstraints",
    "Implication",
    "LevelLiteral",
    "LinearLiteral",
]

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

    def left_side(self, values: Tensor, levels: Tensor, person: Tensor) -> Tensor:
        """Return the left side of the inequality, shape (N,)."""
        total = torch.nan_to_num(values) @ self.numeric
        for c, table in enumerate(self.levels):
            level = levels[:, c]
            part = table[person, level.clamp_min(0)]
            total = total + torch.where(level < 0, 0.0, part)
        return total

    def excess(self, values: Tensor, levels: Tensor, person: Tensor) -> Tensor:
        """Return by how much points pass the limit, 0 where rounding explains it, shape (N,)."""
        limit = self.limit[person]
        size = torch.nan_to_num(values).abs() @ self.numeric.abs()
        slack = _TOLERANCE * (1 + size + torch.nan_to_num(limit, posinf=0.0).abs())
        over = self.left_side(values, levels, person) - limit
        return torch.where(over > slack, over, 0.0)


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


@dataclass(frozen=True, eq=False)
class ChangeLiteral:
    """A feature changes, or stays."""

    feature: int
    changes: bool

    def take(self, rows: Tensor) -> ChangeLiteral:
        return self


Atom = LinearLiteral | LevelLiteral | ChangeLiteral


@dataclass(frozen=True, eq=False)
class Implication:
    """Where all premises hold, all conclusions hold.

    Parameters
    ----------
    text : str
    premises, conclusions : tuple of Atom
    features : bool Tensor of shape (F,)
        Features that the rule names.
    broken : bool Tensor of shape (n,)
        Whether the rule is broken at the own point.
    """

    text: str
    premises: tuple[Atom, ...]
    conclusions: tuple[Atom, ...]
    features: Tensor
    broken: Tensor

    def take(self, rows: Tensor) -> Implication:
        return Implication(
            self.text,
            tuple(atom.take(rows) for atom in self.premises),
            tuple(atom.take(rows) for atom in self.conclusions),
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
        rows = [atom.numeric for atom in self.inequalities]
        return torch.stack(rows) if rows else self.own_values.new_zeros(0, self.own_values.shape[1])

    @property
    def linear_levels(self) -> list[Tensor]:
        """Their values at the levels of each choice, c Tensors of shape (n, q, L)."""
        if not self.inequalities:
            return []
        n_choice = self.own_levels.shape[1]
        return [torch.stack([a.levels[c] for a in self.inequalities], 1) for c in range(n_choice)]

    @property
    def limit(self) -> Tensor:
        """Their limits, shape (n, q)."""
        limits = [atom.limit for atom in self.inequalities]
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
            tuple(atom.take(rows) for atom in self.inequalities),
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
        for atom in self.inequalities:
            total = total + atom.excess(values, levels, person)
        if self.implications:
            changed = torch.cat(
                [values != self.own_values[person], levels != self.own_levels[person]], dim=1
            )
            for rule in self.implications:
                total = total + self._broken(rule, values, levels, person, changed)
        return total

    def _broken(
        self, rule: Implication, values: Tensor, levels: Tensor, person: Tensor, changed: Tensor
    ) -> Tensor:
        def holds(atoms: tuple[Atom, ...]) -> Tensor:
            result = torch.ones(len(person), dtype=torch.bool)
            for atom in atoms:
                result &= self._holds(atom, values, levels, person, changed)
            return result

        broken = holds(rule.premises) & ~holds(rule.conclusions)
        waived = rule.broken[person] & ~(changed & rule.features).any(dim=1)
        return (broken & ~waived).to(values.dtype)

    def _holds(
        self, atom: Atom, values: Tensor, levels: Tensor, person: Tensor, changed: Tensor
    ) -> Tensor:
        if isinstance(atom, LinearLiteral):
            return atom.excess(values, levels, person) == 0
        if isinstance(atom, LevelLiteral):
            level = levels[:, atom.categorical]
            known = atom.mask[level.clamp_min(0)]
            return torch.where(level < 0, torch.full_like(known, atom.unknown), known)
        return changed[:, atom.feature] == atom.changes


def build_linking_constraints(
    compiled: CompiledActions,
    columns: list,
    values: Tensor,
    levels: Tensor,
    implied: DownstreamEffects | None,
) -> LinkingConstraints | None:
    """Translate the rules across features for given people.

    Parameters
    ----------
    compiled : CompiledActions
    columns : list
        Raw columns of the people.
    values : Tensor of shape (n, m)
    levels : int64 Tensor of shape (n, c)
    implied : DownstreamEffects or None
    """
    if not compiled.rules:
        return None
    builder = _Builder(compiled, columns, values, levels, implied)
    inequalities, implications = [], []
    for rule in compiled.rules:
        linear = [c for c in rule.conclusions if isinstance(c, Linear)]
        if not rule.premises and len(linear) == len(rule.conclusions):
            inequalities += [builder.relaxed(condition, rule) for condition in linear]
        else:
            implications.append(builder.implication(rule))
    plain = LinkingConstraints(values, levels, tuple(inequalities), tuple(implications))
    return LinkingConstraints(
        values, levels, plain.inequalities, tuple(builder.with_breaches(plain, implications))
    )


class _Builder:
    def __init__(
        self,
        compiled: CompiledActions,
        columns: list,
        values: Tensor,
        levels: Tensor,
        implied: DownstreamEffects | None,
    ):
        self.compiled = compiled
        self.columns = columns
        self.values = values
        self.levels = levels
        self.downstream = implied
        self.numeric = {f.name: j for j, f in enumerate(compiled.numeric)}
        self.categorical = {f.name: i for i, f in enumerate(compiled.categorical)}
        names = list(compiled.space.raw_columns)
        self.position = {name: j for j, name in enumerate(names)}
        for column, name in enumerate(names):
            # A position names a feature as well as its name does.
            if name in self.numeric:
                self.numeric.setdefault(column, self.numeric[name])
            if name in self.categorical:
                self.categorical.setdefault(column, self.categorical[name])
            self.position.setdefault(column, column)

    def relaxed(self, condition: Linear, rule: Rule) -> LinearLiteral:
        """Return an inequality that the own point obeys, if need be by a larger limit."""
        atom = self.linear(condition, rule)
        person = torch.arange(len(self.values))
        own = atom.left_side(self.values, self.levels, person)
        limit = torch.maximum(torch.nan_to_num(atom.limit, nan=torch.inf, posinf=torch.inf), own)
        return LinearLiteral(atom.numeric, atom.levels, limit)

    def implication(self, rule: Rule) -> Implication:
        features = torch.zeros(self.compiled.n_features, dtype=torch.bool)
        for name in rule.names:
            if name in self.numeric:
                features[self.numeric[name]] = True
            elif name in self.categorical:
                features[len(self.compiled.numeric) + self.categorical[name]] = True
            elif self.downstream is not None:
                features |= self.downstream.causes_of(self._column(name, rule))
        return Implication(
            rule.text,
            tuple(self.atom(condition, rule) for condition in rule.premises),
            tuple(self.atom(condition, rule) for condition in rule.conclusions),
            features,
            torch.zeros(len(self.values), dtype=torch.bool),
        )

    def with_breaches(
        self, plain: LinkingConstraints, rules: list[Implication]
    ) -> list[Implication]:
        """Note who breaks which if-then rule at the own point."""
        person = torch.arange(len(self.values))
        unchanged = torch.zeros((len(person), self.compiled.n_features), dtype=torch.bool)
        noted = []
        for rule in rules:
            broken = plain._broken(rule, self.values, self.levels, person, unchanged) > 0
            noted.append(
                Implication(rule.text, rule.premises, rule.conclusions, rule.features, broken)
            )
        return noted

    def atom(self, condition: Condition, rule: Rule) -> Atom:
        if isinstance(condition, Linear):
            return self.linear(condition, rule)
        if isinstance(condition, IsIn):
            return self._is_in(condition, rule)
        return self._changes(condition, rule)

    def linear(self, condition: Linear, rule: Rule) -> LinearLiteral:
        n, m = self.values.shape
        numeric = self.values.new_zeros(m)
        tables = [self.values.new_zeros(n, f.n_levels) for f in self.compiled.categorical]
        constant = self.values.new_zeros(n)
        own = torch.nan_to_num(self.values)
        terms = [(name, factor, False) for name, factor in condition.values.items()]
        terms += [(name, factor, True) for name, factor in condition.changes.items()]
        for name, factor, is_change in terms:
            if name in self.numeric:
                j = self.numeric[name]
                block = self._affine(j, rule)
                numeric[j] += factor / block.scale
                start = own[:, j] if is_change else block.offset
                constant = constant - factor * start / block.scale
                if not is_change:
                    constant = torch.where(torch.isnan(self.values[:, j]), torch.nan, constant)
                continue
            column = self._column(name, rule)
            if not is_change:
                constant = constant + factor * self._raw_numbers(name, column, rule)
            if self.downstream is not None and column in self.downstream.position:
                t = self.downstream.position[column]
                numeric += factor * self.downstream.per_value[t]
                constant = constant - factor * (own @ self.downstream.per_value[t])
                for c, table in enumerate(self.downstream.tables):
                    tables[c] += factor * table[t][self.levels[:, c]]
        return LinearLiteral(numeric, tables, condition.limit - constant)

    def _affine(self, j: int, rule: Rule) -> Any:
        feature = self.compiled.numeric[j]
        if feature.block.kind != "affine":
            self._refuse(rule, feature.name, "its encoding is not linear", "Leave it untransformed")
        return feature.block

    def _column(self, name: Hashable, rule: Rule) -> int:
        if name in self.position:
            return self.position[name]
        known = [*self.compiled.space.raw_columns, *self.categorical]
        raise ActionSetError(
            f"constraints holds the rule {rule.text!r}: {name!r} is no column. Use one of "
            f"{list(dict.fromkeys(known))!r}, in backquotes if it is no plain word."
        )

    def _raw_numbers(self, name: Hashable, column: int, rule: Rule) -> Tensor:
        """Return an immutable column as numbers; gaps as what the encoder fills in, else NaN."""
        block = self.compiled.space.blocks[column]
        try:
            if name in self.categorical or block.kind == "table":
                raise ValueError("it holds categories")
            numbers = as_numbers(self.columns[column])
        except ValueError as error:
            self._refuse(rule, name, f"{error}", "Compare numbers, or test the category with ==")
        fill = getattr(block, "fill", None)
        if fill is not None:
            numbers = np.where(np.isnan(numbers), float(fill), numbers)
        return torch.from_numpy(np.asarray(numbers, dtype=np.float64))

    def _is_in(self, condition: IsIn, rule: Rule) -> Atom:
        if condition.name in self.numeric:
            self._refuse(rule, condition.name, "it is a number", "Compare it with <=, >= or ==")
        if condition.name in self.categorical:
            i = self.categorical[condition.name]
            levels = self.compiled.categorical[i].levels
            inside = [any(_same(level, label) for label in condition.levels) for level in levels]
            for label in condition.levels:
                if not any(_same(level, label) for level in levels):
                    self._refuse(
                        rule, condition.name, f"{label!r} is no level", f"Use {list(levels)!r}"
                    )
            mask = torch.tensor(inside, dtype=torch.bool)
            return LevelLiteral(i, mask if condition.inside else ~mask, not condition.inside)
        column = np.asarray(self.columns[self._column(condition.name, rule)], dtype=object)
        inside = [any(_same(value, label) for label in condition.levels) for value in column]
        return self._constant(np.array(inside, dtype=bool) == condition.inside)

    def _changes(self, condition: Changes, rule: Rule) -> Atom:
        if condition.name in self.numeric:
            return ChangeLiteral(self.numeric[condition.name], condition.changes)
        if condition.name in self.categorical:
            i = len(self.compiled.numeric) + self.categorical[condition.name]
            return ChangeLiteral(i, condition.changes)
        self._column(condition.name, rule)
        return self._constant(np.full(len(self.values), not condition.changes))

    def _constant(self, holds: np.ndarray) -> LinearLiteral:
        """Return an atom that no action changes, as 0 <= 1 or 0 <= -1."""
        n, m = self.values.shape
        tables = [self.values.new_zeros(n, f.n_levels) for f in self.compiled.categorical]
        limit = torch.from_numpy(np.where(holds, 1.0, -1.0))
        return LinearLiteral(self.values.new_zeros(m), tables, limit)

    def _refuse(self, rule: Rule, name: Hashable, problem: str, remedy: str) -> Any:
        raise ActionSetError(
            f"constraints holds the rule {rule.text!r}: {name!r} cannot stand there, {problem}. "
            f"{remedy}."
        )


def _same(level: object, label: object) -> bool:
    if is_missing(level) or is_missing(label):
        return is_missing(level) and is_missing(label)
    return isinstance(level, str) == isinstance(label, str) and bool(level == label)
