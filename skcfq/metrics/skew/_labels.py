"""Which group each person belongs to, as texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.metrics.skew._checks import read_labels
from skcfq.utils import as_objects, missing_mask

# Of what nobody tells of a person.
MISSING = "(missing)"
EVERYBODY = "everybody"


def group_labels(column: Any) -> np.ndarray:
    """Return labels of groups as texts, one for those whose group is not told.

    Parameters
    ----------
    column : array-like of shape (n,)

    Returns
    -------
    labels : ndarray of shape (n,), object

    Examples
    --------
    >>> group_labels([1, None, "b"]).tolist()
    ['1', '(missing)', 'b']
    """
    # One text a group, and not one a person.
    texts: dict[str, str] = {}
    told = map(str, as_objects(column))
    labels = np.array([texts.setdefault(one, one) for one in told], dtype=object)
    labels[missing_mask(column)] = MISSING
    return labels


def members_of(groups: Any, n: int) -> dict[str, np.ndarray]:
    """Return the positions of everybody, and of each group's people, groups by their labels.

    Parameters
    ----------
    groups : array-like of shape (n,) or None
    n : int

    Raises
    ------
    ValueError
        There is not one label a person.
    """
    everybody = {EVERYBODY: np.arange(n)}
    if groups is None:
        return everybody
    labels = group_labels(read_labels(groups, "groups", n, gaps=True))
    names = sorted(set(labels.tolist()))
    return everybody | {name: np.flatnonzero(labels == name) for name in names}
