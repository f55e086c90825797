"""The margin that rounding alone may take from a point (docs/design.md, "valid")."""

from __future__ import annotations

import numpy as np

RELATIVE_MARGIN = 1e-9


def rounding_margin(logits: np.ndarray) -> np.ndarray:
    """Return the least margin of a valid point under a model of two classes.

    The same as in ``validity_slack``, on arrays.

    Parameters
    ----------
    logits : ndarray of shape (n, 2)

    Returns
    -------
    margin : ndarray of shape (n,)

    Examples
    --------
    >>> rounding_margin(np.array([[0.0, -0.5], [0.0, 20.0]])).tolist()
    [1e-09, 2e-08]
    """
    largest = np.maximum(np.abs(logits[:, 0]), np.abs(logits[:, 1]))
    return RELATIVE_MARGIN * np.maximum(largest, 1.0)
