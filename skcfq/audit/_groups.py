"""Figures by group: every group of each sensitive feature, and of all of them crossed."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from skcfq.audit._figures import FIGURES, Figure, figures_of
from skcfq.metrics.skew import group_labels
from skcfq.theory import binomial_limit
from skcfq.utils import as_objects, is_list

CROSSED = " x "


def read_groups(sensitive_features: Any, X: Any) -> pd.DataFrame:
    """Return the groups of each row, one column a sensitive feature, as texts.

    Parameters
    ----------
    sensitive_features : str, list of str, Series, DataFrame, dict of name to array-like, or None
        Names are columns of X.
    X : DataFrame or ndarray of shape (n, p)

    Raises
    ------
    ValueError
        A name is no column, or an array has another length.
    """
    n = len(X)
    index = X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(n)
    if sensitive_features is None:
        return pd.DataFrame(index=index)
    if isinstance(sensitive_features, str):
        sensitive_features = [sensitive_features]
    if isinstance(sensitive_features, pd.Series):
        name = sensitive_features.name
        sensitive_features = {"group" if name is None else name: sensitive_features}
    if isinstance(sensitive_features, (pd.DataFrame, Mapping)):
        columns = {str(name): sensitive_features[name] for name in sensitive_features}
    elif isinstance(sensitive_features, (list, tuple)):
        columns = dict(_columns_of(X, sensitive_features))
    else:
        raise ValueError(
            f"sensitive_features={reprlib.repr(sensitive_features)}; give the name of a column of "
            "X, a list of names, a Series, a DataFrame, or a dict from names to labels."
        )
    for name, column in columns.items():
        if not _is_column(column, n):
            raise ValueError(
                f"sensitive_features[{name!r}] is {reprlib.repr(column)}; give one label for each "
                f"of the {n} rows of X."
            )
    labels = {name: group_labels(column) for name, column in columns.items()}
    return pd.DataFrame(labels, index=index, dtype=object)


def _is_column(column: Any, n: int) -> bool:
    try:
        return is_list(column) and np.shape(as_objects(column)) == (n,)
    except ValueError:  # lists in lists without end
        return False


def _columns_of(X: Any, names: Any) -> Iterator[tuple[str, Any]]:
    known = list(X.columns) if isinstance(X, pd.DataFrame) else []
    for name in names:
        if not any(name is one or name == one for one in known if type(one) is type(name)):
            raise ValueError(
                f"sensitive_features names {reprlib.repr(name)}, which is no column of X: it has "
                f"{known}. Give the column itself, as a Series or in a dict."
            )
        yield str(name), X[name]


def groups_of(sensitive: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Return who belongs to each group of each feature, and of all features crossed.

    Returns
    -------
    groups : dict of (feature, group) to bool ndarray of shape (n,)
        In order of the features, groups by their labels.
    """
    columns = {name: sensitive[name].to_numpy(dtype=object) for name in sensitive.columns}
    if len(columns) > 1:
        rows = zip(*columns.values(), strict=True)
        columns[CROSSED.join(columns)] = np.array([CROSSED.join(row) for row in rows], dtype=object)
    return {
        (name, label): labels == label
        for name, labels in columns.items()
        for label in sorted(set(labels.tolist()))
    }


