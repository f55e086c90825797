"""Make valid actions cheaper without losing validity.

Every routine takes valid points and returns valid points of the same people, none dearer: a
change is taken only after the model was asked and said yes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.solvers._linearized import cheapest_l1, cheapest_l2
from skcfq.solvers._moves import Children, expand
from skcfq.solvers._problem import RecourseProblem, States, best_per_person

# Places that are tried on a segment: the crossing is found to about 1e-9, or to what is near.
_CUTS, _FEW_CUTS = 28, 12
_ROUNDS = 4
# Steps along the boundary; nobody takes another after so many that led nowhere.
_SLIDES, _FAILURES = 6, 2
# Shares of a numeric change that an exchange leaves in place.
_LOOSENED = (0.0, 0.5, 0.8)
# Exchanges of one point that are finished: the estimate of their cost can be far too low.
_TRIALS = 3
# A cheaper action must be cheaper by more than the noise of its sum.
_RELATIVE_GAIN = 1e-9
# Share of a segment's margins under which a point lies on the boundary.
AT_BOUNDARY = 1e-8


def polish(
    problem: RecourseProblem, states: States, *, thorough: bool = True, near: float = AT_BOUNDARY
) -> States:
    """Lower the cost of valid points, in one round, or until a round no longer helps.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        Valid points.
    thorough : bool, default=True
        Go on, and also exchange one changed feature for another.
    near : float
        As in :func:`bisect`.

    Returns
    -------
    states : States
        One valid point for each given one, in the same order, never dearer.
    """
    active = torch.arange(len(states))
    for _ in range(_ROUNDS):
        before = states.take(active)
        after = shrink(problem, revert(problem, before), near=near)
        after = slide(problem, after, near=near)
        if thorough:
            after = exchange(problem, after, near=near)
        states = states.replace(active, after)
        active = active[after.cost < before.cost * (1 - 1e-6)]
        if len(active) == 0 or (not thorough):
            break
    return states


def revert(problem: RecourseProblem, states: States) -> States:
    """Take back changes that the decision does not need, the dearest first."""
    active = torch.arange(len(states))
    while len(active):
        current = states.take(active)
        reverted, parent, _ = _take_back(problem, current)
        keep = reverted.valid & (reverted.cost < current.cost[parent])
        better = _best_child(parent[keep], reverted.take(keep))
        if better is None:
            break
        rows, chosen = better
        states = states.replace(active[rows], chosen)
        active = active[rows]
    return states


def shrink(problem: RecourseProblem, states: States, *, near: float = AT_BOUNDARY) -> States:
    """Move one numeric feature after another back towards the person's own value."""
    for _ in range(min(problem.values.shape[1], _ROUNDS)):
        moved = states.values != problem.values[states.person]
        row, column = moved.nonzero(as_tuple=True)
        if len(row) == 0:
            break
        start = states.take(row)
        goal = start.values.clone()
        goal[torch.arange(len(row)), column] = problem.values[start.person, column]
        better = _improve(states, row, bisect(problem, start, goal, near=near))
        if better is None:
            break
        states, changed = better
        if not changed:
            break
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
        goal = _tangent_goal(problem, current, radius[active, None] * width[current.person])
        better = bisect(problem, current, goal, near=near)
        cheaper = better.cost < current.cost * (1 - max(_RELATIVE_GAIN, near / 10))
        states = states.replace(active[cheaper], better.take(cheaper))
        radius[active[~cheaper]] /= 4
        failures[active] = torch.where(cheaper, 0, failures[active] + 1)
        active = active[failures[active] < _FAILURES]
        if len(active) == 0:
            break
    return states


def _tangent_goal(problem: RecourseProblem, states: States, radius: Tensor) -> Tensor:
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
    cheapest = cheapest_l1 if problem.cost_function.norm == "l1" else cheapest_l2
    goal = cheapest(own, lower, upper, gain, problem.numeric_weights, need)
    # Where the tangent says nothing (a flat staircase), there is no direction to slide along.
    return torch.where((gain != 0).any(dim=1, keepdim=True), goal, states.values)


def _rounded_tangent(problem: RecourseProblem, states: States) -> tuple[States, Tensor, Tensor]:
    """Return where the tangent's optimum falls on the grids; one more move may make it valid."""
    rows = torch.arange(len(states))
    nothing_held = torch.full_like(rows, -1)
    if states.values.shape[1] < 2 or not problem.gradients:
        return states.take(rows[:0]), rows[:0], nothing_held[:0]
    width = (problem.region.upper - problem.region.lower)[states.person]
    goal = problem.snap(states.person, _tangent_goal(problem, states, width))
    return problem.states(states.person, goal, states.levels), rows, nothing_held


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
    choice_changes = (states.levels != problem.levels[states.person]).sum(dim=1)
    room = (problem.max_changes - choice_changes).clamp(0, m)
    if bool((room >= m).all()):
        return lower, upper
    moved = (states.values != own).to(torch.float64)
    reach = torch.where(gain >= 0, upper - own, own - lower).clamp_min(0)
    promise = gain.abs() / problem.numeric_weights * (reach > 0)
    rank = torch.argsort(
        torch.argsort(promise + moved * (1 + promise.amax()), dim=1, descending=True, stable=True),
        dim=1,
    )
    closed = rank >= room.unsqueeze(1)
    return torch.where(closed, states.values, lower), torch.where(closed, states.values, upper)


