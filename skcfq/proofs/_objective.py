r"""The norm of a cost, as a sum over features that it never falls below.

Boxes are bounded by sums of *prices*: the contributions themselves for the l1 norm, their squares
for l2. The mixed norm of at most k changes is never below
:math:`\kappa \sum_f c_f` with :math:`\kappa = \mu + (1 - \mu) / \sqrt{k}`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skcfq.actions import RecourseCost


@dataclass(frozen=True)
class Objective:
    """A norm, for actions of at most k changes.

    Attributes
    ----------
    squared : bool
        Whether prices are squares of contributions.
    share : float
        Share of l1 in the cost; the rest is l2.
    most_changes : int

    Examples
    --------
    >>> mixed = Objective(False, 0.5, 4)
    >>> prices = np.array([[3.0, 4.0]])
    >>> mixed.costs(prices).tolist(), mixed.least_cost(prices.sum(axis=1)).tolist()
    ([6.0], [5.25])
    """

    squared: bool
    share: float
    most_changes: int

    @classmethod
    def of(cls, cost: RecourseCost, most_changes: int) -> Objective:
        """Return the objective of a cost."""
        share = {"l1": 1.0, "l2": 0.0}.get(cost.norm, cost.mix)
        return cls(cost.norm == "l2", share, most_changes)

    def prices(self, contributions: np.ndarray) -> np.ndarray:
        """Return the prices of contributions."""
        return contributions**2 if self.squared else contributions

    def costs(self, prices: np.ndarray) -> np.ndarray:
        """Return the costs of points whose features have prices (N, F)."""
        if self.squared:
            return np.sqrt(prices.sum(axis=1))
        if self.share == 1:
            return prices.sum(axis=1)
        return self.share * prices.sum(axis=1) + (1 - self.share) * np.linalg.norm(prices, axis=1)

    def room(self, cost: np.ndarray) -> np.ndarray:
        """Return below which sum of prices everything lies that costs less."""
        return cost**2 if self.squared else cost / self._rate

    def least_cost(self, price: np.ndarray) -> np.ndarray:
        """Return a cost that sums of prices do not fall below."""
        return np.sqrt(price) if self.squared else price * self._rate

    @property
    def _rate(self) -> float:
        return self.share + (1 - self.share) / math.sqrt(max(self.most_changes, 1))
