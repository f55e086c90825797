"""Gradient ascent of the target margin on a relaxed iterate, from the own point or a random one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skcfq.solvers.problems import Draws, RecourseProblem, States, best_per_person

# How far an open side is searched at random, in cost.
OPEN = 6.0
# Cost of one step of the relaxed search, in the units of the cost; the step grows by this factor.
_FIRST_STEP, _GROWTH = 0.05, 1.15
# Steps that a person still takes after the first valid projection.
_STEPS_AFTER_VALID = 10
# Steps that are judged together: a call costs more than a few people's points.
_STEPS_TOGETHER = 6
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
    box = _RelaxedBox.of(problem)
    points, found = start, []
    for first in range(0, n_steps, _STEPS_TOGETHER):
        path = []
        for step in range(first, min(first + _STEPS_TOGETHER, n_steps)):
            points = _climb(problem, box, points, _FIRST_STEP * _GROWTH**step)
            path.append(points)
        everybody = torch.arange(problem.n_people).repeat(len(path))
        reached = problem.states_at(torch.cat(path), everybody)
        # A longer path is a dearer one: a few steps past the first valid point are enough.
        valid = reached.valid.reshape(len(path), -1)
        seen = (torch.cat([(after > 0)[None], valid]).cumsum(dim=0) > 0).long()[1:]
        ago = after + seen.cumsum(dim=0) - seen
        found.append(reached.take((valid & (ago < _STEPS_AFTER_VALID)).flatten()).of(people))
        after = after + seen.sum(dim=0)
        active = (after < _STEPS_AFTER_VALID).nonzero().squeeze(1)
        if len(active) == 0:
            break
        if len(active) < _SHRINK * len(people):
            problem, box = problem.take(active), box.take(active)
            people, after, points = people[active], after[active], points[active]
    everything = States.concatenate(found)
    return everything.take(best_per_person(everything.person, everything.cost, count))


@dataclass(frozen=True, eq=False)
class _RelaxedBox:
    """The relaxed domain of n people, and what the encoded columns weigh (0: immutable)."""

    low: Tensor
    high: Tensor
    weights: Tensor

    @classmethod
    def of(cls, problem: RecourseProblem) -> _RelaxedBox:
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
        return cls(low, high, weights)

    def take(self, rows: Tensor) -> _RelaxedBox:
        """Return the box of some of the people."""
        return _RelaxedBox(self.low[rows], self.high[rows], self.weights)


def _climb(problem: RecourseProblem, box: _RelaxedBox, points: Tensor, length: float) -> Tensor:
    """Take one step of a given cost up the target margin, inside the relaxed domain."""
    _, gradient = problem.margin_gradient(points, torch.arange(problem.n_people))
    weights = box.weights
    direction = torch.where(weights > 0, gradient / weights**2, torch.zeros_like(gradient))
    outward = ((points <= box.low) & (direction < 0)) | ((points >= box.high) & (direction > 0))
    direction = direction.masked_fill(outward, 0.0)
    norm = (weights * direction).norm(dim=1, keepdim=True)
    direction = direction / norm.clamp_min(torch.finfo(torch.float64).tiny)
    return torch.minimum(torch.maximum(points + length * direction, box.low), box.high)


def random_points(problem: RecourseProblem, draws: Draws, count: int = 1) -> Tensor:
    """Draw admissible points for each person, from the whole of the action set.

    Parameters
    ----------
    problem : RecourseProblem
        n people.
    draws : Draws
        Point k of a person is the same, whether it is drawn with others or alone.
    count : int, default=1

    Returns
    -------
    points : Tensor of shape (count * n, n_encoded)
        First one of everybody, then another.
    """
    n, m = problem.values.shape
    allowed = problem.region.allowed
    sizes = [m, m, *(size for part in allowed for size in (part.shape[1], 1))]
    uniform = draws.uniform(count, sum(sizes)).transpose(0, 1).flatten(0, 1)
    share, chance, *of_levels = uniform.split(sizes, dim=1)
    person = torch.arange(n).repeat(count)
    own, far = problem.values, OPEN / problem.numeric_weights
    lower, upper = problem.region.lower, problem.region.upper
    lower = torch.where(torch.isfinite(lower), lower, own - far)[person]
    upper = torch.where(torch.isfinite(upper), upper, own + far)[person]
    values = torch.where(chance < 0.5, lower + share * (upper - lower), own[person])
    levels = problem.levels[person]
    for c, may in enumerate(allowed):
        draw, chance = of_levels[2 * c] * may[person], of_levels[2 * c + 1].squeeze(1)
        moved = (chance < 0.3) & may.any(dim=1)[person]
        levels[:, c] = torch.where(moved, draw.argmax(dim=1), levels[:, c])
    points = problem.assemble(person, problem.snap(person, values), levels)
    return problem.region.without_raw().take(person).project(points)
