"""How the bit width of each layer is chosen."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skcfq.exceptions import BudgetError, EmptyPopulationWarning
from skcfq.nn import (
    QuantizedNetwork,
    gradient_sensitivity,
    hessian_trace,
    quantization_errors,
)
from skcfq.quantization import (
    GumbelBits,
    allocate_bits,
    check_candidates,
    closed_form_bits,
    exact_bits,
    greedy_bits,
)


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


class BitPolicy(BaseEstimator):
    """Base of all bit policies; write your own as a subclass.

    A subclass has a parameter ``candidates`` and overrides :meth:`choose`, which returns one
    candidate a layer. For widths that are learned in training, subclass :class:`LearnedBits`.

    Examples
    --------
    >>> class WideEnds(BitPolicy):
    ...     def __init__(self, candidates=(2, 3, 4, 8)):
    ...         self.candidates = candidates
    ...     def choose(self, network, budget, sample):
    ...         return [8] + [2] * (len(network.n_weights) - 2) + [8]
    >>> WideEnds().candidates
    (2, 3, 4, 8)
    """

    candidates: tuple[int, ...]

    def check(self, budget: float) -> None:
        """Raise where the parameters or the budget cannot be met.

        Raises
        ------
        BudgetError
            Every candidate is above the budget.
        """
        _widest(self.candidates, budget)

    def choose(self, network: QuantizedNetwork, budget: float, sample: BitSample) -> Sequence[int]:
        """Return one candidate width a layer.

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
        raise TypeError(
            f"{type(self).__name__} chooses no widths. Override `choose`, which returns one "
            "candidate a layer."
        )

    def start(
        self, network: QuantizedNetwork, budget: float, sample: BitSample
    ) -> GumbelBits | None:
        """Fix the widths of a network, or return what will learn them.

        Raises
        ------
        ValueError
            What was chosen is not one candidate a layer.
        """
        widths = [int(width) for width in self.choose(network, budget, sample)]
        n_layers = len(network.n_weights)
        if len(widths) != n_layers or not set(widths) <= set(network.candidates):
            raise ValueError(
                f"{self!r} chose the widths {widths}; let `choose` return one of the candidates "
                f"{network.candidates} for each of the {n_layers} layers."
            )
        network.set_bit_widths(widths)
        return None


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


def _widest(candidates: tuple[int, ...], budget: float) -> int:
    candidates = check_candidates(candidates)
    affordable = [bits for bits in candidates if bits <= budget]
    if not affordable:
        raise BudgetError(
            f"budget={budget!r} is below the smallest candidate width of "
            f"{candidates}. Raise it to at least {candidates[0]}, or give a smaller candidate."
        )
    return max(affordable)


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

    def __init__(self, candidates: tuple[int, ...] = (2, 3, 4, 8)):
        self.candidates = candidates

    def width(self, budget: float) -> int:
        """Return the width.

        Raises
        ------
        BudgetError
            Every candidate is above the budget.
        """
        return _widest(self.candidates, budget)

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

    def __init__(self, bit_widths: Sequence[int] = (4, 4, 4)):
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


SENSITIVITIES = ("error", "counterfactual", "factual", "hessian")
ALLOCATIONS = ("exact", "greedy", "closed_form")


