"""Learn-then-Test: the last of a sequence of settings that is certified for people to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from skcfq.theory._binomial import SHARE, binomial_p_values, counts
from skcfq.utils import check_parameters


@dataclass(frozen=True, eq=False, repr=False)
class FixedSequence:
    """Which settings of a sequence are certified. Returned by :func:`fixed_sequence`.

    Attributes
    ----------
    p_values : float64 ndarray of shape (m,)
        Of "more fail than wanted", exact; 1 where there is nobody.
    certified : bool ndarray of shape (m,)
        All settings before the first whose p-value is above ``1 - confidence``.
    on_average : bool ndarray of shape (m,)
        All settings before the first with (k + 1) / (n + 1) above the wanted share.
    wanted, confidence : float
    """

    p_values: np.ndarray
    certified: np.ndarray
    on_average: np.ndarray
    wanted: float
    confidence: float

    @property
    def last_certified(self) -> int | None:
        """Position of the last certified setting; None where the first one is not."""
        return _last(self.certified)

    @property
    def last_on_average(self) -> int | None:
        """Position of the last setting that keeps the wanted share on average, or None."""
        return _last(self.on_average)

    def __repr__(self) -> str:
        return (
            f"FixedSequence({int(self.certified.sum())} of {len(self.certified)} certified for "
            f"at most {self.wanted:g} with confidence {self.confidence:g}; "
            f"{int(self.on_average.sum())} on average)"
        )


@check_parameters(wanted=[SHARE], confidence=[SHARE])
def fixed_sequence(
    n_failures: ArrayLike, n_people: ArrayLike, wanted: float, *, confidence: float = 0.95
) -> FixedSequence:
    r"""Test settings in a fixed order, and stop at the first that cannot be certified.

    Each null hypothesis is that more than the wanted share of people to come fail, and its p-value
    :math:`P(\mathrm{Bin}(n, \mathrm{wanted}) \le k)`. Because the order is fixed, no correction
    is needed: with probability ``confidence``, all settings that are certified keep the wanted
    share, whether or not shares rise along the sequence (Learn then Test).

    Parameters
    ----------
    n_failures, n_people : array-like of int, shape (m,)
        In the order of testing, from the setting that is the safest. Settings and their order are
        chosen before the people are drawn; they may be the same people for all settings.
    wanted : float
        Share of failures, in (0, 1).
    confidence : float, default=0.95

    Returns
    -------
    tested : FixedSequence
        ``certified`` with the confidence. ``on_average`` is estimated: conformal risk control,
        whose settings keep the share in the mean over draws of the people, and only where
        everybody who is safe at a setting is safe at all before it.

    Examples
    --------
    >>> from skcfq.theory import fixed_sequence
    >>> tested = fixed_sequence([0, 1, 4, 0], 300, 0.02)
    >>> tested.certified.tolist(), tested.last_certified, tested.last_on_average
    ([True, True, False, False], 1, 3)
    """
    failures, people = counts(n_failures, n_people)
    if failures.ndim != 1:
        raise ValueError(
            f"`n_failures` and `n_people` have shape {failures.shape}; give one number a setting, "
            "shape (m,)."
        )
    p_values = binomial_p_values(failures, people, wanted)
    return FixedSequence(
        p_values,
        _before_first_failure(p_values <= 1 - confidence),
        _before_first_failure((failures + 1) / (people + 1) <= wanted),
        wanted,
        confidence,
    )


def _before_first_failure(passed: np.ndarray) -> np.ndarray:
    return np.logical_and.accumulate(passed)


def _last(passed: np.ndarray) -> int | None:
    return int(passed.sum()) - 1 if passed.any() else None
