"""The changes of a document that was read: the same table as that of the result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.results._document_tables import own_name
from skcfq.results._export import changes_of, check_unit_names, frame_of, nothing_of
from skcfq.utils import as_objects, check_flag, from_json, missing_mask, plain, strict_json

if TYPE_CHECKING:
    from skcfq.results._result import RecourseResult

# What is said of a change, and the type that holds it.
_COLUMNS = {
    "row": np.int64,
    "feature": object,
    "kind": object,
    "from": object,
    "to": object,
    "change": np.float64,
    "cost_share": np.float64,
    "percentile_from": np.float64,
    "percentile_to": np.float64,
    "is_number": bool,
}


def result_changes(result: RecourseResult) -> pd.DataFrame:
    """Return the changes of a result, one row each; who changes nothing has none."""
    changes = changes_of(result, np.arange(len(result)))
    told = np.array([kind is not None for kind in changes["kind"]], dtype=bool)
    return _frame({name: changes[name][told] for name in _COLUMNS})


def _frame(table: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(_array(table[name], kind), dtype=kind) for name, kind in _COLUMNS.items()}
    )


def _array(values: Any, kind: Any) -> np.ndarray:
    # A name may be a tuple, which numpy would spread.
    made: np.ndarray = np.empty(len(values), dtype=kind)
    for i, value in enumerate(values):
        made[i] = value
    return made


def read_changes(
    answers: list[dict[str, Any]], X: Any, points: Any, document: Mapping[str, Any]
) -> tuple[pd.DataFrame, dict | None]:
    """Return the changes of the answers of one rank, and the units of columns.

    Raises
    ------
    ValueError
        A change is not what the two tables tell, or a cell changed that no change names.
    """
    columns = _Columns(X, points, document)
    table: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for row, answer in enumerate(answers):
        told = set()
        for change in answer["changes"]:
            name = columns.name_of(change["feature"])
            old, new = columns.ends(name, row, change)
            told.update(columns.touched(name, old, new))
            values = {"row": row, "feature": name, "from": old, "to": new}
            values |= {key: change[key] for key in ("kind", "cost_share")}
            for key in ("change", "percentile_from", "percentile_to"):
                values[key] = np.nan if change[key] is None else change[key]
            values["is_number"] = change["kind"] == "implied" or name not in columns.categories
            for key, value in values.items():
                table[key].append(value)
        untold = columns.moved(row) - told
        if untold:
            raise ValueError(f"people[{row}] moves {min(map(str, untold))}, which no change names")
    return _frame(table), columns.units(document["units"])


class _Columns:
    """The columns of both tables by name, and the features that a document speaks of."""

    def __init__(self, X: Any, points: Any, document: Mapping[str, Any]) -> None:
        self.before, self.after = _by_name(X), _by_name(points)
        self.exact = document["format_version"] > 1
        features = document["cost"]["features"]
        self.features = {self._plain(one["name"]) for one in features}
        self.categories = {self._plain(one["name"]) for one in features if "levels" in one}
        self._moved: list[set[Any]] = [set() for _ in range(len(X))]
        for name, old in self.before.items():
            for row in np.flatnonzero(_differ(old, self.after[name])).tolist():
                self._moved[row].add(name)

    def _plain(self, name: Any) -> Any:
        if isinstance(name, list):
            return tuple(map(self._plain, name))
        return name

    def name_of(self, told: Any) -> Any:
        """Return the name of a feature, given what the document calls it."""
        name = from_json(told) if self.exact else self._plain(told)
        known = own_name(name, self.before)
        if known is not None:
            return known
        if self._plain(name) not in self.features:
            raise ValueError(f"changes name {told!r}, which is no feature")
        return name

    def ends(self, name: Any, row: int, change: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return both ends of a change, as the tables have them."""
        if name not in self.before:
            # A declared one-hot group tells the names of its columns.
            ends = [self._column(change[end]) for end in ("from", "to")]
            return ends[0], ends[1]
        ends = [plain(table[name][row]) for table in (self.before, self.after)]
        for end, value in zip(("from", "to"), ends, strict=True):
            if json.dumps(strict_json(value)) != json.dumps(change[end]) and self.exact:
                raise ValueError(
                    f"people[{row}] changes {name!r} {end} {change[end]!r}, and has {value!r}"
                )
        return self.before[name][row], self.after[name][row]

    def _column(self, told: Any) -> Any:
        if told is None:
            return None
        known = own_name(told, self.before)
        # The level without a column of its own.
        return self._plain(told) if known is None else known

    def touched(self, name: Any, old: Any, new: Any) -> set[Any]:
        """Return the columns that a change is about."""
        return {name} if name in self.before else {old, new}

    def moved(self, row: int) -> set[Any]:
        """Return the columns that differ in the two tables."""
        return self._moved[row]

    def units(self, told: Mapping[str, str]) -> dict | None:
        """Return units by the names of columns, which JSON has as text."""
        names = {str(plain(name)): name for name in (*self.before, *self.features)}
        return {names.get(key, key): unit for key, unit in told.items()} or None


def _by_name(X: Any) -> dict[Any, np.ndarray]:
    if isinstance(X, pd.DataFrame):
        return {plain(X.columns[j]): as_objects(X.iloc[:, j]) for j in range(X.shape[1])}
    return {j: as_objects(X[:, j]) for j in range(X.shape[1])}


def _differ(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    gaps = missing_mask(old), missing_mask(new)
    both = ~gaps[0] & ~gaps[1]
    differ = gaps[0] != gaps[1]
    differ[both] |= old[both] != new[both]
    return differ


def changes_frame(advice: Any, details: bool, units: Mapping | None) -> pd.DataFrame:
    """Return the table of :meth:`IssuedAdvice.to_frame`."""
    check_flag("details", details)
    if units is not None:
        check_unit_names(units, [*_by_name(advice.X)], [*advice.changes["feature"]])
    details = bool(details) or units is not None
    changes = {name: advice.changes[name].to_numpy() for name in _COLUMNS}
    if not details:
        own = changes["kind"] != "implied"
        changes = {name: values[own] for name, values in changes.items()}
    nothing = nothing_of(np.setdiff1d(np.arange(len(advice)), changes["row"]))
    order = np.argsort(np.concatenate([changes["row"], nothing["row"]]), kind="stable")
    joined = {
        name: np.concatenate([values, nothing[name]])[order] for name, values in changes.items()
    }
    shown = (advice.units or {}) if units is None else units
    return frame_of(advice, advice.people, joined, details, shown)
