r"""The one-dimensional dual of the l2 cost under one linear constraint (A.6).

Minimizing :math:`\sum_j (w_j t_j)^2` under :math:`\sum_j s_j t_j \ge \text{need}` and
:math:`0 \le t_j \le u_j` gives :math:`t_j = \min(\lambda s_j / w_j^2, u_j)`, with the multiplier
:math:`\lambda` at which the need is met.
"""

from __future__ import annotations

import numpy as np


def balance(
    slope: np.ndarray, weight: np.ndarray, most: np.ndarray, need: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances that meet the need at the least l2 cost.

    Parameters
    ----------
    slope : ndarray of shape (m,)
        :math:`s`, not negative.
    weight : ndarray of shape (m,)
        :math:`w`, positive.
    most : ndarray of shape (n, m)
        :math:`u`; may be infinite.
    need : ndarray of shape (n,)

    Returns
    -------
    distance : ndarray of shape (n, m)
        Zeros where the need cannot be met.
    feasible : bool ndarray of shape (n,)

    Notes
    -----
    Newton's method on the gain, which is concave and piecewise linear in the multiplier: it never
    steps beyond the solution, so features only ever join those that are at their end, and at most
    m + 1 rounds are needed.

    Examples
    --------
    >>> import numpy as np
    >>> most = np.array([[9.0, 9.0], [1.0, 9.0], [1.0, 1.0]])
    >>> balance(np.ones(2), np.ones(2), most, np.array([4.0, 4.0, 4.0]))[0].tolist()
    [[2.0, 2.0], [1.0, 3.0], [0.0, 0.0]]
    """
    unit = slope / weight**2
    gains = slope > 0
    # Where a feature gains nothing, every multiplier is beyond its end.
    last = np.divide(most, unit, out=np.zeros_like(most), where=gains)
    rate = slope * unit
    feasible = np.where(gains, most, 0.0) @ np.where(gains, slope, 0.0) >= need
    multiplier = np.zeros(len(need))
    while True:
        ended = last <= multiplier[:, None]
        free = np.where(ended, 0.0, rate).sum(axis=1)
        missing = need - np.where(ended, last, 0.0) @ rate
        with np.errstate(divide="ignore", invalid="ignore"):
            following = np.where((free > 0) & (missing > 0), missing / free, multiplier)
        # Rounding must not send it back.
        np.maximum(following, multiplier, out=following)
        if np.array_equal(following, multiplier):
            break
        multiplier = following
    distance = np.minimum(multiplier[:, None] * unit, most)
    np.copyto(distance, most, where=ended & gains)
    distance[~feasible] = 0.0
    return distance, feasible
