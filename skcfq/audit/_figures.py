"""The figures of an audit: each a share, a mean, a median or a ratio over some people.

A figure is defined once, here, as whom it counts and what it counts of them; its value, its
interval and its groups follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skcfq.utils.intervals import mean_interval, median_interval, share_interval


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes
    ----------
    kind : {"share", "mean", "median", "ratio"}
    people : callable
        From the table of people to a mask of those who are counted.
    value : callable
        From the table of those to what is counted of each.
    weight : callable or None
        Of a ratio of sums: what the values are weighted by.
    label : str
        In words.
    better : {"low", "high", "same", "zero"}
        What would be good.
    least, most : float
        Between which any value lies: an interval of a mean does not end beyond.
    """

    kind: str
    people: Callable[[pd.DataFrame], pd.Series]
    value: Callable[[pd.DataFrame], pd.Series]
    label: str
    better: str
    weight: Callable[[pd.DataFrame], pd.Series] | None = None
    least: float = -np.inf
    most: float = np.inf


def _everybody(table: pd.DataFrame) -> pd.Series:
    return pd.Series(True, index=table.index)


def _compared(table: pd.DataFrame) -> pd.Series:
    return table["gap"].notna()


def _same_label(table: pd.DataFrame) -> pd.Series:
    return table["decision_reference"] == table["decision_deployed"]


FIGURES: Mapping[str, Figure] = {
    "accuracy": Figure(
        "share", _everybody, lambda t: t["right"], "Accuracy of the reference", "high"
    ),
    "accuracy_deployed": Figure(
        "share", _everybody, lambda t: t["right_deployed"], "Accuracy of the deployed model", "high"
    ),
    "agreement": Figure(
        "share", _everybody, _same_label, "People whom both models decide alike", "high"
    ),
    "acceptance": Figure(
        "share",
        _everybody,
        lambda t: t["accepted_reference"],
        "Accepted by the reference",
        "same",
    ),
    "acceptance_deployed": Figure(
        "share",
        _everybody,
        lambda t: t["accepted_deployed"],
        "Accepted by the deployed model",
        "same",
    ),
    "feasible_rate": Figure(
        "share",
        lambda t: ~t["accepted_reference"],
        lambda t: t["advised"],
        "Refused by the reference who can be advised",
        "high",
    ),
    "feasible_rate_deployed": Figure(
        "share",
        lambda t: ~t["accepted_deployed"],
        lambda t: t["advised_deployed"],
        "Refused by the deployed model who can be advised",
        "high",
    ),
    "validity_drop": Figure(
        "share",
        lambda t: t["advised"],
        lambda t: ~t["holds"],
        "Advice that the deployed model does not honor",
        "low",
    ),
    "validity_drop_mismatch": Figure(
        "share",
        lambda t: t["advised"] | t["accepted_reference"],
        lambda t: ~t["holds"],
        "The same, people who need no advice included",
        "low",
    ),
    "float32_drop": Figure(
        "share",
        lambda t: t["advised"] & t["holds_float32"].notna(),
        lambda t: t["holds_float32"] == 0,
        "Advice that a float32 copy of the reference does not honor",
        "low",
    ),
    "recourse_gap": Figure(
        "mean",
        _compared,
        lambda t: t["gap"].abs(),
        "Mean change of the price, either way",
        "zero",
        least=0,
    ),
    "recourse_gap_signed": Figure(
        "mean", _compared, lambda t: t["gap"], "Mean change of the price", "zero", least=-1
    ),
    "recourse_gap_median": Figure(
        "median", _compared, lambda t: t["gap"], "Median change of the price", "zero"
    ),
    "recourse_gap_ratio": Figure(
        "ratio",
        lambda t: _compared(t) & (t["cost"] > 0),
        lambda t: (t["cost_deployed"] - t["cost"]) / t["cost"],
        "Change of all prices together",
        "zero",
        lambda t: t["cost"],
        least=-1,
    ),
    "direction_similarity": Figure(
        "mean",
        _compared,
        lambda t: t["cosine"],
        "Cosine of the two pieces of advice",
        "high",
        least=-1,
        most=1,
    ),
    "action_overlap": Figure(
        "mean",
        _compared,
        lambda t: t["overlap"],
        "Overlap of what is to be changed",
        "high",
        least=0,
        most=1,
    ),
    "cost": Figure(
        "mean",
        lambda t: t["advised"],
        lambda t: t["cost"],
        "Mean price under the reference",
        "low",
        least=0,
    ),
    "cost_deployed": Figure(
        "mean",
        lambda t: t["advised_deployed"],
        lambda t: t["cost_deployed"],
        "Mean price under the deployed model",
        "low",
        least=0,
    ),
}


