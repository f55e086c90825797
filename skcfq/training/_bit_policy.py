"""What a bit policy is: it chooses the width of each layer, and what it may look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.base import BaseEstimator
from torch import Tensor

from skcfq.nn import QuantizedNetwork
from skcfq.quantization import GumbelBits, check_budget, check_candidates
from skcfq.utils import check_options

_OVERRIDE = "Override `choose`, which returns one candidate a layer."


@dataclass(frozen=True, eq=False)
class BitSample:
    """What a policy may look at: training rows, and recourse points where there are any.

    Attributes
    ----------
    rows : Tensor of shape (n, d)
    labels : Tensor of shape (n,), int64
    weights : Tensor of shape (n,)
    points : Tensor of shape (k, d)
        Teacher recourse points; none where there is no supervision.
    targets : Tensor of shape (k,), int64
    point_weights : Tensor of shape (k,)
    """

    rows: Tensor
    labels: Tensor
    weights: Tensor
    points: Tensor
    targets: Tensor
    point_weights: Tensor

    def __repr__(self) -> str:
        return (
            f"BitSample({len(self.rows)} rows and {len(self.points)} recourse points of "
            f"{self.rows.shape[1]} columns)"
        )


class BitPolicy(BaseEstimator):
    """Base of all bit policies; write your own as a subclass.

    A subclass overrides :meth:`choose`, which returns one candidate a layer, or one for each unit
    of a layer; ``candidates`` are 2, 3, 4 and 8 bits, unless it has a parameter of that name. For
    widths that are learned in training, subclass :class:`LearnedBits`.

    Examples
    --------
    >>> class WideEnds(BitPolicy):
    ...     def choose(self, network, budget, sample):
    ...         return [8] + [2] * (len(network.n_weights) - 2) + [8]
    >>> WideEnds().candidates
    (2, 3, 4, 8)
    """

    candidates: tuple[int, ...] = (2, 3, 4, 8)

    _parameter_constraints: dict = {}

    def check(self, budget: float) -> None:
        """Raise where the parameters or the budget cannot be met.

        Raises
        ------
        BudgetError
            Every candidate is above the budget.
        ValueError
            A parameter is not what it must be.
        TypeError
            A subclass does not choose.
        """
        check_options(self, "bit_policy")
        if type(self).choose is BitPolicy.choose and type(self).start is BitPolicy.start:
            raise TypeError(f"bit_policy={self!r} chooses no widths. {_OVERRIDE}")
        widest(self.candidates, budget)

    def choose(
        self, network: QuantizedNetwork, budget: float, sample: BitSample
    ) -> Sequence[int | Sequence[int]]:
        """Return one candidate width a layer, or one for each of its units.

        Parameters
        ----------
        network : QuantizedNetwork
            Calibrated, with the weights that training starts from.
        budget : float
        sample : BitSample

        Raises
        ------
        TypeError
            A subclass does not override it.
        """
        raise TypeError(f"{type(self).__name__} chooses no widths. {_OVERRIDE}")

    def start(
        self, network: QuantizedNetwork, budget: float, sample: BitSample
    ) -> GumbelBits | None:
        """Fix the widths of a network, or return what will learn them.

        Raises
        ------
        ValueError
            What was chosen is not one candidate a layer or unit.
        """
        widths = self.choose(network, budget, sample)
        try:
            network.set_bit_widths(widths)
        except ValueError as error:
            raise ValueError(
                f"{self!r} chose widths that the network cannot have; let `choose` return one of "
                f"the candidates {network.candidates} for each of the {len(network.n_weights)} "
                f"layers, or for each unit of a layer: {error}"
            ) from error
        return None


def widest(candidates: tuple[int, ...], budget: float) -> int:
    """Return the widest candidate that meets the budget.

    Raises
    ------
    BudgetError
        There is none.
    """
    candidates = check_candidates(candidates)
    check_budget(budget, candidates)
    return max(bits for bits in candidates if bits <= budget)
