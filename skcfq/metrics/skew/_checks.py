"""Labels and numbers as arrays, or an error that names them."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from skcfq.utils import as_objects, is_list, missing_mask


def read_labels(
    values: Any, name: str, n: int | None = None, *, like: str = "", gaps: bool = False
) -> np.ndarray:
    """Return labels as Python objects, shape (n,).

    Parameters
    ----------
    values : array-like of shape (n,)
    name : str
        Of the parameter.
    n : int, optional
        How many there must be.
    like : str, optional
        The parameter that says how many.
    gaps : bool, default=False
        Whether labels may be missing.

    Raises
    ------
    ValueError
    """
    try:
        labels = as_objects(values) if is_list(values) else None
    except (TypeError, ValueError):  # lists in lists without end
        labels = None
    wanted = "each person" if n is None else f"each of the {n} people"
    if labels is None or labels.ndim != 1 or not len(labels) or len(labels) != (n or len(labels)):
        of = f" of `{like}`" if like else ""
        raise ValueError(f"`{name}` is {reprlib.repr(values)}; give one label for {wanted}{of}.")
    if not gaps and missing_mask(labels).any():
        raise ValueError(f"`{name}` has missing labels; leave these people out.")
    return labels


def read_numbers(values: Any, name: str) -> np.ndarray:
    """Return numbers as float64, of any shape.

    Raises
    ------
    ValueError
    """
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = None
    if numbers is None or np.isinf(numbers).any() or np.iscomplexobj(values):
        raise ValueError(f"`{name}` is {reprlib.repr(values)}; give an array of finite numbers.")
    return numbers
