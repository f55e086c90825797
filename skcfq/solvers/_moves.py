"""Single-feature moves with their exact effect, and a beam search over them.

The gradient says little about a category (a jump) or about a quantized model (a staircase), so
here every move is put to the model itself. A move sets one feature: a choice feature to one of
its levels, a numeric feature to one of a few places on its admissible interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skcfq.solvers._problem import RecourseProblem, States, best_per_person

# Numeric features whose gradient promises most are moved; the others hardly ever pay.
MAX_NUMERIC = 6
# Of an exchange, only these few are moved, and only where the tangent promises no more than this
# many times the cost: the margin bends.
NEAREST, _LENIENCE = 5, 1.5
# Places on the interval between the person's value and the end that the gradient points to.
FRACTIONS = (0.25, 1.0)
# The same without a gradient, on both sides; and how far an open side is searched, in cost.
BLIND_FRACTIONS = (0.05, 0.2, 0.5, 1.0)
_OPEN = 6.0
# The gradient's own guess at the crossing is tried once more this much farther: a grid rounds it.
_BEYOND = 1.3


@dataclass(frozen=True, eq=False)
class Children:
    """The points that one move reaches, with the position of the point each came from.

    ``estimate`` is the cost where the validity along the move is expected to begin, for a move
    from an invalid to a valid point; elsewhere it is the cost itself.
    """

    states: States
    parent: Tensor
    estimate: Tensor


def expand(
    problem: RecourseProblem,
    states: States,
    *,
    keep: Tensor | None = None,
    limit: Tensor | None = None,
) -> Children:
    """Make every move from every point.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N points.
    keep : Tensor of shape (N,), int64, optional
        A feature that must not be moved, for each point; -1 for none.
    limit : Tensor of shape (N,), optional
        Cost that a move should stay below, for each point. Only the few numbers are moved then
        that reach validity most cheaply where the margin is replaced by its tangent.

    Returns
    -------
    children : Children
    """
    parts = [_numeric_moves(problem, states, limit), _choice_moves(problem, states)]
    parent, values, levels, feature = (torch.cat(field) for field in zip(*parts, strict=True))
    person = states.person[parent]
    allowed = problem.changed(person, values, levels).sum(dim=1) <= problem.max_changes
    if keep is not None:
        allowed &= feature != keep[parent]
    parent = parent[allowed]
    reached = problem.states(person[allowed], values[allowed], levels[allowed])
    is_numeric = feature[allowed] < problem.values.shape[1]
    return Children(reached, parent, _estimate(states, reached, parent, is_numeric))


def _estimate(states: States, reached: States, parent: Tensor, is_numeric: Tensor) -> Tensor:
    """Interpolate the cost at which a numeric move becomes valid."""
    before = states.slack[parent]
    crossing = is_numeric & (before < 0) & (reached.slack > 0)
    share = torch.where(crossing, -before / (reached.slack - before), torch.ones_like(before))
    start = states.cost[parent]
    return start + share * (reached.cost - start)


def _numeric_moves(
    problem: RecourseProblem, states: States, limit: Tensor | None
) -> tuple[Tensor, ...]:
    n, m = states.values.shape
    if m == 0 or n == 0:
        return _no_moves(states)
    if not problem.gradients:
        return _blind_moves(problem, states)
    region, person = problem.region, states.person
    points = problem.assemble(person, states.values, states.levels)
    margin, gradient = problem.margin_gradient(points, person)
    gradient = gradient[:, problem.numeric_columns]
    lower, upper = region.lower[person], region.upper[person]
    forward = torch.where(gradient >= 0, upper, lower)
    backward = torch.where(gradient >= 0, lower, upper)
    needed = torch.where(gradient != 0, -margin.unsqueeze(1) / gradient, torch.zeros_like(gradient))
    if limit is None:
        promise = (gradient * (forward - states.values)).abs()
        chosen = torch.argsort(promise, dim=1, descending=True, stable=True)[:, :MAX_NUMERIC]
        rows = torch.arange(n).unsqueeze(1).expand_as(chosen).reshape(-1)
        columns = chosen.reshape(-1)
    else:
        rows, columns = _within_reach(problem, states, needed, limit)
    targets = [states.values + needed, states.values + _BEYOND * needed, backward]
    targets += [states.values + f * (forward - states.values) for f in FRACTIONS]
    parents, values = [], []
    for target in targets:
        moved = states.values[rows]
        moved[torch.arange(len(rows)), columns] = target[rows, columns]
        moved = problem.snap(person[rows], moved)
        parents.append(rows)
        values.append(moved)
    parent, moved = torch.cat(parents), torch.cat(values)
    feature = columns.repeat(len(targets))
    stays = moved.gather(1, feature.unsqueeze(1)) == states.values[parent].gather(
        1, feature.unsqueeze(1)
    )
    moves = ~stays.squeeze(1)
    parent, moved, feature = parent[moves], moved[moves], feature[moves]
    return parent, moved, states.levels[parent], feature


def _within_reach(
    problem: RecourseProblem, states: States, needed: Tensor, limit: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the points and numbers whose move to where the tangent crosses costs little."""
    own = problem.values[states.person]
    distance = (states.values + needed - own).abs()
    # Beyond the end of the interval the cost goes on: such a move is not forbidden, only late.
    outlook = problem.cost_function.with_moves(
        problem.contributions(states.person, states.values, states.levels),
        problem.numeric_weights * distance,
    )
    outlook = torch.where(needed != 0, outlook, torch.inf)
    best = outlook.topk(min(NEAREST, outlook.shape[1]), dim=1, largest=False)
    worth = best.values < _LENIENCE * limit.unsqueeze(1)
    rows, position = worth.nonzero(as_tuple=True)
    return rows, best.indices[rows, position]


