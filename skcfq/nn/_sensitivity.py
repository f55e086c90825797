r"""How much each layer matters: gradients, curvature, and the error that its quantization makes.

Gradients and curvature are those of the unquantized weights (Eq. 23 and 79; HAWQ-V2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from skcfq.nn._losses import logit_distance, weighted_mean
from skcfq.nn._quantized_mlp import QuantizedMLP
from skcfq.nn._quantized_network import QuantizedNetwork
from skcfq.quantization import compensated_rounding

# Rows whose gradients are held at once, where they have to be formed.
_ROWS = 128


def gradient_sensitivity(
    network: QuantizedNetwork, x: Tensor, labels: Tensor, sample_weight: Tensor | None = None
) -> Tensor:
    r"""Return the mean absolute gradient of every layer's weights.

    .. math:: s_\ell = \frac1n\sum_x \|\nabla_{W_\ell} L(f(x), y)\|_1

    At rows and their labels it is the factual sensitivity; at teacher recourse points and their
    targets the counterfactual one (Eq. 23).

    Parameters
    ----------
    network : QuantizedNetwork
    x : Tensor of shape (n, d)
    labels : Tensor of shape (n,), int64
    sample_weight : Tensor of shape (n,), optional

    Returns
    -------
    sensitivity : Tensor of shape (L,)

    Notes
    -----
    In a :class:`QuantizedMLP` the gradient of one row is an outer product, whose l1 norm is the
    product of two l1 norms: no gradient of a single row is ever formed.
    """
    if not isinstance(network, QuantizedMLP):
        norms = _gradient_norms(network, x, labels)
        return torch.stack([weighted_mean(norm, sample_weight) for norm in norms])
    inputs, outputs = _trace(network, x)
    loss = cross_entropy(outputs[-1], labels, reduction="sum")
    slopes = torch.autograd.grad(loss, outputs)
    return torch.stack(
        [
            weighted_mean(slope.abs().sum(dim=1) * given.abs().sum(dim=1), sample_weight)
            for slope, given in zip(slopes, inputs, strict=True)
        ]
    ).detach()


def hessian_trace(
    network: QuantizedNetwork,
    x: Tensor,
    labels: Tensor,
    sample_weight: Tensor | None = None,
    *,
    n_probes: int = 16,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Estimate every layer's mean Hessian trace, :math:`\mathrm{tr}(H_\ell)/n_\ell`.

    Parameters
    ----------
    network : QuantizedNetwork
    x : Tensor of shape (n, d)
    labels : Tensor of shape (n,), int64
    sample_weight : Tensor of shape (n,), optional
    n_probes : int, default=16
        Random signs of Hutchinson's estimate.
    generator : torch.Generator, optional

    Returns
    -------
    trace : Tensor of shape (L,)
        Heuristic: an unbiased estimate, negative ones set to 0.
    """
    weights = network.weight_tensors
    losses = cross_entropy(network.unquantized(x), labels, reduction="none")
    slopes = torch.autograd.grad(weighted_mean(losses, sample_weight), weights, create_graph=True)
    traces = torch.zeros(len(weights), dtype=x.dtype)
    for _ in range(n_probes):
        signs = [
            torch.randint(0, 2, w.shape, generator=generator).to(w.dtype).mul_(2).sub_(1)
            for w in weights
        ]
        # One layer at a time: what crosses layers is 0 on average, and much of the noise.
        found = [
            (torch.autograd.grad((g * s).sum(), w, retain_graph=True)[0] * s).sum()
            for g, s, w in zip(slopes, signs, weights, strict=True)
        ]
        traces += torch.stack(found).detach() / n_probes
    sizes = torch.tensor([float(w.numel()) for w in weights], dtype=x.dtype)
    return traces.clamp_min(0.0) / sizes


@torch.no_grad()
def quantization_errors(
    network: QuantizedNetwork, x: Tensor, sample_weight: Tensor | None = None
) -> Tensor:
    """Return what the logits lose when one layer alone is quantized, at every width.

    Parameters
    ----------
    network : QuantizedNetwork
        Calibrated.
    x : Tensor of shape (n, d)
        Rows, recourse points or both.
    sample_weight : Tensor of shape (n,), optional

    Returns
    -------
    errors : Tensor of shape (L, R)
        Mean distance of the logits (:func:`logit_distance`).
    """
    exact = network.unquantized(x)
    errors = [
        weighted_mean(
            logit_distance(network.partly_quantized(x, position, index), exact), sample_weight
        )
        for position in range(len(network.n_weights))
        for index in range(len(network.candidates))
    ]
    return torch.stack(errors).reshape(len(network.n_weights), -1)


