"""What kind an argument is of: several values, or a truth value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np


def is_list(value: Any) -> bool:
    """Return whether a value holds several, and still does after it was read once.

    Examples
    --------
    >>> [is_list(value) for value in ((1, 2), [], {1}, "ab", {"a": 1}, iter([1]), np.array(1))]
    [True, True, True, False, False, False, False]
    """
    if isinstance(value, (str, bytes, Mapping, Iterator)) or not isinstance(value, Iterable):
        return False
    return np.ndim(value) > 0 if isinstance(value, np.ndarray) else True


def check_flag(name: str, value: Any) -> None:
    """Refuse what is no truth value.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> check_flag("details", 1)
    Traceback (most recent call last):
    ValueError: details=1; give True or False.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={value!r}; give True or False.")
