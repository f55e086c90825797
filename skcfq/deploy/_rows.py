"""Raw rows to the encoded rows that an integer network reads, and dicts to raw rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.exceptions import FeatureSpaceError

if TYPE_CHECKING:
    from skcfq.encoding import FeatureSpace


def encode_rows(space: FeatureSpace, X: Any) -> np.ndarray:
    """Encode raw rows, and refuse gaps that nothing fills: they have no integer code.

    Parameters
    ----------
    space : FeatureSpace
    X : DataFrame or array-like of shape (n, n_raw_columns)

    Returns
    -------
    Z : ndarray of shape (n, n_encoded), float64

    Raises
    ------
    FeatureSpaceError
        A column has a gap, and the encoder fills none.
    """
    Z = space.encode(X)
    gaps = np.isnan(Z).any(axis=0)
    if gaps.any():
        names = [block.name for block in space.blocks if gaps[block.columns].any()]
        raise FeatureSpaceError(
            f"The columns {names} have gaps (NaN), and the encoder fills none there; a quantized "
            "network has no code for a gap. Put an imputer into the encoder, or fill them."
        )
    return Z


def is_records(X: Any) -> bool:
    """Tell whether X is a row as a dict, or a list of such rows."""
    return isinstance(X, dict) or (isinstance(X, list) and len(X) > 0 and isinstance(X[0], dict))


def rows_of_records(X: Any, names: list | None, order: list) -> list[list[Any]]:
    """Return rows that are dicts, from name to value, as lists.

    Parameters
    ----------
    X : dict or list of dict
    names : list or None
        The columns; None where they have no names.
    order : list
        The columns of the lists.

    Raises
    ------
    FeatureSpaceError
        A row lacks a column, has one that is unknown, or is no dict.

    Examples
    --------
    >>> rows_of_records({"job": "cook", "age": 20}, ["age", "job"], ["age", "job"])
    [[20, 'cook']]
    """
    records = [X] if isinstance(X, dict) else X
    if names is None:
        raise FeatureSpaceError(
            "X holds dicts, but the model was fitted on a table without column names. Give each "
            "row as a list, in the order of training: [[...], [...]]."
        )
    try:
        rows = [[record[name] for name in order] for record in records]
    except (KeyError, TypeError):
        rows = []
    if not rows or any(len(record) != len(names) for record in records):
        for position, record in enumerate(records):
            _check_record(record, position, names)
    return rows


def _check_record(record: Any, position: int, names: list) -> None:
    if not isinstance(record, dict):
        raise FeatureSpaceError(
            f"Row {position} of X is a {type(record).__name__} among dicts. Give all rows as dicts "
            "from column name to value."
        )
    if missing := [name for name in names if name not in record]:
        raise FeatureSpaceError(
            f"Row {position} of X lacks the columns {missing}. Give a value for each column of "
            "training; None stands for a gap."
        )
    if unknown := [name for name in record if name not in names]:
        raise FeatureSpaceError(
            f"Row {position} of X has the unknown columns {unknown}. Give the columns of training "
            "alone."
        )
