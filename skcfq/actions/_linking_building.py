"""Translate the rules across features into linking constraints of given people."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from skcfq.actions._conditions import Changes, Condition, IsIn, Linear, Rule
from skcfq.actions._downstream import DownstreamEffects
from skcfq.actions._linking import Implication, LinkingConstraints
from skcfq.actions._literals import ChangeLiteral, LevelLiteral, LinearLiteral, Literal
from skcfq.actions._raw import is_same_label
from skcfq.actions._weighted_sum import weighted_sum
from skcfq.exceptions import ActionSetError
from skcfq.utils import as_numbers

if TYPE_CHECKING:
    from skcfq.actions._compiled import CompiledActions

__all__ = ["build_linking_constraints"]


def build_linking_constraints(
    compiled: CompiledActions,
    columns: list,
    values: Tensor,
    levels: Tensor,
    downstream: DownstreamEffects | None,
) -> LinkingConstraints | None:
    """Translate the rules across features for given people.

    Parameters
    ----------
    compiled : CompiledActions
    columns : list
        Raw columns of the people.
    values : Tensor of shape (n, m)
    levels : int64 Tensor of shape (n, c)
    downstream : DownstreamEffects or None
    """
    if not compiled.rules:
        return None
    builder = _Builder(compiled, columns, values, levels, downstream)
    inequalities, implications = [], []
    for rule in compiled.rules:
        linear = [c for c in rule.conclusions if isinstance(c, Linear)]
        if not rule.premises and len(linear) == len(rule.conclusions):
            inequalities += [builder.relaxed(condition, rule) for condition in linear]
        else:
            implications.append(builder.implication(rule))
    return LinkingConstraints(values, levels, tuple(inequalities), tuple(implications))


class _Builder:
    def __init__(
        self,
        compiled: CompiledActions,
        columns: list,
        values: Tensor,
        levels: Tensor,
        downstream: DownstreamEffects | None,
    ) -> None:
        self.compiled = compiled
        self.columns = columns
        self.values = values
        self.levels = levels
        self.downstream = downstream
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
        literal = self.linear(condition, rule)
        person = torch.arange(len(self.values))
        own = literal.left_side(self.values, self.levels, person)
        limit = torch.maximum(torch.nan_to_num(literal.limit, nan=torch.inf, posinf=torch.inf), own)
        return LinearLiteral(literal.numeric, literal.levels, limit)

    def implication(self, rule: Rule) -> Implication:
        features = torch.zeros(self.compiled.n_features, dtype=torch.bool)
        for name in rule.names:
            if name in self.numeric:
                features[self.numeric[name]] = True
            elif name in self.categorical:
                features[len(self.compiled.numeric) + self.categorical[name]] = True
            elif self.downstream is not None:
                features |= self.downstream.causes_of(self._column(name, rule))
        plain = Implication(
            rule.text,
            tuple(self.literal(condition, rule) for condition in rule.premises),
            tuple(self.literal(condition, rule) for condition in rule.conclusions),
            features,
            torch.zeros(len(self.values), dtype=torch.bool),
        )
        return replace(plain, broken=self._is_broken_at_own(plain))

    def _is_broken_at_own(self, rule: Implication) -> Tensor:
        person = torch.arange(len(self.values))
        unchanged = torch.zeros((len(person), self.compiled.n_features), dtype=torch.bool)
        return rule.is_broken(self.values, self.levels, person, unchanged)

    def literal(self, condition: Condition, rule: Rule) -> Literal:
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
                constant = constant - factor * weighted_sum(own, self.downstream.per_value[t])
                for c, table in enumerate(self.downstream.tables):
                    tables[c] += factor * table[t][self.levels[:, c]]
        return LinearLiteral(numeric, tables, condition.limit - constant)

    def _affine(self, j: int, rule: Rule) -> Any:
        feature = self.compiled.numeric[j]
        if feature.block.kind != "affine":
            self._refuse(rule, feature.name, "its encoding is not linear", "Leave it untransformed")
        return feature.block

    def _column(self, name: Hashable, rule: Rule) -> int:
        # What names nothing was refused when the rules were compiled; a group is left.
        if name not in self.position:
            remedy = "Compare numbers, or test the category with =="
            self._refuse(rule, name, "it holds categories", remedy)
        return self.position[name]

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

    def _is_in(self, condition: IsIn, rule: Rule) -> Literal:
        if condition.name in self.numeric:
            self._refuse(rule, condition.name, "it is a number", "Compare it with <=, >= or ==")
        if condition.name in self.categorical:
            i = self.categorical[condition.name]
            levels = self.compiled.categorical[i].levels
            inside = [
                any(is_same_label(level, label) for label in condition.levels) for level in levels
            ]
            self._check_levels(condition, levels, rule)
            mask = torch.tensor(inside, dtype=torch.bool)
            return LevelLiteral(i, mask if condition.inside else ~mask, not condition.inside)
        position = self._column(condition.name, rule)
        block = self.compiled.space.blocks[position]
        if hasattr(block, "categories"):
            self._check_levels(condition, block.categories, rule)
        column = np.asarray(self.columns[position], dtype=object)
        inside = [
            any(is_same_label(value, label) for label in condition.levels) for value in column
        ]
        return self._constant(np.array(inside, dtype=bool) == condition.inside)

    def _check_levels(self, condition: IsIn, levels: tuple, rule: Rule) -> None:
        for label in condition.levels:
            if not any(is_same_label(level, label) for level in levels):
                self._refuse(
                    rule, condition.name, f"{label!r} is no level", f"Use {list(levels)!r}"
                )

    def _changes(self, condition: Changes, rule: Rule) -> Literal:
        if condition.name in self.numeric:
            return ChangeLiteral(self.numeric[condition.name], condition.changes)
        if condition.name in self.categorical:
            i = len(self.compiled.numeric) + self.categorical[condition.name]
            return ChangeLiteral(i, condition.changes)
        self._column(condition.name, rule)
        return self._constant(np.full(len(self.values), not condition.changes))

    def _constant(self, holds: np.ndarray) -> LinearLiteral:
        """Return a literal that no action changes, as 0 <= 1 or 0 <= -1."""
        n, m = self.values.shape
        tables = [self.values.new_zeros(n, f.n_levels) for f in self.compiled.categorical]
        limit = torch.from_numpy(np.where(holds, 1.0, -1.0))
        return LinearLiteral(self.values.new_zeros(m), tables, limit)

    def _refuse(self, rule: Rule, name: Hashable, problem: str, remedy: str) -> Any:
        raise ActionSetError(
            f"constraints holds the rule {rule.text!r}: {name!r} cannot stand there, {problem}. "
            f"{remedy}."
        )
