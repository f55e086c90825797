"""Reading and rewriting raw columns, whatever container and dtype they come in."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from skcfq.exceptions import FeatureSpaceError
from skcfq.utils._kinds import is_list
from skcfq.utils._scalars import plain

ROUNDING = 1e-9


def values_of(column: Any) -> np.ndarray | ExtensionArray:
    """Return the values of a column: a numpy array, or pandas' own array where it needs one."""
    if type(column) is np.ndarray:
        return column
    if isinstance(column, (pd.Series, pd.Index)):
        column = column.array
    # The text arrays of pandas are subclasses of this one, where pyarrow is not installed.
    if type(column) is pd.arrays.NumpyExtensionArray:
        column = column.to_numpy()
    sparse = isinstance(getattr(column, "dtype", None), pd.SparseDtype)
    if sparse or not isinstance(column, (np.ndarray, ExtensionArray)):
        column = np.asarray(column)
    return column


def columns_of_frame(X: pd.DataFrame) -> list[np.ndarray | ExtensionArray]:
    """Return the values of all columns of a DataFrame."""
    # A private way of pandas, which takes a tenth of the time; any DataFrame has the other one.
    arrays = getattr(X, "_iter_column_arrays", None)
    if arrays is not None:
        return [values_of(array) for array in arrays()]
    return [values_of(column) for _, column in X.items()]


def missing_mask(column: Any) -> np.ndarray:
    """Return where a column has a gap: None, NaN, NaT or pd.NA, as a bool array of shape (n,)."""
    return np.asarray(pd.isna(values_of(column)), dtype=bool)


def as_objects(column: Any) -> np.ndarray:
    """Return the values of a column as Python objects, shape (n,)."""
    values = values_of(column)
    if isinstance(values, np.ndarray):
        return values.astype(object)
    return np.asarray(values, dtype=object)


def as_numbers(column: Any) -> np.ndarray:
    """Return a column as float64 of shape (n,), with NaN in its gaps.

    Raises
    ------
    ValueError
        If the column holds anything but numbers, booleans and gaps. Text that spells a number
        is text.
    """
    values = values_of(column)
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return values.astype(np.float64)
    if isinstance(values, pd.Categorical):
        numbers = np.append(as_numbers(values.categories), np.nan)
        return numbers[np.asarray(values.codes)]
    dtype = values.dtype
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError("complex numbers are not supported")
    if isinstance(values, np.ndarray) and dtype.kind in "mM":
        raise ValueError("dates are not numbers")
    if not isinstance(values, np.ndarray) and (
        pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)
    ):
        return np.asarray(pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan))
    objects = as_objects(values)
    missing = missing_mask(objects)
    present = objects[~missing]
    for kind in set(map(type, present)):
        if not issubclass(kind, (int, float, np.number, np.bool_)) or issubclass(
            kind, np.complexfloating
        ):
            raise ValueError(f"values of type {kind.__name__} are not numbers")
    numbers = np.full(len(objects), np.nan)
    try:
        numbers[~missing] = present.astype(np.float64)
    except OverflowError as error:
        raise ValueError("a whole number is too large for float64") from error
    return numbers


def is_integer_like(column: Any) -> bool:
    """Tell whether a column is stored as whole numbers or booleans."""
    values = values_of(column)
    if values.dtype == object:
        return pd.api.types.infer_dtype(values, skipna=True) in ("integer", "boolean")
    if isinstance(values, pd.Categorical):
        return is_integer_like(values.categories)
    return bool(pd.api.types.is_integer_dtype(values.dtype)) or bool(
        pd.api.types.is_bool_dtype(values.dtype)
    )


def snap_integers(numbers: np.ndarray) -> np.ndarray:
    """Replace float64 numbers within rounding error of a whole number by that number."""
    nearest = np.rint(numbers)
    close = np.abs(numbers - nearest) <= ROUNDING * np.maximum(1.0, np.abs(nearest))
    return np.where(close, nearest, numbers)


def raw_table(X: Any) -> tuple[list[Any], list[Hashable], bool]:
    """Return the columns of a table, their names, and whether it is a DataFrame."""
    if isinstance(X, pd.DataFrame):
        check_unique_columns(X)
        names = [plain(name) for name in X.columns]
        return [values_of(X.iloc[:, j]) for j in range(X.shape[1])], names, True
    X = as_array(X)
    return list(X.T), list(range(X.shape[1])), False


