r"""How much each layer matters: gradients, curvature, and the error that its quantization makes.

Gradients and curvature are those of the unquantized weights (Eq. 23 and 79; HAWQ-V2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skcfq.nn._losses import logit_distance, weighted_mean
from skcfq.nn._quantized_mlp import QuantizedMLP


def gradient_sensitivity(
    network: QuantizedMLP, x: Tensor, labels: Tensor, sample_weight: Tensor | None = None
) -> Tensor:
    r"""Return the mean absolute gradient of every layer's weights.

    .. math:: s_\ell = \frac1n\sum_x \|\nabla_{W_\ell} L(f(x), y)\|_1

    At rows and their labels it is the factual sensitivity; at teacher recourse points and their
    targets the counterfactual one (Eq. 23).

    Parameters
    ----------
    network : QuantizedMLP
    x : Tensor of shape (n, d)
    labels : Tensor of shape (n,), int64
    sample_weight : Tensor of shape (n,), optional

    Returns
    -------
    sensitivity : Tensor of shape (L,)

    Notes
    -----
    The gradient of one row is an outer product, whose l1 norm is the product of two l1 norms:
    no gradient of a single row is ever formed.
    """
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
    network: QuantizedMLP,
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
    network : QuantizedMLP
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
    weights = [layer.weight for layer in network.linear_layers]
    _, outputs = _trace(network, x)
    losses = cross_entropy(outputs[-1], labels, reduction="none")
    slopes = torch.autograd.grad(weighted_mean(losses, sample_weight), weights, create_graph=True)
    traces = torch.zeros(len(weights), dtype=x.dtype)
    for _ in range(n_probes):
        signs = [
            torch.randint(0, 2, w.shape, generator=generator).to(w.dtype).mul_(2).sub_(1)
            for w in weights
        ]
        inner = torch.stack([(g * s).sum() for g, s in zip(slopes, signs, strict=True)]).sum()
        products = torch.autograd.grad(inner, weights, retain_graph=True)
        found = [(p * s).sum() for p, s in zip(products, signs, strict=True)]
        traces += torch.stack(found).detach() / n_probes
    sizes = torch.tensor([float(w.numel()) for w in weights], dtype=x.dtype)
    return traces.clamp_min(0.0) / sizes


@torch.no_grad()
def quantization_errors(
    network: QuantizedMLP, x: Tensor, sample_weight: Tensor | None = None
) -> Tensor:
    """Return what the logits lose when one layer alone is quantized, at every width.

    Parameters
    ----------
    network : QuantizedMLP
        Calibrated.
    x : Tensor of shape (n, d)
        Rows, recourse points or both.
    sample_weight : Tensor of shape (n,), optional

    Returns
    -------
    errors : Tensor of shape (L, R)
        Mean distance of the logits (:func:`logit_distance`).
    """
    _, outputs = _trace(network, x)
    errors = []
    for chosen, layer in enumerate(network.linear_layers):
        for index in range(len(network.candidates)):
            values = x
            for position, other in enumerate(network.linear_layers):
                if position == chosen:
                    values = layer(values, index)
                    continue
                values = nn.functional.linear(values, other.weight, other.bias)
                values = torch.relu(values) if other.rectified else values
            errors.append(weighted_mean(logit_distance(values, outputs[-1]), sample_weight))
    return torch.stack(errors).reshape(len(network.linear_layers), -1)


def _trace(network: QuantizedMLP, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of every unquantized layer."""
    inputs, outputs = [], []
    for layer in network.linear_layers:
        inputs.append(x)
        outputs.append(nn.functional.linear(x, layer.weight, layer.bias))
        x = torch.relu(outputs[-1]) if layer.rectified else outputs[-1]
    return inputs, outputs
