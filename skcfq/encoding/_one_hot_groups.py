"""Groups of columns in which a table was one-hot encoded before it came here."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from skcfq.exceptions import EncodedTableWarning
from skcfq.utils import as_numbers, raw_table, take_rows, warn_user

# Fewer rows may have one 1 each by chance; more would tell nothing new.
_LEAST_ROWS, _MOST_ROWS = 20, 1000


def one_hot_groups(X: Any) -> list[list[Hashable]]:
    """Return neighboring columns of 0 and 1 that have exactly one 1 in every row.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, p)
        Of fewer than 20 rows nothing is said.

    Returns
    -------
    groups : list of list of column names
        Positions for an array.

    Examples
    --------
    >>> import numpy as np
    >>> levels = np.arange(30) % 3
    >>> one_hot_groups(np.column_stack([levels, np.eye(3)[levels]]))
    [[1, 2, 3]]
    """
    if len(X) < _LEAST_ROWS:
        return []
    columns, names, _ = raw_table(take_rows(X, np.arange(min(len(X), _MOST_ROWS))))
    flags = [_flags(column) for column in columns]
    groups: list[list[Hashable]] = []
    first = 0
    while first < len(flags):
        end = _end_of_group(flags, first)
        if end - first > 1:
            groups.append(names[first:end])
        first = max(end, first + 1)
    return groups


def warn_of_one_hot_groups(X: Any) -> None:
    """Warn that nothing keeps one-hot columns together, or what nobody can change as it is.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, p)
        Rows for which no action set was given.
    """
    groups = one_hot_groups(X)
    if not groups:
        return
    shown = ", ".join(repr(name) for name in groups[0][:3])
    warn_user(
        f"X looks encoded: {len(groups)} groups of its columns have one 1 in every row, such as "
        f"{shown}{', ...' if len(groups[0]) > 3 else ''}. Without an `action_set` each of these "
        "columns may move on its own, so that somebody has two categories, and so may what nobody "
        "can change, such as age. Where a pipeline has encoded the table, take the transformer out "
        "of it and give it as `encoder=`; else declare ActionSet(one_hot={...}, immutable=[...]).",
        EncodedTableWarning,
    )


def _flags(column: Any) -> np.ndarray | None:
    """Return a column of 0 and 1 as int8, None for any other."""
    try:
        numbers = as_numbers(column)
    except ValueError:
        return None
    binary = ((numbers == 0) | (numbers == 1)).all() and numbers.min() < numbers.max()
    return numbers.astype(np.int8) if binary else None


def _end_of_group(flags: list[np.ndarray | None], first: int) -> int:
    """Return the end of the group that starts at a column; its start where there is none."""
    total: Any = 0
    for end in range(first, len(flags)):
        column = flags[end]
        if column is None:
            break
        total = total + column
        if total.max() > 1:
            break
        if total.min() == 1:
            return end + 1
    return first