def exchange(problem: RecourseProblem, states: States, *, near: float = AT_BOUNDARY) -> States:
    """Take one change back and make another instead, or add one that spares more than it costs."""
    if len(states) == 0:
        return states
    bases = [_take_back(problem, states, share) for share in _LOOSENED]
    bases.append(_rounded_tangent(problem, states))
    reverted, parents, features = zip(*bases, strict=True)
    base, parent = States.concatenate(list(reverted)), torch.cat(parents)
    feature = torch.cat(features)
    children = expand(problem, base, keep=feature, limit=states.cost[parent])
    swapped = _completed(problem, states, base, parent, children, near)
    added = expand(problem, states)
    relieved = _relieved(problem, states, added, near)
    for candidate in (swapped, relieved):
        if candidate is not None:
            rows, points = candidate
            cheaper = points.cost < states.cost[rows] * (1 - _RELATIVE_GAIN)
            states = states.replace(rows[cheaper], points.take(cheaper))
    return states


def _completed(
    problem: RecourseProblem,
    states: States,
    base: States,
    parent: Tensor,
    children: Children,
    near: float,
) -> tuple[Tensor, States] | None:
    """Finish the most promising exchanges: cut their numeric moves to what is needed."""
    origin = parent[children.parent]
    promising = children.states.valid & (children.estimate < states.cost[origin])
    if not bool(promising.any()):
        return None
    index = promising.nonzero().squeeze(1)
    index = index[best_per_person(origin[index], children.estimate[index], _TRIALS)]
    chosen = children.states.take(index)
    cut = bisect(problem, chosen, base.values[children.parent[index]], near=near)
    best = best_per_person(origin[index], cut.cost, 1)
    return origin[index][best], cut.take(best)


def _relieved(
    problem: RecourseProblem, states: States, added: Children, near: float
) -> tuple[Tensor, States] | None:
    """Add the change whose surplus margin spares most on the numeric features changed already."""
    valid = added.states.valid
    moved = (states.values != problem.values[states.person]).any(dim=1)
    valid = valid & moved[added.parent]
    if not bool(valid.any()):
        return None
    price = _price_of_margin(problem, states)
    numeric_cost = problem.contributions(states.person, states.values, states.levels)
    numeric_cost = numeric_cost[:, : problem.values.shape[1]]
    index = valid.nonzero().squeeze(1)
    parent = added.parent[index]
    surplus = added.states.slack[index].clamp_min(0).unsqueeze(1)
    spared = torch.minimum(numeric_cost[parent], surplus * price[parent]).amax(dim=1)
    outlook = added.states.cost[index] - spared
    promising = outlook < states.cost[parent]
    if not bool(promising.any()):
        return None
    index, parent, outlook = index[promising], parent[promising], outlook[promising]
    chosen = best_per_person(parent, outlook, 1)
    rows, candidate = parent[chosen], added.states.take(index[chosen])
    return rows, shrink(problem, revert(problem, candidate), near=near)


def _price_of_margin(problem: RecourseProblem, states: States) -> Tensor:
    """Return what a unit of margin costs by each number; any saving, without a gradient."""
    if not problem.gradients:
        return torch.full_like(states.values, 1e6)
    points = problem.assemble(states.person, states.values, states.levels)
    _, gradient = problem.margin_gradient(points, states.person)
    slope = gradient[:, problem.numeric_columns].abs()
    return torch.where(slope > 0, problem.numeric_weights / slope, torch.zeros_like(slope))


