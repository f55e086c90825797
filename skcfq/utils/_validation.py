"""Tables as every estimator of the library accepts them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

_ACCEPTED = (str, int, float, np.number, np.bool_)


def validate_table(estimator: Any, X: Any, *, reset: bool) -> pd.DataFrame | np.ndarray:
    """Check a table of numbers, text, categories and gaps, and leave it as it is.

    Sets or checks ``n_features_in_`` and ``feature_names_in_`` on the estimator, as
    :func:`sklearn.utils.validation.validate_data` does.

    Parameters
    ----------
    estimator : estimator
    X : DataFrame or array-like of shape (n_samples, n_features)
        Gaps are allowed, infinite numbers are not.
    reset : bool
        True in ``fit``, False in every other method.

    Returns
    -------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        A DataFrame as it came. An array of numbers keeps its dtype if that is numeric; objects
        that are all numbers become float64; an array that holds text is an object array.

    Raises
    ------
    ValueError
        X is empty, sparse, complex, not two-dimensional, has infinite numbers or a column name
        twice, or does not have the columns that were seen in ``fit``.
    TypeError
        X holds something that is neither a number, nor text, nor a gap.

    Examples
    --------
    >>> import numpy as np
    >>> from skcfq.encoding import TableEncoder
    >>> validate_table(TableEncoder(), [[1, "a"], [2, None]], reset=True)
    array([[1, 'a'],
           [2, None]], dtype=object)
    """
    if isinstance(X, pd.DataFrame):
        return _validate_frame(estimator, X, reset=reset)
    if isinstance(X, (list, tuple)):
        X = _list_to_array(X)
    if issparse(X) or np.asarray(X).dtype.kind not in "OUS":
        return validate_data(estimator, X, reset=reset, ensure_all_finite="allow-nan")
    checked = validate_data(
        estimator, X, reset=reset, dtype=None, ensure_all_finite="allow-nan"
    ).astype(object)
    return _numbers_if_possible(checked)


def _validate_frame(estimator: Any, X: pd.DataFrame, *, reset: bool) -> pd.DataFrame:
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()][0]
        raise ValueError(
            f"The column {twice!r} appears more than once in X. Rename or drop the duplicates, "
            "for example with X.loc[:, ~X.columns.duplicated()]."
        )
    name = type(estimator).__name__
    if X.shape[0] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required by "
            f"{name}. Pass at least one row."
        )
    if X.shape[1] == 0:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required "
            f"by {name}. Pass at least one column."
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    for label, column in X.items():
        _check_column(label, column)
    return X


def _check_column(label: Any, column: pd.Series) -> None:
    dtype = column.dtype
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"Complex data not supported: column {label!r} of X has dtype {dtype}.")
    if dtype.kind in "mM" or isinstance(dtype, (pd.PeriodDtype, pd.IntervalDtype)):
        raise TypeError(
            f"Column {label!r} of X holds dates. Turn them into a number (for example the age in "
            "years) or into categories first."
        )
    if pd.api.types.is_object_dtype(dtype):
        values = column.to_numpy()
        _check_kinds(values, f"column {label!r} of X")
        numbers = [v for v in values if isinstance(v, float)]
        infinite = bool(np.isinf(numbers).any()) if numbers else False
    elif pd.api.types.is_float_dtype(dtype):
        infinite = bool(np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any())
    else:
        infinite = False
    if infinite:
        raise ValueError(
            f"Input X contains infinity or a value too large in column {label!r}. Replace "
            "infinite values by a gap (NaN) or by a finite number."
        )


def _check_kinds(values: np.ndarray, where: str) -> None:
    present = values[~pd.isna(values)]
    for kind in set(map(type, present)):
        if not issubclass(kind, _ACCEPTED) or issubclass(kind, np.complexfloating):
            raise TypeError(
                f"Every value of {where}: argument must be a string or a real number, not "
                f"{kind.__name__!r}. Split such values into columns of their own."
            )


def _list_to_array(X: Any) -> Any:
    """Keep text and numbers apart in a nested list; numpy would write the numbers as text."""
    array = np.asarray(X, dtype=object)
    return array if array.ndim == 2 and _holds_text(array) else np.asarray(X)


def _numbers_if_possible(X: np.ndarray) -> np.ndarray:
    flat = X.ravel()
    _check_kinds(flat, "X")
    if _holds_text(X):
        infinite = any(isinstance(v, float) and np.isinf(v) for v in flat)
    else:
        numbers = np.full(flat.shape, np.nan)
        present = ~pd.isna(flat)
        numbers[present] = flat[present].astype(np.float64)
        X = numbers.reshape(X.shape)
        infinite = bool(np.isinf(X).any())
    if infinite:
        raise ValueError(
            "Input X contains infinity. Replace infinite values by a gap (NaN) or by a finite "
            "number."
        )
    return X


def _holds_text(X: np.ndarray) -> bool:
    return any(issubclass(kind, str) for kind in set(map(type, X.ravel())))
