"""Counts of people who lose their advice: what they say of all people like them, exactly."""

from __future__ import annotations

import reprlib
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, betaincinv

from skcfq.utils import Interval, check_parameters

SHARE = Interval(Real, 0, 1, closed="neither")


@check_parameters(confidence=[SHARE])
def binomial_limit(
    n_failures: ArrayLike, n_people: ArrayLike, *, confidence: float = 0.95
) -> np.ndarray:
    r"""Return the upper limit of Clopper and Pearson on the share of people to come who fail.

    .. math:: P(\mathrm{share} \le B^{-1}(1 - \alpha; k + 1, n - k)) \ge 1 - \alpha

    Parameters
    ----------
    n_failures : int or array-like of int
        k.
    n_people : int or array-like of int
        n, drawn independently from the people spoken of.
    confidence : float, default=0.95
        :math:`1 - \alpha`, of each limit alone.

    Returns
    -------
    limit : float64 ndarray
        One-sided; certified with that confidence, whatever the share is. 1 where all failed, or
        where there is nobody.

    Examples
    --------
    >>> from skcfq.theory import binomial_limit
    >>> binomial_limit([0, 1, 2], [299, 473, 628]).round(4).tolist()
    [0.01, 0.01, 0.01]
    """
    failures, people = counts(n_failures, n_people)
    left = people - failures
    limit = betaincinv(failures + 1.0, np.maximum(left, 1.0), confidence)
    return np.where(left > 0, limit, 1.0)


def binomial_p_values(failures: np.ndarray, people: np.ndarray, wanted: float) -> np.ndarray:
    """Return how likely so few failures are where the share is the wanted one; 1 without people."""
    return np.where(people > 0, bdtr(failures, np.maximum(people, 1), wanted), 1.0)


def counts(n_failures: Any, n_people: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return failures and people as int64 of one shape.

    Raises
    ------
    ValueError
        They are no counts, or more failed than there are.
    """
    failures = _whole(n_failures, "n_failures")
    people = _whole(n_people, "n_people")
    try:
        failures, people = np.broadcast_arrays(failures, people)
    except ValueError as error:
        raise ValueError(
            f"`n_failures` has shape {failures.shape} and `n_people` {people.shape}; give one "
            "number of people for each number of failures."
        ) from error
    wrong = failures > people
    if wrong.any():
        raise ValueError(
            f"`n_failures` holds {failures[wrong][0]} of {people[wrong][0]} in `n_people`; no more "
            "people can fail than there are."
        )
    return failures, people


def _whole(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
        numbers = array.astype(np.float64) if array.dtype.kind in "iuf" else np.array(np.nan)
    except (TypeError, ValueError, OverflowError):
        numbers = np.array(np.nan)
    # Beyond, float64 has no whole numbers.
    if not ((numbers >= 0) & (numbers == np.floor(numbers)) & (numbers <= 2**53)).all():
        raise ValueError(
            f"{name}={reprlib.repr(values)}; give whole numbers of people, at least 0."
        )
    return numbers.astype(np.int64)
