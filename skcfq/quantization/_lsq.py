r"""Signed uniform quantizers: LSQ for weights (§4.4 of the paper), fixed steps for inputs.

The value is :math:`s\,\mathrm{clip}(\lfloor w/s\rceil, q^-, q^+)`, rounding half to even. The
gradient is LSQ's straight-through estimate, with one convention: an entry is *in range* when its
rounded code is, :math:`q^-\le\lfloor w/s\rceil\le q^+`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skcfq.quantization._bits import is_full_precision, signed_range
from skcfq.quantization._width_choice import WidthChoice, chosen_grid, step_position


def quantize_weight(weight: Tensor, step: Tensor | float, bits: int | None) -> Tensor:
    r"""Quantize a weight tensor with one signed step.

    Parameters
    ----------
    weight : Tensor of any shape
        Weights :math:`w`.
    step : Tensor of shape () or float
        Positive step :math:`s`, in the unit of the weights.
    bits : int or None
        Width :math:`b` from 2 to 16; ``None`` or 32 returns ``weight`` itself.

    Returns
    -------
    Tensor of the shape of ``weight``
        Multiples of ``step``.

    Notes
    -----
    With :math:`v=w/s` and the output gradient :math:`g`, the weight gradient is :math:`g` in range
    and 0 elsewhere, and the step gradient is
    :math:`\frac{1}{\sqrt{Nq^+}}\sum g\,(\lfloor v\rceil-v)` in range, plus
    :math:`g\,q^\pm` outside, N being the number of weights that share the step.

    References
    ----------
    Esser et al., "Learned Step Size Quantization", ICLR 2020.

    Examples
    --------
    >>> quantize_weight(torch.tensor([-3.0, 0.26, 0.75]), 0.5, bits=2)
    tensor([-1.0000, 0.5000, 0.5000])
    """
    return _quantize_signed(weight, step, bits, weight.numel())


def quantize_input(inputs: Tensor, step: Tensor | float, bits: int | None = 8) -> Tensor:
    """Quantize network inputs with one signed step for the whole matrix.

    Parameters
    ----------
    inputs : Tensor of shape (n_samples, n_features)
        Encoded rows.
    step : Tensor of shape () or float
        Positive step, in the unit of the encoded columns.
    bits : int or None, default=8
        Width from 2 to 16; ``None`` or 32 returns ``inputs`` itself.

    Returns
    -------
    Tensor of shape (n_samples, n_features)

    Notes
    -----
    As :func:`quantize_weight`, but N in the scale of the step gradient counts the features only, so
    that it does not depend on the batch size.

    Examples
    --------
    >>> quantize_input(torch.tensor([[0.1, -0.3]]), 0.25)
    tensor([[ 0.0000, -0.2500]])
    """
    return _quantize_signed(inputs, step, bits, inputs.shape[-1])


def _quantize_signed(values: Tensor, step: Tensor | float, bits: int | None, n: int) -> Tensor:
    if bits is None or is_full_precision(bits):
        return values
    step = torch.as_tensor(step, dtype=values.dtype, device=values.device)
    low, high = signed_range(bits)
    return _SignedQuantizer.apply(values, step, low, high, step_gradient_scale(n, high))


def step_gradient_scale(n: int, high: int) -> float:
    r"""Return LSQ's scale of the step gradient, :math:`1/\sqrt{N q^+}`."""
    return 1.0 / math.sqrt(max(n, 1) * high)


