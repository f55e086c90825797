"""Targets that a rule of the user gives to training rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skcfq.exceptions import TargetError


def targets_by_rule(rule: Callable[..., Any], X: Any, y: np.ndarray) -> Any:
    """Return what a rule says people want.

    Parameters
    ----------
    rule : callable ``(X, y) -> labels``
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    y : ndarray of shape (n,)

    Raises
    ------
    TargetError
        It is a class, or returns nothing.
    """
    if isinstance(rule, type):
        raise TargetError(
            f"target={rule!r} is a class. Give a label, or a function of (X, y) that returns one "
            "label a row."
        )
    wanted = rule(X, y)
    if wanted is None:
        raise TargetError(f"The rule target={rule!r} returned None. Let it return one label a row.")
    return wanted
