"""Intervals of means over people: exact for shares, resampled for everything else."""

from __future__ import annotations

import numpy as np

from skcfq.utils.intervals import mean_interval, share_interval


def mean_with_interval(values: np.ndarray, confidence: float) -> tuple[float, float, float, int]:
    """Return the mean of values, the two ends of its interval, and how many values there are.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One a person; NaN for who does not belong to the population. Where all are 0 or 1, the
        interval is Clopper and Pearson's, exact; else that of an audit, bootstrap-t.
    confidence : float

    Examples
    --------
    >>> import numpy as np
    >>> low, high = mean_with_interval(np.repeat([0.0, 1.0], [9, 1]), 0.95)[1:3]
    >>> round(low, 4), round(high, 4)
    (0.0025, 0.445)
    """
    known = values[~np.isnan(values)]
    n = len(known)
    if n == 0:
        return np.nan, np.nan, np.nan, 0
    mean = float(known.mean())
    if np.isin(known, (0.0, 1.0)).all():
        low, high = share_interval(int(known.sum()), n, confidence)
    else:
        low, high = mean_interval(known, confidence)
    return mean, low, high, n
