"""Changes that follow from other changes: a new degree takes years, and age moves along."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.actions._categorical import CategoricalFeature
from skcfq.actions._numeric import NumericFeature
from skcfq.actions._rule_values import fail, number
from skcfq.exceptions import ActionSetError

__all__ = ["DownstreamRule", "build_downstream_rules"]


@dataclass(frozen=True, eq=False)
class DownstreamRule:
    """What moves one column that people cannot move themselves.

    Parameters
    ----------
    name : hashable
    column : int
        Position of the raw column.
    block : Block
        Its map to the encoded column, if it has one.
    numeric : ndarray of shape (m,)
        Raw change of the column per raw unit of each numeric feature.
    tables : dict of int to ndarray of shape (L + 1, L)
        By position of a categorical feature: raw change for each move from a level (last row: an
        unrecognized one) to a level.
    """

    name: Hashable
    column: int
    block: Any
    numeric: np.ndarray
    tables: dict[int, np.ndarray]


def build_downstream_rules(
    rules: Mapping | None,
    numeric: Sequence[NumericFeature],
    categorical: Sequence[CategoricalFeature],
    space: Any,
) -> tuple[DownstreamRule, ...]:
    """Check the rules on downstream changes and tabulate them.

    Raises
    ------
    ActionSetError
        If a column is unknown, is no plain number, may be changed by people, or is a cause of
        itself.
    """
    if rules is None:
        return ()
    if not isinstance(rules, Mapping):
        raise ActionSetError(
            f"implied is {rules!r}: give a dict from a column to the causes of its changes, such "
            "as {'age': {'education': 2.0}}."
        )
    features = (numeric, categorical)
    return tuple(_build(name, causes, *features, space) for name, causes in rules.items())


def _build(
    name: Hashable,
    causes: Any,
    numeric: Sequence[NumericFeature],
    categorical: Sequence[CategoricalFeature],
    space: Any,
) -> DownstreamRule:
    column = _position(name, space)
    block = space.blocks[column]
    if not isinstance(causes, Mapping) or not causes:
        fail("implied", name, causes, "a dict of causes is needed", "Write {cause: amount}")
    if any(column == feature.column for feature in numeric) or any(
        column in feature.columns for feature in categorical
    ):
        fail(
            "implied",
            name,
            causes,
            "people can change the column themselves",
            "Name it in immutable: it then moves with its causes alone",
        )
    if block.kind not in ("affine", "unused"):
        fail("implied", name, causes, "it is no plain number", "Choose a column of numbers")
    per_unit, tables = np.zeros(len(numeric)), {}
    for cause, amounts in causes.items():
        for j, feature in enumerate(numeric):
            if cause in (feature.name, feature.column):
                _check_affine(feature, f"implied[{name!r}]")
                per_unit[j] = number("implied", cause, amounts)
                break
        else:
            i = _categorical_position(name, cause, categorical, numeric)
            tables[i] = _table(categorical[i], amounts)
    return DownstreamRule(name, column, block, per_unit, tables)


def _check_affine(feature: NumericFeature, rule: str) -> None:
    if feature.block.kind != "affine":
        raise ActionSetError(
            f"{rule} names {feature.name!r}, whose encoding is not linear. Leave the column "
            "untransformed (but for scaling), or drop the rule."
        )


def _position(name: Hashable, space: Any) -> int:
    names = list(space.raw_columns)
    if name in names:
        return names.index(name)
    if isinstance(name, int) and 0 <= name < len(names):
        return name
    raise ActionSetError(f"implied names {name!r}, which is no column. Use one of {names!r}.")


def _categorical_position(
    name: Hashable, cause: Hashable, categorical: Sequence[CategoricalFeature], numeric: Sequence
) -> int:
    for i, feature in enumerate(categorical):
        if cause == feature.name or feature.columns == (cause,):
            return i
    known = [*(f.name for f in numeric), *(f.name for f in categorical)]
    raise ActionSetError(
        f"implied[{name!r}] names the cause {cause!r}, which is no feature that can change. Use "
        f"one of {known!r}."
    )


def _table(feature: CategoricalFeature, amounts: Any) -> np.ndarray:
    table = np.zeros((feature.n_levels + 1, feature.n_levels))
    if not isinstance(amounts, Mapping):
        step = number("implied", feature.name, amounts)
        if feature.ranks is None:
            fail(
                "implied",
                feature.name,
                amounts,
                "its categories have no order",
                "Give {from: {to: amount}}, or an ordinal rule",
            )
        table[:-1] = step * (feature.ranks[None, :] - feature.ranks[:, None])
        return np.nan_to_num(table)
    if all(isinstance(value, Mapping) for value in amounts.values()):
        for start, moves in amounts.items():
            for end, amount in moves.items():
                row, column = _level(feature, start), _level(feature, end)
                table[row, column] = number("implied", feature.name, amount)
        return table
    positions = np.full(feature.n_levels, np.nan)
    for level, value in amounts.items():
        positions[_level(feature, level)] = number("implied", feature.name, value)
    table[:-1] = positions[None, :] - positions[:, None]
    return np.nan_to_num(table)


def _level(feature: CategoricalFeature, label: Any) -> int:
    for i, level in enumerate(feature.levels):
        if isinstance(level, str) == isinstance(label, str) and level == label:
            return i
    raise ActionSetError(
        f"implied names the level {label!r} of {feature.name!r}, which is no category of the "
        f"column. Use its categories: {list(feature.levels)!r}."
    )
