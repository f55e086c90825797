"""Rules across features, and columns that follow from others, as data on raw columns."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from typing import Any

import numpy as np

from skcfq.actions import Changes, CompiledActions, IsIn, Linear
from skcfq.utils import strict_json

Condition = Linear | IsIn | Changes


class LinkingRules:
    """What ties the columns of one action set together.

    Parameters
    ----------
    actions : CompiledActions
    """

    def __init__(self, actions: CompiledActions):
        self.actions = actions
        self.features: list[Any] = [*actions.numeric, *actions.categorical]

    @cached_property
    def across(self) -> list[dict[str, Any]]:
        """The rules across features, the same for everybody."""
        return [
            {
                "text": rule.text,
                "premises": [self._condition(one) for one in rule.premises],
                "conclusions": [self._condition(one) for one in rule.conclusions],
                "columns": sorted({j for name in rule.names for j in self._moved_by(name)}),
            }
            for rule in self.actions.rules
        ]

    def implied(self, own_levels: np.ndarray) -> list[dict[str, Any]]:
        """Return what moves the columns of one person that follow from others.

        Parameters
        ----------
        own_levels : int64 ndarray of shape (c,)
        """
        first = len(self.actions.numeric)
        return [
            {
                "column": rule.column,
                "fill": self._fill(rule.column),
                "per_unit": [
                    {"feature": j, "amount": amount}
                    for j, amount in enumerate(rule.numeric.tolist())
                    if amount
                ],
                "per_move": [
                    {"feature": first + i, "amounts": table[own_levels[i]]}
                    for i, table in sorted(rule.tables.items())
                ],
            }
            for rule in self.actions.downstream
        ]

    def _condition(self, condition: Condition) -> dict[str, Any]:
        if isinstance(condition, Linear):
            terms = [(name, "value", factor) for name, factor in condition.values.items()]
            terms += [(name, "change", factor) for name, factor in condition.changes.items()]
            return {
                "kind": "linear",
                "terms": [self._term(*term) for term in terms],
                "limit": condition.limit,
            }
        feature = self._feature(condition.name)
        if isinstance(condition, Changes):
            columns = [] if feature is None else self._columns(feature)
            return {"kind": "changes", "columns": columns, "changes": condition.changes}
        if feature is None:
            return {
                "kind": "values",
                "column": self._position(condition.name),
                "values": list(condition.levels),
                "inside": condition.inside,
            }
        levels = self.features[feature].levels
        return {
            "kind": "levels",
            "feature": feature,
            "inside": [_is_among(level, condition.levels) == condition.inside for level in levels],
            # What is no level is none of those that are named.
            "unknown": not condition.inside,
        }

    def _term(self, name: Hashable, of: str, factor: float) -> dict[str, Any]:
        column = self._position(name)
        # A gap of a feature that may move is a number that nobody knows.
        fill = self._fill(column) if self._feature(name) is None else None
        return {"column": column, "of": of, "factor": factor, "fill": fill}

    def _fill(self, column: int) -> float | None:
        """Return what a gap of a column counts as."""
        fill = getattr(self.actions.space.blocks[column], "fill", None)
        return None if fill is None else float(fill)

    def _moved_by(self, name: Hashable) -> list[int]:
        """Return the columns of the features that move what a rule names."""
        feature = self._feature(name)
        if feature is not None:
            return self._columns(feature)
        found: list[int] = []
        for rule in self.actions.downstream:
            if rule.column == self._position(name):
                causes = [j for j, amount in enumerate(rule.numeric) if amount]
                causes += [len(self.actions.numeric) + i for i in rule.tables]
                found += [column for cause in causes for column in self._columns(cause)]
        return found

    def _columns(self, feature: int) -> list[int]:
        """Return the raw columns of a feature by its position, numeric ones first."""
        first = len(self.actions.numeric)
        if feature < first:
            return [self.actions.numeric[feature].column]
        return list(self.actions.categorical[feature - first].columns)

    def _feature(self, name: Hashable) -> int | None:
        """Return the position of a feature that may move, None where the name is of another."""
        names = list(self.actions.space.raw_columns)
        for i, feature in enumerate(self.features):
            if feature.name == name:
                return i
        if name not in names:
            # A position names a column as well as its name does.
            for i in range(len(self.features)):
                if self._columns(i) == [name]:
                    return i
        return None

    def _position(self, name: Hashable) -> int:
        names = list(self.actions.space.raw_columns)
        return names.index(name) if name in names else int(name)  # type: ignore[call-overload]


def _is_among(level: Any, labels: tuple) -> bool:
    """Return whether a level is one of some labels: text never equals a number."""
    level, known = strict_json(level), strict_json(list(labels))
    return any(isinstance(level, str) == isinstance(one, str) and level == one for one in known)
