"""Exchange one change of a valid action for another, or add one that spares more than it costs."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.solvers.problems import RecourseProblem, States, best_per_person
from skcfq.solvers.search._descent import RELATIVE_GAIN, revert, shrink, take_back, tangent_goal
from skcfq.solvers.search._line_search import AT_BOUNDARY
from skcfq.solvers.search._neighborhood import Neighbors, cross, push
from skcfq.solvers.search._rung_search import search_numbers
from skcfq.utils import blocks_of

# Shares of a numeric change that an exchange leaves in place.
_LOOSENED = (0.0, 0.5, 0.8)
# Exchanges of one point that are finished: the estimate of their cost can be far too low.
_TRIALS = 3


def exchange(problem: RecourseProblem, states: States, *, near: float = AT_BOUNDARY) -> States:
    """Take one change back and make another instead, or add one that spares more than it costs.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N valid points.
    near : float
        As in :func:`skcfq.solvers.search._line_search.line_search`.

    Returns
    -------
    states : States
        One valid point for each given one, in the same order, never dearer.
    """
    if len(states) == 0:
        return states
    for candidate in (_swapped(problem, states, near), _relieved(problem, states, near)):
        if candidate is not None:
            rows, points = candidate
            cheaper = points.cost < states.cost[rows] * (1 - RELATIVE_GAIN)
            states = states.replace(rows[cheaper], points.take(cheaper))
    return states


def _swapped(problem: RecourseProblem, states: States, near: float) -> tuple[Tensor, States] | None:
    """Loosen one change, make another, and finish the most promising of these exchanges."""
    bases = [take_back(problem, states, share) for share in _LOOSENED]
    bases.append(_rounded_tangent(problem, states))
    reverted, parents, features = zip(*bases, strict=True)
    base, parent = States.concatenate(list(reverted)), torch.cat(parents)
    neighbors = cross(problem, base, keep=torch.cat(features), limit=states.cost[parent])
    origin = parent[neighbors.parent]
    promising = neighbors.valid & (neighbors.estimate < states.cost[origin])
    if not bool(promising.any()):
        return None
    index = promising.nonzero().squeeze(1)
    index = index[best_per_person(origin[index], neighbors.estimate[index], _TRIALS)]
    chosen = neighbors.take(index).states()
    # Numeric moves are cut to what is needed.
    cut = search_numbers(problem, chosen, base.values[neighbors.parent[index]], near=near)
    best = best_per_person(origin[index], cut.cost, 1)
    return origin[index][best], cut.take(best)


def _relieved(
    problem: RecourseProblem, states: States, near: float
) -> tuple[Tensor, States] | None:
    """Add the change whose surplus margin spares most on the numeric features changed already."""
    numeric_cost = problem.contributions(states.person, states.values, states.levels)
    numeric_cost = numeric_cost[:, : problem.values.shape[1]]
    rows = (numeric_cost > 0).any(dim=1).nonzero().squeeze(1)
    if len(rows) == 0:
        return None
    states, numeric_cost = states.take(rows), numeric_cost[rows]
    # An addition spares no more than all of the dearest numeric change.
    added = push(problem, states, limit=states.cost + numeric_cost.amax(dim=1))
    parent = added.parent
    outlook = added.cost - _spared(problem, states, numeric_cost, added)
    promising = added.valid & (outlook < states.cost[parent])
    index = promising.nonzero().squeeze(1)
    if len(index) == 0:
        return None
    index = index[best_per_person(parent[index], outlook[index], 1)]
    candidate = added.take(index).states()
    return rows[parent[index]], shrink(problem, revert(problem, candidate), near=near)


def _spared(
    problem: RecourseProblem, states: States, numeric_cost: Tensor, added: Neighbors
) -> Tensor:
    """Return what the surplus margin of each addition spares on one number at most, shape (N,)."""
    price, surplus = _price_of_margin(problem, states), added.slack.clamp_min(0).unsqueeze(1)
    spared = torch.empty(len(added), dtype=torch.float64)
    for block in blocks_of(len(added), price.shape[1]):
        parent = added.parent[block]
        spares = torch.minimum(numeric_cost[parent], surplus[block] * price[parent])
        spared[block] = spares.amax(dim=1)
    return spared


def _price_of_margin(problem: RecourseProblem, states: States) -> Tensor:
    """Return what a unit of margin costs by each number; any saving, without a gradient."""
    if not problem.gradients:
        return torch.full_like(states.values, 1e6)
    points = problem.assemble(states.person, states.values, states.levels)
    _, gradient = problem.margin_gradient(points, states.person)
    slope = gradient[:, problem.numeric_columns].abs()
    return torch.where(slope > 0, problem.numeric_weights / slope, torch.zeros_like(slope))


def _rounded_tangent(problem: RecourseProblem, states: States) -> tuple[States, Tensor, Tensor]:
    """Return where the tangent's optimum falls on the grids; one more move may make it valid."""
    rows = torch.arange(len(states))
    nothing_held = torch.full_like(rows, -1)
    if states.values.shape[1] < 2 or not problem.gradients:
        return states.take(rows[:0]), rows[:0], nothing_held[:0]
    width = (problem.region.upper - problem.region.lower)[states.person]
    goal = problem.snap(states.person, tangent_goal(problem, states, width))
    return problem.states(states.person, goal, states.levels), rows, nothing_held
