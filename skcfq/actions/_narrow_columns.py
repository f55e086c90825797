"""Columns of single and half precision, and of whole numbers: what they can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["has_narrow_columns", "narrow_type", "rounded_outward", "whole_outward"]

# A value so near to a whole number, as a share of itself, is that number.
_ROUNDING = 1e-12


def has_narrow_columns(X: Any) -> bool:
    """Tell whether any column of a table holds floats of fewer digits than float64."""
    if isinstance(X, np.ndarray):
        return narrow_type(X) is not None
    return any(narrow_type(dtype) is not None for dtype in set(X.dtypes))


def narrow_type(column: Any) -> np.dtype | None:
    """Return the float type of a raw column that holds fewer digits than float64, else None.

    Parameters
    ----------
    column : array, Series or dtype
        Of numpy, or a nullable one of pandas.
    """
    dtype = getattr(column, "dtype", column)
    dtype = getattr(dtype, "numpy_dtype", dtype)  # of a nullable type
    is_narrow = isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize < 8
    return dtype if is_narrow else None


def rounded_outward(
    raw: np.ndarray, own: np.ndarray, dtype: np.dtype, limits: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Round values to a float type, away from the own ones as far as the limits allow.

    An action that goes a little farther keeps its decision; one that falls short may lose it.

    Parameters
    ----------
    raw, own : ndarray of shape (k,)
    dtype : dtype
    limits : (ndarray of shape (k,), ndarray of shape (k,))

    Returns
    -------
    rounded : ndarray of shape (k,), float64

    Examples
    --------
    >>> import numpy as np
    >>> own, limits = np.zeros(2), (np.zeros(2), np.array([np.inf, 1000.3]))
    >>> rounded_outward(np.array([1000.3, 1000.3]), own, np.dtype(np.float16), limits).tolist()
    [1000.5, 1000.0]
    """
    largest = float(np.finfo(dtype).max)
    raw = np.clip(raw, -largest, largest)
    rounded = raw.astype(dtype)
    up = raw > own
    ends = np.where(up, np.inf, -np.inf).astype(dtype)
    short = np.where(up, rounded < raw, rounded > raw)
    with np.errstate(over="ignore"):
        rounded = np.where(short, np.nextafter(rounded, ends), rounded)
        beyond = (rounded < limits[0]) | (rounded > limits[1])
        rounded = np.where(beyond, np.nextafter(rounded, -ends), rounded)
    return rounded.astype(np.float64)


def whole_outward(
    raw: np.ndarray, own: np.ndarray, limits: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Round values to whole numbers, away from the own ones as far as the limits allow.

    Parameters
    ----------
    raw, own : ndarray of shape (k,)
    limits : (ndarray of shape (k,), ndarray of shape (k,))
        They contain the own values, which stay where no whole number lies between.

    Returns
    -------
    rounded : ndarray of shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> own, limits = np.full(3, 3.5), (np.zeros(3), np.full(3, 9.5))
    >>> whole_outward(np.array([7.2, 9.2, 1.8]), own, limits).tolist()
    [8.0, 9.0, 1.0]
    """
    near = np.rint(raw)
    up = raw > own
    away = np.where(up, np.ceil(raw), np.floor(raw))
    rounded = np.where(np.abs(raw - near) <= _ROUNDING * np.abs(raw), near, away)
    rounded = np.where(up, np.minimum(rounded, np.floor(limits[1])), rounded)
    rounded = np.where(up, rounded, np.maximum(rounded, np.ceil(limits[0])))
    return np.where(up == (rounded > own), rounded, own)
