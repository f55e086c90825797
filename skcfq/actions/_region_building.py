"""From compiled rules and raw rows to what each person may do."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from skcfq.actions._downstream import downstream_effects
from skcfq.actions._linking_building import build_linking_constraints
from skcfq.actions._overrides import Override, read_overrides
from skcfq.actions._plain_numbers import PlainNumbers
from skcfq.actions._raw import read_columns
from skcfq.actions._region import ActionRegion
from skcfq.utils import as_numbers, as_table

if TYPE_CHECKING:
    from skcfq.actions._compiled import CompiledActions
    from skcfq.actions._numeric import NumericFeature

__all__ = ["region_of"]


def region_of(
    compiled: CompiledActions,
    X: Any,
    overrides: Mapping[Hashable, Mapping] | None = None,
    *,
    encoded: np.ndarray | None = None,
) -> ActionRegion:
    """Return what the people in the rows of X may do.

    Parameters
    ----------
    compiled : CompiledActions
    X : DataFrame or ndarray of shape (n, p)
        Raw rows.
    overrides : dict of row label to rules, optional
        Rules of single people, ``{label: {"immutable": [names], "bounds": {name: (low,
        high)}}}``; the label is that of the index of X, the position for an array. Bounds
        take the place of the absolute ones, everything else stays.
    encoded : ndarray of shape (n, d), optional
        X as the space of the rules encodes it, where that is known already.

    Returns
    -------
    region : ActionRegion
        Per-person limits, grids and moves as float64 tensors.

    Raises
    ------
    ActionSetError
        An override names an unknown row or feature, or contradicts itself.

    Examples
    --------
    >>> import numpy as np
    >>> from skcfq.actions import ActionSet, region_of
    >>> from skcfq.encoding import FeatureSpace
    >>> X = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> actions = ActionSet(increasing=[1]).compile(FeatureSpace.from_frame(X))
    >>> region_of(actions, X, overrides={0: {"immutable": [0]}}).upper
    tensor([[0., 3.],
            [2., 3.]], dtype=torch.float64)
    """
    people = read_overrides(overrides, X, compiled)
    X = as_table(X)
    origin = compiled.space.encode(X) if encoded is None else encoded
    columns = read_columns(compiled.space, X)
    own_values = origin[:, compiled.numeric_columns]
    numbers = _limits_of_numbers(compiled, X, columns, own_values, people)
    levels = _own_levels(compiled, columns, len(origin))
    own_levels = torch.from_numpy(levels)
    downstream = downstream_effects(compiled)
    region = ActionRegion(
        X=X,
        compiled=compiled,
        origin=torch.from_numpy(origin),
        lower=torch.from_numpy(numbers.lower),
        upper=torch.from_numpy(numbers.upper),
        grids=[None if grid is None else torch.from_numpy(grid) for grid in numbers.grids],
        levels=own_levels,
        allowed=[
            torch.from_numpy(feature.allowed[levels[:, i]])
            for i, feature in enumerate(compiled.categorical)
        ],
        raw_lower=numbers.raw_lower,
        raw_upper=numbers.raw_upper,
        raw_grids=numbers.raw_grids,
        codes=[torch.tensor(f.codes, dtype=torch.float64) for f in compiled.categorical],
        mutable=torch.from_numpy(compiled.mutable_columns),
        numeric_columns=torch.from_numpy(compiled.numeric_columns),
        categorical_columns=[
            torch.from_numpy(feature.encoded_columns.astype(np.int64))
            for feature in compiled.categorical
        ],
        min_change=_smallest_changes(compiled, len(origin)),
        downstream=downstream,
        linking=build_linking_constraints(
            compiled, columns, torch.from_numpy(own_values), own_levels, downstream
        ),
    )
    return _held(region, people)


def _own_levels(compiled: CompiledActions, columns: list, n: int) -> np.ndarray:
    """Return the levels of n people, -1 where unrecognized, shape (n, c)."""
    levels = np.full((n, len(compiled.categorical)), -1, dtype=np.int64)
    for i, feature in enumerate(compiled.categorical):
        levels[:, i] = feature.own_levels(columns)
    return levels


def _held(region: ActionRegion, overrides: Sequence[Override]) -> ActionRegion:
    """Freeze what is immutable for single people."""
    held = np.zeros((region.n_people, region.n_features), dtype=bool)
    for override in overrides:
        held[np.ix_(override.rows, override.immutable)] = True
    return region.freeze(torch.from_numpy(held)) if held.any() else region


@dataclass(eq=False)
class _NumberLimits:
    """Limits of shape (n, m), in raw and encoded units, and m grids."""

    raw_lower: np.ndarray
    raw_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    grids: list[np.ndarray | None]
    raw_grids: list[np.ndarray | None]


def _limits_of_numbers(
    compiled: CompiledActions,
    X: Any,
    columns: list,
    own_encoded: np.ndarray,
    overrides: Sequence[Override],
) -> _NumberLimits:
    """Return the limits of all numeric features: the plain ones together, then the others."""
    n, m = own_encoded.shape
    plain = compiled.plain_numbers
    if len(plain.index) == m and not any(override.bounds for override in overrides):
        limits = plain.limits(_raw_numbers(plain, X, columns), own_encoded)
        return _NumberLimits(*limits, [None] * m, [None] * m)
    lower, upper, raw_lower, raw_upper = (np.empty((n, m)) for _ in range(4))
    arrays = raw_lower, raw_upper, lower, upper
    grids: list[np.ndarray | None] = [None] * m
    raw_grids: list[np.ndarray | None] = [None] * m
    if len(plain.index):
        own = _raw_numbers(plain, X, columns)
        limits = plain.limits(own, own_encoded[:, plain.index])
        for array, limit in zip(arrays, limits, strict=True):
            array[:, plain.index] = limit
    for j, feature in enumerate(compiled.numeric):
        bounds = [(o.rows, o.bounds[j]) for o in overrides if j in o.bounds]
        rows: Any = slice(None)
        if j in plain.index:
            # Nobody else's limits are touched, not even in their last bits.
            rows = sorted({row for named, _ in bounds for row in named})
            if not rows:
                continue
        *ends, grids[j], raw_grids[j] = _numeric_limits(feature, columns, own_encoded[:, j], bounds)
        for array, end in zip(arrays, ends, strict=True):
            array[rows, j] = end[rows]
    return _NumberLimits(*arrays, grids, raw_grids)


def _raw_numbers(plain: PlainNumbers, X: Any, columns: list) -> np.ndarray:
    """Return people's own raw values of the plain numbers, gaps filled, shape (n, k)."""
    if not len(plain.index):
        return np.empty((len(X), 0))
    if isinstance(X, np.ndarray) and X.dtype == np.float64:
        own = X[:, plain.columns]
    else:
        own = np.column_stack([as_numbers(columns[column]) for column in plain.columns])
    if not np.isnan(plain.fill).all():
        own = np.where(np.isnan(own), plain.fill, own)
    return own


