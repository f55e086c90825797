"""Tables as every estimator of the library accepts them."""

from __future__ import annotations

import datetime
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from skcfq.utils._columns import check_container

_NUMBERS = (int, float, np.number, np.bool_)
_ACCEPTED = (str, *_NUMBERS)
_DATES = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    np.datetime64,
    np.timedelta64,
    pd.Period,
)
_LARGEST = float(np.finfo(np.float64).max)


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
    check_container(X)
    if isinstance(X, (list, tuple)):
        X = _list_to_array(X)
    kind = "f" if issparse(X) else np.asarray(X).dtype.kind
    if kind in "mM":
        raise _no_dates("X")
    if kind not in "OUS":
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
    where, dtype = f"column {label!r} of X", column.dtype
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"Complex data not supported: {where} has dtype {dtype}.")
    if isinstance(dtype, pd.CategoricalDtype):
        _check_column(label, dtype.categories.to_series())
        return
    ends = dtype.subtype if isinstance(dtype, pd.IntervalDtype) else dtype
    if (ends is not None and ends.kind in "mM") or isinstance(dtype, pd.PeriodDtype):
        raise _no_dates(where)
    if pd.api.types.is_object_dtype(dtype):
        _check_objects(column.to_numpy(), where)
    elif pd.api.types.is_float_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(numbers).any():
            raise _no_infinity(where)


def _check_objects(values: np.ndarray, where: str) -> None:
    present = values[~pd.isna(values)]
    kinds = set(map(type, present))
    for kind in kinds:
        if issubclass(kind, pd.Interval):
            ends = {type(end) for value in present if type(value) is kind
                    for end in (value.left, value.right)}  # fmt: skip
            if any(issubclass(end, _DATES) for end in ends):
                raise _no_dates(where)
        elif issubclass(kind, _DATES):
            raise _no_dates(where)
        elif not issubclass(kind, _ACCEPTED) and issubclass(kind, Number):
            raise TypeError(
                f"{where[0].upper()}{where[1:]} holds values of type {kind.__name__}, which are "
                "neither text nor numbers of a computer. Write them as float first, for example "
                "with X[name].astype(float)."
            )
        elif not issubclass(kind, _ACCEPTED):
            raise TypeError(
                f"Every value of {where}: argument must be a string or a real number, not "
                f"{kind.__name__!r}. Split such values into columns of their own."
            )
    if any(issubclass(kind, (int, float, np.floating)) for kind in kinds):
        sized: Any = (v for v in present if isinstance(v, (int, float, np.floating)))
        if not all(abs(value) <= _LARGEST for value in sized):
            raise _no_infinity(where)


def _no_dates(where: str) -> TypeError:
    return TypeError(
        f"{where[0].upper()}{where[1:]} holds dates or durations. Turn them into a number (for "
        "example the age in years, or .dt.days) or into categories (.astype(str)) first."
    )


def _no_infinity(where: str) -> ValueError:
    return ValueError(
        f"Input X contains infinity or a value too large in {where}. Replace such values by a gap "
        "(NaN) or by a finite number."
    )


def _list_to_array(X: Any) -> Any:
    """Keep text and numbers apart in a nested list; numpy would write the numbers as text."""
    array = np.asarray(X, dtype=object)
    return array if array.ndim == 2 and _holds_text(array) else np.asarray(X)


def _numbers_if_possible(X: np.ndarray) -> np.ndarray:
    for j, column in enumerate(X.T):
        _check_objects(column, f"column {j} of X")
    kinds = {type(value) for value in X[~pd.isna(X)]}
    if not all(issubclass(kind, _NUMBERS) for kind in kinds):
        return X
    numbers = np.full(X.shape, np.nan)
    present = ~pd.isna(X)
    numbers[present] = X[present].astype(np.float64)
    return numbers


def _holds_text(X: np.ndarray) -> bool:
    return any(issubclass(kind, str) for kind in set(map(type, X.ravel())))
