"""Where people stand in the background population, and how far an action moves them there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.encoding import statistic_of
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.actions import CompiledActions
    from skcfq.results._result import RecourseResult

# People who are looked at together; bounds the memory.
BLOCK = 16_384


def number_percentiles(values: np.ndarray, quantiles: np.ndarray | None) -> np.ndarray:
    """Return the share of a population at or below each value, in percent.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Raw values.
    quantiles : ndarray of shape (q,) or None
        Evenly spaced quantiles of the population, from the smallest to the largest value.

    Returns
    -------
    percentiles : ndarray of shape (n,)
        Interpolated between the quantiles, so exact to one step of theirs; NaN where the value
        or the population is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> quantiles = np.array([0.0, 0.0, 0.0, 10.0, 20.0])
    >>> number_percentiles(np.array([-1.0, 0.0, 5.0, 30.0]), quantiles).tolist()
    [0.0, 50.0, 62.5, 100.0]
    """
    if quantiles is None or np.isnan(quantiles).any():
        return np.full(len(values), np.nan)
    # Of equal quantiles the last one counts: everybody at the value is at or below it.
    points, first = np.unique(quantiles[::-1], return_index=True)
    shares = np.linspace(100.0, 0.0, len(quantiles))[first]
    return np.interp(values, points, shares, left=0.0, right=100.0)


def level_percentiles(ranks: np.ndarray | None, frequencies: np.ndarray) -> np.ndarray:
    """Return the share of a population at or below each level of a category, in percent.

    Parameters
    ----------
    ranks : ndarray of shape (L,) or None
        Position of each level in the order, NaN where it has none; None without an order.
    frequencies : ndarray of shape (L,)

    Returns
    -------
    percentiles : ndarray of shape (L + 1,)
        NaN where there is no order; the last entry, NaN, is for an unrecognized level.

    Examples
    --------
    >>> import numpy as np
    >>> level_percentiles(np.array([1.0, 0.0, np.nan]), np.array([0.25, 0.5, 0.25])).round(1)
    array([100. ,  66.7,   nan,   nan])
    """
    percentiles = np.full(len(frequencies) + 1, np.nan)
    if ranks is None:
        return percentiles
    listed = np.flatnonzero(~np.isnan(ranks))
    total = frequencies[listed].sum()
    if total > 0:
        below = ranks[listed][None, :] <= ranks[listed][:, None]
        percentiles[listed] = 100.0 * (below @ frequencies[listed]) / total
    return percentiles


def feature_percentiles(actions: CompiledActions, feature: int, columns: list[Any]) -> np.ndarray:
    """Return where people stand in one feature, in percent of the population.

    Parameters
    ----------
    actions : CompiledActions
    feature : int
        Its position, numeric features first.
    columns : list of arrays of shape (n,)
        The raw columns of the people.

    Returns
    -------
    percentiles : ndarray of shape (n,)
        NaN for a category without an order.
    """
    if feature < len(actions.numeric):
        numeric = actions.numeric[feature]
        values = numeric.own_values(columns)
        return number_percentiles(values, numeric.block.statistics.quantiles)
    category = actions.categorical[feature - len(actions.numeric)]
    table = level_percentiles(category.ranks, np.asarray(category.frequencies, dtype=np.float64))
    return table[category.own_levels(columns)]


def raw_columns(actions: CompiledActions, X: Any, rows: np.ndarray) -> list[Any]:
    """Return the raw columns of some rows, in the order of the feature space."""
    return [values for _, values in actions.space.columns_of(take_rows(X, rows))[0]]


def percentile_shifts(result: RecourseResult) -> pd.DataFrame:
    """Return each person's shift in percentiles; see :meth:`RecourseResult.percentile_shifts`."""
    n = len(result)
    total, largest = np.zeros(n), np.zeros(n)
    unordered = np.zeros(n, dtype=np.int64)
    active = np.flatnonzero(result.changed.any(axis=1))
    for start in range(0, len(active), BLOCK):
        rows = active[start : start + BLOCK]
        shifts = _shifts(result, rows)
        known = np.nan_to_num(shifts)
        total[rows], largest[rows] = known.sum(axis=1), known.max(axis=1)
        unordered[rows] = np.isnan(shifts).sum(axis=1)
    total[~result.valid] = largest[~result.valid] = np.nan
    index = result.X.index if isinstance(result.X, pd.DataFrame) else None
    return pd.DataFrame({"total": total, "max": largest, "unordered": unordered}, index=index)


def _shifts(result: RecourseResult, rows: np.ndarray) -> np.ndarray:
    """Return the shift of every feature, shape (n, F); NaN where a change has no percentile."""
    actions = result.actions
    before = raw_columns(actions, result.X, rows)
    after = raw_columns(actions, result.points, rows)
    shifts = np.zeros((len(rows), actions.n_features))
    for feature in range(actions.n_features):
        changed = result.changed[rows, feature]
        if changed.any():
            if feature < len(actions.numeric):
                statistic_of(actions.numeric[feature].block, "quantiles", "A shift in percentiles")
            moved = feature_percentiles(actions, feature, after)
            moved = np.abs(moved - feature_percentiles(actions, feature, before))
            shifts[changed, feature] = moved[changed]
    return shifts
