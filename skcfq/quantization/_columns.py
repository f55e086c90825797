"""A quantizer of matrices whose columns have fixed steps of their own, as network inputs have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from skcfq.quantization._lsq import grad_in_range


@dataclass(frozen=True, eq=False)
class ColumnQuantizer:
    """Matrices to whole multiples of a step of each column, with a straight-through gradient.

    Attributes
    ----------
    steps : Tensor of shape (d,)
        Distance of two codes, in the units of what comes in.
    scales : Tensor of shape (d,)
        Distance of two codes, in the units of what goes out.
    centers : Tensor of shape (d,)
        Codes that the ranges of the columns lie around.
    grid : tuple of (int, int)
        The lowest and the highest code, without the center.

    Examples
    --------
    >>> steps, centers = torch.tensor([0.5, 0.5]), torch.tensor([0.0, 4.0])
    >>> quantizer = ColumnQuantizer(steps, steps, centers, (-2, 1))
    >>> quantizer(torch.tensor([[1.2, 1.2], [9.0, 9.0]]))
    tensor([[0.5000, 1.0000],
            [0.5000, 2.5000]])
    """

    steps: Tensor
    scales: Tensor
    centers: Tensor
    grid: tuple[int, int]

    def __call__(self, values: Tensor) -> Tensor:
        """Quantize a matrix of shape (n, d)."""
        if values.requires_grad:
            return _StraightThrough.apply(values, self)
        # Without a node of the graph, which costs more than the arithmetic of a batch.
        return (values / self.steps).round_().clamp_(*self._ends).mul_(self.scales)

    @cached_property
    def _ends(self) -> tuple[Tensor, Tensor]:
        low, high = self.grid
        return self.centers + low, self.centers + high


class _StraightThrough(torch.autograd.Function):
    """Value and straight-through gradient."""

    @staticmethod
    def forward(ctx, values, quantizer):
        codes = (values / quantizer.steps).round_()
        ctx.save_for_backward(codes)
        ctx.quantizer = quantizer
        return codes.clamp(*quantizer._ends).mul_(quantizer.scales)

    @staticmethod
    def backward(ctx, grad):
        (codes,) = ctx.saved_tensors
        quantizer = ctx.quantizer
        slopes = quantizer.scales / quantizer.steps
        return grad_in_range(grad * slopes, codes - quantizer.centers, *quantizer.grid), None
