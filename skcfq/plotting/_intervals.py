"""Intervals of means over people: exact for shares, resampled for everything else."""

from __future__ import annotations

import numpy as np

from skcfq.theory import binomial_limit

_N_RESAMPLES = 1000


def mean_with_interval(values: np.ndarray, confidence: float) -> tuple[float, float, float, int]:
    """Return the mean of values, the two ends of its interval, and how many values there are.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One a person; NaN for who does not belong to the population. Where all are 0 or 1, the
        interval is Clopper and Pearson's, exact; else the percentile bootstrap, with a seed of its
        own, so that it is the same each time.
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
        low, high = _exact(int(known.sum()), n, confidence)
    elif n == 1:
        low = high = np.nan
    else:
        low, high = _resampled(known, confidence)
    return mean, low, high, n


def _exact(k: int, n: int, confidence: float) -> tuple[float, float]:
    each = (1 + confidence) / 2
    low = 1 - float(binomial_limit(n - k, n, confidence=each))
    return min(low, k / n), max(float(binomial_limit(k, n, confidence=each)), k / n)


def _resampled(known: np.ndarray, confidence: float) -> tuple[float, float]:
    rng, n = np.random.RandomState(0), len(known)
    # One resample at a time: all of them would be a thousand times the people.
    means = [known[rng.randint(n, size=n)].mean() for _ in range(_N_RESAMPLES)]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    mean = known.mean()
    return float(min(low, mean)), float(max(high, mean))
