"""Why there may be nobody to advise: what the model itself does is looked at first."""

from __future__ import annotations

import numpy as np


def decision_fault(
    decisions: np.ndarray,
    target: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    name: str = "The teacher",
) -> str | None:
    """Return why there is no recourse where that lies at the model, and what to do; else None.

    Parameters
    ----------
    decisions : ndarray of shape (n,)
        What the model gives each row.
    target : ndarray of shape (n,)
        What each wants; of several labels nothing is said.
    labels : ndarray of shape (n,), optional
        What each has. By default this is unknown, and a model that gives the target to all rows or
        to none is at fault.
    name : str, default="The teacher"

    Returns
    -------
    fault : str or None
        A sentence.

    Examples
    --------
    >>> import numpy as np
    >>> nobody, few, wanted = np.zeros(50), np.arange(50) == 0, np.ones(50)
    >>> print(decision_fault(nobody, wanted, few))
    The teacher gives the target to none of 50 rows, and 2% of y have it: see first that it ...
    """
    n = len(target)
    if n == 0 or (target != target[0]).any():
        return None
    gets = decisions == target
    if gets.any() and not gets.all():
        return None
    of_y = ""
    if labels is not None:
        others = 100 * np.mean((labels == target) != gets)
        if others == 0:
            return None
        of_y = f", and {others:.2g}% of y {'do not have' if gets.all() else 'have'} it"
    rows, learns = ("all", "does not") if gets.all() else ("none", "does")
    return (
        f"{name} gives the target to {rows} of {n} rows{of_y}: see first that it learns who "
        f"{learns}, with class_weight='balanced' where they are few, or with a longer training."
    )