def _blind_moves(problem: RecourseProblem, states: States) -> tuple[Tensor, ...]:
    """Move every number to a few places on both sides, where nothing says which way is better."""
    _, m = states.values.shape
    person = states.person
    own = problem.values[person]
    parents, values, features = [], [], []
    for end in (problem.region.lower[person], problem.region.upper[person]):
        # An open side is searched as far as a few units of cost.
        reach = torch.where(torch.isfinite(end), end - own, _OPEN / problem.numeric_weights)
        for fraction in BLIND_FRACTIONS:
            goal = own + fraction * reach
            for j in range(m):
                moved = states.values.clone()
                moved[:, j] = goal[:, j]
                moved = problem.snap(person, moved)
                moves = (moved[:, j] != states.values[:, j]).nonzero().squeeze(1)
                parents.append(moves)
                values.append(moved[moves])
                features.append(torch.full_like(moves, j))
    parent = torch.cat(parents)
    return parent, torch.cat(values), states.levels[parent], torch.cat(features)


def _choice_moves(problem: RecourseProblem, states: States) -> tuple[Tensor, ...]:
    parts = []
    n_numeric = states.values.shape[1]
    for c, allowed in enumerate(problem.region.allowed):
        possible = allowed[states.person].clone()
        level = states.levels[:, c : c + 1]
        here = level.clamp_min(0)
        possible.scatter_(1, here, possible.gather(1, here) & (level < 0))
        parent, target = possible.nonzero(as_tuple=True)
        levels = states.levels[parent]
        levels[:, c] = target
        feature = torch.full_like(parent, n_numeric + c)
        parts.append((parent, states.values[parent], levels, feature))
    if not parts:
        return _no_moves(states)
    return tuple(torch.cat(field) for field in zip(*parts, strict=True))


def _no_moves(states: States) -> tuple[Tensor, ...]:
    nothing = torch.empty(0, dtype=torch.int64)
    return nothing, states.values[nothing], states.levels[nothing], nothing


def beam_search(
    problem: RecourseProblem, states: States, *, width: int, depth: int, count: int
) -> States:
    """Look for cheap valid points by moving one feature after another.

    An invalid point is judged by its cost plus what the missing margin would cost at the best
    gain per cost that this person has seen so far.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        Starting points.
    width : int
        Invalid points that are kept for each person after each move.
    depth : int
        Number of moves.
    count : int
        Valid points that are returned for each person, at most.

    Returns
    -------
    found : States
        Valid points, unsorted; none for people for whom no move helped.
    """
    n = problem.n_people
    cheapest = torch.full((n,), torch.inf, dtype=torch.float64)
    rate = torch.zeros(n, dtype=torch.float64)
    found: list[States] = []
    estimates: list[Tensor] = []
    for _ in range(depth):
        if len(states) == 0:
            break
        children = expand(problem, states)
        reached, estimate = children.states, children.estimate
        gained = reached.slack - states.slack[children.parent]
        paid = reached.cost - states.cost[children.parent]
        ratio = torch.where((paid > 0) & (gained > 0), gained / paid, torch.zeros_like(gained))
        rate = rate.scatter_reduce(0, reached.person, ratio, "amax")
        valid = reached.valid
        good = _different(problem, reached.take(valid), estimate[valid], count)
        found.append(reached.take(valid).take(good))
        estimates.append(estimate[valid][good])
        cheapest = cheapest.scatter_reduce(0, found[-1].person, found[-1].cost, "amin")
        states = _survivors(reached.take(~valid), rate, cheapest, width)
    if not found:
        return states.take(torch.zeros(len(states), dtype=torch.bool))
    everything, estimate = States.concatenate(found), torch.cat(estimates)
    return everything.take(_different(problem, everything, estimate, count))


def _different(problem: RecourseProblem, states: States, score: Tensor, count: int) -> Tensor:
    """Return the positions of each person's best points that change different features."""
    changed = problem.changed(states.person, states.values, states.levels).to(torch.int64)
    # The sum may wrap around for very many features: two sets of features then share one place.
    features = (changed << (torch.arange(changed.shape[1]) % 62)).sum(dim=1)
    group = torch.unique(torch.stack([states.person, features], dim=1), dim=0, return_inverse=True)
    best = best_per_person(group[1], score, 1)
    return best[best_per_person(states.person[best], score[best], count)]


def _survivors(states: States, rate: Tensor, cheapest: Tensor, width: int) -> States:
    best_rate = rate[states.person]
    outlook = states.cost + torch.where(
        best_rate > 0, -states.slack / best_rate, torch.full_like(states.cost, torch.inf)
    )
    states = states.take(outlook < cheapest[states.person])
    outlook = states.cost - states.slack / rate[states.person]
    # The same point is reached by several orders of the same moves: keep it once.
    kept = best_per_person(states.person, outlook, 3 * width)
    states, outlook = states.take(kept), outlook[kept]
    twin = torch.zeros(len(states), dtype=torch.bool)
    twin[1:] = (
        (states.person[1:] == states.person[:-1])
        & (states.slack[1:] == states.slack[:-1])
        & (states.cost[1:] == states.cost[:-1])
    )
    states, outlook = states.take(~twin), outlook[~twin]
    return states.take(best_per_person(states.person, outlook, width))
