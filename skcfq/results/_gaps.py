"""How far costs may lie above the least ones."""

from __future__ import annotations

import numpy as np


def gaps(status: np.ndarray, cost: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Return by which share of its cost each action may be too dear.

    Parameters
    ----------
    status : ndarray of shape (n,), str
    cost : ndarray of shape (n,)
        NaN where there is no action.
    bound : ndarray of shape (n,)
        Proved lower bound of the cost.

    Returns
    -------
    gap : ndarray of shape (n,)
        0 where the cost is proved or none, NaN where there is no action.

    Examples
    --------
    >>> gaps(np.array(["optimal", "feasible"]), np.array([2.0, 4.0]), np.array([2.0, 3.0])).tolist()
    [0.0, 0.25]
    """
    found = np.isfinite(cost)
    gap = np.where(found, 0.0, np.nan)
    left = found & (status != "optimal") & (cost > 0)
    gap[left] = 1.0 - np.clip(bound[left] / cost[left], 0.0, 1.0)
    return gap


def mean_gap(status: np.ndarray, cost: np.ndarray, bound: np.ndarray) -> float:
    """Return the mean gap of actions that are not proved to be the cheapest; NaN without any."""
    left = np.isin(status, ["feasible", "time_limit"]) & np.isfinite(cost)
    return float(gaps(status, cost, bound)[left].mean()) if left.any() else float("nan")
