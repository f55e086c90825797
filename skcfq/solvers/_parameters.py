"""What the parameters of a call say, in the terms of the problems."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from skcfq.exceptions import ActionSetError


def required_margin(margin: float, proba: float | None, n_classes: int) -> float:
    """Return the logit margin that a margin and a probability together ask for.

    Parameters
    ----------
    margin : float
    proba : float or None
        Probability of the target.
    n_classes : int

    Returns
    -------
    margin : float
        With two classes the log-odds of ``proba``. With more, a margin over every rival that
        suffices for it, and may be more than is needed.

    Examples
    --------
    >>> required_margin(0.0, 0.75, 2).__round__(3)
    1.099
    """
    if proba is None:
        return margin
    return max(margin, math.log((n_classes - 1) * proba / (1 - proba)))


def overrides_by_position(overrides: Any, X: Any) -> dict[int, Mapping] | None:
    """Translate row labels into positions.

    Parameters
    ----------
    overrides : dict of row label to rules, or None
        Labels are those of the index of a DataFrame, positions for an array.
    X : DataFrame or ndarray of shape (n, n_raw_columns)

    Returns
    -------
    overrides : dict of int to rules, or None
        A label that several rows share stands for all of them.

    Raises
    ------
    ActionSetError
        Not a dict of dicts, or a label that no row has.
    """
    if overrides is None:
        return None
    if not isinstance(overrides, Mapping) or not all(
        isinstance(rules, Mapping) for rules in overrides.values()
    ):
        raise ActionSetError(
            f"overrides is {overrides!r}: give a dict from row labels to rules, such as "
            "{label: {'immutable': [...], 'bounds': {name: (low, high)}}}."
        )
    positions: dict[Hashable, list[int]] = {}
    index = X.index if isinstance(X, pd.DataFrame) else range(len(X))
    for position, label in enumerate(index):
        positions.setdefault(label, []).append(position)
    found: dict[int, Mapping] = {}
    for label, rules in overrides.items():
        if label not in positions:
            kind = "index label of X" if isinstance(X, pd.DataFrame) else "row position of X"
            raise ActionSetError(
                f"overrides names the row {label!r}, which is no {kind}. Name rows that are "
                "given to solve."
            )
        found.update((position, rules) for position in positions[label])
    return found
