"""What samplers share: groups that stand in columns of X, and labels in the container of y."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from imblearn.utils import check_target_type
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from skcfq.utils import is_list, validate_table


def read_labeled(estimator: Any, X: Any, y: Any) -> tuple[Any, np.ndarray, bool]:
    """Check a table and its labels.

    Parameters
    ----------
    estimator : estimator
        Whose columns these are.
    X : DataFrame or array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_classes)

    Returns
    -------
    table : DataFrame or ndarray of shape (n_samples, n_features)
    labels : ndarray of shape (n_samples,)
    one_vs_all : bool
        Whether y had one column for each class.
    """
    check_classification_targets(y)
    labels, one_vs_all = check_target_type(y, indicate_one_vs_all=True)
    table = validate_table(estimator, X, reset=True)
    check_consistent_length(table, labels)
    return table, labels, one_vs_all


def groups_in(table: Any, columns: Any) -> np.ndarray:
    """Return the group of every row as text, crossed where several columns are named.

    Parameters
    ----------
    table : DataFrame or ndarray of shape (n, n_features)
    columns : str, int or list of these
        Names of columns, or their positions.

    Returns
    -------
    groups : ndarray of shape (n,), object

    Raises
    ------
    ValueError
        A column is not there, or has missing values.
    """
    names = list(columns) if is_list(columns) else [columns]
    if not names:
        raise ValueError("sensitive_features is empty; name one column of X at least.")
    parts = [_column(table, name) for name in names]
    groups = np.empty(len(parts[0]), dtype=object)
    groups[:] = [" & ".join(map(str, one)) for one in zip(*parts, strict=True)]
    return groups


def _column(table: Any, name: Any) -> list:
    frame = isinstance(table, pd.DataFrame)
    is_position = isinstance(name, int | np.integer) and not isinstance(name, bool)
    known = list(table.columns) if frame else []
    if frame and any(type(one) is type(name) and one == name for one in known):
        values = table.iloc[:, known.index(name)]
    elif is_position and -table.shape[1] <= name < table.shape[1]:
        values = table.iloc[:, name] if frame else table[:, name]
    else:
        has = f"the columns {known}" if frame else f"{table.shape[1]} columns without names"
        raise ValueError(f"sensitive_features names {name!r}, but X has {has}.")
    missing = int(pd.isna(values).sum())
    if missing:
        raise ValueError(
            f"The column {name!r} of sensitive_features has {missing} missing values. Give these "
            "rows a group of their own, such as 'unknown', or leave them out."
        )
    return list(values)


def like(y: Any, labels: np.ndarray) -> Any:
    """Return labels in the container of y.

    Parameters
    ----------
    y : array-like
    labels : ndarray of shape (n,) or (n, n_classes)
    """
    if isinstance(y, list):
        return labels.tolist()
    if isinstance(y, pd.DataFrame):
        columns = {name: labels if labels.ndim == 1 else labels[:, k] for k, name in enumerate(y)}
        return pd.DataFrame(columns).astype(y.dtypes)
    if isinstance(y, pd.Series):
        dtype = y.dtype
        if isinstance(dtype, pd.CategoricalDtype):
            # The target may be a category that the labels at hand do not have.
            more = [one for one in pd.unique(labels) if one not in dtype.categories]
            dtype = pd.CategoricalDtype([*dtype.categories, *more], dtype.ordered)
        return pd.Series(labels, dtype=dtype, name=y.name)
    return labels
