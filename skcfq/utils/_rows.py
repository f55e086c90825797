"""Rows of a table, whatever holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Select rows of a DataFrame or an array by mask or position, in the same container.

    Examples
    --------
    >>> import numpy as np
    >>> take_rows(np.array([[1], [2], [3]]), np.array([2, 0])).tolist()
    [[3], [1]]
    """
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else np.asarray(X)[rows]
