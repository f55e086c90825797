"""Read the parameters of an action set into one bundle of rules per feature.

A *feature* is one raw column, or one declared one-hot group of raw columns. Everything that can be
checked from names and values alone is refused here; what depends on the kind of a column is
checked where the feature is built.
"""

from __future__ import annotations

import numbers
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.actions._rule_values import (
    check_bounds,
    check_levels,
    check_quantiles,
    check_relative,
    check_size,
    check_step,
    check_transitions,
    check_weight,
    fail,
)
from skcfq.exceptions import ActionSetError
from skcfq.utils import is_list

__all__ = ["FeatureRules", "check_max_changes", "read_constraints", "read_rules"]


@dataclass
class FeatureRules:
    """The rules that an action set states on one feature.

    Parameters
    ----------
    name : hashable
        Column name, or name of the one-hot group.
    columns : tuple of int
        Positions of the raw columns; more than one for a one-hot group only.
    members : tuple
        Names of those columns.
    is_group : bool
        Whether the feature is a declared one-hot group.
    immutable : bool
    direction : {-1, 0, 1}
        Decrease only, free, increase only.
    bounds, relative_bounds, quantile_bounds : tuple of two, "observed" or None
    step : float or None
    ordinal : tuple or None
    transitions : dict or None
    min_change, max_change : float or None
    cost_weight : float or None
        How much a change weighs in the cost.
    """

    name: Hashable
    columns: tuple[int, ...]
    members: tuple[Hashable, ...]
    is_group: bool = False
    immutable: bool = False
    direction: int = 0
    bounds: Any = None
    relative_bounds: Any = None
    quantile_bounds: Any = None
    step: float | None = None
    ordinal: tuple | None = None
    transitions: dict | None = None
    min_change: float | None = None
    max_change: float | None = None
    cost_weight: float | None = None

    @property
    def is_only_held(self) -> bool:
        """Whether the feature is immutable and nothing else is said of it."""
        return (
            self.immutable
            and not self.is_group
            and self.bounds is None
            and self.relative_bounds is None
            and self.quantile_bounds is None
            and self.step is None
            and self.ordinal is None
            and self.transitions is None
            and self.min_change is None
            and self.max_change is None
        )


def check_max_changes(value: object) -> int | None:
    """Return `value` as an int, or None for no limit."""
    if value is None:
        return None
    is_truth = isinstance(value, (bool, np.bool_))
    if is_truth or not isinstance(value, numbers.Integral) or int(value) < 1:
        raise ActionSetError(
            f"max_changes is {value!r}: it must be an integer of at least 1. "
            "Give the number of features that one person may change, or None for no limit."
        )
    return int(value)


def read_constraints(value: Any) -> list[str]:
    """Return the rules across features as a list."""
    return [
        str(text) if isinstance(text, str) else text
        for text in _as_names("constraints", value, "rules, as texts")
    ]


def read_rules(
    parameters: Mapping[str, Any], raw_columns: Iterable[Hashable]
) -> list[FeatureRules]:
    """Return one :class:`FeatureRules` per feature, in raw column order.

    A group stands where its first member stands.
    """
    raw_names = tuple(raw_columns)
    reader = _NameReader(raw_names, _as_mapping("one_hot", parameters["one_hot"]))
    for rule in ("immutable", "increasing", "decreasing"):
        for name in _as_names(rule, parameters[rule]):
            _mark(reader.find(rule, name), rule, name)
    _hold_the_others(reader, parameters["actionable"])
    weights = parameters["cost_weights"]
    by_name = {**parameters, "cost_weights": weights if isinstance(weights, Mapping) else None}
    for rule, attribute, check in (
        ("bounds", "bounds", check_bounds),
        ("relative_bounds", "relative_bounds", check_relative),
        ("quantile_bounds", "quantile_bounds", check_quantiles),
        ("steps", "step", check_step),
        ("ordinal", "ordinal", check_levels),
        ("transitions", "transitions", check_transitions),
        ("min_change", "min_change", check_size),
        ("max_change", "max_change", check_size),
        ("cost_weights", "cost_weight", check_weight),
    ):
        for name, value in _as_mapping(rule, by_name[rule]).items():
            feature = reader.find(rule, name)
            if getattr(feature, attribute) is not None:
                fail(
                    rule,
                    name,
                    value,
                    "the column already has this rule under another name",
                    "Name each column once, by name or by position",
                )
            setattr(feature, attribute, check(rule, name, value))
    for feature in reader.features:
        least, most = feature.min_change, feature.max_change
        if least is not None and most is not None and least > most:
            fail(
                "min_change",
                feature.name,
                least,
                f"it is above max_change ({most:g}), so no change is left",
                "Lower one, raise the other, or name the column in immutable",
            )
    return sorted(reader.features, key=lambda feature: feature.columns[0])


