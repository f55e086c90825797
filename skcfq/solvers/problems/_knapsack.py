r"""The continuous knapsack problem: the cheapest way to meet one linear need inside a box.

Minimizing :math:`\sum_j w_j t_j` (l1) or :math:`\sum_j (w_j t_j)^2` (l2) under
:math:`\sum_j s_j t_j \ge \text{need}` and :math:`l_j \le t_j \le u_j` is what recourse comes to
where a margin is linear (A.6), or is replaced by its tangent. The l1 cost fills features in the
order of gain per cost (Dantzig's fractional knapsack, with :math:`l = 0`). The l2 cost has
:math:`t_j = \min(\max(\lambda s_j / w_j^2, l_j), u_j)` with one multiplier :math:`\lambda` (the
continuous quadratic knapsack), which is found by fixing variables at their ends.

References
----------
Kiwiel, "Variable fixing algorithms for the continuous quadratic knapsack problem", J. Optim. Theory
Appl. 136, 2008.
"""

from __future__ import annotations

import numpy as np

from skcfq.utils import row_products, row_sums


def fractional_knapsack(
    slope: np.ndarray, weight: np.ndarray, most: np.ndarray, need: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances that meet the need at the least l1 cost.

    Parameters
    ----------
    slope : ndarray of shape (m,) or (n, m)
        :math:`s`, not negative; one row is that of all people.
    weight : ndarray of shape (m,)
        :math:`w`, positive.
    most : ndarray of shape (n, m)
        :math:`u`, not negative; may be infinite.
    need : ndarray of shape (n,)

    Returns
    -------
    distance : ndarray of shape (n, m)
        Zeros where the need cannot be met.
    feasible : bool ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> most = np.array([[9.0, 9.0], [1.0, 9.0], [1.0, 1.0]])
    >>> need = np.array([4.0, 4.0, 4.0])
    >>> fractional_knapsack(np.array([2.0, 1.0]), np.ones(2), most, need)[0].tolist()
    [[2.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
    """
    order = np.argsort(-slope / weight, axis=-1, kind="stable")
    if slope.ndim == 1:
        slope, most = slope[order], most[:, order]
    else:
        slope, most = np.take_along_axis(slope, order, 1), np.take_along_axis(most, order, 1)
    # What gains nothing comes last, and is never asked for more than nothing.
    with np.errstate(invalid="ignore"):
        capacity = np.where(slope > 0, slope * most, 0.0)
    total = np.cumsum(capacity, axis=1)
    before = np.zeros_like(total)
    before[:, 1:] = total[:, :-1]
    used = np.minimum(np.maximum(need[:, None] - before, 0.0), capacity)
    filled = (used >= capacity) & (used > 0)
    part = np.divide(used, slope, out=np.zeros_like(used), where=used > 0)
    ordered = np.where(filled, most, part)
    feasible = total[:, -1] >= need if total.shape[1] else need <= 0
    ordered[~feasible] = 0.0
    distance = np.empty_like(ordered)
    if order.ndim == 1:
        distance[:, order] = ordered
    else:
        np.put_along_axis(distance, order, ordered, 1)
    return distance, feasible


def quadratic_knapsack(
    slope: np.ndarray,
    weight: np.ndarray,
    most: np.ndarray,
    need: np.ndarray,
    least: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances that meet the need at the least l2 cost.

    Parameters
    ----------
    slope : ndarray of shape (m,) or (n, m)
        :math:`s`, not negative; one row is that of all people.
    weight : ndarray of shape (m,)
        :math:`w`, positive.
    most : ndarray of shape (n, m)
        :math:`u`; may be infinite.
    need : ndarray of shape (n,)
    least : ndarray of shape (n, m), optional
        :math:`l`, finite and not above `most`; 0 by default.

    Returns
    -------
    distance : ndarray of shape (n, m)
        At `least` where the need cannot be met.
    feasible : bool ndarray of shape (n,)

    Notes
    -----
    Each round finds the multiplier as if the free features had no ends, and fixes those that it
    sends beyond their upper ends, or those below their lower ends, whichever matter more. So at
    most m + 1 rounds are needed. Without lower ends this is Newton's method on the gain, which is
    then concave in the multiplier: it never steps beyond the solution.

    Examples
    --------
    >>> import numpy as np
    >>> most = np.array([[9.0, 9.0], [1.0, 9.0], [1.0, 1.0]])
    >>> quadratic_knapsack(np.ones(2), np.ones(2), most, np.array([4.0, 4.0, 4.0]))[0].tolist()
    [[2.0, 2.0], [1.0, 3.0], [0.0, 0.0]]
    """
    unit = slope / weight**2
    gains = slope > 0
    # Where a feature gains nothing, every multiplier is beyond its end.
    last = np.divide(most, unit, out=np.zeros_like(most), where=gains)
    rate = slope * unit
    feasible = _dot(np.where(gains, most, 0.0), np.where(gains, slope, 0.0)) >= need
    multiplier = _newton(rate, last, need)
    # Only the rows that have lower ends: another way rounds in another way.
    if least is not None and (least > 0).any():
        lifted = np.flatnonzero((least > 0).any(axis=1))
        wide = [np.broadcast_to(part, last.shape)[lifted] for part in (rate, gains, unit)]
        own = [part[lifted] for part in (last, least, need)]
        multiplier[lifted] = _fixed_both_ends(*wide, *own)
    ended = last <= multiplier[:, None]
    distance = np.minimum(multiplier[:, None] * unit, most)
    np.copyto(distance, most, where=ended & gains)
    if least is not None:
        np.maximum(distance, least, out=distance)
    distance[~feasible] = 0.0 if least is None else least[~feasible]
    return distance, feasible


def _newton(rate: np.ndarray, last: np.ndarray, need: np.ndarray) -> np.ndarray:
    """Return the multipliers where no feature has a lower end above zero."""
    multiplier = np.zeros(len(need))
    while True:
        ended = last <= multiplier[:, None]
        free = row_sums(np.where(ended, 0.0, rate))
        missing = need - _dot(np.where(ended, last, 0.0), rate)
        with np.errstate(divide="ignore", invalid="ignore"):
            following = np.where((free > 0) & (missing > 0), missing / free, multiplier)
        # Rounding must not send it back.
        np.maximum(following, multiplier, out=following)
        if np.array_equal(following, multiplier):
            return multiplier
        multiplier = following


def _fixed_both_ends(
    rate: np.ndarray,
    gains: np.ndarray,
    unit: np.ndarray,
    last: np.ndarray,
    least: np.ndarray,
    need: np.ndarray,
) -> np.ndarray:
    """Return the multipliers where features may have a lower end above zero."""
    first = np.divide(least, unit, out=np.zeros_like(last), where=gains)
    fixed, free = np.zeros_like(last), gains
    multiplier = np.zeros(len(need))
    for _ in range(last.shape[1] + 1):
        slope = row_sums(np.where(free, rate, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            following = (need - row_sums(rate * fixed)) / slope
        np.copyto(multiplier, np.maximum(following, 0.0), where=slope > 0)
        here = multiplier[:, None]
        over, under = free & (here > last), free & (here < first)
        excess = row_sums(np.where(over, rate * (here - last), 0.0))
        excess -= row_sums(np.where(under, rate * (first - here), 0.0))
        # Too much is gained at lower ends, or too little at upper ones: the larger error decides.
        at_last = over & (excess >= 0)[:, None]
        at_first = under & (excess <= 0)[:, None]
        if not (at_last.any() or at_first.any()):
            break
        fixed = np.where(at_last, last, np.where(at_first, first, fixed))
        free = free & ~(at_last | at_first)
    return multiplier


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the inner product of rows with one row, or with rows, shape (n,)."""
    if right.ndim == 1:
        return row_products(left, right[:, None])[:, 0]
    return row_sums(left * right)
