"""Rounding in which the weights of a unit make up for each other's errors."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.quantization._bits import signed_range

# Share of the mean spread of the inputs that is added to each: few rows know no direction exactly.
_DAMPING = 0.01


def compensated_rounding(
    weight: Tensor,
    steps: Tensor,
    bits: int,
    inputs: Tensor,
    sample_weight: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Round the weights of units one input after another, the later ones for the earlier.

    Parameters
    ----------
    weight : Tensor of shape (n_out, n_in)
    steps : Tensor of shape (n_out,)
    bits : int
        Width from 2 to 16.
    inputs : Tensor of shape (n, n_in)
        What the layer receives.
    sample_weight : Tensor of shape (n,), optional
        Weight of each row.

    Returns
    -------
    rounded : Tensor of shape (n_out, n_in)
        Codes times steps, no neighbors of the weights in general.
    shift : Tensor of shape (n_out,)
        What the biases grow by so that the outputs are right on average.

    Notes
    -----
    With the covariance H of the inputs, the error of weight j is passed on to those that are not
    rounded yet by row j of the upper Cholesky factor of :math:`H^{-1}`, which is least squares for
    the output. Inputs that vary most come first. Where inputs are many and alike, as hidden
    activations are, next to nothing is left of an error; where they are few and independent, as
    columns of a table are, all of it.

    References
    ----------
    Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
    Transformers", ICLR 2023.

    Examples
    --------
    >>> inputs = torch.tensor([[1.0, 1.0], [2.0, 2.1], [3.0, 2.9]])
    >>> rounded, shift = compensated_rounding(
    ...     torch.tensor([[0.4, 0.4]]), torch.ones(1), 4, inputs
    ... )
    >>> rounded, shift.round(decimals=1)
    (tensor([[0., 1.]]), tensor([-0.4000]))
    """
    low, high = signed_range(bits)
    exact, values = weight.double(), inputs.double()
    shares = values.new_ones(len(values)) if sample_weight is None else sample_weight.double()
    shares = shares / shares.sum()
    mean = shares @ values
    centered = values - mean
    covariance = (centered * shares.unsqueeze(1)).T @ centered
    spread = covariance.diagonal()
    # Constant inputs are all alike; then any damping is as good as another.
    damping = _DAMPING * spread.mean().clamp_min(torch.finfo(torch.float32).tiny)
    order = spread.argsort(descending=True, stable=True)
    covariance = covariance[order][:, order] + damping * torch.eye(len(order)).to(covariance)
    factor = torch.linalg.cholesky(torch.linalg.inv(covariance), upper=True)
    left, found = exact[:, order].clone(), torch.empty_like(exact)
    for j, column in enumerate(order.tolist()):
        found[:, column] = (left[:, j] / steps).round().clamp(low, high) * steps
        error = (left[:, j] - found[:, column]) / factor[j, j]
        left[:, j + 1 :] -= torch.outer(error, factor[j, j + 1 :])
    shift = (exact - found) @ mean
    return found.to(weight.dtype), shift.to(weight.dtype)
