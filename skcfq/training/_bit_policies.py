"""The bit policies that have a name, and how one is started."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from skcfq.exceptions import BudgetError
from skcfq.nn import LossWeights, QuantizedNetwork
from skcfq.quantization import MAXIMUM_CANDIDATE_BITS, GumbelBits
from skcfq.training._bit_policy import BitPolicy, BitSample, widest
from skcfq.training._quantizer import Quantizer
from skcfq.training._searched_bits import SearchedBits
from skcfq.training._sensitivity_bits import SensitivityBits
from skcfq.training._unit_bits import UnitBits
from skcfq.utils import Interval, ListOf, StrOptions


class UniformBits(BitPolicy):
    """One width for all layers: the widest candidate that meets the budget.

    Parameters
    ----------
    candidates : tuple of int, default=(2, 3, 4, 8)

    Examples
    --------
    >>> UniformBits().width(5)
    4
    """

    def __init__(self, candidates: tuple[int, ...] = (2, 3, 4, 8)) -> None:
        self.candidates = candidates

    def width(self, budget: float) -> int:
        """Return the width.

        Raises
        ------
        BudgetError
            Every candidate is above the budget.
        """
        return widest(self.candidates, budget)

    def choose(self, network: QuantizedNetwork, budget: float, sample: BitSample) -> list[int]:
        """Return the same width for every layer."""
        return [self.width(budget)] * len(network.n_weights)


class FixedBits(BitPolicy):
    """Widths that are given, one a layer.

    Parameters
    ----------
    bit_widths : sequence of int
        From the first layer to the last.

    Examples
    --------
    >>> FixedBits((8, 4, 8)).candidates
    (4, 8)
    """

    _parameter_constraints: dict = {
        "bit_widths": [
            ListOf(Interval(Integral, 2, MAXIMUM_CANDIDATE_BITS, closed="both"), least=1)
        ]
    }

    def __init__(self, bit_widths: Sequence[int] = (4, 4, 4)) -> None:
        self.bit_widths = bit_widths

    @property
    def candidates(self) -> tuple[int, ...]:  # type: ignore[override]  # derived
        """The different widths, rising."""
        return tuple(sorted({int(width) for width in self.bit_widths}))

    def choose(self, network: QuantizedNetwork, budget: float, sample: BitSample) -> Sequence[int]:
        """Return the given widths."""
        if len(self.bit_widths) != len(network.n_weights):
            raise ValueError(
                f"bit_policy has {len(self.bit_widths)} bit_widths {tuple(self.bit_widths)}, but "
                f"the network has {len(network.n_weights)} layers. Give one width for each."
            )
        return self.bit_widths


COSTS = ("bits", "bops")
GRADIENTS = ("measured", "relaxed")
SETTLES = ("budget", "argmax")


class LearnedBits(BitPolicy):
    r"""Widths that are learned with the network: a softmax policy over them for each layer (§4.3).

    During the first part of the training every batch draws its widths from the policy, which is
    cooled; then one width a layer is fixed within the budget, and the network is tuned at them.

    Parameters
    ----------
    candidates : tuple of int, default=(2, 3, 4, 8)
    penalty : float, default=1.0
        Weight :math:`\lambda` of the excess of the cost over the budget, in loss per bit.
    cost : {"bits", "bops"}, default="bits"
        What the penalty counts: bits of weights (BitCost), or bit operations, in which a bit of
        a layer counts by its multiplications and by the width of what enters it (where that
        follows the weights before it: the width that training starts from). Both are averages,
        so that a network of one width for all costs that width.
    gradient : {"measured", "relaxed"}, default="measured"
        What the policy learns from. ``"measured"``: the loss itself, at every width of every
        layer, on the same rows and draws, around the best widths within the budget. Five times in
        the search, the policy is set to
        :math:`\pi_{\ell,r}\propto\exp(-(F_{\ell,r}+\lambda C_{\ell,r})/T)`, with that loss F and
        the excess cost C. ``"relaxed"``: the straight-through Gumbel-Softmax gradient of every
        batch, as in the paper.
    settle : {"budget", "argmax"}, default="budget"
        What is fixed: the best widths within the budget (``"relaxed"``: the most probable ones),
        or, as in the paper, the most probable width of each layer, whose cost the budget does not
        bound: ``average_bits_`` says it.
    temperatures : tuple of (float, float), default=(1.0, 0.3)
        At the beginning and the end of the search. ``"relaxed"``: τ of the Gumbel-Softmax;
        ``"measured"``: T as a multiple of 5 % of the loss. In the end T is so low that each layer
        is sure of its width.
    search_fraction : float, default=0.25
        Share of the passes over the data that search; the others tune the chosen widths.

    Notes
    -----
    Why not by default as in the paper: its gradient is linear, the gradient of the loss at the
    sampled widths times what each width would make of weights and activations. A network that is
    trained is where this gradient is nearly 0, and what a width costs there is of second order:
    what is left is noise, and the policy stays where it started. Measured losses need no gradient,
    and do not depend on where the policy starts.

    The penalty is on the widths that a batch has drawn. The paper's BitCost counts bits, not bits
    per weight, so that the meaning of λ changes with the size of the network; here it is
    normalized. Either way only what exceeds the budget is penalized.

    A grid of few bits is contained in one of more, with a finer step. Where a wider layer loses
    more, its step of the moment does: it counts as losing as little, and of widths that lose
    alike (within 2 %) those with the most bits are fixed.

    Examples
    --------
    >>> LearnedBits(candidates=(2, 4)).candidates
    (2, 4)
    """

    _parameter_constraints: dict = {
        "penalty": [Interval(Real, 0, 1e15, closed="both")],
        "cost": [StrOptions(set(COSTS))],
        "gradient": [StrOptions(set(GRADIENTS))],
        "settle": [StrOptions(set(SETTLES))],
        "temperatures": [ListOf(Interval(Real, 0, None, closed="neither"), least=2, most=2)],
        "search_fraction": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        candidates: tuple[int, ...] = (2, 3, 4, 8),
        *,
        penalty: float = 1.0,
        cost: str = "bits",
        gradient: str = "measured",
        settle: str = "budget",
        temperatures: tuple[float, float] = (1.0, 0.3),
        search_fraction: float = 0.25,
    ) -> None:
        self.candidates = candidates
        self.penalty = penalty
        self.cost = cost
        self.gradient = gradient
        self.settle = settle
        self.temperatures = temperatures
        self.search_fraction = search_fraction

    @classmethod
    def preset(cls, name: str) -> LearnedBits:
        """Return a named policy.

        Parameters
        ----------
        name : {"literal"}
            That of the paper's Algorithm 2: relaxed gradients in the whole training, and then the
            most probable widths.

        Returns
        -------
        policy : LearnedBits

        Examples
        --------
        >>> LearnedBits.preset("literal").settle
        'argmax'
        """
        if not isinstance(name, str) or name != "literal":
            raise ValueError(f"name={name!r} is no bit policy; give 'literal'.")
        return cls(gradient="relaxed", settle="argmax", search_fraction=1.0)

    def start(
        self, network: QuantizedNetwork, budget: float, sample: BitSample
    ) -> GumbelBits | None:
        """Return the policy to be learned."""
        costs = None
        if self.cost == "bops":
            network.set_bit_widths(widest(self.candidates, budget))
            pairs = zip(network.n_macs, network.activation_widths, strict=True)
            costs = [macs * bits for macs, bits in pairs]
        # Measured losses overwrite the start; in the paper nothing favors one width.
        return GumbelBits(network.n_weights, self.candidates, budget, warmth=0.0, costs=costs)


BIT_POLICIES = {
    "uniform": UniformBits,
    "learned": LearnedBits,
    "sensitivity": SensitivityBits,
    "searched": SearchedBits,
    "units": UnitBits,
}


def bit_policy_of(value: Any) -> BitPolicy:
    """Return the policy that a parameter names, or the one that it is."""
    if isinstance(value, str):
        return BIT_POLICIES[value]()
    return value


def suiting_policy(loss: LossWeights, quantizer: Quantizer, *, own_module: bool) -> BitPolicy:
    """Return the policy that ``bit_policy=None`` stands for.

    Parameters
    ----------
    loss : LossWeights
    quantizer : Quantizer
    own_module : bool
        Whether the network is a module of the user's.
    """
    given = quantizer.activation_bits
    widths = given if isinstance(given, Sequence) else [given]
    allowed = quantizer.granularity == "per_channel" and None not in widths and not own_module
    return bit_policy_of("units" if loss.of_teacher and allowed else "learned")


def start_policy(
    policy: BitPolicy, network: QuantizedNetwork, budget: float, sample: BitSample
) -> GumbelBits | None:
    """Call a policy's ``start``, and see that its budget will be met, whoever wrote it.

    Raises
    ------
    BudgetError
        The widths exceed the budget, or may in the end.
    TypeError
        Nothing would settle the widths that are learned.
    """
    gumbel = policy.start(network, budget, sample)
    if gumbel is not None and not isinstance(policy, LearnedBits):
        raise TypeError(
            f"{policy!r} learns widths but is no LearnedBits, so that nothing would settle them "
            "within the budget. Make it a subclass of LearnedBits."
        )
    if gumbel is not None and gumbel.budget > budget:
        raise BudgetError(
            f"{policy!r} learns widths for {gumbel.budget:g} bits; budget={budget!r}."
        )
    if gumbel is None and network.average_bits > budget:
        raise BudgetError(
            f"{policy!r} chose the widths {network.bit_widths.tolist()}, which are "
            f"{network.average_bits:.3f} bits per weight on average and exceed budget={budget!r}."
        )
    return gumbel
