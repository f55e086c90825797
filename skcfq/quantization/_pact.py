"""Rectified activations with a learned clip: PACT (§4.4 of the paper), the ReLU included."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skcfq.quantization._bits import is_full_precision, unsigned_levels

# The gradient of the bit logits is that of one sample of the widths anyway. So many rows of a batch
# are enough for it, and what it costs no longer grows with the batch.
_ROWS_FOR_WIDTHS = 256


def quantize_activation(values: Tensor, clip: Tensor | float, bits: int | None) -> Tensor:
    r"""Rectify, clip and quantize activations.

    Parameters
    ----------
    values : Tensor of shape (n_samples, n_units)
        Pre-activations :math:`a`.
    clip : Tensor of shape () or float
        Positive clipping threshold :math:`\alpha`, in the unit of the activations.
    bits : int or None
        Width :math:`b` from 1 to 16; ``None`` or 32 rectifies only, with no clip.

    Returns
    -------
    Tensor of shape (n_samples, n_units)
        Multiples of :math:`\alpha/(2^b-1)` in :math:`[0, \alpha]`; the zero-point is 0.

    Notes
    -----
    The gradient on :math:`a` passes where :math:`0<a<\alpha`; the gradient on the threshold is the
    paper's :math:`\sum g\,1[a\ge\alpha]`.

    References
    ----------
    Choi et al., "PACT: Parameterized Clipping Activation for Quantized Neural Networks", 2018.

    Examples
    --------
    >>> quantize_activation(torch.tensor([[-1.0, 0.9, 5.0]]), 3.0, bits=2)
    tensor([[0., 1., 3.]])
    """
    if bits is None or is_full_precision(bits):
        return torch.relu(values)
    clip = torch.as_tensor(clip, dtype=values.dtype, device=values.device)
    return _ClippedQuantizer.apply(values, clip, unsigned_levels(bits))


def clipped_gradients(grad: Tensor, values: Tensor, clip: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the values and of the threshold, in differentiable operations."""
    # Two fused kernels, 1[0 < a < clip] and 1[0 < a]: comparisons cost more on small networks.
    grad_values = torch.ops.aten.hardtanh_backward(grad, values, 0.0, clip.item())
    saturated = torch.ops.aten.threshold_backward(grad, values, 0.0).sub_(grad_values)
    return grad_values, saturated.sum().reshape(clip.shape)


class _ClippedQuantizer(torch.autograd.Function):
    """Value and straight-through gradient for one threshold."""

    @staticmethod
    def forward(ctx, values, clip, levels):
        ctx.save_for_backward(values, clip)
        return _rounded(values, clip / levels, levels)

    @staticmethod
    def backward(ctx, grad):
        return *clipped_gradients(grad, *ctx.saved_tensors), None


class SelectedClipped(torch.autograd.Function):
    """Rectify, clip and quantize at one of R candidate widths, as one node of the graph.

    ``apply(values, log_clips, selection, index, levels)`` uses candidate ``index``; thresholds are
    given by their logarithms (R,), ``levels`` is the highest code of each candidate. ``selection``
    is treated as in :class:`~skcfq.quantization._lsq.QuantizeSelected`.
    """

    @staticmethod
    def forward(ctx, values, log_clips, selection, index, levels):
        ctx.save_for_backward(values, log_clips, selection)
        ctx.index, ctx.levels = index, levels
        return _rounded(values, log_clips[index].exp() / levels[index], levels[index])

    @staticmethod
    def backward(ctx, grad):
        values, log_clips, selection = ctx.saved_tensors
        if torch.is_grad_enabled():
            terms = (grad, values, log_clips, selection, ctx.index, ctx.levels)
            return *_differentiable_gradients(*terms), None, None
        clip = log_clips[ctx.index].exp()
        grad_values, grad_clip = clipped_gradients(grad, values, clip)
        grad_selection = None
        if ctx.needs_input_grad[2]:
            grad_selection = products_at_widths(grad, values, log_clips, ctx.levels)
        grad_log = torch.zeros_like(log_clips)
        grad_log[ctx.index] = grad_clip * clip
        return grad_values, grad_log, grad_selection, None, None


def _rounded(values: Tensor, step: Tensor, levels: int) -> Tensor:
    return (values / step).round_().clamp_(0, levels).mul_(step)


def products_at_widths(grad: Tensor, values: Tensor, log_clips: Tensor, levels) -> Tensor:
    r"""Return :math:`\langle g, Q_r(a)\rangle` for every candidate r, shape (R,).

    Of many rows, those at equal distances stand for all.
    """
    n, every = len(values), math.ceil(len(values) / _ROWS_FOR_WIDTHS)
    if every > 1:
        grad, values = grad[::every], values[::every]
    top = log_clips.new_tensor(levels)
    steps = log_clips.exp().div_(top)
    codes = (torch.relu(values).reshape(1, -1) / steps.unsqueeze(1)).round_()
    torch.minimum(codes, top.unsqueeze(1), out=codes)
    return torch.mv(codes, grad.reshape(-1)).mul_(steps * (n / max(len(values), 1)))


def _differentiable_gradients(
    grad: Tensor, values: Tensor, log_clips: Tensor, selection: Tensor | None, index: int, levels
) -> tuple[Tensor, Tensor, Tensor | None]:
    r"""Gradients of :math:`\sum_r z_r Q_r(a)` that can be differentiated once more."""
    grad_values = torch.zeros_like(values)
    grad_log, grad_selection = [], []
    for r, (log_clip, top) in enumerate(zip(log_clips, levels, strict=True)):
        clip = log_clip.exp()
        of_values, of_clip = clipped_gradients(grad, values, clip)
        share = float(r == index) if selection is None else selection[r]
        grad_values = grad_values + share * of_values
        grad_log.append(share * of_clip * clip)
        grad_selection.append((grad * _ClippedQuantizer.apply(values, clip, top)).sum())
    of_selection = None if selection is None else torch.stack(grad_selection)
    return grad_values, torch.stack(grad_log), of_selection