def signed_gradients(
    grad: Tensor,
    values: Tensor,
    step: Tensor,
    low: int,
    high: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Straight-through gradients of the values and of the step, in differentiable operations.

    They are linear in ``grad``; the rounding error that multiplies it counts as a constant, which
    makes the second derivatives those of the straight-through surrogate, and symmetric.
    """
    scaled = (values / step).detach()
    codes = scaled.round()
    grad_values = grad_in_range(grad, codes, low, high)
    inner = _inner if step.numel() == 1 else _inner_rows
    total = inner(grad, codes.clamp(low, high)) - inner(grad_values, scaled)
    return grad_values, (total * scale).reshape(step.shape)


def grad_in_range(grad: Tensor, codes: Tensor, low: int | Tensor, high: int | Tensor) -> Tensor:
    """Return ``grad`` where the unclipped code is in range, else 0."""
    if isinstance(low, Tensor):
        return grad.masked_fill((codes < low) | (codes > high), 0.0)
    # One fused kernel: comparisons and masked fills cost more than all else on small networks.
    return torch.ops.aten.hardtanh_backward(grad, codes, low - 0.5, high + 0.5)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a.reshape(-1), b.reshape(-1))


def _inner_rows(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a, b)


def _aligned(step: Tensor) -> Tensor:
    """Return one step as it is, and one step a row as a column."""
    return step if step.ndim == 0 else step.unsqueeze(1)


class _SignedQuantizer(torch.autograd.Function):
    """Value and straight-through gradient for one step."""

    @staticmethod
    def forward(ctx, values, step, low, high, scale):
        ctx.save_for_backward(values, step)
        ctx.grid = low, high, scale
        return (values / step).round_().clamp_(low, high).mul_(step)

    @staticmethod
    def backward(ctx, grad):
        return *signed_gradients(grad, *ctx.saved_tensors, *ctx.grid), None, None, None


class QuantizeSelected(torch.autograd.Function):
    r"""Quantize several tensors, each at one of R candidate widths, as one node of the graph.

    ``apply(selection, choices, grids, *values, *log_steps)`` quantizes the l-th of the L tensors
    ``values`` with its candidate ``choices[l]``, or each row with its own; its steps are given by
    their logarithms, (R,) or, with one step for each row, (R, rows).
    With ``selection`` (L, R), a straight-through one-hot sample, the result stands for
    :math:`\sum_r z_{\ell,r} Q_r(w_\ell)`: its gradient on :math:`z_{\ell,r}` is
    :math:`\langle g_\ell, Q_r(w_\ell)\rangle` for every r, for which all R widths of a tensor are
    evaluated in one stacked operation. ``grids`` holds, per tensor and candidate, the lowest code,
    the highest code and the gradient scale.

    One node for all tensors, since a node costs more than the arithmetic of a small layer.
    """

    @staticmethod
    def forward(ctx, selection, choices, grids, *tensors):
        n = len(choices)
        quantized, codes = [], []
        for values, log_steps, choice, grid in zip(
            tensors[:n], tensors[n:], choices, grids, strict=True
        ):
            low, high, _ = chosen_grid(choice, grid)
            step = _aligned(log_steps[step_position(choice)].exp())
            code = (values / step).round_()
            codes.append(code)
            quantized.append(code.clamp(low, high).mul_(step))
        ctx.save_for_backward(selection, *tensors, *quantized)
        ctx.codes, ctx.choices, ctx.grids = codes, choices, grids
        return tuple(quantized)

    @staticmethod
    def backward(ctx, *grads):
        selection, *tensors = ctx.saved_tensors
        n = len(ctx.choices)
        values, log_steps, quantized = tensors[:n], tensors[n : 2 * n], tensors[2 * n :]
        if torch.is_grad_enabled():
            rows = [None] * n if selection is None else selection.unbind(0)
            terms = zip(grads, values, log_steps, rows, ctx.choices, ctx.grids, strict=True)
            of_values, of_steps, of_rows = zip(*(_differentiable(*t) for t in terms), strict=True)
            of_selection = None if selection is None else torch.stack(of_rows)
            return of_selection, None, None, *of_values, *of_steps
        terms = zip(
            grads, values, log_steps, quantized, ctx.codes, ctx.choices, ctx.grids, strict=True
        )
        of_values, of_steps = zip(*(_gradients(*term) for term in terms), strict=True)
        of_selection = None
        if ctx.needs_input_grad[0]:
            terms = zip(grads, values, log_steps, ctx.grids, strict=True)
            of_selection = torch.stack([_stacked_products(*term) for term in terms])
        return of_selection, None, None, *of_values, *of_steps


def _gradients(
    grad: Tensor,
    values: Tensor,
    log_steps: Tensor,
    quantized: Tensor,
    codes: Tensor,
    choice: WidthChoice,
    grids,
) -> tuple[Tensor, Tensor]:
    """Gradients of the values and of the logarithms of the steps, for one candidate."""
    low, high, scale = chosen_grid(choice, grids)
    of_values = grad_in_range(grad, codes, low, high)
    of_steps = torch.zeros_like(log_steps)
    # The step times its gradient, <g, code> - <g in range, w/s>, needs no division.
    inner = _inner if log_steps.ndim == 1 else _inner_rows
    products = (inner(grad, quantized) - inner(of_values, values)) * scale
    of_steps[step_position(choice)] = products
    return of_values, of_steps


def _stacked_products(grad: Tensor, values: Tensor, log_steps: Tensor, grids) -> Tensor:
    r"""Return :math:`\langle g, Q_r(w)\rangle` for every candidate r, shape (R,)."""
    steps = log_steps.exp()
    if steps.ndim == 2:
        codes = (values / steps.unsqueeze(2)).round_()
        for row, (low, high, _) in zip(codes, grids, strict=True):
            row.clamp_(low, high)
        return ((codes * grad).sum(2) * steps).sum(1)
    codes = (values.reshape(1, -1) / steps.unsqueeze(1)).round_()
    for row, (low, high, _) in zip(codes, grids, strict=True):
        row.clamp_(low, high)
    return torch.mv(codes, grad.reshape(-1)).mul_(steps)


def _differentiable(
    grad: Tensor,
    values: Tensor,
    log_steps: Tensor,
    selection: Tensor | None,
    choice: WidthChoice,
    grids,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Gradients of :math:`\sum_r z_r Q_r(w)` that can be differentiated once more."""
    of_values = torch.zeros_like(values)
    of_steps, of_selection = [], []
    for r, (log_step, grid) in enumerate(zip(log_steps, grids, strict=True)):
        step = _aligned(log_step.exp())
        share = _share(choice, r, values) if selection is None else selection[r]
        through_values, through_step = signed_gradients(grad, values, step, *grid)
        of_values = of_values + share * through_values
        of_steps.append((share * through_step * step).reshape(log_step.shape))
        of_selection.append(_inner(grad, _SignedQuantizer.apply(values, step, *grid)))
    return of_values, torch.stack(of_steps), torch.stack(of_selection)


def _share(choice: WidthChoice, r: int, values: Tensor) -> float | Tensor:
    """Return 1 where a candidate is chosen and 0 elsewhere; of units a column."""
    if isinstance(choice, int):
        return float(choice == r)
    return (choice.indices == r).to(values.dtype).unsqueeze(1)