class _NameReader:
    """Finds the feature that a name or a position stands for."""

    def __init__(self, raw_names: tuple[Hashable, ...], one_hot: Mapping[Hashable, Any]) -> None:
        self.raw_names = raw_names
        self.positions: dict[Hashable, int] = {}
        for position, raw_name in enumerate(raw_names):
            self.positions.setdefault(raw_name, position)
        self.groups: dict[Hashable, FeatureRules] = {}
        self.group_of: dict[int, FeatureRules] = {}
        for name, members in one_hot.items():
            self._add_group(name, members)
        singles = [
            FeatureRules(raw_name, (position,), (raw_name,))
            for position, raw_name in enumerate(raw_names)
            if position not in self.group_of
        ]
        self.single_of = {feature.columns[0]: feature for feature in singles}
        self.features = [*singles, *self.groups.values()]

    def position(self, rule: str, name: object) -> int:
        try:
            found = self.positions.get(name)
        except TypeError:
            fail(
                rule,
                name,
                name,
                "a column is named by its name or its position",
                "Give one hashable name per column",
            )
        if found is not None:
            return found
        is_truth = isinstance(name, (bool, np.bool_))
        if isinstance(name, numbers.Integral) and not is_truth:
            position = int(name)
            if 0 <= position < len(self.raw_names):
                return position
        known = ", ".join(repr(raw_name) for raw_name in self.raw_names[:12])
        more = "" if len(self.raw_names) <= 12 else ", ..."
        raise ActionSetError(
            f"{rule} names {name!r}, which is no column. Use one of the columns of X "
            f"({known}{more}), a position from 0 to {len(self.raw_names) - 1}, "
            "or a group declared in one_hot."
        )

    def find(self, rule: str, name: Hashable) -> FeatureRules:
        if self.groups and isinstance(name, Hashable) and name in self.groups:
            return self.groups[name]
        position = self.position(rule, name)
        if position in self.group_of:
            group = self.group_of[position].name
            raise ActionSetError(
                f"{rule} names {name!r}, one column of the one-hot group {group!r}: a rule on a "
                f"single member would split the group. Name the group {group!r} instead."
            )
        return self.single_of[position]

    def _add_group(self, name: Hashable, members: Any) -> None:
        columns = tuple(
            self.position(f"one_hot[{name!r}]", member) for member in _as_names("one_hot", members)
        )
        if len(columns) < 2:
            fail(
                "one_hot",
                name,
                members,
                "a group needs at least two columns",
                "List every column of the group",
            )
        if len(set(columns)) < len(columns):
            fail("one_hot", name, members, "a column is listed twice", "List each column once")
        if name in self.positions and self.positions[name] not in columns:
            fail(
                "one_hot",
                name,
                members,
                "the group has the name of another column",
                "Give the group a name of its own",
            )
        for column in columns:
            if column in self.group_of:
                fail(
                    "one_hot",
                    name,
                    members,
                    f"column {self.raw_names[column]!r} already belongs to the group "
                    f"{self.group_of[column].name!r}",
                    "Put each column in one group",
                )
        names = tuple(self.raw_names[column] for column in columns)
        order = np.argsort(columns)
        columns = tuple(columns[i] for i in order)
        group = FeatureRules(name, columns, tuple(names[i] for i in order), is_group=True)
        self.groups[name] = group
        self.group_of.update(dict.fromkeys(columns, group))


def _mark(feature: FeatureRules, rule: str, name: Hashable) -> None:
    if rule == "immutable":
        feature.immutable = True
        return
    direction = 1 if rule == "increasing" else -1
    if feature.direction == -direction:
        raise ActionSetError(
            f"{name!r} is named in both increasing and decreasing, so it could only stay. "
            "Name it in immutable instead, or in one of the two."
        )
    feature.direction = direction


def _hold_the_others(reader: _NameReader, actionable: Any) -> None:
    """Make immutable what is not among the features that may move; None holds nothing."""
    if actionable is None:
        return
    free = set()
    for name in _as_names("actionable", actionable):
        feature = reader.find("actionable", name)
        if feature.immutable:
            raise ActionSetError(
                f"{name!r} is named in both actionable and immutable. Name it in one of the two."
            )
        free.add(feature.columns)
    for feature in reader.features:
        feature.immutable = feature.columns not in free


def _as_mapping(rule: str, value: Any) -> Mapping[Hashable, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ActionSetError(
            f"{rule} is {value!r}: it must be a dict from column names to values, or None. "
            f"Write {rule}={{name: ...}}."
        )
    return value


def _as_names(rule: str, value: Any, of: str = "column names or positions") -> list:
    if value is None:
        return []
    if not is_list(value):
        raise ActionSetError(
            f"{rule} is {value!r}: it must be a list of {of}. Write {rule}=[{value!r}] for a "
            "single one."
        )
    return list(value)