def _smallest_changes(compiled: CompiledActions, n: int) -> Tensor | None:
    """Return the smallest changes in encoded units, 0 where there is none."""
    if not compiled.has_min_change:
        return None
    sizes = [
        0.0 if f.min_change is None else f.min_change * abs(f.block.scale) for f in compiled.numeric
    ]
    return torch.tensor(sizes, dtype=torch.float64).expand(n, -1).contiguous()


def _numeric_limits(
    feature: NumericFeature,
    columns: list,
    own_encoded: np.ndarray,
    overrides: Sequence[tuple[list[int], tuple[float, float]]] = (),
) -> tuple:
    """Return raw lower, raw upper, lower, upper, grid and raw grid of one numeric feature."""
    own = feature.own_values(columns)
    raw_lower, raw_upper = feature.limits(own)
    for rows, (low, high) in overrides:
        raw_lower[rows], raw_upper[rows] = feature.with_bounds(low, high).limits(own[rows])
    raw_grid = feature.grid(raw_lower, raw_upper)
    grid = None
    if raw_grid is not None:
        raw_lower, raw_upper = _tighten(feature, raw_grid, raw_lower, raw_upper, own)
        grid, raw_grid = feature.encoded_grid(raw_grid)
    first, last = (raw_lower, raw_upper) if feature.rising else (raw_upper, raw_lower)
    # At the own value, and against rounding, the person's own code decides.
    lower = np.where(first == own, own_encoded, np.minimum(feature.encode(first), own_encoded))
    upper = np.where(last == own, own_encoded, np.maximum(feature.encode(last), own_encoded))
    return raw_lower, raw_upper, lower, upper, grid, raw_grid


def _tighten(
    feature: NumericFeature, grid: np.ndarray, lower: np.ndarray, upper: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pull the limits in to the outermost admissible values, forgiving rounding of the limits."""
    if not len(grid):
        return own.copy(), own.copy()
    slack = 1e-9 * (np.diff(grid).min() if len(grid) > 1 else max(1.0, abs(grid[0])))
    first = np.searchsorted(grid, lower - slack)
    last = np.searchsorted(grid, upper + slack, side="right") - 1
    some = first <= last
    at = len(grid) - 1
    low = np.where(some, np.minimum(grid[np.clip(first, 0, at)], own), own)
    high = np.where(some, np.maximum(grid[np.clip(last, 0, at)], own), own)
    return (own if feature.direction > 0 else low), (own if feature.direction < 0 else high)
