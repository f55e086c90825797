"""The way back from encoded points of a region to the raw rows that people read."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from skcfq.actions._categorical import CategoricalFeature
from skcfq.actions._narrow_columns import rounded_outward, whole_outward
from skcfq.actions._plain_numbers import not_short, within_limits
from skcfq.actions._raw import filled_numbers, read_columns, write_columns
from skcfq.actions._region import ActionRegion
from skcfq.utils import snap_integers

__all__ = ["raw_rows"]

# Share of changed values below which it is faster to look them up one by one.
_FEW = 0.25

# By raw column: which rows change, and their new values.
Updates = dict[int, tuple[np.ndarray, np.ndarray]]


def raw_rows(region: ActionRegion, u: Tensor) -> Any:
    """Return the raw rows of encoded points, in the container of the people's own rows.

    Parameters
    ----------
    region : ActionRegion
        Of n people.
    u : Tensor of shape (n, d)

    Returns
    -------
    rows : DataFrame or ndarray of shape (n, p)
        Gridded values are the exact raw grid values, bounds the exact raw bounds, and no change
        is short of the smallest one; a whole-number column stays one while its values allow it.
        What does not change is bit-identical, gaps and unknown categories included.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.actions import ActionSet, raw_rows, region_of
    >>> from skcfq.encoding import FeatureSpace
    >>> X = pd.DataFrame({"age": [25, 40], "savings": [120, 500]})
    >>> rules = ActionSet(immutable=["age"], bounds={"savings": (0, 900)}, steps={"savings": 100})
    >>> region = region_of(rules.compile(FeatureSpace.from_frame(X)), X)
    >>> raw_rows(region, region.project(region.origin + 260.0))
       age  savings
    0   25      400
    1   40      800
    """
    if _is_plain_array(region):
        return _plain_rows(region, u.detach())
    values, levels = region.split(u.detach())
    changed = region.changed(u).numpy()
    updates: Updates = {}
    for j, feature in enumerate(region.compiled.numeric):
        mask = changed[:, j]
        if mask.any():
            encoded = values[:, j].numpy()[mask]
            raw = _raw_values(region, j, encoded, mask)
            updates[feature.column] = (mask, _admissible(region, j, raw, mask))
    for i, category in enumerate(region.compiled.categorical):
        mask = (levels[:, i] != region.levels[:, i]).numpy()
        if mask.any():
            updates.update(_raw_levels(category, levels[:, i].numpy()[mask], mask))
    updates.update(_downstream_updates(region, values, levels))
    return write_columns(region.compiled.space, region.X, updates)


def _is_plain_array(region: ActionRegion) -> bool:
    """Whether all that can change are plain numbers of a float table."""
    compiled = region.compiled
    is_float = isinstance(region.X, np.ndarray) and region.X.dtype == np.float64
    plain = len(compiled.plain_numbers.index) == compiled.n_features
    free = region.downstream is None and region.min_change is None
    return is_float and plain and free


def _plain_rows(region: ActionRegion, u: Tensor) -> np.ndarray:
    """Do what :func:`raw_rows` does for all columns in one pass."""
    plain = region.compiled.plain_numbers
    values = u[:, region.numeric_columns].numpy()
    changed = values != region.values.numpy()
    # Few changes are picked out; many are overwritten in place.
    dense = (slice(None), slice(None))
    where = np.nonzero(changed) if changed.mean() < _FEW else dense
    features = where[1]
    raw = plain.take(features).raw_values(
        values[where],
        (region.lower.numpy()[where], region.upper.numpy()[where]),
        (region.raw_lower[where], region.raw_upper[where]),
    )
    rows = region.X.copy()
    if where is dense:
        rows[:, plain.columns] = np.where(changed, raw, rows[:, plain.columns])
    else:
        rows[where[0], plain.columns[features]] = raw
    return rows


def _downstream_updates(region: ActionRegion, values: Tensor, levels: Tensor) -> Updates:
    """Return the new raw values of the columns that follow the features."""
    if region.downstream is None:
        return {}
    amounts = region.downstream.amounts(values, levels, region.values, region.levels).numpy()
    columns = read_columns(region.compiled.space, region.X)
    updates = {}
    for t, rule in enumerate(region.compiled.downstream):
        mask = amounts[:, t] != 0
        if mask.any():
            own = filled_numbers(rule.block, columns[rule.column])
            updates[rule.column] = (mask, snap_integers((own + amounts[:, t])[mask]))
    return updates


def _raw_values(region: ActionRegion, j: int, encoded: np.ndarray, mask: np.ndarray) -> np.ndarray:
    feature = region.compiled.numeric[j]
    grid, raw_grid = region.grids[j], region.raw_grids[j]
    if grid is not None and raw_grid is not None and len(raw_grid):
        return raw_grid[_nearest_index(grid.numpy(), encoded)]
    return within_limits(
        np.asarray(feature.block.decode(encoded[:, None]), dtype=np.float64),
        encoded,
        (region.lower[:, j].numpy()[mask], region.upper[:, j].numpy()[mask]),
        (region.raw_lower[mask, j], region.raw_upper[mask, j]),
        np.array(feature.rising),
    )


def _admissible(region: ActionRegion, j: int, raw: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return values that are no shorter than the smallest change, and that the column can hold."""
    feature, dtype = region.compiled.numeric[j], region.narrow_types[j]
    least = feature.min_change if region.grids[j] is None else None
    if dtype is None and least is None and not feature.is_whole:
        return raw
    own = feature.own_values(read_columns(region.compiled.space, region.X))[mask]
    limits = region.raw_lower[mask, j], region.raw_upper[mask, j]
    if least is not None:
        raw = not_short(raw, own, least, limits)
    if feature.is_whole:
        raw = whole_outward(raw, own, limits)
    return raw if dtype is None else rounded_outward(raw, own, dtype, limits)


def _raw_levels(feature: CategoricalFeature, levels: np.ndarray, mask: np.ndarray) -> Updates:
    if feature.is_group:
        return {
            column: (mask, (levels == member).astype(np.float64))
            for member, column in enumerate(feature.columns)
        }
    labels = np.empty(len(feature.levels), dtype=object)
    labels[:] = feature.levels
    return {feature.columns[0]: (mask, labels[levels])}


def _nearest_index(grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    right = np.clip(np.searchsorted(grid, values), 0, len(grid) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(values - grid[left]) <= np.abs(grid[right] - values), left, right)