@torch.no_grad()
def unit_errors(
    network: QuantizedNetwork,
    x: Tensor,
    sample_weight: Tensor | None = None,
    *,
    fitted_to: tuple[Tensor, Tensor] | None = None,
) -> list[Tensor]:
    """Return what the logits lose when one unit alone has quantized weights, at every width.

    Parameters
    ----------
    network : QuantizedNetwork
        Calibrated.
    x : Tensor of shape (n, d)
        Rows, recourse points or both.
    sample_weight : Tensor of shape (n,), optional
    fitted_to : Tensor of shape (m, d) and Tensor of shape (m,), optional
        Rows and their weights, at which the weights and the bias of a unit make up for each other's
        errors (:func:`~skcfq.quantization.compensated_rounding`), as training and rounding make
        them do. In the layers of a :class:`QuantizedMLP`; elsewhere, and without them, each weight
        is rounded by itself.

    Returns
    -------
    errors : list of Tensor of shape (n_out, R)
        For each layer, the mean squared change of the margin; of more than two classes, twice the
        squared change of the centered logits. What several units lose adds up to first order where
        their errors are unrelated, which squares are for.
    """
    exact, found = network.unquantized(x), []
    inputs = None
    if fitted_to is not None and isinstance(network, QuantizedMLP):
        inputs = network.layer_inputs(fitted_to[0])
    for position, layer in enumerate(network.quantized_layers):
        logits = network.with_unit(x, position)
        errors = torch.empty(len(layer.unit_bits), len(layer.candidates), dtype=torch.float64)
        for index, bits in enumerate(layer.candidates):
            matrix, shifts = layer.quantized_weight(index), torch.zeros(len(errors)).to(x)
            if inputs is not None and fitted_to is not None:
                matrix, shifts = compensated_rounding(
                    layer.weight_matrix, layer.steps[index], bits, inputs[position], fitted_to[1]
                )
            for unit, (weights, shift) in enumerate(zip(matrix, shifts, strict=True)):
                change = logits(unit, weights, shift) - exact
                change = change - change.mean(1, keepdim=True)
                errors[unit, index] = weighted_mean(2 * change.square().sum(1), sample_weight)
        found.append(errors)
    return found


def _gradient_norms(network: QuantizedNetwork, x: Tensor, labels: Tensor) -> list[Tensor]:
    """Return the l1 norm of every layer's gradient at every row, L tensors of shape (n,)."""
    parameters = dict(network.named_parameters())
    names = [_name_of(weight, parameters) for weight in network.weight_tensors]

    def loss(weights: dict[str, Tensor], row: Tensor, label: Tensor) -> Tensor:
        whole = _Unquantized(network)
        given = {f"network.{name}": weight for name, weight in weights.items()}
        return cross_entropy(functional_call(whole, given, (row.unsqueeze(0),))[0], label)

    weights = {name: parameters[name].detach() for name in names}
    slopes = vmap(grad(loss), in_dims=(None, 0, 0))
    norms: list[list[Tensor]] = [[] for _ in names]
    for rows, wanted in zip(x.split(_ROWS), labels.split(_ROWS), strict=True):
        found = slopes(weights, rows, wanted)
        for norm, name in zip(norms, names, strict=True):
            norm.append(found[name].detach().flatten(1).abs().sum(1))
    return [torch.cat(norm) for norm in norms]


def _name_of(weight: Tensor, parameters: dict[str, nn.Parameter]) -> str:
    return next(name for name, one in parameters.items() if one is weight)


class _Unquantized(nn.Module):
    """The network without quantizers as what a module computes."""

    def __init__(self, network: QuantizedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.network.unquantized(x)


def _trace(network: QuantizedMLP, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of every unquantized layer."""
    inputs, outputs = [], []
    for layer in network.quantized_layers:
        inputs.append(x)
        outputs.append(nn.functional.linear(x, layer.weight, layer.bias))
        x = torch.relu(outputs[-1]) if layer.rectified else outputs[-1]
    return inputs, outputs