def check_container(X: Any, name: str = "X") -> None:
    """Refuse containers whose columns, or gaps, would get lost on the way to an array.

    Parameters
    ----------
    X : anything
    name : str, default="X"
        Of the parameter.

    Examples
    --------
    >>> check_container(np.ma.masked_equal([[1.0, 2.0]], 2.0))
    Traceback (most recent call last):
    TypeError: X is a masked array, whose mask would be lost. Give X.filled(numpy.nan), of floats.
    """
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be lost. Give {name}.filled(numpy.nan), "
            "of floats."
        )
    if isinstance(X, (list, tuple)) and len({len(row) for row in X if is_list(row)}) > 1:
        raise ValueError(
            f"{name} is a list of rows of different lengths; give all the same columns."
        )
    if hasattr(X, "to_pandas"):
        kind = f"{type(X).__module__.split('.')[0]}.{type(X).__name__}"
        raise TypeError(f"{name} is a {kind}; tables are pandas' own. Give {name}.to_pandas().")


def as_table(X: Any, name: str = "X") -> Any:
    """Return a DataFrame as it is, and everything else as an array."""
    if isinstance(X, pd.DataFrame):
        return X
    check_container(X, name)
    return np.asarray(X)


def as_array(X: Any) -> np.ndarray:
    """Return a table that is no DataFrame as an array; numbers in lists stay apart from text."""
    check_container(X)
    X = np.asarray(X, dtype=object if isinstance(X, (list, tuple)) else None)
    if X.ndim != 2:
        raise FeatureSpaceError(
            f"X must be a table of 2 dimensions, got {X.ndim}. Use X.reshape(-1, 1) for one "
            "column, X.reshape(1, -1) for one row; of a list, [X] is one row."
        )
    return X


def check_unique_columns(X: pd.DataFrame, among: Any = None) -> None:
    """Raise unless every column name (among those given) appears once."""
    if X.columns.is_unique:
        return
    twice = [plain(name) for name in X.columns[X.columns.duplicated()].unique()]
    twice = [name for name in twice if among is None or name in among]
    if twice:
        raise FeatureSpaceError(
            f"The column {twice[0]!r} appears more than once in X. Rename or drop the duplicates, "
            "for example with X.loc[:, ~X.columns.duplicated()]."
        )


def rewrite(column: Any, rows: np.ndarray, new: np.ndarray) -> np.ndarray | ExtensionArray:
    """Return a copy of a column with ``new`` values in some rows.

    The dtype stays as it is unless it cannot hold the new values: whole numbers become float64
    when one of them is not whole, a categorical dtype gains the categories that it lacks, and
    whatever else does not fit becomes ``object``.

    Parameters
    ----------
    column : array of shape (n,)
    rows : int array of shape (r,)
    new : float64 or object array of shape (r,)

    Returns
    -------
    column : array of shape (n,)
    """
    values = values_of(column)
    if isinstance(values, np.ndarray):
        return _rewrite_numpy(values, rows, new)
    if isinstance(values, pd.Categorical):
        return _rewrite_categorical(values, rows, new)
    whole = pd.api.types.is_integer_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype)
    if whole:
        return _rewrite_nullable_integers(values, rows, new)
    return _assign(values, rows, new)


def replace_columns(X: Any, changed: dict[int, Any]) -> Any:
    """Return a copy of a table (DataFrame or ndarray) in which some columns, by position, are new.

    Everything else keeps its dtype; an array gets the dtype that holds all of its columns.
    """
    if isinstance(X, pd.DataFrame):
        out = X.copy()
        for position, values in changed.items():
            # A Series with an explicit dtype keeps pandas from inferring another one.
            out.isetitem(position, pd.Series(values, index=X.index, dtype=values.dtype))
        return out
    dtypes = [values.dtype for values in changed.values()]
    out = X.astype(np.result_type(X.dtype, *dtypes)) if dtypes else X.copy()
    for position, values in changed.items():
        out[:, position] = values
    return out


