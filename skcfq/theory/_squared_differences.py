r"""Lines around the differences of many units at once, by the sum of their squares.

What a rectifier passes on of a difference :math:`\Delta` is :math:`s \Delta` with some
:math:`s \in [0, 1]`, and a sum of these over units is at most

.. math:: \sum_i w_i s_i \Delta_i \le \tfrac12 \sum_i (w_i \Delta_i + |w_i \Delta_i|) .

Unit by unit, a chord is the best line above :math:`|\Delta_i|`: it takes every unit at its worst,
as if one point could be the worst of all. Over a box, :math:`\Delta_i = c_i + v_i` where
:math:`\sum_i \mu_i v_i^2 \le V`, so that for every :math:`Q > 0`

.. math:: \tfrac12 \sum_i |w_i \Delta_i|
          \le \sum_i \frac{\mu_i \Delta_i^2}{4 Q} + \frac{Q w_i^2}{4 \mu_i}
          \le \sum_i \frac{\mu_i (2 c_i \Delta_i - c_i^2)}{4 Q} + \frac{Q w_i^2}{4 \mu_i}
          + \frac{V}{4 Q} ,

which is linear in :math:`\Delta`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.utils import tile_products

# Far more than eigenvalues and sums of float64 are off.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class SquaredDifferences:
    r"""How far the differences of a layer's units are from a center, all together, over N boxes.

    Attributes
    ----------
    center : ndarray of shape (N, H)
        :math:`c`.
    weights : ndarray of shape (H,)
        :math:`\mu`, positive.
    spread : ndarray of shape (N,)
        :math:`V`, of the units that count.
    counts : bool ndarray of shape (N, H)
        Which these are.
    """

    center: np.ndarray
    weights: np.ndarray
    spread: np.ndarray
    counts: np.ndarray

    def lines(
        self, factor: np.ndarray, height: np.ndarray, apart: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return lines above a weighted sum of what rectifiers pass on of differences.

        Parameters
        ----------
        factor : ndarray of shape (N, H)
            w.
        height : ndarray of shape (N, H)
            Of other lines at these differences; units where they are lower keep them.
        apart : ndarray of shape (N, H)
            Differences at which lines should be low.

        Returns
        -------
        slope, intercept : ndarray of shape (N, H)
        used : bool ndarray of shape (N, H)
            Where to use them: nowhere in a box in which the sum gains nothing.
        rest : ndarray of shape (N,)
            To be added to the sum.
        """
        slope, intercept, _ = self._above(np.where(self.counts, factor, 0.0))
        used = self.counts & (factor != 0) & (slope * apart + intercept < height)
        slope, intercept, rest = self._above(np.where(used, factor, 0.0))
        saved = np.where(used, height - slope * apart - intercept, 0.0).sum(axis=1)
        gains = saved > rest
        return slope, intercept, used & gains[:, None], np.where(gains, rest, 0.0)

    def _above(self, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return slopes, intercepts and the rest, with the Q that is best at the center."""
        weighted = self.weights * np.where(factor != 0, self.center, 0.0)
        price = factor**2 / self.weights
        squares = (weighted * self.center).sum(axis=1) + self.spread
        prices = price.sum(axis=1)
        usable = (squares > 0) & (prices > 0)
        best = np.sqrt(np.divide(squares, prices, out=np.ones_like(squares), where=usable))
        ratio = best[:, None]
        slope = factor / 2 + weighted / (2 * ratio)
        intercept = ratio * price / 4 - weighted * self.center / (4 * ratio)
        return slope, intercept, self.spread / (4 * best)


def squared_differences(
    center: np.ndarray,
    halves: np.ndarray,
    matrix: np.ndarray,
    counts: np.ndarray,
    factors: np.ndarray,
) -> SquaredDifferences:
    r"""Bound the sum of squares of totals over boxes.

    Parameters
    ----------
    center : ndarray of shape (N, H)
        Totals in the middle of the boxes.
    halves : ndarray of shape (N, m)
        Half the widths of the boxes.
    matrix : ndarray of shape (m, H)
        By which totals follow.
    counts : bool ndarray of shape (N, H)
        Units of the sum.
    factors : ndarray of shape (H, k)
        Factors that the units will have: those with large ones weigh more.

    Notes
    -----
    With rows :math:`a_k` of the weighted matrix and half widths :math:`h_k`, by Cauchy and Schwarz
    :math:`\|\sum_k \xi_k a_k\|^2 \le (\sum_k h_k \|a_k\|) \, \lambda_{\max}(\sum_k
    h_k a_k a_k^T / \|a_k\|)` where :math:`|\xi_k| \le h_k`; or the squares are bounded one by one.
    """
    weights = np.sqrt(np.linalg.norm(factors, axis=1))
    # A unit that nothing follows needs some weight, and should not count.
    weights = np.maximum(weights, 1e-3 * weights.max()) if weights.any() else np.ones_like(weights)
    rows = matrix * np.sqrt(weights)
    lengths = np.linalg.norm(rows, axis=1)
    shares = np.divide(halves, lengths, out=np.zeros_like(halves), where=lengths > 0)
    parts = zip(shares, counts, strict=True)
    largest = np.array([_largest_eigenvalue(rows[:, units], share) for share, units in parts])
    together = (halves * lengths).sum(axis=1) * largest
    singly = (tile_products(halves, np.abs(rows)) ** 2 * counts).sum(axis=1)
    spread = (1 + _ROUNDING) * np.minimum(together, singly)
    return SquaredDifferences(center, weights, spread, counts)


def _largest_eigenvalue(rows: np.ndarray, shares: np.ndarray) -> float:
    """Return that of the sum of outer products of rows (m, h), times shares (m,)."""
    if not rows.shape[1]:
        return 0.0
    return float(np.linalg.eigvalsh(rows.T @ (shares[:, None] * rows))[-1])
