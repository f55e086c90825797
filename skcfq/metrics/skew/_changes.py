"""What a figure changes from one model to another, by group: paired, with intervals and power."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.utils import check_random_state

from skcfq.metrics.skew._checks import read_numbers
from skcfq.metrics.skew._labels import EVERYBODY, members_of
from skcfq.metrics.skew._resampling import Figure, Resampling
from skcfq.utils import Interval, check_parameters

# Share of repetitions in which a change of the detectable size would be found.
POWER = 0.8


@dataclass(frozen=True, eq=False)
class PairedChanges:
    """One figure of the same people under two models.

    Returned by :func:`paired_changes`, never made by a user.

    Attributes
    ----------
    by_group : DataFrame
        One row for ``"everybody"`` and each group: ``n`` (people who are counted under both),
        ``before``, ``after``, ``change``, ``lower`` and ``upper`` of the change, and
        ``detectable``: the size of a change that so many people would show in 80 % of repetitions.
    gap : Series
        The highest less the lowest group: ``before``, ``after``, ``change``, ``lower``, ``upper``,
        ``detectable``, and ``highest`` and ``lowest``, the groups after.
    """

    by_group: pd.DataFrame
    gap: pd.Series


@check_parameters(
    confidence=[Interval(Real, 0, 1, closed="neither")],
    n_resamples=[Interval(Integral, 100, 100_000, closed="both")],
    random_state=["random_state"],
)
def paired_changes(
    before: Any,
    after: Any,
    groups: Any = None,
    *,
    confidence: float = 0.95,
    n_resamples: int = 1000,
    random_state: Any = 0,
) -> PairedChanges:
    r"""Return what the mean of a figure changes by group, and what the gap between groups does.

    Parameters
    ----------
    before : array-like of shape (n,)
        The figure of each person under the reference; NaN is not counted.
    after : array-like of shape (n,) or (s, n)
        The same under the deployed model, or under models of s seeds.
    groups : array-like of shape (n,), optional
        Each person's group; those who have none are a group of their own.
    confidence : float, default=0.95
    n_resamples : int, default=1000
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    changes : PairedChanges
        Percentile intervals of a bootstrap over people, within their groups, and over seeds as
        blocks (both resampled: Owen 2007). Where values are 0 and 1, half a person is added to each
        of the four cells of before and after (Agresti and Min 2005), so that nobody who changed is
        no proof that nobody would. The gap of groups is a largest difference, and chance alone
        makes it positive: read its change, whose interval is joined with one that is corrected for
        bias. With few seeds, little is known of what lies between them.

    Raises
    ------
    ValueError
        Lengths differ.

    Examples
    --------
    >>> right, right_after = [1, 1, 1, 1], [1, 0, 0, 1]
    >>> found = paired_changes(right, right_after, ["a", "b", "b", "a"])
    >>> found.by_group["change"].to_dict()
    {'everybody': -0.5, 'a': 0.0, 'b': -1.0}
    >>> float(found.gap["change"]), found.gap["lowest"]
    (1.0, 'b')
    """
    old, new = read_numbers(before, "before"), read_numbers(after, "after")
    if old.ndim != 1 or new.ndim not in (1, 2) or new.shape[-1:] != old.shape or not new.size:
        raise ValueError(
            f"`before` is {reprlib.repr(before)} and `after` {reprlib.repr(after)}; give one "
            "number for each person, after as many for each seed."
        )
    new = np.atleast_2d(new)
    columns = {
        name: {"": (old[people], new[:, people])}
        for name, people in members_of(groups, len(old)).items()
    }
    return changes_of_figures(columns, confidence, n_resamples, random_state)[""]


def changes_of_figures(
    columns: Mapping[str, Mapping[str, Figure]],
    confidence: float,
    n_resamples: int,
    random_state: Any,
) -> dict[str, PairedChanges]:
    """Return the changes of several figures, whose people are drawn once.

    Parameters
    ----------
    columns : dict of group to dict of name to (ndarray of shape (n,), ndarray of shape (s, n))
        Of everybody and of each group, and in each the same names and people: a figure of each
        person before and after. It may be another one in each group, such as a slope along the
        group's own gradient.
    confidence, n_resamples, random_state
        As in :func:`paired_changes`.
    """
    names = list(next(iter(columns.values())))
    n_seeds = len(next(iter(columns[EVERYBODY].values()))[1])
    resampling = Resampling(n_resamples, n_seeds, check_random_state(random_state))
    drawn = {group: resampling.means(list(own.values())) for group, own in columns.items()}
    tail, found = (1 - confidence) / 2, {}
    for position, name in enumerate(names):
        means = {group: one[:, position] for group, one in drawn.items()}
        rows = {group: _means(*own[name]) for group, own in columns.items()}
        for group, row in rows.items():
            row |= _spread(means[group][1] - means[group][0], tail, row["n"])
        by_group = pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
        found[name] = PairedChanges(by_group, _gap(by_group.drop(EVERYBODY), means, tail))
    return found


def _means(old: np.ndarray, new: np.ndarray) -> dict[str, Any]:
    counted = int((~np.isnan(old) & ~np.isnan(new).all(axis=0)).sum())
    first = _mean(old)
    last = _mean(np.array([_mean(one) for one in new]))
    return {"n": counted, "before": first, "after": last, "change": last - first}


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")


def _spread(changes: np.ndarray, tail: float, n: int) -> dict[str, float]:
    """Return the interval of a change, and the change that would be found with a power."""
    changes = changes[~np.isnan(changes)]
    if n < 2 or not len(changes):
        return {"lower": np.nan, "upper": np.nan, "detectable": np.nan}
    lower, upper = np.quantile(changes, [tail, 1 - tail]).tolist()
    far = norm.ppf(1 - tail) + norm.ppf(POWER)
    return {"lower": lower, "upper": upper, "detectable": float(far * changes.std())}


def _gap_interval(changes: np.ndarray, change: float, tail: float) -> dict[str, float]:
    """Return the percentiles of changes of a gap, joined with those corrected for bias.

    Chance makes a largest difference larger, a small one the more so, and resampling once more:
    Efron's correction (1981) asks where among the draws the change itself lies.
    """
    changes = changes[~np.isnan(changes)]
    if not len(changes):
        return {}
    below = ((changes < change).sum() + (changes == change).sum() / 2) / len(changes)
    aside = 2 * norm.ppf(np.clip(below, 1 / len(changes), 1 - 1 / len(changes)))
    plain = np.array([tail, 1 - tail])
    ends = np.quantile(changes, [plain, norm.cdf(aside + norm.ppf(plain))])
    return {"lower": float(ends[:, 0].min()), "upper": float(ends[:, 1].max())}


def _gap(by_group: pd.DataFrame, drawn: dict[str, np.ndarray], tail: float) -> pd.Series:
    known = by_group.dropna(subset=["before", "after"])
    names = known.index.tolist()
    if len(names) < 2:
        fields = ["before", "after", "change", "lower", "upper", "detectable"]
        return pd.Series({**dict.fromkeys(fields, np.nan), "highest": None, "lowest": None})
    first, last = (float(known[name].max() - known[name].min()) for name in ("before", "after"))
    every = np.stack([drawn[name] for name in names])
    gaps = every.max(axis=0) - every.min(axis=0)
    changes = gaps[1] - gaps[0]
    return pd.Series(
        {"before": first, "after": last, "change": last - first}
        | _spread(changes, tail, int(known["n"].min()))
        | _gap_interval(changes, last - first, tail)
        | {"highest": known["after"].idxmax(), "lowest": known["after"].idxmin()}
    )
