"""How far logits spread, and how close to the boundary they lie, by group."""

from __future__ import annotations

import reprlib
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skcfq.metrics.skew._checks import read_numbers
from skcfq.metrics.skew._labels import members_of
from skcfq.utils import Interval, ListOf, check_parameters


@check_parameters(
    near=[Interval(Real, 0, None, closed="left")],
    quantiles=[ListOf(Interval(Real, 0, 1, closed="both"), least=1)],
)
def logit_figures(
    logits: Any, groups: Any = None, *, near: float = 0.5, quantiles: Any = (0.1, 0.5, 0.9)
) -> pd.DataFrame:
    r"""Return the variance of logits, and how confident decisions are, by group.

    A number that is added to all logits of a person changes no decision, so logits are taken about
    their mean over the K classes, :math:`\tilde z = z - \bar z`. Their variance over the people of
    a group is

    .. math:: \frac{1}{K} \sum_k \frac{1}{n - 1} \sum_i (\tilde z_{ik} - \mu_k)^2

    which of two classes is a quarter of the variance of the margin :math:`z_1 - z_0`.

    Parameters
    ----------
    logits : array-like of shape (n, n_classes)
    groups : array-like of shape (n,), optional
        Each person's group; those who have none are a group of their own.
    near : float, default=0.5
        Margin, the highest logit less the second, below which a person is near the boundary.
    quantiles : list of float, default=(0.1, 0.5, 0.9)
        Of the margin and of the largest probability.

    Returns
    -------
    figures : DataFrame
        One row for ``"everybody"`` and each group: ``n``, ``logit_variance`` (NaN of one person),
        ``near_boundary`` (share), ``top_probability`` (mean), and ``margin_q…`` and
        ``probability_q…`` for each quantile.

    Raises
    ------
    ValueError
        Shapes, or values that are not finite.

    References
    ----------
    Bellam and Kim (2025): quantization lowers the variance, and moves softmax to the boundary.

    Examples
    --------
    >>> figures = logit_figures([[0, 2], [0, -2], [0, 0.1]], near=0.5, quantiles=[0.5])
    >>> found = figures.loc["everybody", ["logit_variance", "near_boundary", "margin_q0.5"]]
    >>> found.round(2).tolist()
    [1.0, 0.33, 2.0]
    """
    scores = read_numbers(logits, "logits")
    if scores.ndim != 2 or scores.shape[1] < 2 or np.isnan(scores).any():
        raise ValueError(
            f"`logits` is {reprlib.repr(logits)}; give finite numbers, one row a person and one "
            "column for each of two or more classes."
        )
    margin, top = margins(scores), top_probabilities(scores)
    rows = {}
    for name, people in members_of(groups, len(scores)).items():
        of_margin, of_top = np.full((2, len(quantiles)), np.nan)
        if len(people):
            of_margin = np.quantile(margin[people], quantiles)
            of_top = np.quantile(top[people], quantiles)
        rows[name] = {
            "n": len(people),
            "logit_variance": _mean(logit_spread(scores[people])) if len(people) > 1 else np.nan,
            "near_boundary": _mean(margin[people] < near),
            "top_probability": _mean(top[people]),
            **{f"margin_q{q:g}": value for q, value in zip(quantiles, of_margin, strict=True)},
            **{f"probability_q{q:g}": value for q, value in zip(quantiles, of_top, strict=True)},
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")


def logit_spread(scores: np.ndarray) -> np.ndarray:
    """Return what each of n people adds to the variance of their logits, whose mean it is."""
    n = len(scores)
    centered = scores - scores.mean(axis=1, keepdims=True)
    squares = ((centered - centered.mean(axis=0)) ** 2).mean(axis=1)
    return squares * (n / (n - 1)) if n > 1 else np.full(n, np.nan)


def margins(scores: np.ndarray) -> np.ndarray:
    """Return the highest logit less the second of each person, shape (n,)."""
    second, first = np.partition(scores, -2, axis=1)[:, -2:].T
    return first - second


def top_probabilities(scores: np.ndarray) -> np.ndarray:
    """Return the largest softmax probability of each person, shape (n,)."""
    return 1 / np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
