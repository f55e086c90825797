"""The plane of two numeric features through one person's row, and who grants in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from skcfq.actions import ActionSet
from skcfq.models import carried_action_set
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.utils import as_numbers, as_table, is_integer_like, is_list, take_rows

_RESOLUTION = 241
# Around the points, as a share of how far they lie apart.
_AROUND = 0.6


@dataclass(frozen=True, eq=False)
class Plane:
    """A grid of raw rows that differ in two columns, and three points on it."""

    names: tuple
    x: np.ndarray
    y: np.ndarray
    row: Any
    person: np.ndarray
    advice: np.ndarray
    advice_deployed: np.ndarray | None
    advice_row: Any


def solve_in_plane(
    reference: Any,
    deployed: Any,
    x: Any,
    features: Any,
    solver: RecourseSolver | None,
    background: Any,
) -> tuple[RecourseResult, RecourseResult]:
    """Compare two models on one person, who may change two features alone."""
    row = as_table(x)
    if row.ndim != 2 or len(row) != 1:
        raise ValueError(f"`x` has the shape {row.shape}; give the one row of a person.")
    names = _two_columns(row, features)
    asked = RecourseSolver(random_state=0) if solver is None else clone(solver)
    rules = asked.action_set
    if rules is None:
        rules = carried_action_set(reference, deployed)
    rules = ActionSet() if rules is None else clone(rules)
    asked.set_params(action_set=rules.set_params(actionable=list(names)))
    return asked.compare(reference, deployed, row, background=background, keep_partial=False)


def plane_of(first: RecourseResult, second: RecourseResult, features: Any, row: Any) -> Plane:
    """Return the plane through one person's row, wide enough for the advice of both models.

    Raises
    ------
    ValueError
        The person has no advice, or one that leaves the plane.
    """
    if isinstance(row, bool | np.bool_) or not isinstance(row, int | np.integer):
        raise ValueError(f"row={row!r}; give the position of a person, a whole number.")
    if not 0 <= row < len(first) or len(first) != len(second):
        raise ValueError(
            f"row={row}: `result_reference` has {len(first)} people, `result_deployed` "
            f"{len(second)}."
        )
    names = _two_columns(first.X, features)
    if not first.reachable[row]:
        raise ValueError(
            f"The person in row={row} is {first.status[row]!r} under the reference: there is no "
            "advice to draw. Pick one of np.flatnonzero(result_reference.reachable)."
        )
    here = np.array([row])
    own, advised = (take_rows(X, here) for X in (first.X, first.points))
    _check_in_plane(own, advised, names)
    person, advice = _at(own, names), _at(advised, names)
    other = None
    if second.valid[row]:
        asked = take_rows(second.points, here)
        _check_in_plane(own, asked, names)
        other = _at(asked, names)
    points = np.array([point for point in (person, advice, other) if point is not None])
    x, y = (
        _grid(
            points[:, k],
            first.actions.space.block(name).statistics,
            whole=is_integer_like(_column(first.X, name)),
        )
        for k, name in enumerate(names)
    )
    return Plane(names, x, y, own, person, advice, other, advised)


def decided(model: Any, plane: Plane, target: Any) -> np.ndarray:
    """Return where a model gives the target, bool of shape (len(y), len(x))."""
    xs, ys = np.meshgrid(plane.x, plane.y)
    rows = take_rows(plane.row, np.zeros(xs.size, dtype=np.int64))
    if isinstance(rows, pd.DataFrame):
        rows = rows.reset_index(drop=True)
        for name, values in zip(plane.names, (xs, ys), strict=True):
            column = pd.Series(values.ravel())
            whole = is_integer_like(rows[name])
            rows[name] = column.astype(rows[name].dtype) if whole else column
    else:
        rows = rows.copy()
        rows[:, plane.names[0]], rows[:, plane.names[1]] = xs.ravel(), ys.ravel()
    return np.asarray(np.asarray(model.predict(rows)) == target).reshape(xs.shape)


def _two_columns(X: Any, features: Any) -> tuple:
    """Return the names, or positions, of two different numeric columns."""
    names = tuple(features) if is_list(features) and not isinstance(features, set) else ()
    known = list(X.columns) if isinstance(X, pd.DataFrame) else list(range(X.shape[1]))
    try:
        right = len(names) == 2 and names[0] != names[1] and all(name in known for name in names)
    except (TypeError, ValueError):
        right = False
    if not right or any(isinstance(name, bool | np.bool_) for name in names):
        raise ValueError(f"features={features!r}; give two different columns of {known}.")
    for name in names:
        try:
            numbers = as_numbers(_column(X, name))
        except ValueError as error:
            raise ValueError(f"`features` names {name!r}, which is no number: {error}.") from error
        if np.isnan(numbers).all():
            raise ValueError(f"`features` names {name!r}, which has gaps only.")
    return names


def _column(X: Any, name: Any) -> Any:
    return X[name] if isinstance(X, pd.DataFrame) else X[:, name]


def _at(row: Any, names: tuple) -> np.ndarray:
    point = np.array([as_numbers(_column(row, name))[0] for name in names])
    if np.isnan(point).any():
        raise ValueError(f"`features`: the person has a gap in one of {list(names)}.")
    return point


def _check_in_plane(own: Any, advised: Any, names: tuple) -> None:
    columns = list(own.columns) if isinstance(own, pd.DataFrame) else range(own.shape[1])
    changed = []
    for name in columns:
        before, after = (pd.Series(_column(X, name)).iloc[0] for X in (own, advised))
        both_missing = pd.isna(before) and pd.isna(after)
        if name not in names and not both_missing and before != after:
            changed.append(name)
    if changed:
        raise ValueError(
            f"The person's advice changes {changed} too, beside `features` {list(names)}. Solve "
            f"with ActionSet(actionable={list(names)}), as from_estimators does."
        )


def _grid(points: np.ndarray, known: Any, *, whole: bool) -> np.ndarray:
    """Return values around some points, within what was observed where that is known.

    Parameters
    ----------
    points : ndarray of shape (n,)
    known : ColumnStatistics
    whole : bool
        Whole numbers alone.
    """
    apart = np.ptp(points)
    if apart == 0:
        apart = known.std if known.std else max(1.0, abs(points[0]) / 4)
    least, most = points.min(), points.max()
    low, high = least - _AROUND * apart, most + _AROUND * apart
    if known.minimum is not None and known.maximum is not None:
        low, high = max(low, min(known.minimum, least)), min(high, max(known.maximum, most))
    if not whole:
        # A point that lies on the edge of what was observed stays off the edge of the figure.
        low, high = min(low, least - 0.1 * apart), max(high, most + 0.1 * apart)
        return np.linspace(low, high, _RESOLUTION)
    low, high = np.floor(min(low, least - 1)), np.ceil(max(high, most + 1))
    return np.unique(np.round(np.linspace(low, high, min(_RESOLUTION, int(high - low) + 1))))
