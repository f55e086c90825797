"""Rules of single people, which take the place of the action set's or are added to them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from skcfq.actions._rule_values import fail, number_pair
from skcfq.actions._unknown_names import unknown_column
from skcfq.exceptions import ActionSetError
from skcfq.utils import is_list

if TYPE_CHECKING:
    from skcfq.actions._compiled import CompiledActions

__all__ = ["Override", "read_overrides"]

_KEYS = ("immutable", "bounds")


@dataclass(frozen=True)
class Override:
    """Rules of the people at some rows.

    Parameters
    ----------
    rows : list of int
    immutable : list of int
        Positions of features, numeric first.
    bounds : dict of int to (low, high)
        By position of a numeric feature, in raw units.
    """

    rows: list[int]
    immutable: list[int] = field(default_factory=list)
    bounds: dict[int, tuple[float, float]] = field(default_factory=dict)


def read_overrides(overrides: Any, X: Any, compiled: CompiledActions) -> list[Override]:
    """Check overrides against the rows and the features.

    Raises
    ------
    ActionSetError
        Unknown row, feature or key; bounds that cross, or for a feature that has none.
    """
    if overrides is None:
        return []
    if not isinstance(overrides, Mapping):
        raise ActionSetError(
            f"overrides is {overrides!r}: give a dict from row labels to rules, such as "
            "{label: {'immutable': [...], 'bounds': {name: (low, high)}}}."
        )
    rows: dict[Hashable, list[int]] = {}
    for row, label in enumerate(X.index if isinstance(X, pd.DataFrame) else range(len(X))):
        rows.setdefault(label, []).append(row)
    found = []
    for label, rules in overrides.items():
        if label not in rows:
            raise ActionSetError(
                f"overrides names the row {label!r}, which X does not have. Use its index labels, "
                "or positions for an array."
            )
        found.append(_read(label, rules, rows[label], compiled))
    return found


def _read(label: Hashable, rules: Any, rows: list[int], compiled: CompiledActions) -> Override:
    if not isinstance(rules, Mapping) or any(key not in _KEYS for key in rules):
        raise ActionSetError(
            f"overrides for {label!r} is {rules!r}: give a dict with the keys {_KEYS}."
        )
    rule = f"overrides[{label!r}]"
    bounds, given, names = {}, rules.get("bounds"), rules.get("immutable")
    if not (given is None or isinstance(given, Mapping)):
        fail(rule, "bounds", given, "a dict is needed", "Write {name: (low, high)}")
    if not (names is None or is_list(names)):
        fail(rule, "immutable", names, "a list of names is needed", f"Write [{names!r}]")
    for name, pair in (given or {}).items():
        position = _feature(rule, name, compiled)
        if position is None:
            fail(
                rule,
                name,
                pair,
                "the action set lets nobody change the column",
                "Drop the bounds, or take the column out of immutable",
            )
        if position >= len(compiled.numeric):
            fail(rule, name, pair, "the column holds categories", "Name it in immutable instead")
        bounds[position] = number_pair(rule, name, pair)
        try:
            compiled.numeric[position].with_bounds(*bounds[position])
        except ActionSetError as error:
            raise ActionSetError(f"{rule} has bounds that go too far: {error}") from error
    held = [_feature(rule, name, compiled) for name in (() if names is None else names)]
    # What nobody may change is immutable for this person too.
    return Override(rows, [position for position in held if position is not None], bounds)


def _feature(rule: str, name: Hashable, compiled: CompiledActions) -> int | None:
    """Return the position of a feature, None for a column that cannot change."""
    if name is pd.NA or not isinstance(name, Hashable):
        raise ActionSetError(f"{rule} names {name!r}, which is no name of a column.")
    for position, feature in enumerate(compiled.numeric):
        if name in (feature.name, feature.column):
            return position
    for position, category in enumerate(compiled.categorical):
        if name == category.name or category.columns == (name,):
            return len(compiled.numeric) + position
    if name in compiled.space.raw_columns or name in range(compiled.space.n_raw):
        return None
    raise unknown_column(rule, name, compiled.space.raw_columns)
