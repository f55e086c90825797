"""Read and rewrite single columns of raw tables, without touching what does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.utils import as_numbers, replace_columns, rewrite

if TYPE_CHECKING:
    from skcfq.encoding import FeatureSpace

__all__ = ["filled_numbers", "is_missing", "is_same_label", "read_columns", "write_columns"]


def is_missing(value: object) -> bool:
    """Return whether a raw value is None, NaN or pd.NA."""
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def is_same_label(value: object, label: object) -> bool:
    """Return whether a raw value is a label: text never equals a number, gaps equal each other."""
    if is_missing(value) or is_missing(label):
        return is_missing(value) and is_missing(label)
    # numpy would answer with an array or a warning for some pairs of text and number.
    return isinstance(value, str) == isinstance(label, str) and bool(value == label)


def read_columns(space: FeatureSpace, X: Any) -> list:
    """Return the values of the p raw columns of X, in the order of the space."""
    return [values for _, values in space.columns_of(X)[0]]


def filled_numbers(block: Any, column: Any) -> np.ndarray:
    """Return a raw column as float64 of shape (n,), gaps as the value that its block fills in."""
    numbers = as_numbers(column)
    fill = getattr(block, "fill", None)
    if fill is None or block.kind == "table":
        return numbers
    return np.where(np.isnan(numbers), float(fill), numbers)


def write_columns(
    space: FeatureSpace, X: Any, updates: dict[int, tuple[np.ndarray, np.ndarray]]
) -> Any:
    """Return a copy of X with new values in some rows of some raw columns.

    Parameters
    ----------
    space : FeatureSpace
    X : DataFrame or ndarray of shape (n, p)
    updates : dict of raw column to (mask of shape (n,), values of shape (mask.sum(),))

    Returns
    -------
    rows : same container as X
        A dtype changes only where it cannot hold the new values.
    """
    columns = space.columns_of(X)[0]
    new: dict[int, Any] = {
        columns[raw][0]: rewrite(columns[raw][1], np.flatnonzero(mask), values)
        for raw, (mask, values) in updates.items()
    }
    return replace_columns(X, new)