def by_group(
    table: pd.DataFrame,
    sensitive: pd.DataFrame,
    confidence: float,
    min_group_size: int,
    known: Mapping[str, Figure] = FIGURES,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return the figures of every group that is large enough, and which are not.

    Returns
    -------
    figures : DataFrame
        Indexed by ``feature``, ``group`` and ``figure``; columns as :func:`figures_of`.
    small : list of dict
        ``feature``, ``group`` and ``n`` of the groups that are named and not scored.
    """
    found, small = {}, []
    for (feature, group), rows in groups_of(sensitive).items():
        n = int(rows.sum())
        if n < min_group_size:
            small.append({"feature": feature, "group": group, "n": n})
        else:
            found[feature, group] = figures_of(table[rows], confidence, known)
    names = ["feature", "group", "figure"]
    if not found:
        empty = pd.MultiIndex.from_arrays([[], [], []], names=names)
        return pd.DataFrame(columns=["value", "lower", "upper", "n", "kind"], index=empty), small
    return pd.concat(found, names=names[:2]), small


def gaps_of(figures: pd.DataFrame) -> pd.DataFrame:
    """Return how far the groups of a feature are apart, and which is the worst.

    Returns
    -------
    gaps : DataFrame
        Indexed by ``feature`` and ``figure``: ``gap`` (largest less smallest value; of a figure
        that should be 0, of its size), ``worst`` and ``best`` group. Figures for which there is no
        better or worse have no worst group; where fewer than two groups have a value, no gap.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for (feature, name), part in figures.groupby(level=["feature", "figure"], sort=False):
        values = part["value"].droplevel(["feature", "figure"]).dropna()
        better = FIGURES[str(name)].better
        if better == "zero":
            values = values.abs()
        if len(values) < 2:
            rows[str(feature), str(name)] = {"gap": np.nan, "worst": None, "best": None}
            continue
        order = values if better != "high" else -values
        gap = float(values.max() - values.min())
        told = better != "same" and gap > 0
        rows[str(feature), str(name)] = {
            "gap": gap,
            "worst": order.idxmax() if told else None,
            "best": order.idxmin() if told else None,
        }
    index = pd.MultiIndex.from_tuples(rows, names=["feature", "figure"]) if rows else None
    gaps = pd.DataFrame(list(rows.values()), columns=["gap", "worst", "best"], index=index)
    # pandas would write a missing name as NaN.
    for name in ("worst", "best"):
        names = [row[name] for row in rows.values()]
        gaps[name] = pd.Series(names, index=gaps.index, dtype=object)
    return gaps


def disparities(figures: pd.DataFrame, references: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Compare every group with one of its feature.

    Parameters
    ----------
    figures : DataFrame
        As :func:`by_group` returns.
    references : dict of feature to group, optional
        The largest group by default.

    Returns
    -------
    table : DataFrame
        Indexed as ``figures``: ``reference`` (the group), ``difference`` and ``ratio`` of the
        values; the ratio is missing where the reference's value is 0.

    Raises
    ------
    ValueError
        A reference is no group that was scored.
    """
    if not isinstance(references, Mapping | None):
        raise ValueError(
            f"reference_groups={reprlib.repr(references)}; give a dict from features to groups, or "
            "None."
        )
    parts = []
    for feature, part in figures.groupby(level="feature", sort=False):
        own = _reference_group(part, str(feature), references)
        base = part["value"].xs((feature, own), level=("feature", "group"))
        values = part["value"]
        of_base = base.reindex(part.index.get_level_values("figure")).to_numpy(dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(of_base != 0, values / of_base, np.nan)
        parts.append(
            pd.DataFrame(
                {"reference": own, "difference": values - of_base, "ratio": ratio}, index=part.index
            )
        )
    columns = ["reference", "difference", "ratio"]
    return pd.concat(parts) if parts else pd.DataFrame(columns=columns, index=figures.index)


def _reference_group(part: pd.DataFrame, feature: str, references: Mapping[str, str] | None) -> str:
    sizes = part["n"].xs("agreement", level="figure").droplevel("feature")
    own = None if references is None else references.get(feature)
    if own is None:
        return str(sizes.idxmax())
    if not isinstance(own, str) or own not in sizes.index:
        raise ValueError(
            f"reference_groups[{feature!r}] is {reprlib.repr(own)}; give one of the groups that "
            f"were scored: {sizes.index.tolist()}."
        )
    return own


def joint_limits(
    table: pd.DataFrame, sensitive: pd.DataFrame, confidence: float, min_group_size: int
) -> pd.DataFrame:
    """Return upper limits of the validity drop among people to come, which hold all together.

    Parameters
    ----------
    table, sensitive : DataFrame
    confidence : float
        That all limits hold (Bonferroni over everybody and all groups that are scored).
    min_group_size : int

    Returns
    -------
    limits : DataFrame
        Indexed by ``feature`` and ``group``, ``("", "everybody")`` first: ``n_people``,
        ``n_failures``, ``rate`` and ``limit``, one-sided, of Clopper and Pearson.
    """
    groups = {("", "everybody"): np.ones(len(table), dtype=bool)}
    groups |= {
        key: rows for key, rows in groups_of(sensitive).items() if rows.sum() >= min_group_size
    }
    each = 1 - (1 - confidence) / len(groups)
    advised, failed = table["advised"].to_numpy(), ~table["holds"].to_numpy()
    n_people = np.array([int((rows & advised).sum()) for rows in groups.values()])
    n_failures = np.array([int((rows & advised & failed).sum()) for rows in groups.values()])
    with np.errstate(invalid="ignore"):
        rate = np.where(n_people > 0, n_failures / np.maximum(n_people, 1), np.nan)
    index = pd.MultiIndex.from_tuples(groups, names=["feature", "group"])
    limit = binomial_limit(n_failures, n_people, confidence=each)
    columns = {"n_people": n_people, "n_failures": n_failures, "rate": rate, "limit": limit}
    return pd.DataFrame(columns, index=index)
