"""How sure a figure is: exact intervals of shares and medians, resampled ones of means.

All are two-sided, and of the people whom the rows were drawn from.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv
from scipy.stats import binom, norm

# Resamples of a bootstrap, and numbers that are drawn at once.
_RESAMPLES = 2000
_AT_ONCE = 1 << 21
# From so many rows on, a mean is normal for every purpose, and resampling takes seconds.
_MANY = 20_000
# Standard errors that stand for a miss without end, and from where on an end is none: between two
# resamples of which one misses without end.
_FAR, _ENDLESS = 1e9, 1e5
# Share of a sum of squares that is rounding.
_ROUNDING = 1e-12

Interval = tuple[float, float]


def share_interval(n_events: int, n: int, confidence: float) -> Interval:
    """Return the interval of Clopper and Pearson for a share; (NaN, NaN) of nobody.

    Parameters
    ----------
    n_events, n : int
    confidence : float

    Examples
    --------
    >>> low, high = share_interval(3, 40, 0.95)
    >>> round(low, 4), round(high, 4)
    (0.0157, 0.2039)
    """
    if n == 0:
        return np.nan, np.nan
    tail = (1 - confidence) / 2
    low = betaincinv(n_events, n - n_events + 1, tail) if n_events else 0.0
    high = betaincinv(n_events + 1, n - n_events, 1 - tail) if n_events < n else 1.0
    return float(low), float(high)


def median_interval(values: np.ndarray, confidence: float) -> Interval:
    """Return the interval of order statistics for a median: exact for any distribution.

    Of few values none is so sure: (NaN, NaN).

    Parameters
    ----------
    values : ndarray of shape (n,)
    confidence : float
    """
    n, tail = len(values), (1 - confidence) / 2
    if n == 0:
        return np.nan, np.nan
    # The k-th smallest is above the median with the chance of fewer than k below it.
    k = int(binom.ppf(tail, n, 0.5))
    while k > 0 and binom.cdf(k - 1, n, 0.5) > tail:
        k -= 1
    if k == 0:
        return np.nan, np.nan
    ordered = np.sort(values)
    return float(ordered[k - 1]), float(ordered[n - k])


def mean_interval(
    values: np.ndarray, confidence: float, *, weights: np.ndarray | None = None
) -> Interval:
    r"""Return an interval for a mean, or for a ratio of two sums.

    Parameters
    ----------
    values : ndarray of shape (n,)
    confidence : float
    weights : ndarray of shape (n,), optional
        The figure is :math:`\sum w v / \sum w`; by default the mean.

    Returns
    -------
    low, high : float
        Bootstrap-t (Efron and Tibshirani 1993, §12.5), the same each time; from 20,000 rows on the
        normal interval. NaN where nothing can be said, as of a single person.
    """
    n = len(values)
    weights = np.ones(n) if weights is None else weights
    if n < 2 or not weights.sum() > 0:
        return np.nan, np.nan
    center, error = _ratio(values, weights)
    if error <= _ROUNDING * np.abs(values).max():
        return center, center
    tail = (1 - confidence) / 2
    if n >= _MANY:
        far = norm.ppf(1 - tail) * error
        return center - far, center + far
    far = np.quantile(_studentized(values, weights, center), [1 - tail, tail])
    low, high = (center - one * error if abs(one) < _ENDLESS else np.nan for one in far.tolist())
    return low, high


def _ratio(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return a ratio of sums and its standard error, to first order."""
    n, total = len(values), weights.sum()
    center = float(weights @ values / total)
    rest = weights * (values - center)
    return center, float(np.sqrt(n / (n - 1) * (rest @ rest)) / total)


def _studentized(values: np.ndarray, weights: np.ndarray, center: float) -> np.ndarray:
    """Return by how many of its standard errors each resample misses, shape (n_resamples,)."""
    n, random = len(values), np.random.RandomState(0)
    # From the center, rounding is small beside what resamples differ by.
    first, second = weights, weights * (values - center)
    squares = np.stack([first, second, first**2, first * second, second**2], axis=1)
    step = max(1, _AT_ONCE // n)
    missed = []
    for start in range(0, _RESAMPLES, step):
        size = min(step, _RESAMPLES - start)
        drawn = random.randint(n, size=(size, n)) + np.arange(0, size * n, n)[:, None]
        # How often each row is drawn: sums of five columns are then one product.
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        w, wv, ww, wwv, wwvv = (times.astype(np.float64) @ squares).T
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = wv / w
            rest = wwvv - 2 * ratio * wwv + ratio**2 * ww
            # A resample of one value again and again has no error of its own.
            rest = np.where(rest > _ROUNDING * wwvv, rest, 0.0)
            missed.append(ratio / (np.sqrt(n / (n - 1) * rest) / w))
    return np.nan_to_num(np.concatenate(missed), nan=0.0, posinf=_FAR, neginf=-_FAR)
