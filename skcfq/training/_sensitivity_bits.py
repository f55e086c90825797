"""Bit widths by how much each layer matters (Eq. 23, 24, 75 and 79, HAWQ-V2)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skcfq.exceptions import EmptyPopulationWarning
from skcfq.nn import QuantizedNetwork, gradient_sensitivity, hessian_trace, quantization_errors
from skcfq.quantization import allocate_bits, closed_form_bits, exact_bits, greedy_bits
from skcfq.training._bit_policy import BitPolicy, BitSample
from skcfq.utils import StrOptions, warn_user

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
        How gradients become widths: the integer program of Eq. 24, its greedy rule, or Eq. 75,
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

    _parameter_constraints: dict = {
        "kind": [StrOptions(set(SENSITIVITIES))],
        "allocation": [StrOptions(set(ALLOCATIONS))],
    }

    def __init__(
        self,
        kind: str = "error",
        *,
        allocation: str = "exact",
        candidates: tuple[int, ...] = (2, 3, 4, 8),
    ) -> None:
        self.kind = kind
        self.allocation = allocation
        self.candidates = candidates

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
            warn_user(
                "bit_policy.kind is 'counterfactual', but there is no recourse point: the factual "
                "sensitivity chooses the widths.",
                EmptyPopulationWarning,
            )
        return gradient_sensitivity(network, sample.rows, sample.labels, sample.weights)


def _step_scales(network: QuantizedNetwork) -> Tensor:
    """Return the mean weight step of every layer at its narrowest width, shape (L,)."""
    with torch.no_grad():
        steps = [layer.log_steps[0].double().exp() for layer in network.quantized_layers]
        return torch.stack([one.mean() for one in steps])


def _weight_errors(network: QuantizedNetwork) -> np.ndarray:
    """Return the squared quantization error of every layer's weights, shape (L, R)."""
    with torch.no_grad():
        errors = [
            [
                (layer.quantized_weight(index) - layer.weight_matrix).square().sum().item()
                for index in range(len(layer.candidates))
            ]
            for layer in network.quantized_layers
        ]
    return np.array(errors)
