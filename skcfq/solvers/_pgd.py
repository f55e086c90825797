"""Projected gradient: the K-step recursion of Eq. 6, and the relaxed search of the evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from skcfq.solvers._problem import RecourseProblem, States, best_per_person

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.models import Predictor

# Cost of one step of the relaxed search, in the units of the cost; the step grows by this factor.
_FIRST_STEP, _GROWTH = 0.05, 1.15


def projected_steps(
    predictor: Predictor,
    region: ActionRegion,
    target: Tensor,
    *,
    n_steps: int,
    step_size: float,
) -> Tensor:
    r"""Run the K-step recursion of Eq. 6 to the letter.

    .. math:: \delta^{(t+1)} = \Pi_{A(x)}(\delta^{(t)} - \alpha\nabla_\delta L_{cf})

    with the cross-entropy of the target as :math:`L_{cf}` and the safe projection of this
    library.

    Parameters
    ----------
    predictor : Predictor
    region : ActionRegion
        Rules of n people.
    target : Tensor of shape (n,), int64
    n_steps : int
        K of the paper.
    step_size : float
        α of the paper, in encoded units per unit of the gradient.

    Returns
    -------
    points : Tensor of shape (n, n_encoded)
        Encoded points x + δ, inside every action set; not necessarily valid.

    Notes
    -----
    A category changes only when a single step carries it past the middle between two codes;
    with small steps it never does.
    """
    points = region.origin.clone()
    for _ in range(n_steps):
        points = points.detach().requires_grad_(True)
        loss = cross_entropy(predictor.logits(points), target, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, points)
        points = region.project(points.detach() - step_size * gradient)
    return points.detach()


def relaxed_descent(problem: RecourseProblem, start: Tensor, *, n_steps: int, count: int) -> States:
    """Climb the target margin on a relaxed iterate and judge its projection at every step.

    Categories move continuously between their codes and are rounded only for the judgment, so
    that many small steps can change one. Steps are measured in cost and grow geometrically.

    Parameters
    ----------
    problem : RecourseProblem
    start : Tensor of shape (n, n_encoded)
        One encoded point for each person.
    n_steps : int
    count : int
        Valid points that are returned for each person, at most.

    Returns
    -------
    found : States
        Valid points; none for people for whom no projection was valid.
    """
    person = torch.arange(problem.n_people)
    low, high, weights = _relaxed_box(problem)
    points, found = start.clone(), []
    for step in range(n_steps):
        _, gradient = problem.margin_gradient(points, person)
        direction = torch.where(weights > 0, gradient / weights**2, torch.zeros_like(gradient))
        outward = ((points <= low) & (direction < 0)) | ((points >= high) & (direction > 0))
        direction = direction.masked_fill(outward, 0.0)
        length = (weights * direction).norm(dim=1, keepdim=True)
        direction = direction / length.clamp_min(torch.finfo(torch.float64).tiny)
        points = points + _FIRST_STEP * _GROWTH**step * direction
        points = torch.minimum(torch.maximum(points, low), high)
        reached = problem.states_at(points)
        found.append(reached.take(reached.valid))
    everything = States.concatenate(found)
    return everything.take(best_per_person(everything.person, everything.cost, count))


def _relaxed_box(problem: RecourseProblem) -> tuple[Tensor, Tensor, Tensor]:
    """Return the relaxed domain and the cost weight of each encoded column (0: immutable)."""
    low, high = problem.origin.clone(), problem.origin.clone()
    weights = torch.zeros(problem.origin.shape[1], dtype=torch.float64)
    low[:, problem.numeric_columns] = problem.region.lower
    high[:, problem.numeric_columns] = problem.region.upper
    weights[problem.numeric_columns] = problem.numeric_weights
    for c, (columns, codes) in enumerate(zip(problem.choice_columns, problem.codes, strict=True)):
        low[:, columns] = torch.minimum(low[:, columns], codes.amin(dim=0))
        high[:, columns] = torch.maximum(high[:, columns], codes.amax(dim=0))
        # A change moves two of the coordinates: each carries half of the group's weight.
        weights[columns] = problem.choice_weights[c] / 2
    return low, high, weights


def random_points(problem: RecourseProblem, generator: torch.Generator) -> Tensor:
    """Draw one admissible point for each person, from the whole of the action set."""
    n, m = problem.values.shape
    share = torch.rand((n, m), generator=generator, dtype=torch.float64)
    lower, upper = problem.region.lower, problem.region.upper
    moved = torch.rand((n, m), generator=generator) < 0.5
    values = torch.where(moved, lower + share * (upper - lower), problem.values)
    levels = problem.levels.clone()
    for c, allowed in enumerate(problem.region.allowed):
        draw = torch.rand(allowed.shape, generator=generator) * allowed
        moved = (torch.rand(n, generator=generator) < 0.3) & allowed.any(dim=1)
        levels[:, c] = torch.where(moved, draw.argmax(dim=1), levels[:, c])
    person = torch.arange(n)
    points = problem.assemble(person, problem.snap(person, values), levels)
    return problem.region.project(points)
