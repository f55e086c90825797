"""The actions of a result in encoded units, and what each feature adds to their cost."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.results._percentiles import BLOCK, raw_columns
from skcfq.utils import is_list, take_rows

if TYPE_CHECKING:
    from skcfq.results._result import RecourseResult


def delta_of(result: RecourseResult, rows: np.ndarray) -> np.ndarray:
    """Return what :meth:`RecourseResult.delta_of` says."""
    rows = positions_of(rows, len(result.status))
    space = result.actions.space
    after = space.encode(take_rows(result.points, rows))
    delta = after - space.encode(take_rows(result.X, rows))
    delta[~result.valid[rows]] = np.nan
    return delta


def contributions_of(result: RecourseResult, rows: np.ndarray) -> np.ndarray:
    """Return what :meth:`RecourseResult.contributions_of` says, block by block."""
    rows = positions_of(rows, len(result.status))
    contributions = np.zeros((len(rows), len(result.feature_names)))
    contributions[~result.valid[rows]] = np.nan
    active = np.flatnonzero(result.changed[rows].any(axis=1))
    for start in range(0, len(active), BLOCK):
        here = active[start : start + BLOCK]
        tables = result.X, result.points
        before, after = (raw_columns(result.actions, table, rows[here]) for table in tables)
        contributions[here] = result.cost_function.row_contributions(result.actions, before, after)
    return contributions


def positions_of(rows: Any, n_rows: int) -> np.ndarray:
    """Return positions of rows, which a caller gives as such or as a mask.

    Parameters
    ----------
    rows : array-like of int of shape (k,), or of bool of shape (n_rows,)
    n_rows : int

    Raises
    ------
    ValueError
        It is neither, or a row is not there.
    """
    try:
        wanted = np.asarray(rows if is_list(rows) else None)
    except ValueError:  # lists of different lengths
        wanted = np.array(None)
    if wanted.shape == (0,):
        return np.zeros(0, dtype=np.int64)
    if wanted.dtype == bool and wanted.shape == (n_rows,):
        return np.flatnonzero(wanted)
    is_position = wanted.ndim == 1 and wanted.dtype.kind in "iu"
    if not is_position or wanted.min() < -n_rows or wanted.max() >= n_rows:
        raise ValueError(
            f"rows={reprlib.repr(rows)}: give the positions of rows, from 0 to {n_rows - 1}, in "
            f"an array of whole numbers, or a mask of {n_rows} truth values."
        )
    return wanted
