"""Why there may be nobody to advise: what the teacher itself does is looked at first."""

from __future__ import annotations

import numpy as np


def teacher_fault(predicted: np.ndarray, labels: np.ndarray, target: np.ndarray) -> str | None:
    """Return why there is no recourse where that lies at the teacher, and what to do; else None.

    Parameters
    ----------
    predicted : ndarray of shape (n,), int64
        Classes that the teacher gives the training rows.
    labels : ndarray of shape (n,), int64
    target : ndarray of shape (n,), int64
        Classes that people want.

    Examples
    --------
    >>> import numpy as np
    >>> nobody, few = np.zeros(50, dtype=int), (np.arange(50) == 0).astype(int)
    >>> print(teacher_fault(nobody, few, np.ones(50, dtype=int)))
    The teacher gives the target to none of 50 rows, and 2% of y have it: ...
    """
    gets, has = predicted == target, labels == target
    n, share = len(predicted), 100 * has.mean()
    remedy = "with class_weight='balanced' where they are few, or with a longer training"
    if not gets.any():
        return (
            f"The teacher gives the target to none of {n} rows, and {share:.2g}% of y have it: see "
            f"that the teacher learns who does, {remedy}"
        )
    if gets.all() and not has.all():
        return (
            f"The teacher refuses nobody: it gives the target to all of {n} rows, and "
            f"{100 - share:.2g}% of y do not have it: see that the teacher learns who does not, "
            f"{remedy}"
        )
    return None