def figures_of(
    table: pd.DataFrame, confidence: float, figures: Mapping[str, Figure] = FIGURES
) -> pd.DataFrame:
    """Return all figures of some people.

    Parameters
    ----------
    table : DataFrame
        As :func:`people_table` makes it.
    confidence : float
        Of each interval alone.
    figures : dict of name to Figure

    Returns
    -------
    values : DataFrame
        Indexed by name: ``value``, ``lower``, ``upper``, ``n`` (people who are counted) and
        ``kind``. NaN where nobody is counted. Accuracies are left out without labels.
    """
    known = {
        name: figure
        for name, figure in figures.items()
        if not name.startswith("accuracy") or "right" in table
    }
    rows = [_of(figure, table, confidence) for figure in known.values()]
    return pd.DataFrame(rows, index=pd.Index(known, name="figure"))


def value_of(figure: Figure, table: pd.DataFrame) -> float:
    """Return one figure of some people, NaN where nobody is counted."""
    return _value(figure, *_counted(figure, table))


def _counted(figure: Figure, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what is counted of each person who is, and the weights of these."""
    people = table[figure.people(table).to_numpy(dtype=bool)]
    weights = None if figure.weight is None else figure.weight(people).to_numpy(dtype=float)
    return figure.value(people).to_numpy(dtype=float), weights


def _value(figure: Figure, values: np.ndarray, weights: np.ndarray | None) -> float:
    if not len(values):
        return np.nan
    if figure.kind == "median":
        return float(np.median(values))
    return float(values.mean() if figure.kind == "share" else np.average(values, weights=weights))


def _of(figure: Figure, table: pd.DataFrame, confidence: float) -> dict[str, object]:
    values, weights = _counted(figure, table)
    n = len(values)
    record: dict[str, object] = {"value": np.nan, "lower": np.nan, "upper": np.nan, "n": n}
    record["kind"] = figure.kind
    if n == 0:
        return record
    record["value"] = value = _value(figure, values, weights)
    if figure.kind == "share":
        ends = share_interval(int(values.sum()), n, confidence)
    elif figure.kind == "median":
        ends = median_interval(values, confidence)
    else:
        ends = mean_interval(values, confidence, weights=weights)
        far = float(np.sqrt(-np.log((1 - confidence) / 2) / (2 * n)))
        ends = _within(ends, figure, value, far)
    record["lower"], record["upper"] = ends
    return record


def _within(
    ends: tuple[float, float], figure: Figure, value: float, far: float
) -> tuple[float, float]:
    """Return an interval without what no value can be.

    An end beyond that, or one that resampling does not find, is that of Hoeffding's inequality
    (1963, Theorem 2), which holds for any values within limits: so far from the figure, in units of
    the limits' distance.
    """
    low, high = ends
    if np.isnan(low) and np.isnan(high):
        return ends
    far *= figure.most - figure.least
    low = low if low > figure.least else max(figure.least, value - far)
    high = high if high < figure.most else min(figure.most, value + far)
    # Where there is no limit either, the end stays unknown; a file has no infinite numbers.
    return low if np.isfinite(low) else np.nan, high if np.isfinite(high) else np.nan