def _rewrite_numpy(values: np.ndarray, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
    kind = values.dtype.kind
    if kind == "U":
        text = new.astype(str)
        values = values.astype(np.result_type(values, text))
        values[rows] = text
        return values
    if kind in "iub":
        numbers = _numbers_or_none(new)
        if numbers is None or (kind == "b" and not _fits(numbers, np.dtype(np.float64))):
            values, new = values.astype(object), new.astype(object)
        elif _fits(numbers, values.dtype):
            values, new = values.copy(), np.rint(numbers).astype(values.dtype)
        else:
            values, new = values.astype(np.float64), numbers
    elif kind == "f" and _numbers_or_none(new) is not None:
        values, new = values.copy(), as_numbers(new).astype(values.dtype)
    else:
        new = _like(values, new) if kind == "O" else new.astype(object)
        values = values.astype(object)
    values[rows] = new
    return values


def _like(objects: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return new values as objects: whole numbers as int, 0 and 1 as bool, where the old are."""
    numbers = _numbers_or_none(new)
    kind = pd.api.types.infer_dtype(objects, skipna=True)
    for old, dtype in (("integer", np.int64), ("boolean", bool)):
        if kind == old and numbers is not None and _fits(numbers, np.dtype(dtype)):
            return numbers.astype(dtype).astype(object)
    return new.astype(object)


def _rewrite_categorical(values: pd.Categorical, rows: np.ndarray, new: np.ndarray) -> Any:
    missing = missing_mask(new)
    wanted = pd.unique(new[~missing])
    lacking = wanted[values.categories.get_indexer(pd.Index(wanted, dtype=object)) < 0]
    if len(lacking):
        values = values.add_categories(list(lacking))
    else:
        values = values.copy()
    codes = values.categories.get_indexer(pd.Index(new, dtype=object))
    codes[missing] = -1
    values[rows] = pd.Categorical.from_codes(codes, dtype=values.dtype)
    return values


def _rewrite_nullable_integers(values: ExtensionArray, rows: np.ndarray, new: np.ndarray) -> Any:
    numbers = _numbers_or_none(new)
    if numbers is None:
        return _assign(values, rows, new)
    present = numbers[~np.isnan(numbers)]
    boolean = bool(pd.api.types.is_bool_dtype(values.dtype))
    limits: np.dtype = np.dtype(bool) if boolean else np.dtype(values.dtype.type or np.int64)
    if limits.kind not in "iub":
        limits = np.dtype(np.int64)
    if _fits(present, limits):
        objects = np.full(len(numbers), None, dtype=object)
        whole = np.rint(present).astype(limits)
        objects[~np.isnan(numbers)] = whole.astype(object)
        return _assign(values, rows, objects)
    if isinstance(values.dtype, pd.ArrowDtype):
        import pyarrow

        target: Any = pd.ArrowDtype(pyarrow.float64())
    else:
        target = pd.Float64Dtype()
    objects = numbers.astype(object)
    objects[np.isnan(numbers)] = None
    return _assign(pd.Series(values).astype(target).array, rows, objects)


def _assign(values: ExtensionArray, rows: np.ndarray, new: np.ndarray) -> Any:
    copy = values.copy()
    gaps = missing_mask(new)
    try:
        objects = [None if gap else value for value, gap in zip(new, gaps, strict=True)]
        copy[rows] = pd.Series(objects, dtype=values.dtype).array
    except (TypeError, ValueError):
        plain = as_objects(values).copy()
        plain[rows] = new
        return plain
    return copy


def _numbers_or_none(new: np.ndarray) -> np.ndarray | None:
    """Return float64 numbers, whole ones snapped, or None where a value is not a number."""
    try:
        return snap_integers(as_numbers(new))
    except ValueError:
        return None


def _fits(numbers: np.ndarray, dtype: np.dtype) -> bool:
    """Tell whether float64 numbers can be stored exactly in a dtype."""
    if not np.all(np.isfinite(numbers)):
        return False
    if dtype.kind == "f":
        return True
    if np.any(numbers != np.rint(numbers)):
        return False
    if dtype.kind == "b":
        return bool(np.all((numbers == 0) | (numbers == 1)))
    limits = np.iinfo(dtype)
    return bool(np.all((numbers >= limits.min) & (numbers <= limits.max)))
