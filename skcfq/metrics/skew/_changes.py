"""What a figure changes from one model to another, by group: paired, with intervals and power."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.utils import check_random_state

from skcfq.metrics.skew._checks import read_numbers
from skcfq.metrics.skew._labels import EVERYBODY, members_of
from skcfq.utils import Interval, check_parameters

# Share of repetitions in which a change of the detectable size would be found.
POWER = 0.8
# Numbers of one block of resamples.
_AT_ONCE = 1 << 22


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
    random = check_random_state(random_state)
    resampled = _Resampling(n_resamples, len(new), random)
    rows, drawn = {}, {}
    for name, people in members_of(groups, len(old)).items():
        rows[name] = _means(old[people], new[:, people])
        drawn[name] = resampled.means(old[people], new[:, people])
    tail = (1 - confidence) / 2
    changes = {name: means[1] - means[0] for name, means in drawn.items()}
    table = {name: row | _spread(changes[name], tail, row["n"]) for name, row in rows.items()}
    by_group = pd.DataFrame.from_dict(table, orient="index").rename_axis("group")
    return PairedChanges(by_group, _gap(by_group.drop(EVERYBODY), drawn, tail))


@dataclass(frozen=True)
class _Resampling:
    """Draws of people within a group, and of seeds, the same seeds for all groups."""

    n_resamples: int
    n_seeds: int
    random: np.random.RandomState

    def __post_init__(self) -> None:
        # One less than there are: their mean then varies as it does between seeds (Rao and Wu).
        size = self.n_resamples, max(1, self.n_seeds - 1)
        drawn = self.random.randint(self.n_seeds, size=size)
        weights = (drawn[:, :, None] == np.arange(self.n_seeds)).mean(axis=1)
        object.__setattr__(self, "seed_weights", weights)

    def means(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Return resampled means before and after, shape (2, n_resamples)."""
        values = np.concatenate([old[None], new]).T
        if len(values) < 2:
            return np.full((2, self.n_resamples), np.nan)
        known = values[~np.isnan(values)]
        slots = np.repeat(np.arange(len(values)), 2)
        if ((known == 0) | (known == 1)).all():
            cells = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)
            slots = np.append(slots, len(values) + np.arange(4))
            values = np.concatenate([values, cells[:, [0] + [1] * len(new)]])
        means = np.concatenate(list(self._blocks(np.nan_to_num(values), ~np.isnan(values), slots)))
        weights = self.seed_weights  # type: ignore[attr-defined]
        return np.stack([means[:, 0], (means[:, 1:] * weights).sum(axis=1)])

    def _blocks(
        self, values: np.ndarray, counted: np.ndarray, slots: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Yield means of resamples, some at once; each person has two slots, a cell has one."""
        n = len(values)
        both = np.concatenate([values, counted], axis=1)
        step = max(1, _AT_ONCE // n)
        for start in range(0, self.n_resamples, step):
            size = min(step, self.n_resamples - start)
            drawn = slots[self.random.randint(len(slots), size=(size, len(slots) // 2))]
            flat = (drawn + n * np.arange(size)[:, None]).ravel()
            times = np.bincount(flat, minlength=n * size).reshape(size, n)
            sums, counts = np.split(times @ both, 2, axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                yield sums / counts


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