def bisect(
    problem: RecourseProblem, states: States, goal: Tensor, *, near: float = AT_BOUNDARY
) -> States:
    """Go from valid points towards cheaper values until validity would be lost.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N valid points.
    goal : Tensor of shape (N, m)
        Numeric values to move towards, of lower cost.
    near : float
        Share of the segment's margins that may be left where the margin is continuous.

    Returns
    -------
    states : States
        Valid points on the segments, the cheapest that were met; the given ones at worst.
    """
    best = states
    origin = states.values
    low = torch.zeros(len(states), dtype=torch.float64)
    high = torch.ones(len(states), dtype=torch.float64)
    high_slack = states.slack.clone()
    # What the secant takes for the margins: an end that stays is pulled in (Illinois).
    low_pull, high_pull = torch.full_like(low, torch.nan), high_slack.clone()
    last = torch.zeros(len(states), dtype=torch.int64)
    low_values, high_values = goal.clone(), origin.clone()
    span = torch.zeros_like(low)
    active = (goal != origin).any(dim=1).nonzero().squeeze(1)
    for cut in range(_CUTS if near <= AT_BOUNDARY else _FEW_CUTS):
        if len(active) == 0:
            break
        share = _next_share(low[active], high[active], low_pull[active], high_pull[active], cut)
        values = _on_segment(problem, states, goal, active, share)
        if cut > 0:
            ends = low_values[active], high_values[active]
            known = _equals_any(values, ends).nonzero().squeeze(1)
            # On a grid the secant may fall on an end of the bracket: the middle may not yet.
            rows = active[known]
            share[known] = (low[rows] + high[rows]) / 2
            values[known] = _on_segment(problem, states, goal, rows, share[known])
            unknown = ~_equals_any(values, ends)
            active, share, values = active[unknown], share[unknown], values[unknown]
        tried = problem.states(states.person[active], values, states.levels[active])
        valid = tried.valid
        better = valid & (tried.cost < best.cost[active])
        best = best.replace(active[better], tried.take(better))
        up, down = active[valid], active[~valid]
        high[up], high_slack[up], high_values[up] = share[valid], tried.slack[valid], values[valid]
        low_values[down], low[down] = values[~valid], share[~valid]
        high_pull[up], low_pull[down] = tried.slack[valid], tried.slack[~valid]
        again = torch.where(valid, 1, -1) == last[active]
        low_pull[active[again & valid]] /= 2
        high_pull[active[again & ~valid]] /= 2
        last[active] = torch.where(valid, 1, -1)
        if cut == 0:
            span[active] = states.slack[active] - tried.slack
        # Where the margin is continuous, hardly any left means that the boundary is reached.
        open_ = (high - low > 1e-12) & (high_slack > near * span)
        active = active[open_[active]]
    return best


def _on_segment(
    problem: RecourseProblem, states: States, goal: Tensor, rows: Tensor, share: Tensor
) -> Tensor:
    values = goal[rows] + share.unsqueeze(1) * (states.values[rows] - goal[rows])
    return problem.snap(states.person[rows], values)


def _equals_any(values: Tensor, ends: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([(values == end).all(dim=1) for end in ends]).any(dim=0)


def _next_share(
    low: Tensor, high: Tensor, low_slack: Tensor, high_slack: Tensor, cut: int
) -> Tensor:
    """Return where to look next: the goal itself, then the secant, and the middle at times."""
    if cut == 0:
        return low
    middle = (low + high) / 2
    if cut % 4 == 0:
        # Staircases, which secants crawl along.
        return middle
    # Slightly on the valid side of the secant's zero, so that the bracket closes from above.
    zero = low + (high - low) * (-low_slack / (high_slack - low_slack))
    secant = torch.minimum(zero + 1e-9 * (high - low), high)
    usable = torch.isfinite(secant) & (secant > low) & (secant < high)
    return torch.where(usable, secant, middle)


def _take_back(
    problem: RecourseProblem, states: States, share: float = 0.0
) -> tuple[States, Tensor, Tensor]:
    """Undo each single change of each point; also say which point and which feature.

    With a positive ``share``, that share of each numeric change is left, and categories stay.
    """
    changed = problem.changed(states.person, states.values, states.levels)
    m = states.values.shape[1]
    if share > 0:
        changed[:, m:] = False
    parent, feature = changed.nonzero(as_tuple=True)
    person = states.person[parent]
    values, levels = states.values[parent], states.levels[parent]
    numeric = (feature < m).nonzero().squeeze(1)
    choice = (feature >= m).nonzero().squeeze(1)
    moved = values[numeric, feature[numeric]]
    own = problem.values[person[numeric], feature[numeric]]
    values[numeric, feature[numeric]] = own + share * (moved - own)
    levels[choice, feature[choice] - m] = problem.levels[person[choice], feature[choice] - m]
    if share > 0:
        values = problem.snap(person, values)
        moves = (values != states.values[parent]).any(dim=1)
        person, values, levels = person[moves], values[moves], levels[moves]
        parent, feature = parent[moves], feature[moves]
    return problem.states(person, values, levels), parent, feature


def _best_child(parent: Tensor, children: States) -> tuple[Tensor, States] | None:
    if len(children) == 0:
        return None
    index = best_per_person(parent, children.cost, 1)
    return parent[index], children.take(index)


def _improve(states: States, row: Tensor, tried: States) -> tuple[States, bool] | None:
    better = _best_child(row, tried)
    if better is None:
        return None
    rows, points = better
    cheaper = points.cost < states.cost[rows] * (1 - _RELATIVE_GAIN)
    return states.replace(rows[cheaper], points.take(cheaper)), bool(cheaper.any())
