"""Projected gradient descent: the K-step recursion of Eq. 6, to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skcfq.models import validity_slack
from skcfq.solvers.problems import (
    Effort,
    RecourseProblem,
    States,
)

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion, Box
    from skcfq.models import Predictor
    from skcfq.nn import FrozenMLP


def projected_steps(
    predictor: Predictor | FrozenMLP,
    region: ActionRegion | Box,
    target: Tensor,
    *,
    n_steps: int,
    step_size: float,
    early_stopping: bool = False,
) -> Tensor:
    r"""Run the K-step recursion of Eq. 6 to the letter.

    .. math:: \delta^{(t+1)} = \Pi_{A(x)}(\delta^{(t)} - \alpha\nabla_\delta L_{cf})

    with the cross-entropy of the target as :math:`L_{cf}` and the safe projection of this
    library.

    Parameters
    ----------
    predictor : Predictor or FrozenMLP
    region : ActionRegion or Box
        Rules of n people.
    target : Tensor of shape (n,), int64
    n_steps : int
        K of the paper.
    step_size : float
        α of the paper, in encoded units per unit of the gradient.
    early_stopping : bool, default=False
        Take no further step from a point that is valid (Appendix H.2).

    Returns
    -------
    points : Tensor of shape (n, n_encoded)
        Encoded points x + δ, inside every action set; not necessarily valid.

    Notes
    -----
    A category changes only when a single step carries it past the middle between two codes;
    with small steps it never does.
    """
    points = region.origin
    for _ in range(n_steps):
        gradient, logits = predictor.loss_gradient(points, target)
        # Into the gradient, which is ours: memory costs more than the arithmetic of a small batch.
        moved = region.project(torch.sub(points, gradient, alpha=step_size, out=gradient))
        if early_stopping:
            done = validity_slack(logits, target) >= 0
            moved = torch.where(done[:, None], points, moved)
        points = moved
    return points


def literal_search(problem: RecourseProblem, effort: Effort) -> States:
    """Take the nearest admissible states to where the recursion ends."""
    points = projected_steps(
        problem.predictor,
        problem.region,
        problem.target,
        n_steps=effort.n_steps,
        step_size=effort.step_size,
    )
    return problem.states_at(points)
