"""Lower the cost of valid points by taking changes back, wholly or in part, and by trading them.

Every routine takes valid points and returns valid points of the same people, none dearer: a
change is taken only after the model was asked and said yes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.solvers.problems import RecourseProblem, States, best_per_person, cheapest_in_box
from skcfq.solvers.search._line_search import AT_BOUNDARY, line_search
from skcfq.solvers.search._rung_search import search_numbers
from skcfq.solvers.search._thinning import thin

# Rounds of shrinking: hardly anybody gains in a later one.
_ROUNDS = 4
# Steps along the boundary; nobody takes another after so many that led nowhere.
_SLIDES, _FAILURES = 6, 2
# A cheaper action must be cheaper by more than the noise of its sum.
RELATIVE_GAIN = 1e-9


def revert(problem: RecourseProblem, states: States) -> States:
    """Take back changes that the decision does not need, the dearest first."""
    states = thin(problem, states)
    active = torch.arange(len(states))
    # What could not be taken back cannot be later either, unless margin was gained since.
    needed = torch.zeros((len(states), problem.region.n_features), dtype=torch.bool)
    while len(active):
        current = states.take(active)
        reverted, parent, feature = take_back(problem, current, but=needed[active])
        # Where the margin is piecewise constant, less of it says little about what would be valid.
        refused = ~reverted.valid & problem.is_smooth
        needed[active[parent[refused]], feature[refused]] = True
        keep = reverted.valid & (reverted.cost < current.cost[parent])
        better = _best_neighbor(parent[keep], reverted.take(keep))
        if better is None:
            break
        rows, chosen = better
        states = states.replace(active[rows], chosen)
        active = active[rows]
        needed[active[chosen.slack > current.slack[rows]]] = False
    return states


def shrink(problem: RecourseProblem, states: States, *, near: float = AT_BOUNDARY) -> States:
    """Move one numeric feature after another back towards the person's own value."""
    active = torch.arange(len(states))
    for _ in range(min(problem.values.shape[1], _ROUNDS)):
        current = states.take(active)
        row, column = (current.values != problem.values[current.person]).nonzero(as_tuple=True)
        if len(row) == 0:
            break
        start = current.take(row)
        goal = start.values.clone()
        goal[torch.arange(len(row)), column] = problem.values[start.person, column]
        tried = search_numbers(problem, start, goal, near=near)
        best = best_per_person(row, tried.cost, 1)
        cheaper = best[tried.cost[best] < start.cost[best] * (1 - RELATIVE_GAIN)]
        active = active[row[cheaper]]
        states = states.replace(active, tried.take(cheaper))
    return states


def slide(problem: RecourseProblem, states: States, *, near: float = AT_BOUNDARY) -> States:
    """Trade numeric features against each other along the boundary.

    The margin is replaced by its tangent at the point, the cheapest point of that linear problem
    is found in a box around it, and the step is cut until the model says valid.
    """
    m = problem.values.shape[1]
    if m < 2 or len(states) == 0 or not problem.gradients:
        return states
    width = problem.region.upper - problem.region.lower
    radius = torch.full((len(states),), 0.5, dtype=torch.float64)
    active = torch.arange(len(states))
    failures = torch.zeros(len(states), dtype=torch.int64)
    for _ in range(_SLIDES):
        current = states.take(active)
        goal = tangent_goal(problem, current, radius[active, None] * width[current.person])
        better = line_search(problem, current, goal, near=near)
        cheaper = better.cost < current.cost * (1 - max(RELATIVE_GAIN, near / 10))
        states = states.replace(active[cheaper], better.take(cheaper))
        radius[active[~cheaper]] /= 4
        failures[active] = torch.where(cheaper, 0, failures[active] + 1)
        active = active[failures[active] < _FAILURES]
        if len(active) == 0:
            break
    return states


def tangent_goal(problem: RecourseProblem, states: States, radius: Tensor) -> Tensor:
    person = states.person
    points = problem.assemble(person, states.values, states.levels)
    _, gradient = problem.margin_gradient(points, person)
    gain = gradient[:, problem.numeric_columns]
    own = problem.values[person]
    lower = torch.maximum(problem.region.lower[person], states.values - radius)
    upper = torch.minimum(problem.region.upper[person], states.values + radius)
    lower, upper = _spend_changes(problem, states, gain, own, lower, upper)
    nearest = torch.minimum(torch.maximum(own, lower), upper)
    need = -states.slack - (gain * (nearest - states.values)).sum(dim=1)
    goal = cheapest_in_box(
        own, lower, upper, gain, problem.numeric_weights, need, norm=problem.cost_function.norm
    )
    # Where the tangent says nothing (the margin is flat), there is no direction to slide along.
    return torch.where((gain != 0).any(dim=1, keepdim=True), goal, states.values)


def _spend_changes(
    problem: RecourseProblem,
    states: States,
    gain: Tensor,
    own: Tensor,
    lower: Tensor,
    upper: Tensor,
) -> tuple[Tensor, Tensor]:
    """Close the box of features that ``max_changes`` leaves no room for."""
    m = own.shape[1]
    categorical_changes = (states.levels != problem.levels[states.person]).sum(dim=1)
    room = (problem.max_changes - categorical_changes).clamp(0, m)
    if bool((room >= m).all()):
        return lower, upper
    moved = states.values != own
    reach = torch.where(gain >= 0, upper - own, own - lower).clamp_min(0)
    promise = gain.abs() / problem.numeric_weights * (reach > 0)
    # What moves already comes first, then what promises most.
    first = torch.argsort(promise, dim=1, descending=True, stable=True)
    order = first.gather(1, torch.argsort((~moved).gather(1, first).int(), dim=1, stable=True))
    closed = torch.argsort(order, dim=1) >= room.unsqueeze(1)
    return torch.where(closed, states.values, lower), torch.where(closed, states.values, upper)


def take_back(
    problem: RecourseProblem, states: States, share: float = 0.0, but: Tensor | None = None
) -> tuple[States, Tensor, Tensor]:
    """Undo each single change of each point; also say which point and which feature.

    With a positive ``share``, that share of each numeric change is left, and categories stay.
    Features that the mask ``but`` names stay too.
    """
    changed = problem.changed(states.person, states.values, states.levels)
    if but is not None:
        changed &= ~but
    m = states.values.shape[1]
    if share > 0:
        changed[:, m:] = False
    parent, feature = changed.nonzero(as_tuple=True)
    person = states.person[parent]
    values, levels = states.values[parent], states.levels[parent]
    numeric = (feature < m).nonzero().squeeze(1)
    categorical = (feature >= m).nonzero().squeeze(1)
    moved = values[numeric, feature[numeric]]
    own = problem.values[person[numeric], feature[numeric]]
    values[numeric, feature[numeric]] = own + share * (moved - own)
    column = feature[categorical] - m
    levels[categorical, column] = problem.levels[person[categorical], column]
    if share > 0:
        values = problem.snap(person, values)
        moves = (values != states.values[parent]).any(dim=1)
        person, values, levels = person[moves], values[moves], levels[moves]
        parent, feature = parent[moves], feature[moves]
    return problem.states(person, values, levels), parent, feature


def _best_neighbor(parent: Tensor, neighbors: States) -> tuple[Tensor, States] | None:
    if len(neighbors) == 0:
        return None
    index = best_per_person(parent, neighbors.cost, 1)
    return parent[index], neighbors.take(index)
