"""What a result holds, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.results._percentiles import BLOCK, feature_percentiles, number_percentiles, raw_columns
from skcfq.utils import as_numbers, as_objects, check_flag

if TYPE_CHECKING:
    from skcfq.actions import CompiledActions, RecourseCost
    from skcfq.results._result import RecourseResult


def cost_shares(cost: RecourseCost, contributions: np.ndarray) -> np.ndarray:
    """Return each feature's share of the cost of its person's action.

    Parameters
    ----------
    cost : RecourseCost
    contributions : ndarray of shape (n, F)
        What each feature adds, before the norm.

    Returns
    -------
    shares : ndarray of shape (n, F)
        Rows sum to 1, or are 0 without a cost. A norm is homogeneous, so it is the sum of its
        contributions times their derivatives (Euler): squares for l2.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        linear = contributions / contributions.sum(axis=1, keepdims=True)
        length = np.linalg.norm(contributions, axis=1, keepdims=True)
        squares = (contributions / length) ** 2
        if cost.norm == "l1":
            shares = linear
        elif cost.norm == "l2":
            shares = squares
        else:
            ones = cost.mix * contributions + (1 - cost.mix) * squares * length
            shares = ones / ones.sum(axis=1, keepdims=True)
    return np.nan_to_num(shares)