class SensitivityBits(BitPolicy):
    r"""Widths by how much each layer matters, chosen once before training.

    Parameters
    ----------
    kind : {"error", "counterfactual", "factual", "hessian"}, default="error"
        What is measured on the network that training starts from:

        - ``"error"``: what the logits lose on rows and recourse points when the layer alone is
          quantized, at every width; the widths of least total loss are taken exactly.
        - ``"counterfactual"``: gradient of the validity loss at recourse points (Eq. 23, 79).
        - ``"factual"``: gradient of the task loss at the rows.
        - ``"hessian"``: mean Hessian trace of the task loss (HAWQ-V2) times the squared error of
          the weights at every width; the widths of least total are taken exactly.
    allocation : {"exact", "greedy", "closed_form"}, default="exact"
        How gradients become widths: the integer programme of Eq. 24, its greedy rule, or Eq. 75,
        where :math:`\kappa_\ell` is the mean weight step of the layer at one and the same width.
        Not used by ``"error"`` and ``"hessian"``, which have a number for every width.
    candidates : tuple of int, default=(2, 3, 4, 8)

    Notes
    -----
    Equation 24 is linear in the bits, so that it tends to give the most sensitive layer all that
    there is; Eq. 75 knows that every further bit halves what is left.

    Where there is no recourse point, as in :class:`~skcfq.QATClassifier`, ``"counterfactual"`` is
    ``"factual"``, with a warning.

    Examples
    --------
    >>> SensitivityBits("counterfactual", allocation="greedy").kind
    'counterfactual'
    """

    def __init__(
        self,
        kind: str = "error",
        *,
        allocation: str = "exact",
        candidates: tuple[int, ...] = (2, 3, 4, 8),
    ):
        self.kind = kind
        self.allocation = allocation
        self.candidates = candidates

    def check(self, budget: float) -> None:
        """Raise where the parameters or the budget cannot be met."""
        super().check(budget)
        for name, known in (("kind", SENSITIVITIES), ("allocation", ALLOCATIONS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"bit_policy.{name} is {getattr(self, name)!r}; give one of {known}."
                )

    def choose(self, network: QuantizedNetwork, budget: float, sample: BitSample) -> list[int]:
        """Measure every layer, and allocate."""
        sizes = network.n_weights
        if self.kind == "error":
            x = torch.cat([sample.rows, sample.points])
            weights = torch.cat([sample.weights, sample.point_weights])
            errors = quantization_errors(network, x, weights).double().numpy()
            return allocate_bits(-errors, sizes, network.candidates, budget)
        if self.kind == "hessian":
            generator = torch.Generator().manual_seed(0)
            traces = hessian_trace(
                network, sample.rows, sample.labels, sample.weights, generator=generator
            )
            losses = traces.double().numpy()[:, None] * _weight_errors(network)
            return allocate_bits(-losses, sizes, network.candidates, budget)
        found = self._gradients(network, sample).double()
        if self.allocation == "closed_form":
            found = found * _step_scales(network)
        allocate = {"exact": exact_bits, "greedy": greedy_bits, "closed_form": closed_form_bits}
        return allocate[self.allocation](found, sizes, network.candidates, budget)

    def _gradients(self, network: QuantizedNetwork, sample: BitSample) -> Tensor:
        """Return the sensitivity of every layer, at recourse points or at rows."""
        if self.kind == "counterfactual" and len(sample.points):
            return gradient_sensitivity(
                network, sample.points, sample.targets, sample.point_weights
            )
        if self.kind == "counterfactual":
            warnings.warn(
                "bit_policy.kind is 'counterfactual', but there is no recourse point: the factual "
                "sensitivity chooses the widths.",
                EmptyPopulationWarning,
                stacklevel=7,
            )
        return gradient_sensitivity(network, sample.rows, sample.labels, sample.weights)


def _step_scales(network: QuantizedNetwork) -> Tensor:
    """Return the mean weight step of every layer at its narrowest width, shape (L,)."""
    with torch.no_grad():
        return torch.stack([layer.log_steps[0].double().exp().mean() for layer in network.layers])


def _weight_errors(network: QuantizedNetwork) -> np.ndarray:
    """Return the squared quantization error of every layer's weights, shape (L, R)."""
    with torch.no_grad():
        errors = [
            [
                (network.quantized_layer_weight(position, index) - weight.flatten(1))
                .square()
                .sum()
                .item()
                for index in range(len(network.candidates))
            ]
            for position, weight in enumerate(network.weight_tensors)
        ]
    return np.array(errors)


COSTS = ("bits", "bops")


class LearnedBits(BitPolicy):
    r"""Widths that are learned with the network, by straight-through Gumbel-Softmax (§4.3).

    During the first part of the training the widths are sampled at a falling temperature; then
    the most probable widths that meet the budget are found exactly (a small integer programme)
    and the network is tuned at them.

    Parameters
    ----------
    candidates : tuple of int, default=(2, 3, 4, 8)
    penalty : float, default=1.0
        Weight :math:`\lambda` of the excess of the cost over the budget, in loss per bit.
    cost : {"bits", "bops"}, default="bits"
        What the penalty counts: bits of weights (BitCost), or bit operations, in which a bit of
        a layer counts by its multiplications and by the width of what enters it (where that
        follows the weights before it: the width that training starts from). Both are averages,
        so that a network of one width for all costs that width. Either way, what is chosen in
        the end meets the budget of weight bits.
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
        cost: str = "bits",
        temperatures: tuple[float, float] = (1.0, 0.3),
        search_fraction: float = 0.5,
    ):
        self.candidates = candidates
        self.penalty = penalty
        self.cost = cost
        self.temperatures = temperatures
        self.search_fraction = search_fraction

    def check(self, budget: float) -> None:
        """Raise where the parameters or the budget cannot be met.

        Raises
        ------
        BudgetError
            Every candidate is above the budget.
        """
        super().check(budget)
        if not self.penalty >= 0:
            raise ValueError(f"bit_policy.penalty is {self.penalty!r}; give at least 0.")
        if self.cost not in COSTS:
            raise ValueError(f"bit_policy.cost is {self.cost!r}; give one of {COSTS}.")
        if len(self.temperatures) != 2 or not all(value > 0 for value in self.temperatures):
            raise ValueError(
                f"bit_policy.temperatures is {self.temperatures!r}; give the first and the last, "
                "both positive."
            )
        if not 0 < self.search_fraction <= 1:
            raise ValueError(
                f"bit_policy.search_fraction is {self.search_fraction!r}; give a share in (0, 1]."
            )

    def start(
        self, network: QuantizedNetwork, budget: float, sample: BitSample
    ) -> GumbelBits | None:
        """Return the policy to be learned."""
        costs = None
        if self.cost == "bops":
            network.set_bit_widths(_widest(self.candidates, budget))
            pairs = zip(network.n_macs, network.activation_widths, strict=True)
            costs = [macs * bits for macs, bits in pairs]
        return GumbelBits(network.n_weights, self.candidates, budget, costs=costs)


BIT_POLICIES = {"uniform": UniformBits, "learned": LearnedBits, "sensitivity": SensitivityBits}


def bit_policy_of(value: Any) -> BitPolicy:
    """Return the policy that a parameter names, or the one that it is."""
    if isinstance(value, str):
        return BIT_POLICIES[value]()
    return value
