"""How the bit width of each layer is chosen."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from skcfq.exceptions import BudgetError
from skcfq.nn import QuantizedMLP
from skcfq.quantization import GumbelBits, check_candidates


class UniformBits(BaseEstimator):
    """One width for all layers: the widest candidate that meets the budget.

    Parameters
    ----------
    candidates : tuple of int, default=(2, 3, 4, 8)

    Examples
    --------
    >>> UniformBits().width(5)
    4
    """

    def __init__(self, candidates: tuple[int, ...] = (2, 3, 4, 8)):
        self.candidates = candidates

    def width(self, budget: float) -> int:
        """Return the width.

        Raises
        ------
        BudgetError
            Every candidate is above the budget.
        """
        candidates = check_candidates(self.candidates)
        affordable = [bits for bits in candidates if bits <= budget]
        if not affordable:
            raise BudgetError(
                f"budget={budget!r} is below the smallest candidate width of "
                f"{candidates}. Raise it to at least {candidates[0]}, or give a smaller candidate."
            )
        return max(affordable)

    def check(self, budget: float) -> None:
        """Raise where the parameters or the budget cannot be met."""
        self.width(budget)

    def start(self, network: QuantizedMLP, budget: float) -> GumbelBits | None:
        """Fix the widths of a network; nothing is learned."""
        network.set_bit_widths(self.width(budget))
        return None


class LearnedBits(BaseEstimator):
    r"""Widths that are learned with the network, by straight-through Gumbel-Softmax (§4.3).

    During the first part of the training the widths are sampled at a falling temperature; then
    the most probable widths that meet the budget are found exactly (a small integer programme)
    and the network is tuned at them.

    Parameters
    ----------
    candidates : tuple of int, default=(2, 3, 4, 8)
    penalty : float, default=1.0
        Weight :math:`\lambda` of the excess of the average bits over the budget, in loss per bit.
    temperatures : tuple of (float, float), default=(1.0, 0.3)
        Temperature :math:`\tau` at the beginning and the end of the search.
    search_fraction : float, default=0.5
        Share of the passes over the data that search; the others tune the chosen widths.

    Notes
    -----
    The paper's BitCost counts bits, not bits per weight, so that the meaning of λ changes with the
    size of the network; here it is normalized, and only what exceeds the budget is penalized.

    Examples
    --------
    >>> LearnedBits(candidates=(2, 4)).candidates
    (2, 4)
    """

    def __init__(
        self,
        candidates: tuple[int, ...] = (2, 3, 4, 8),
        *,
        penalty: float = 1.0,
        temperatures: tuple[float, float] = (1.0, 0.3),
        search_fraction: float = 0.5,
    ):
        self.candidates = candidates
        self.penalty = penalty
        self.temperatures = temperatures
        self.search_fraction = search_fraction

    def check(self, budget: float) -> None:
        """Raise where the parameters or the budget cannot be met.

        Raises
        ------
        BudgetError
            Every candidate is above the budget.
        """
        UniformBits(self.candidates).width(budget)
        if not self.penalty >= 0:
            raise ValueError(f"bit_policy.penalty is {self.penalty!r}; give at least 0.")
        if len(self.temperatures) != 2 or not all(value > 0 for value in self.temperatures):
            raise ValueError(
                f"bit_policy.temperatures is {self.temperatures!r}; give the first and the last, "
                "both positive."
            )
        if not 0 < self.search_fraction <= 1:
            raise ValueError(
                f"bit_policy.search_fraction is {self.search_fraction!r}; give a share in (0, 1]."
            )

    def start(self, network: QuantizedMLP, budget: float) -> GumbelBits | None:
        """Return the policy to be learned."""
        return GumbelBits(network.n_weights, self.candidates, budget)


BIT_POLICIES = {"uniform": UniformBits, "learned": LearnedBits}


def bit_policy_of(value: Any) -> UniformBits | LearnedBits:
    """Return the policy that a parameter names, or the one that it is."""
    if isinstance(value, str):
        return BIT_POLICIES[value]()
    return value
