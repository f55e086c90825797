"""Which rows break which rules as they stand, before any change."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skcfq.actions._categorical import NONE_OF_THEM, build_categorical, ordered_levels
from skcfq.actions._compiled import compile_actions
from skcfq.actions._conditions import Changes, Condition, IsIn, Rule
from skcfq.actions._constraint_language import parse_rule
from skcfq.actions._numeric import absolute_limits
from skcfq.actions._raw import is_same_label, read_columns
from skcfq.actions._rule_values import OBSERVED
from skcfq.actions._rules import FeatureRules, read_constraints, read_rules
from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.exceptions import ActionSetError, FeatureSpaceError
from skcfq.utils import as_array, as_numbers, missing_mask, plain

__all__ = ["broken_rules"]

# Share of a limit, or of a step, by which rounding may miss it; the projections use the same.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class _Breach:
    """The rows that break one rule.

    Parameters
    ----------
    rule : str
    columns : tuple of int
        Positions among the raw columns of the space.
    rows : bool ndarray of shape (n,)
    message : callable
        From the row's values in those columns, as texts, to the message.
    """

    rule: str
    columns: tuple[int, ...]
    rows: np.ndarray
    message: Callable[..., str]


def broken_rules(parameters: dict[str, Any], X: Any, space: FeatureSpace | None) -> pd.DataFrame:
    """Return one line per broken rule of a row; see :meth:`ActionSet.validate`.

    Parameters
    ----------
    parameters : dict
        Of an action set.
    X : DataFrame or ndarray of shape (n, p)
    space : FeatureSpace or None
    """
    X = X if isinstance(X, pd.DataFrame) else as_array(X)
    space = _space_of(X) if space is None else space
    compile_actions(parameters, space)  # refuses rules that do not fit the columns
    columns = read_columns(space, X)
    lines = []
    for breach in _breaches(parameters, space, columns):
        names = tuple(space.raw_columns[j] for j in breach.columns)
        for row in np.flatnonzero(breach.rows):
            values = tuple(plain(columns[j][row]) for j in breach.columns)
            value = values[0] if len(values) == 1 else values
            message = breach.message(*map(_text, values))
            lines.append((row, breach.rule, names, value, message))
    lines.sort(key=lambda line: line[0])
    index = X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(X))
    labels = index.take(np.array([line[0] for line in lines], dtype=np.intp))
    table = {"row": labels.to_flat_index().to_numpy()}
    for i, name in enumerate(("rule", "columns", "value", "message"), start=1):
        table[name] = _objects([line[i] for line in lines])
    return pd.DataFrame(table)


def _space_of(X: Any) -> FeatureSpace:
    try:
        return FeatureSpace.from_frame(X)
    except FeatureSpaceError:
        return TableEncoder().fit(X).feature_space_


def _breaches(parameters: dict[str, Any], space: FeatureSpace, columns: list) -> Iterator[_Breach]:
    rules = read_rules(parameters, space.raw_columns)
    for feature in rules:
        blocks = [space.blocks[column] for column in feature.columns]
        if any(block.columns.size == 0 for block in blocks):
            continue
        if feature.is_group:
            yield _group(feature, blocks, columns)
        elif blocks[0].kind == "table":
            yield from _category(feature, blocks, columns[feature.columns[0]])
        else:
            yield from _number(feature, blocks[0], columns[feature.columns[0]])
    groups = {feature.name: feature.columns for feature in rules if feature.is_group}
    reader = _RuleReader(space, columns, groups)
    for text in read_constraints(parameters["constraints"]):
        yield reader.breach(parse_rule(text))


def _alone(feature: FeatureRules, **rules: Any) -> FeatureRules:
    """Return one rule of a feature by itself, so that its own limits can be read off."""
    return FeatureRules(feature.name, feature.columns, feature.members, feature.is_group, **rules)


def _number(feature: FeatureRules, block: Any, column: Any) -> Iterator[_Breach]:
    own = as_numbers(column)
    for rule in ("bounds", "quantile_bounds"):
        limits = getattr(feature, rule)
        if limits is None:
            continue
        low, high = absolute_limits(_alone(feature, **{rule: limits}), block)
        if low > high:  # the background has no value at all
            continue
        kind = "observed " if limits == OBSERVED else ""
        slack = _TOLERANCE * np.maximum(1.0, np.abs(own))
        for side, limit, outside in (
            ("below the lower", low, own < low - slack),
            ("above the upper", high, own > high + slack),
        ):
            yield _single(rule, feature, outside, f"{side} {kind}bound {limit:.12g}")
    if feature.step:
        ratio = own / feature.step
        off = np.abs(ratio - np.rint(ratio)) > _TOLERANCE * np.maximum(1.0, np.abs(ratio))
        yield _single("steps", feature, off, f"no multiple of {feature.step:.12g}")
    if feature.ordinal is not None:
        levels = np.array(feature.ordinal, dtype=float)
        near = np.isclose(own[:, None], levels, rtol=_TOLERANCE, atol=_TOLERANCE).any(axis=1)
        off = ~near & ~np.isnan(own)
        yield _single("ordinal", feature, off, f"none of {list(feature.ordinal)!r}")


def _category(feature: FeatureRules, blocks: list, column: Any) -> Iterator[_Breach]:
    categorical = build_categorical(feature, blocks)
    levels = categorical.own_levels({feature.columns[0]: column})  # type: ignore[arg-type]  # a column
    gap = missing_mask(column)
    unknown = (levels < 0) & ~gap
    yield _single("category", feature, unknown, "no category that is known")
    if categorical.ranks is None:
        return
    ranks = np.append(categorical.ranks, np.nan)[levels]
    order = list(ordered_levels(feature, blocks) or ())
    if feature.bounds is None or feature.bounds == OBSERVED:
        return
    low, high = feature.bounds
    if low is not None:
        yield _single("bounds", feature, ranks < order.index(low), f"below the lower bound {low!r}")
    if high is not None:
        outside = ranks > order.index(high)
        yield _single("bounds", feature, outside, f"above the upper bound {high!r}")


def _group(feature: FeatureRules, blocks: list, columns: list) -> _Breach:
    rows = build_categorical(_alone(feature), blocks).unreadable(columns)

    def message(*values: str) -> str:
        pairs = zip(feature.members, values, strict=True)
        shown = ", ".join(f"{name} is {value}" for name, value in pairs)
        return f"{shown}: exactly one of the group {feature.name!r} must be 1"

    return _Breach("one_hot", feature.columns, rows, message)


def _single(rule: str, feature: FeatureRules, rows: np.ndarray, problem: str) -> _Breach:
    def message(value: str) -> str:
        return f"{feature.name} is {value}, {problem}"

    return _Breach(rule, feature.columns, rows, message)


class _RuleReader:
    """Evaluates rules across features on rows that do not change."""

    def __init__(
        self, space: FeatureSpace, columns: list, groups: dict[Hashable, tuple[int, ...]]
    ) -> None:
        self.space = space
        self.columns = columns
        self.groups = groups
        self.n = max((len(column) for column in columns if column is not None), default=0)

    def breach(self, rule: Rule) -> _Breach:
        # What cannot be told because of a gap is not called broken: premises must be known to
        # hold, and conclusions known to fail.
        premises = [self._holds(condition, rule, if_gap=False) for condition in rule.premises]
        conclusions = [self._holds(condition, rule, if_gap=True) for condition in rule.conclusions]
        everybody = np.ones(self.n, dtype=bool)
        broken = np.logical_and.reduce([everybody, *premises])
        broken &= ~np.logical_and.reduce([everybody, *conclusions])
        names = _names_in_order(rule)
        columns = tuple(dict.fromkeys(j for name in names for j in self._positions(name)))

        def message(*values: str) -> str:
            named = (self.space.raw_columns[j] for j in columns)
            shown = ", ".join(f"{n} is {value}" for n, value in zip(named, values, strict=True))
            return f"{shown}: {rule.text!r} is broken"

        return _Breach("constraints", columns, broken, message)

    def _holds(self, condition: Condition, rule: Rule, *, if_gap: bool) -> np.ndarray:
        if isinstance(condition, Changes):
            return np.full(self.n, not condition.changes)
        if isinstance(condition, IsIn):
            return self._is_in(condition)
        total, size = np.zeros(self.n), np.zeros(self.n)
        for name, factor in condition.values.items():
            part = factor * self._numbers(name, rule)
            total, size = total + part, size + np.abs(part)
        slack = _TOLERANCE * (1 + size + abs(condition.limit))
        return np.where(np.isnan(total), if_gap, total <= condition.limit + slack)

    def _is_in(self, condition: IsIn) -> np.ndarray:
        positions = self._positions(condition.name)
        if condition.name in self.groups:
            members = [self.space.raw_columns[j] for j in positions]
            ones = [as_numbers(self.columns[j]) == 1 for j in positions]
            inside = np.zeros(self.n, dtype=bool)
            for member, is_one in zip(members, ones, strict=True):
                inside |= is_one & (member in condition.levels)
            inside |= ~np.any(ones, axis=0) & (NONE_OF_THEM in condition.levels)
            return inside == condition.inside
        values = self.columns[positions[0]]
        found = [any(is_same_label(plain(v), level) for level in condition.levels) for v in values]
        return np.array(found, dtype=bool) == condition.inside

    def _numbers(self, name: Hashable, rule: Rule) -> np.ndarray:
        position = self._positions(name)[0]
        block = self.space.blocks[position]
        try:
            if name in self.groups or block.kind == "table":
                raise ValueError("it holds categories")
            return as_numbers(self.columns[position])
        except ValueError as error:
            raise ActionSetError(
                f"constraints holds the rule {rule.text!r}: {name!r} cannot stand there, {error}. "
                "Compare numbers, or test the category with ==."
            ) from error

    def _positions(self, name: Hashable) -> tuple[int, ...]:
        return self.groups[name] if name in self.groups else (self.space.position(name),)


def _names_in_order(rule: Rule) -> list[Hashable]:
    return sorted(rule.names, key=lambda name: (rule.text.find(str(name)), str(name)))


def _text(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _objects(values: list) -> np.ndarray:
    # Filled one by one, so that tuples stay tuples.
    column = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        column[i] = value
    return column
