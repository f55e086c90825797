r"""Calibration without training: ranges, reconstruction, rounding and sensitivity (Appendix F)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from skcfq.quantization._bits import signed_range, unsigned_levels
from skcfq.quantization._calibration import mse_clip, mse_step

# Steps and clips that reconstruction tries, as shares of those that just cover the values.
_SHARES = (0.15, 1.1, 64)
_ROUNDING_PASSES = 4
# Share of the largest diagonal entry that makes the Hessian of a dead input positive.
_DAMPING = 1e-6


def range_step(
    values: Tensor,
    bits: int,
    rule: str,
    percentile: float = 99.9,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Return a signed step by a rule that looks at the values alone.

    Parameters
    ----------
    values : Tensor of shape (n, ...)
        Weights, or network inputs.
    bits : int
    rule : {"minmax", "percentile", "mse", "reconstruction"}
        ``"minmax"`` covers every value, ``"percentile"`` that share of the absolute values; the
        other two start from the step of least squared error.
    percentile : float, default=99.9
    sample_weight : Tensor of shape (n,), optional
        Weight of each row.

    Returns
    -------
    Tensor of shape ()

    Examples
    --------
    >>> range_step(torch.tensor([-2.0, 1.0]), 4, "minmax")
    tensor(0.2857)
    """
    if rule in ("mse", "reconstruction"):
        return mse_step(values, bits, sample_weight)
    return _covering(values.abs(), rule, percentile, sample_weight) / signed_range(bits)[1]


