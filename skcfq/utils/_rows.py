"""Rows of a table, whatever holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

# Rows that are multiplied at a time, whatever their number: libraries choose the order in which
# they add up by the shape.
TILE = 16


def take_rows(X: Any, rows: np.ndarray | slice) -> Any:
    """Select rows of a DataFrame or an array by mask or position, in the same container.

    A slice may return a view.

    Examples
    --------
    >>> import numpy as np
    >>> take_rows(np.array([[1], [2], [3]]), np.array([2, 0])).tolist()
    [[3], [1]]
    """
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else np.asarray(X)[rows]


def stack_rows(tables: Sequence[Any]) -> Any:
    """Put tables one below the other, in the same container; each keeps its index.

    A single DataFrame is returned as it is.

    Examples
    --------
    >>> import numpy as np
    >>> stack_rows([np.array([[1], [2]]), np.array([[3]])]).tolist()
    [[1], [2], [3]]
    >>> stack_rows([pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})]).index.tolist()
    [0, 1, 0]
    """
    if isinstance(tables[0], pd.DataFrame):
        return tables[0] if len(tables) == 1 else pd.concat(tables)
    return np.concatenate(tables)


def as_slice(rows: np.ndarray) -> np.ndarray | slice:
    """Return positions as a slice where they follow each other, so that no copy is needed.

    Examples
    --------
    >>> import numpy as np
    >>> as_slice(np.array([4, 5, 6])), as_slice(np.array([4, 6]))
    (slice(4, 7, None), array([4, 6]))
    """
    if rows.dtype == bool or len(rows) == 0 or rows[-1] - rows[0] != len(rows) - 1:
        return rows
    first = int(rows[0])
    follow = np.array_equal(rows, np.arange(first, first + len(rows)))
    return slice(first, first + len(rows)) if follow else rows


def row_products(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``rows @ weights``, each row as if it were the only one.

    Products of matrices add up in an order that depends on how many rows there are, so that the
    last bits of a row's result depend on the others.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    weights : ndarray of shape (d, k)
        Few columns: each takes a pass.

    Returns
    -------
    products : ndarray of shape (n, k)

    Examples
    --------
    >>> import numpy as np
    >>> row_products(np.array([[1.0, 2.0]]), np.array([[0.0, 3.0], [0.0, 4.0]])).tolist()
    [[0.0, 11.0]]
    """
    rows = np.ascontiguousarray(rows)
    products = np.zeros((len(rows), weights.shape[1]))
    for k in np.flatnonzero(weights.any(axis=0)):
        products[:, k] = np.einsum("ij,j->i", rows, np.ascontiguousarray(weights[:, k]))
    return products


def tile_products(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``rows @ weights`` for many columns, each row as if it were the only one.

    Products of matrices of different shape add up in different orders, so rows are multiplied in
    tiles of one shape. The rows of a tile follow each other in memory and fill registers: those
    that fill none would go through another kernel.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    weights : ndarray of shape (d, k)

    Returns
    -------
    products : ndarray of shape (n, k)

    Examples
    --------
    >>> import numpy as np
    >>> tile_products(np.array([[1.0, 2.0]]), np.array([[0.0, 3.0], [0.0, 4.0]])).tolist()
    [[0.0, 11.0]]
    """
    n, d = rows.shape
    missing = -n % TILE
    whole = np.concatenate([rows, np.zeros((missing, d))]) if missing else rows
    tiles = whole.reshape((n + missing) // TILE, TILE, d)
    products = weights.T @ np.ascontiguousarray(tiles.transpose(0, 2, 1))
    return products.transpose(0, 2, 1).reshape(n + missing, weights.shape[1])[:n]


def row_sums(rows: np.ndarray) -> np.ndarray:
    """Return the sum of each row, in an order that does not depend on how rows lie in memory.

    Examples
    --------
    >>> import numpy as np
    >>> row_sums(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [3.0, 7.0]
    """
    return np.ascontiguousarray(rows).sum(axis=1)
