"""Gradient ascent of the target margin on a relaxed iterate, from the own point or a random one."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.solvers.problems import Draws, RecourseProblem, States, best_per_person

# How far an open side is searched at random, in cost.
OPEN = 6.0
# Cost of one step of the relaxed search, in the units of the cost; the step grows by this factor.
_FIRST_STEP, _GROWTH = 0.05, 1.15
# Steps that a person still takes after the first valid projection.
_STEPS_AFTER_VALID = 10
# People who are done are left out once fewer than this share remains.
_SHRINK = 0.7


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
    people = torch.arange(problem.n_people)
    after = torch.zeros(problem.n_people, dtype=torch.int64)
    points, found = start, []
    for step in range(n_steps):
        points = _climb(problem, points, _FIRST_STEP * _GROWTH**step)
        reached = problem.states_at(points)
        # Who is done goes on until enough others are, and finds nothing more.
        found.append(reached.take(reached.valid & (after < _STEPS_AFTER_VALID)).of(people))
        # A longer path is a dearer one: a few steps past the first valid point are enough.
        after = after + (reached.valid | (after > 0))
        active = after < _STEPS_AFTER_VALID
        if not bool(active.any()):
            break
        if active.sum() < _SHRINK * len(people):
            problem = problem.take(active)
            people, after, points = people[active], after[active], points[active]
    everything = States.concatenate(found)
    return everything.take(best_per_person(everything.person, everything.cost, count))


def _climb(problem: RecourseProblem, points: Tensor, length: float) -> Tensor:
    """Take one step of a given cost up the target margin, inside the relaxed domain."""
    low, high, weights = _relaxed_box(problem)
    _, gradient = problem.margin_gradient(points, torch.arange(problem.n_people))
    direction = torch.where(weights > 0, gradient / weights**2, torch.zeros_like(gradient))
    outward = ((points <= low) & (direction < 0)) | ((points >= high) & (direction > 0))
    direction = direction.masked_fill(outward, 0.0)
    norm = (weights * direction).norm(dim=1, keepdim=True)
    direction = direction / norm.clamp_min(torch.finfo(torch.float64).tiny)
    return torch.minimum(torch.maximum(points + length * direction, low), high)


def _relaxed_box(problem: RecourseProblem) -> tuple[Tensor, Tensor, Tensor]:
    """Return the relaxed domain and the cost weight of each encoded column (0: immutable)."""
    low, high = problem.origin.clone(), problem.origin.clone()
    weights = torch.zeros(problem.origin.shape[1], dtype=torch.float64)
    low[:, problem.numeric_columns] = problem.region.lower
    high[:, problem.numeric_columns] = problem.region.upper
    weights[problem.numeric_columns] = problem.numeric_weights
    for c, (columns, (least, most)) in enumerate(
        zip(problem.categorical_columns, problem.code_boxes, strict=True)
    ):
        low[:, columns] = torch.minimum(low[:, columns], least)
        high[:, columns] = torch.maximum(high[:, columns], most)
        # A change moves two of the coordinates: each carries half of the group's weight.
        weights[columns] = problem.categorical_weights[c] / 2
    return low, high, weights


def random_points(problem: RecourseProblem, draws: Draws) -> Tensor:
    """Draw one admissible point for each person, from the whole of the action set."""
    n, m = problem.values.shape
    share = draws.uniform(m)
    own, far = problem.values, OPEN / problem.numeric_weights
    lower, upper = problem.region.lower, problem.region.upper
    lower = torch.where(torch.isfinite(lower), lower, own - far)
    upper = torch.where(torch.isfinite(upper), upper, own + far)
    moved = draws.uniform(m) < 0.5
    values = torch.where(moved, lower + share * (upper - lower), problem.values)
    levels = problem.levels.clone()
    for c, allowed in enumerate(problem.region.allowed):
        draw = draws.uniform(allowed.shape[1]) * allowed
        moved = (draws.uniform() < 0.3) & allowed.any(dim=1)
        levels[:, c] = torch.where(moved, draw.argmax(dim=1), levels[:, c])
    person = torch.arange(n)
    points = problem.assemble(person, problem.snap(person, values), levels)
    return problem.region.project(points)