def changes_of(
    result: RecourseResult, rows: np.ndarray, *, details: bool = True
) -> dict[str, np.ndarray]:
    """List the changed features of some people.

    Parameters
    ----------
    result : RecourseResult
    rows : int ndarray of shape (n,)
    details : bool, default=True
        Whether implied changes are listed, and shares and percentiles worked out.

    Returns
    -------
    changes : dict of arrays of shape (k,)
        ``row``, ``feature``, ``from``, ``to``; with details ``kind`` (``"change"`` or
        ``"implied"``), ``change``, ``cost_share``, ``percentile_from``, ``percentile_to`` and
        ``is_number`` too. By person, features in the order of ``feature_names``, implied ones
        last. Who changes nothing has one entry, whose ``feature`` is None.
    """
    starts = range(0, max(len(rows), 1), BLOCK)
    parts = [_block(result, rows[start : start + BLOCK], details) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _block(result: RecourseResult, rows: np.ndarray, details: bool) -> dict[str, np.ndarray]:
    active = result.changed[rows].any(axis=1)
    people, actions = rows[active], result.actions
    before = raw_columns(actions, result.X, people)
    after = raw_columns(actions, result.points, people)
    shares = None
    if details and len(people):
        cost = result.cost_function
        shares = cost_shares(cost, cost.row_contributions(actions, before, after))
    parts = [nothing_of(rows[~active], details)]
    for feature in range(len(actions.feature_names)):
        here = np.flatnonzero(result.changed[people, feature])
        if len(here) == 0:
            continue
        old, new = ([_take(column, here) for column in table] for table in (before, after))
        part = {
            "row": people[here],
            "order": np.full(len(here), feature),
            "feature": _filled(actions.feature_names[feature], len(here)),
            "from": _feature_values(actions, feature, old),
            "to": _feature_values(actions, feature, new),
        }
        if shares is not None:
            part |= _feature_details(actions, feature, old, new)
            part["cost_share"] = shares[here, feature]
        parts.append(part)
    if details:
        parts += _implied_parts(actions, people, before, after)
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((table.pop("order"), table["row"]))
    return {name: values[order] for name, values in table.items()}


def _take(column: Any, rows: np.ndarray) -> Any:
    return None if column is None else column[rows]


def _filled(value: Any, n: int) -> np.ndarray:
    # A name may be a tuple, which numpy would spread.
    out = np.empty(n, dtype=object)
    for i in range(n):
        out[i] = value
    return out


def nothing_of(rows: np.ndarray, details: bool = True) -> dict[str, np.ndarray]:
    """Return the entries of people who change nothing."""
    n = len(rows)
    part = {"row": rows, "order": np.zeros(n, dtype=np.int64)}
    part |= {name: np.full(n, None, dtype=object) for name in ("feature", "from", "to")}
    if details:
        part["kind"] = np.full(n, None, dtype=object)
        part["is_number"] = np.zeros(n, dtype=bool)
        for name in ("change", "cost_share", "percentile_from", "percentile_to"):
            part[name] = np.full(n, np.nan)
    return part


def _feature_values(actions: CompiledActions, feature: int, columns: list[Any]) -> np.ndarray:
    """Return the raw values of one feature; of a declared one-hot group, the hot column's name."""
    if feature < len(actions.numeric):
        return as_objects(columns[actions.numeric[feature].column])
    category = actions.categorical[feature - len(actions.numeric)]
    if not category.is_group:
        return as_objects(columns[category.columns[0]])
    labels: np.ndarray = np.empty(category.n_levels + 1, dtype=object)
    labels[:-1] = category.levels
    return labels[category.own_levels(columns)]


def _feature_details(
    actions: CompiledActions, feature: int, old: list[Any], new: list[Any]
) -> dict[str, np.ndarray]:
    is_number = feature < len(actions.numeric)
    if is_number:
        numeric = actions.numeric[feature]
        change = numeric.own_values(new) - numeric.own_values(old)
    else:
        category = actions.categorical[feature - len(actions.numeric)]
        ranks = np.full(category.n_levels, np.nan) if category.ranks is None else category.ranks
        ranks = np.append(ranks, np.nan)
        change = ranks[category.own_levels(new)] - ranks[category.own_levels(old)]
    return {
        "kind": np.full(len(change), "change", dtype=object),
        "is_number": np.full(len(change), is_number),
        "change": change,
        "percentile_from": feature_percentiles(actions, feature, old),
        "percentile_to": feature_percentiles(actions, feature, new),
    }


def _implied_parts(
    actions: CompiledActions, people: np.ndarray, before: list[Any], after: list[Any]
) -> list[dict[str, np.ndarray]]:
    """List the columns that moved because others did."""
    parts = []
    for position, rule in enumerate(actions.downstream):
        if before[rule.column] is None:
            continue
        old, new = as_numbers(before[rule.column]), as_numbers(after[rule.column])
        here = np.flatnonzero((old != new) & ~(np.isnan(old) & np.isnan(new)))
        quantiles = rule.block.statistics.quantiles
        parts.append(
            {
                "row": people[here],
                "order": np.full(len(here), actions.n_features + position),
                "feature": _filled(rule.name, len(here)),
                "from": as_objects(before[rule.column][here]),
                "to": as_objects(after[rule.column][here]),
                "kind": np.full(len(here), "implied", dtype=object),
                "is_number": np.ones(len(here), dtype=bool),
                "change": (new - old)[here],
                "cost_share": np.zeros(len(here)),
                "percentile_from": number_percentiles(old[here], quantiles),
                "percentile_to": number_percentiles(new[here], quantiles),
            }
        )
    return parts


def to_frame(result: RecourseResult, details: bool, units: Mapping | None) -> pd.DataFrame:
    """Return the table of :meth:`RecourseResult.to_frame`."""
    check_flag("details", details)
    shown = shown_units(result, units)
    details = bool(details) or units is not None
    changes = changes_of(result, np.arange(len(result)), details=details)
    index = result.X.index if isinstance(result.X, pd.DataFrame) else np.arange(len(result))
    return frame_of(result, index, changes, details, shown)


def frame_of(
    answers: Any, people: Any, changes: Mapping[str, np.ndarray], details: bool, units: Mapping
) -> pd.DataFrame:
    """Return the table of some changes.

    Parameters
    ----------
    answers : object with ``cost``, ``margin`` and ``status`` of each person
    people : index labels of n people
    changes : dict of arrays of shape (k,)
        As by :func:`changes_of`.
    details : bool
    units : dict of name to str
    """
    rows = changes["row"]
    table: dict[str, Any] = {"person": np.asarray(people)[rows]}
    if details:
        table["row"] = rows
    table["feature"] = changes["feature"]
    if details:
        table["kind"] = changes["kind"]
    table |= {"from": changes["from"], "to": changes["to"]}
    if details:
        table["unit"] = units_of(changes, units)
        for name in ("change", "cost_share", "percentile_from", "percentile_to"):
            table[name] = changes[name]
    for name in ("cost", "margin", "status"):
        table[name] = getattr(answers, name)[rows]
    return pd.DataFrame(table)


def shown_units(result: RecourseResult, units: Mapping | None) -> Mapping:
    """Return the units to show, the result's own by default.

    Raises
    ------
    ValueError
        As :func:`check_units`.
    """
    if units is None:
        return result.units or {}
    check_units(result, units)
    return units


def check_units(result: RecourseResult, units: Any) -> None:
    """Refuse what gives no units of columns.

    Raises
    ------
    ValueError
        No dict of texts, or a name that is no column.
    """
    columns = list(result.actions.space.raw_columns)
    others = [*result.feature_names]
    others += [*result.X.columns] if isinstance(result.X, pd.DataFrame) else []
    check_unit_names(units, columns, others)


def check_unit_names(units: Any, columns: Sequence, others: Sequence = ()) -> None:
    """Refuse what gives no units of some columns; `others` may be named too."""
    if not isinstance(units, Mapping):
        raise ValueError(
            f"units is {units!r}: give a dict from columns to units, such as {{'income': 'EUR'}}."
        )
    known = {*columns, *others}
    unknown = [name for name in units if name not in known]
    if unknown:
        raise ValueError(
            f"units names {unknown[0]!r}, which is no column. Use names among {list(columns)!r}."
        )
    no_text = {name: unit for name, unit in units.items() if not isinstance(unit, str)}
    if no_text:
        raise ValueError(f"units has {no_text!r}: give a text for each column, or leave it out.")


def units_of(changes: Mapping[str, np.ndarray], units: Mapping) -> np.ndarray:
    """Return the unit of each change; None for categories, which are counted in nothing."""
    return np.array(
        [
            units.get(name) if is_number else None
            for name, is_number in zip(changes["feature"], changes["is_number"], strict=True)
        ],
        dtype=object,
    )