def range_clip(
    values: Tensor,
    bits: int,
    rule: str,
    percentile: float = 99.9,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Return the clip of a rectified activation by a rule that looks at the values alone.

    Parameters
    ----------
    values : Tensor of shape (n, n_units)
        Pre-activations.
    bits, rule, percentile, sample_weight
        As in :func:`range_step`.

    Examples
    --------
    >>> range_clip(torch.tensor([[-4.0, 1.0]]), 4, "minmax")
    tensor(1.)
    """
    if rule in ("mse", "reconstruction"):
        return mse_clip(values, bits, sample_weight)
    return _covering(torch.relu(values), rule, percentile, sample_weight)


def _covering(values: Tensor, rule: str, percentile: float, sample_weight: Tensor | None) -> Tensor:
    """Return the largest value, or that of a percentile; 1 where it is 0."""
    share = 100.0 if rule == "minmax" else percentile
    largest = weighted_percentile(values, share, sample_weight)
    return torch.where(largest > 0, largest, torch.ones_like(largest))


def weighted_percentile(
    values: Tensor, percentile: float, sample_weight: Tensor | None = None
) -> Tensor:
    """Return the smallest value that so many percent of the weight do not exceed.

    Examples
    --------
    >>> weighted_percentile(torch.tensor([3.0, 1.0, 2.0]), 50)
    tensor(2.)
    """
    flat, order = values.reshape(-1).sort()
    if sample_weight is None:
        mass = torch.ones(len(flat), dtype=torch.float64)
    else:
        rows = sample_weight.double().reshape(-1, *[1] * (values.ndim - 1))
        mass = rows.expand(values.shape).reshape(-1)[order]
    covered = mass.cumsum(0)
    wanted = torch.tensor([percentile / 100.0], dtype=torch.float64) * covered[-1]
    # Rounding of the sums must not ask for more than all.
    position = torch.searchsorted(covered, wanted * (1 - 1e-12)).clamp_max(len(flat) - 1)
    return flat[position[0]]


def reconstruction_step(
    weight: Tensor,
    bits: int,
    inputs: Tensor,
    wanted: Tensor,
    offset: Tensor,
    rectified: bool,
    sample_weight: Tensor | None = None,
) -> Tensor:
    r"""Return the weight step under which a layer's output is reconstructed best (Eq. 22).

    Parameters
    ----------
    weight : Tensor of shape (n_out, n_in)
    bits : int
    inputs : Tensor of shape (n, n_in)
        What the quantized layer receives.
    wanted : Tensor of shape (n, n_out)
        Output of the full-precision layer, before its rectifier.
    offset : Tensor of shape (n_out,)
        Bias.
    rectified : bool
        Whether outputs are compared behind the rectifier.
    sample_weight : Tensor of shape (n,), optional

    Returns
    -------
    Tensor of shape ()
        Heuristic: the best of a grid, and never worse there than the step of least squared error.
    """
    low, high = signed_range(bits)
    best = mse_step(weight, bits)
    covering = weight.abs().amax().clamp_min(torch.finfo(weight.dtype).tiny) / high
    grid = torch.cat([best.reshape(1), covering * torch.linspace(*_SHARES, dtype=weight.dtype)])
    goal = torch.relu(wanted) if rectified else wanted
    errors = []
    for step in grid:
        rounded = (weight / step).round().clamp(low, high) * step
        output = torch.addmm(offset, inputs, rounded.T)
        output = torch.relu(output) if rectified else output
        errors.append(_mean_square(output - goal, sample_weight))
    return grid[torch.stack(errors).argmin()]


def reconstruction_clip(
    values: Tensor, bits: int, wanted: Tensor, sample_weight: Tensor | None = None
) -> Tensor:
    """Return the clip under which a full-precision activation is reconstructed best (Eq. 22).

    Parameters
    ----------
    values : Tensor of shape (n, n_units)
        Pre-activations of the quantized layer.
    bits : int
    wanted : Tensor of shape (n, n_units)
        Rectified activations of the full-precision network.
    sample_weight : Tensor of shape (n,), optional

    Returns
    -------
    Tensor of shape ()
    """
    levels = unsigned_levels(bits)
    covering = values.amax()
    if not covering > 0:
        return torch.ones_like(covering)
    shares = covering * torch.linspace(*_SHARES, dtype=values.dtype)
    grid = torch.cat([mse_clip(values, bits, sample_weight).reshape(1), shares])
    errors = []
    for clip in grid:
        step = clip / levels
        rounded = (values / step).round().clamp(0, levels) * step
        errors.append(_mean_square(rounded - wanted, sample_weight))
    return grid[torch.stack(errors).argmin()]


def round_adaptively(
    weight: Tensor,
    step: Tensor,
    bits: int,
    inputs: Tensor,
    wanted: Tensor,
    sample_weight: Tensor | None = None,
) -> Tensor:
    r"""Round each weight up or down so that the layer's output is reconstructed best.

    With codes q between the two neighbors of w/s, it lowers
    :math:`\sum_i \omega_i\|y_i - s\,q\,a_i\|^2` by coordinate descent, one input column at a
    time, all outputs at once. Nothing is trained: the codes stay neighbors of the weights.

    Parameters
    ----------
    weight : Tensor of shape (n_out, n_in)
    step : Tensor of shape ()
    bits : int
    inputs : Tensor of shape (n, n_in)
        What the quantized layer receives.
    wanted : Tensor of shape (n, n_out)
        Output of the full-precision layer, its bias taken off.
    sample_weight : Tensor of shape (n,), optional

    Returns
    -------
    Tensor of shape (n_out, n_in)
        Quantized weights, whose error on the rows is never above that of nearest rounding.

    References
    ----------
    Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML 2020.
    """
    low, high = signed_range(bits)
    scaled = weight / step
    codes = scaled.round().clamp(low, high)
    floor, ceil = scaled.floor().clamp(low, high), scaled.ceil().clamp(low, high)
    shares = _shares(inputs, sample_weight)
    weighted = inputs * shares.unsqueeze(1)
    hessian = weighted.T @ inputs
    linear = (weighted.T @ wanted).T / step
    diagonal = hessian.diagonal()
    alive = diagonal > _DAMPING * diagonal.amax().clamp_min(torch.finfo(weight.dtype).tiny)
    product = codes @ hessian
    for _ in range(_ROUNDING_PASSES):
        before = codes.clone()
        for j in torch.nonzero(alive).flatten().tolist():
            others = product[:, j] - codes[:, j] * diagonal[j]
            best = ((linear[:, j] - others) / diagonal[j]).round()
            best = torch.minimum(torch.maximum(best, floor[:, j]), ceil[:, j])
            product += torch.outer(best - codes[:, j], hessian[j])
            codes[:, j] = best
        if torch.equal(codes, before):
            break
    return codes * step


def bias_shift(wanted: Tensor, given: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """Return what a bias must grow by so that the mean output is right, shape (n_out,)."""
    return _shares(wanted, sample_weight) @ (wanted - given)


def layer_sensitivities(
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    rows: Tensor,
    labels: Tensor,
    sample_weight: Tensor | None = None,
) -> Tensor:
    r"""Return the mean :math:`\|\nabla_{W_\ell}L(f(u), y)\|_1` of every layer (Eq. 23).

    Parameters
    ----------
    weights : sequence of Tensor of shape (n_out, n_in)
        Layers of a rectifier network.
    biases : sequence of Tensor of shape (n_out,)
    rows : Tensor of shape (n, n_inputs)
        Recourse points u = x + δ for the counterfactual sensitivity, x for the factual one.
    labels : Tensor of shape (n,), int64
        Targets, or true labels.
    sample_weight : Tensor of shape (n,), optional

    Returns
    -------
    Tensor of shape (n_layers,)

    Notes
    -----
    The gradient of one row is an outer product, so that its 1-norm is the product of two norms,
    and one backward pass serves all rows: O(n · Σ n_ℓ).
    """
    inputs, masks = [rows], []
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        values = torch.addmm(bias, inputs[-1], weight.T)
        masks.append(values > 0)
        inputs.append(torch.relu(values))
    logits = torch.addmm(biases[-1], inputs[-1], weights[-1].T)
    grad = logits.softmax(1)
    grad[torch.arange(len(labels)), labels] -= 1.0
    shares = _shares(rows, sample_weight)
    found = []
    for position in reversed(range(len(weights))):
        found.append(shares @ (grad.abs().sum(1) * inputs[position].abs().sum(1)))
        if position:
            grad = (grad @ weights[position]) * masks[position - 1]
    return torch.stack(found[::-1])


def _shares(rows: Tensor, sample_weight: Tensor | None) -> Tensor:
    if sample_weight is None:
        return rows.new_full((len(rows),), 1.0 / len(rows))
    return (sample_weight / sample_weight.sum()).to(rows.dtype)


def _mean_square(errors: Tensor, sample_weight: Tensor | None) -> Tensor:
    return _shares(errors, sample_weight) @ errors.square().sum(1)
