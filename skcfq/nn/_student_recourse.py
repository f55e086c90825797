"""The student's own recourse as a function of its parameters (§4.2 and Appendix B)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from skcfq.actions import ActionRegion, RecourseCost


def unrolled_steps(
    logits: Callable[[Tensor], Tensor],
    region: ActionRegion,
    target: Tensor,
    *,
    n_steps: int,
    step_size: float,
) -> Tensor:
    r"""Run the K-step recursion on a student, differentiable in its parameters (Eq. 17).

    .. math:: \delta^{(t+1)} = \Pi_{A(x)}(\delta^{(t)} - \alpha\nabla_\delta L_{cf}(f_q))

    Parameters
    ----------
    logits : callable
        Encoded rows (n, d), float64, to logits; differentiable twice.
    region : ActionRegion
        Rules of n people.
    target : Tensor of shape (n,), int64
    n_steps : int
        K of the paper.
    step_size : float
        :math:`\alpha` of the paper, in encoded units per unit of the gradient.

    Returns
    -------
    points : Tensor of shape (n, d), float64
        Points :math:`x + \delta_q`, admissible, with their graph.

    Notes
    -----
    The projection is exact forwards. Backwards it passes the gradient of the features that are
    changed in the result, or that may move and were left where they were, and stops it elsewhere:
    at immutable columns, at clipped bounds that put a feature back, and where sparsity took a
    change away.
    """
    points = region.origin.detach().requires_grad_()
    for _ in range(n_steps):
        loss = cross_entropy(logits(points), target, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, points, create_graph=True)
        points = _StraightThroughProjection.apply(points - step_size * gradient, region)
    return points


class _StraightThroughProjection(torch.autograd.Function):
    """Exact projection, whose gradient is the identity on active coordinates (Appendix B)."""

    @staticmethod
    def forward(ctx, points, region):
        projected = region.project(points)
        ctx.save_for_backward(
            (projected != region.origin) | ((projected == points) & region.mutable)
        )
        return projected

    @staticmethod
    def backward(ctx, grad):
        (active,) = ctx.saved_tensors
        return grad * active, None


@dataclass(frozen=True, eq=False)
class Matching:
    r"""What the matching regularizer compares (Eq. 18).

    .. math:: \alpha_1\|\delta_q - \delta_{fp}\|_1 + \alpha_2|c(\delta_q) - c(\delta_{fp})|

    Attributes
    ----------
    direction, cost : float
        :math:`\alpha_1` and :math:`\alpha_2`.
    region : ActionRegion
        Rules of all training rows.
    points : Tensor of shape (n, d), float64
        The teacher's points after the same K steps.
    cost_of : RecourseCost
    n_steps : int
    step_size : float
    """

    direction: float
    cost: float
    region: ActionRegion
    points: Tensor
    cost_of: RecourseCost
    n_steps: int
    step_size: float

    def losses(
        self,
        logits: Callable[[Tensor], Tensor],
        rows: Tensor,
        target: Tensor,
        *,
        stop_gradient: bool = False,
    ) -> Tensor:
        """Return the matching loss of some people, shape (k,), float64.

        Parameters
        ----------
        logits : callable
            The student on encoded rows, float64 to any dtype.
        rows : Tensor of shape (k,), int64
            Positions in the training rows.
        target : Tensor of shape (k,), int64
        stop_gradient : bool, default=False
            Detach the student's action: then nothing is learned (Appendix B).
        """
        region, points = self.region.take(rows), self.points[rows]
        reached = unrolled_steps(
            logits, region, target, n_steps=self.n_steps, step_size=self.step_size
        )
        if stop_gradient:
            reached = reached.detach()
        loss = self.direction * (reached - points).abs().sum(dim=1)
        if self.cost > 0:
            gap = self.cost_of(reached, region) - self.cost_of(points, region)
            loss = loss + self.cost * gap.abs()
        return loss
