"""Take back hundreds of changes of a point in few steps: many at once, while it stays valid."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.solvers.problems import RecourseProblem, States
from skcfq.utils import blocks_of

# Changes that are few enough to be taken back one by one.
FEW = 64
# Parts that the changes of a point are cut into, each of which is taken back alone; where none can
# be, so many times as many.
_PARTS = 4


def thin(problem: RecourseProblem, states: States) -> States:
    """Take changes back until few are left, or none can be.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N valid points.

    Returns
    -------
    states : States
        Valid points of the same people, none dearer.
    """
    if problem.region.n_features <= FEW:
        return states
    changed = problem.changed(states.person, states.values, states.levels)
    crowded = (changed.sum(dim=1) > FEW).nonzero().squeeze(1)
    for row in crowded.tolist():
        one = torch.tensor([row])
        states = states.replace(one, _thinned(problem, states.take(one)))
    return states


def _thinned(problem: RecourseProblem, state: States) -> States:
    """Do so for one point: the least promising changes first, in ever smaller parts."""
    order = _least_promising(problem, state)
    n_parts = _PARTS
    while len(order) > FEW:
        parts = [part for part in order.tensor_split(min(n_parts, len(order))) if len(part)]
        kept = _first_that_can_go(problem, state, parts)
        if kept is not None:
            position, state = kept
            order = torch.cat([part for i, part in enumerate(parts) if i != position])
        elif n_parts >= len(order):
            break
        else:
            n_parts *= _PARTS
    return state


def _first_that_can_go(
    problem: RecourseProblem, state: States, parts: list[Tensor]
) -> tuple[int, States] | None:
    """Return the first part that can be taken back, and the point without it."""
    for block in blocks_of(len(parts), problem.region.n_features):
        tried = _without(problem, state, parts[block])
        good = tried.valid & (tried.cost < state.cost)
        if bool(good.any()):
            first = int(good.long().argmax())
            return block.start + first, tried.take(torch.tensor([first]))
    return None


def _without(problem: RecourseProblem, state: States, parts: list[Tensor]) -> States:
    """Return the point without each of some parts of its changes."""
    m = state.values.shape[1]
    states = state.take(torch.zeros(len(parts), dtype=torch.int64))
    own = problem.values[state.person[0]], problem.levels[state.person[0]]
    for row, part in enumerate(parts):
        numbers, categories = part[part < m], part[part >= m] - m
        states.values[row, numbers] = own[0][numbers]
        states.levels[row, categories] = own[1][categories]
    return problem.states(states.person, states.values, states.levels)


def _least_promising(problem: RecourseProblem, state: States) -> Tensor:
    """Return the features that one point changes, first those that gain least for their cost."""
    costs = problem.contributions(state.person, state.values, state.levels)[0]
    features = problem.changed(state.person, state.values, state.levels)[0].nonzero().squeeze(1)
    worth = -costs
    if problem.gradients:
        points = problem.assemble(state.person, state.values, state.levels)
        _, gradient = problem.margin_gradient(points, state.person)
        m = state.values.shape[1]
        moved = state.values[0] - problem.values[state.person[0]]
        gained = torch.nan_to_num(gradient[0, problem.numeric_columns] * moved)
        worth[:m] = torch.where(costs[:m] > 0, gained / costs[:m], 0.0)
        change = torch.nan_to_num(gradient[0] * (points[0] - problem.origin[state.person[0]]))
        for c, columns in enumerate(problem.categorical_columns):
            cost = costs[m + c]
            worth[m + c] = change[columns].sum() / cost if cost > 0 else 0.0
    return features[torch.argsort(worth[features], stable=True)]
