"""The actions of a result in encoded units, and what each feature adds to their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skcfq.results._percentiles import BLOCK
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.results._result import RecourseResult


def delta_of(result: RecourseResult, rows: np.ndarray) -> np.ndarray:
    """Return what :meth:`RecourseResult.delta_of` says."""
    space = result.actions.space
    after = space.encode(take_rows(result.points, rows))
    delta = after - space.encode(take_rows(result.X, rows))
    delta[~result.valid[rows]] = np.nan
    return delta


def contributions_of(result: RecourseResult, rows: np.ndarray) -> np.ndarray:
    """Return what :meth:`RecourseResult.contributions_of` says, block by block."""
    rows = np.asarray(rows)
    rows = np.flatnonzero(rows) if rows.dtype == bool else rows
    contributions = np.zeros((len(rows), len(result.feature_names)))
    contributions[~result.valid[rows]] = np.nan
    active = np.flatnonzero(result.changed[rows].any(axis=1))
    for start in range(0, len(active), BLOCK):
        here = active[start : start + BLOCK]
        before, after = (take_rows(table, rows[here]) for table in (result.X, result.points))
        contributions[here] = result.cost_function.row_contributions(result.actions, before, after)
    return contributions
