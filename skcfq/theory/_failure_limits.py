"""How many people to come may lose their advice at most, by group and with weights."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from skcfq.theory._binomial import SHARE, binomial_limit
from skcfq.utils import as_objects, as_row_weights, check_parameters

# Shares of the largest bet that can be lost whole. Kelly's is 1 - rate / limit: near 1 without
# failures, small among many people.
_BETS = np.array([1.0, 0.8, 0.6, 0.4, 0.25, 0.15, 0.08, 0.04, 0.02])
# Of the logarithm of the odds; the limit is rounded up by as much.
_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class FailureLimits:
    """Upper limits on the share of failures among people to come, for all groups at once.

    Returned by :func:`failure_limits`, never made by a user. All arrays have one entry a group.

    Attributes
    ----------
    groups : object ndarray
        In order of first appearance; ``["all"]`` without groups.
    n_people, n_failures : int64 ndarray
        People who weigh something.
    rates : float64 ndarray
        Observed share of failures, weighted; NaN without people.
    limits : float64 ndarray
        NaN where there is no statement.
    status : ndarray of str
        ``"certified"``: the limit is at most the wanted one. ``"not certified"``: it is above.
        ``"no statement"``: too few people to reach the wanted limit even without any failure.
        ``"bounded"``: no limit was wanted.
    effective_n : float64 ndarray
        How many people of equal weight would say as much of a mean: (Σw)² / Σw².
    methods : ndarray of str
        ``"Clopper-Pearson"`` where all weights are equal, else ``"betting"``.
    confidence : float
        That all limits hold.
    wanted : float or None
    """

    groups: np.ndarray
    n_people: np.ndarray
    n_failures: np.ndarray
    rates: np.ndarray
    limits: np.ndarray
    status: np.ndarray
    effective_n: np.ndarray
    methods: np.ndarray
    confidence: float
    wanted: float | None

    def to_frame(self) -> pd.DataFrame:
        """Return one row a group."""
        names = ["n_people", "n_failures", "rates", "limits", "status", "effective_n", "methods"]
        index = pd.Index(self.groups, name="group")
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=index)

    def __repr__(self) -> str:
        wanted = "" if self.wanted is None else f", wanted {self.wanted:g}"
        table = self.to_frame().to_string()
        return f"FailureLimits(confidence {self.confidence:g} of all{wanted})\n{table}"


@check_parameters(confidence=[SHARE], wanted=[SHARE, None])
def failure_limits(
    failed: ArrayLike,
    *,
    groups: Any = None,
    sample_weight: Any = None,
    confidence: float = 0.95,
    wanted: float | None = None,
) -> FailureLimits:
    r"""Return upper limits on the share of failures among people to come, for all groups at once.

    Models, solver and its seed are fixed before these people are drawn, independently and not from
    the training: then nothing else is assumed.

    Parameters
    ----------
    failed : array-like of shape (n,), bool
        Whose advice the deployed model refused.
    groups : array-like of shape (n,), optional
        Label of each person's group. With G groups, each limit has the confidence
        :math:`1 - \alpha / G` (Bonferroni), so that all hold together.
    sample_weight : array-like of shape (n,), optional
        How much each person counts. Where weights differ, Clopper and Pearson's limit would
        be wrong, and one from betting takes its place; see Notes.
    confidence : float, default=0.95
        :math:`1 - \alpha`.
    wanted : float, optional
        The limit that is hoped for, in (0, 1). A group that could not reach it even without a
        failure, :math:`n_g < \ln(G / \alpha) / -\ln(1 - \mathrm{wanted})`, gets no statement.

    Returns
    -------
    limits : FailureLimits
        Certified with the confidence, never an error for a small group.

    Notes
    -----
    With unequal weights, the limit is on :math:`\sum_i w_i p_i / \sum_i w_i`, the weighted share
    for people with these weights, where :math:`p_i` is the probability that such a person fails.
    Against a share t, the capital
    :math:`K(t) = \prod_i (1 + b w_i (t - S_i) / (W (1 - t)))`, with S = 1 for failures, W the
    largest weight and a bet b in (0, 1], has a mean of at most 1 where the true share is t or more,
    because the mean of the factors' means is at most 1. The limit is where the average over a
    fixed list of bets reaches :math:`1 / \alpha` (Markov). A few large weights make it wide;
    ``effective_n`` says how few people they amount to.

    Examples
    --------
    >>> from skcfq.theory import failure_limits
    >>> failed = [True] * 3 + [False] * 397 + [False] * 20
    >>> found = failure_limits(failed, groups=["a"] * 400 + ["b"] * 20, wanted=0.05)
    >>> found.limits.round(3).tolist(), found.status.tolist()
    ([0.022, nan], ['certified', 'no statement'])
    """
    fails = _as_failed(failed)
    codes, labels = _group_codes(groups, len(fails))
    weights = np.ones(len(fails))
    if sample_weight is not None:
        weights = as_row_weights(sample_weight, len(fails))
    each = 1 - (1 - confidence) / len(labels)
    rows = []
    for code in range(len(labels)):
        own = (codes == code) & (weights > 0)
        rows.append(_of_group(fails[own], weights[own], each, wanted))
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return FailureLimits(groups=labels, **columns, confidence=confidence, wanted=wanted)


def _of_group(
    failed: np.ndarray, weights: np.ndarray, confidence: float, wanted: float | None
) -> dict[str, Any]:
    """Return what is said of one group, by attribute."""
    n = len(failed)
    equal = not n or weights.min() == weights.max()
    bound = _equal_limit if equal else _betting_limit
    limit = bound(failed, weights, confidence)
    least = bound(np.zeros_like(failed), weights, confidence)
    if not n or (wanted is not None and least > wanted):
        limit, status = np.nan, "no statement"
    elif wanted is None:
        status = "bounded"
    else:
        status = "certified" if limit <= wanted else "not certified"
    # Relative to the largest, so that squares of small weights are not lost.
    share = weights / weights.max() if n else weights
    return {
        "n_people": n,
        "n_failures": int(failed.sum()),
        "rates": float(share @ failed / share.sum()) if n else np.nan,
        "limits": limit,
        "status": status,
        "effective_n": float(share.sum() ** 2 / (share @ share)) if n else 0.0,
        "methods": "Clopper-Pearson" if equal else "betting",
    }


def _equal_limit(failed: np.ndarray, weights: np.ndarray, confidence: float) -> float:
    return float(binomial_limit(failed.sum(), len(failed), confidence=confidence))


def _betting_limit(failed: np.ndarray, weights: np.ndarray, confidence: float) -> float:
    """Return the share at which the mean capital reaches 1 / (1 - confidence), 1 if none does."""
    share = weights / weights.max()
    with np.errstate(divide="ignore"):
        lost = np.log1p(-_BETS[:, None] * share[failed]).sum(axis=1)
    stakes = _BETS[:, None] * share[~failed]
    needed = -np.log1p(-confidence) + np.log(len(_BETS))

    def log_capital(log_odds: float) -> float:
        return float(np.logaddexp.reduce(lost + np.log1p(stakes * np.exp(log_odds)).sum(axis=1)))

    low, high = -100.0, 700.0
    if log_capital(high) < needed:
        return 1.0
    found = brentq(lambda x: log_capital(x) - needed, low, high, xtol=_TOLERANCE)
    return float(1 / (1 + np.exp(-(found + _TOLERANCE))))


def _as_failed(failed: Any) -> np.ndarray:
    try:
        values = np.asarray(failed)
        wrong = values.ndim != 1 or (values.size and not np.isin(values, (0, 1)).all())
    except (TypeError, ValueError):
        wrong = True
    if wrong or (values.size and values.dtype.kind not in "biuf"):
        raise ValueError(
            f"failed={reprlib.repr(failed)}; give one truth value for each person, shape (n,)."
        )
    return values.astype(bool)


def _group_codes(groups: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each person's group as a position among the labels, and the labels."""
    if groups is None:
        return np.zeros(n, dtype=np.int64), np.array(["all"], dtype=object)
    try:
        values = as_objects(groups)
        shape = values.shape
        codes, labels = pd.factorize(values.ravel())
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"groups={reprlib.repr(groups)}; give one label for each person ({error})."
        ) from error
    if shape != (n,) or not n:
        raise ValueError(
            f"`groups` has shape {shape}; give one label for each of the {n} people, of whom there "
            "must be at least one."
        )
    if (codes < 0).any():
        raise ValueError(
            f"`groups` has a gap in row {int(np.argmax(codes < 0))}; give people without a group "
            "a label of their own."
        )
    return codes, np.asarray(labels, dtype=object)
