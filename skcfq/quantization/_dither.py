r"""Rectified activations with dither: stochastic thresholds, drawn anew in every pass.

A network that is trained through fixed thresholds fits its weights to the codes that rows happen to
fall on. With thresholds that move, its rounding errors are noise, which it learns to keep small.
"""

from __future__ import annotations

import torch

from skcfq.quantization._pact import products_at_widths


class DitheredClipped(torch.autograd.Function):
    r"""Rectify, clip and quantize with dither at one of R candidate widths, as one node.

    ``apply(values, log_clips, selection, index, levels, offsets)`` takes the offsets u of the
    units, in steps; else as :class:`~skcfq.quantization._pact.SelectedClipped`.

    Notes
    -----
    With :math:`v=a/s` the value is :math:`s(\lfloor v+u\rceil-u)` inside of the range, and 0 or the
    clip outside. For u uniform in (-1/2, 1/2) its mean is a, whatever a is. One offset a unit
    serves all rows, so that a row of weight 2 is the same as two rows.

    The gradient on a passes inside of the range. That on the clip has PACT's term and, unlike PACT,
    what a wider range costs in resolution, as in LSQ:
    :math:`\sum g\,1[a\ge\alpha]+\frac{1}{2^b-1}\sum g\,(\lfloor v+u\rceil-u-v)\,1[0<a<\alpha]`.

    References
    ----------
    Schuchman, "Dither Signals and Their Effect on Quantization Noise", 1964; Défossez et al.,
    "Differentiable Model Compression via Pseudo Quantization Noise", TMLR 2022.

    Examples
    --------
    >>> values, log_clips = torch.tensor([[-1.0, 0.9, 5.0]]), torch.tensor([3.0]).log()
    >>> DitheredClipped.apply(values, log_clips, None, 0, (3,), torch.full((3,), 0.25))
    tensor([[0.0000, 0.7500, 3.0000]])
    """

    @staticmethod
    def forward(ctx, values, log_clips, selection, index, levels, offsets):
        top = levels[index]
        step = log_clips[index].exp() / top
        scaled = values / step
        errors = (scaled + offsets).round_().sub_(offsets).sub_(scaled)
        errors = torch.ops.aten.hardtanh_backward(errors, scaled, 0.0, top)
        ctx.save_for_backward(values, log_clips, selection, errors)
        ctx.index, ctx.levels = index, levels
        return scaled.clamp_(0, top).add_(errors).mul_(step)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        values, log_clips, selection, errors = ctx.saved_tensors
        clip = log_clips[ctx.index].exp()
        grad_values = torch.ops.aten.hardtanh_backward(grad, values, 0.0, clip.item())
        saturated = torch.ops.aten.threshold_backward(grad, values, 0.0).sub_(grad_values)
        resolution = torch.dot(grad.reshape(-1), errors.reshape(-1)) / ctx.levels[ctx.index]
        grad_log = torch.zeros_like(log_clips)
        grad_log[ctx.index] = clip * (saturated.sum() + resolution)
        grad_selection = None
        if selection is not None and ctx.needs_input_grad[2]:
            grad_selection = products_at_widths(grad, values, log_clips, ctx.levels)
        return grad_values, grad_log, grad_selection, None, None, None
