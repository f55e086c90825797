"""Exact branch and bound over separable recourse problems, all people at once.

Every round bounds all open nodes in one vectorized pass, turns the dual's upper solution into an
action, drops the nodes that cannot beat the best action of their person, and splits the others
where the dual's two solutions disagree.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skcfq.solvers.exact._lagrangian import FREE, IN, OUT, Dual, Nodes, dual_bound
from skcfq.solvers.exact._separable import Separable
from skcfq.solvers.problems import best_per_person

# An action is optimal when no bound is lower than its objective by more than this share.
RELATIVE_GAP = 1e-9
# Nodes that are bounded together, and nodes of one person that may wait: beyond them, that
# person's proof is given up.
_NODES_PER_ROUND = 16_384
_MOST_NODES = 500_000
_CUTS = 64


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best amounts of P people.

    Attributes
    ----------
    amounts : Tensor of shape (P, F)
    cost : Tensor of shape (P,)
        Objective, infinite where nothing was found.
    bound : Tensor of shape (P,)
        Proved lower bound of the objective.
    finished : Tensor of shape (P,), bool
        Whether the search was complete.
    interrupted : bool
        Ctrl-C came; whoever was open then is not finished.
    """

    amounts: Tensor
    cost: Tensor
    bound: Tensor
    finished: Tensor
    interrupted: bool = False


def branch_and_bound(separable: Separable, *, time_limit: float | None = None) -> Optimum:
    """Minimize the cost of every person.

    Parameters
    ----------
    separable : Separable
    time_limit : float, optional
        Seconds for all people together.

    Returns
    -------
    optimum : Optimum
    """
    n, n_features = separable.low.shape
    amounts = torch.zeros((n, n_features), dtype=torch.float64)
    best = torch.full((n,), torch.inf, dtype=torch.float64)
    given_up = torch.full((n,), torch.inf, dtype=torch.float64)
    waiting = _roots(separable)
    deadline = None if time_limit is None else time.monotonic() + time_limit
    interrupted = False
    while len(waiting):
        late = deadline is not None and time.monotonic() > deadline
        hopeless = late | (torch.bincount(waiting.person, minlength=n) > _MOST_NODES)
        if bool(hopeless.any()):
            left = hopeless[waiting.person]
            given_up.scatter_reduce_(0, waiting.person[left], waiting.bound[left], "amin")
            waiting = waiting.take(~left)
            continue
        try:
            waiting = _round(separable, waiting, amounts, best, given_up)
        except KeyboardInterrupt:
            # The nodes of the broken round are open still.
            interrupted = True
            break
    given_up.scatter_reduce_(0, waiting.person, waiting.bound, "amin")
    finished = given_up >= _to_beat(best)
    bound = torch.minimum(best, given_up)
    return Optimum(amounts, best, bound, finished, interrupted)


def _round(
    separable: Separable, waiting: Nodes, amounts: Tensor, best: Tensor, given_up: Tensor
) -> Nodes:
    """Bound some open nodes, note what they give, and return those that are open afterwards."""
    nodes, waiting = _next_round(waiting)
    dual = dual_bound(separable, nodes)
    _improve(separable, nodes, dual, amounts, best)
    open_ = dual.bound < _to_beat(best)[nodes.person]
    nodes = replace(nodes, bound=torch.maximum(nodes.bound, dual.bound)).take(open_)
    dual = Dual(dual.bound[open_], dual.under.take(open_), dual.over.take(open_))
    children, stuck = _branch(separable, nodes, dual)
    given_up.scatter_reduce_(0, nodes.person[stuck], nodes.bound[stuck], "amin")
    waiting = Nodes.concatenate([waiting, children])
    return waiting.take(waiting.bound < _to_beat(best)[waiting.person])


def _to_beat(best: Tensor) -> Tensor:
    return best * (1 - RELATIVE_GAP)


def _roots(separable: Separable) -> Nodes:
    n = len(separable.need)
    state = torch.where(separable.high > 0, FREE, OUT)
    state = torch.where(separable.forced, IN, state).to(torch.int8)
    bound = torch.zeros(n, dtype=torch.float64)
    return Nodes(torch.arange(n), separable.low, separable.high, state, bound)


def _next_round(waiting: Nodes) -> tuple[Nodes, Nodes]:
    """Take all nodes of as many people as there is room for, those with the lowest bounds first.

    A person's nodes come in the same rounds and in the same order, whoever else waits.
    """
    order = best_per_person(waiting.person, waiting.bound, _NODES_PER_ROUND)
    _, sizes = torch.unique_consecutive(waiting.person[order], return_counts=True)
    ends = torch.cumsum(sizes, dim=0)
    order = order[: ends[ends <= _NODES_PER_ROUND][-1]]
    rest = torch.ones(len(waiting), dtype=torch.bool)
    rest[order] = False
    return waiting.take(order), waiting.take(rest)


def _improve(separable: Separable, nodes: Nodes, dual: Dual, amounts: Tensor, best: Tensor) -> None:
    """Turn the upper solutions into actions, and keep each person's cheapest."""
    feasible = torch.isfinite(dual.bound)
    nodes = nodes.take(feasible)
    if len(nodes) == 0:
        return
    trimmed = _trim(separable, nodes, dual.over.amounts[feasible])
    cost = separable.evaluate(trimmed, nodes.person)[0].sum(dim=1)
    chosen = best_per_person(nodes.person, cost, 1)
    person, cost = nodes.person[chosen], cost[chosen]
    better = cost < best[person]
    # In this order, a cost that Ctrl-C leaves behind is never below that of its amounts.
    amounts[person[better]] = trimmed[chosen[better]]
    best[person[better]] = cost[better]


def _trim(separable: Separable, nodes: Nodes, amounts: Tensor) -> Tensor:
    """Use up what amounts gain beyond the need: continuous numbers at best, then grids greedily."""
    person = nodes.person
    need = separable.need[person]
    changed = amounts > 0
    floor = torch.where(changed & (nodes.low > 0), nodes.low, 0.0)
    a, b = separable.n_continuous, separable.n_continuous + separable.n_gridded
    if a:
        amounts = _refill(separable, nodes, amounts, floor)
    cost, gain = separable.evaluate(amounts, person)
    surplus = gain.sum(dim=1) - need
    # Rounding of the last sum must not cost the last step of a grid.
    slack = 1e-13 * need.abs()
    prices = torch.where(gain > 0, cost / gain, 0.0)[:, a:b]
    rows = torch.arange(len(person))
    for j in torch.argsort(prices, dim=1, descending=True, stable=True).T:
        distance = separable.grid_distance(amounts[:, a:b], person)
        kept = (separable.gridded.gain(distance, person)[rows, j] - surplus).clamp_min(0)
        goal = separable.gridded.alpha1[person, j]
        wanted = torch.zeros_like(distance)
        wanted[rows, j] = _distance_for(separable, person, j, kept)
        steps = separable.grid_steps(wanted, person)[rows, j]
        for extra in (0.0, 1.0):
            tried = amounts.clone()
            tried[rows, a + j] = torch.minimum(
                torch.maximum(steps + extra, floor[rows, a + j]), amounts[rows, a + j]
            )
            left = separable.evaluate(tried, person)[1].sum(dim=1) - need
            valid = (left >= -slack) & (goal > 0)
            amounts = torch.where(valid.unsqueeze(1), tried, amounts)
            surplus = torch.where(valid, left, surplus)
            steps = torch.where(valid, tried[rows, a + j] - extra, steps)
    return amounts


def _distance_for(separable: Separable, person: Tensor, j: Tensor, gain: Tensor) -> Tensor:
    """Return the distance at which a number on a grid gains so much."""
    moves = separable.gridded
    alpha1, alpha2 = moves.alpha1[person, j], moves.alpha2[person, j]
    kink = moves.kink[person, j]
    at_kink = alpha1 * torch.nan_to_num(kink, posinf=1e300)
    return torch.where(gain <= at_kink, gain / alpha1, kink + (gain - at_kink) / alpha2)


def _refill(separable: Separable, nodes: Nodes, amounts: Tensor, floor: Tensor) -> Tensor:
    """Choose the continuous amounts of the changed features at best, given all the others."""
    person, a = nodes.person, separable.n_continuous
    moves = separable.continuous
    changed = (amounts[:, :a] > 0) | (nodes.state[:, :a] == IN)
    low, high = floor[:, :a], torch.where(changed, nodes.high[:, :a], 0.0)
    low = torch.minimum(low, high)
    rest = separable.evaluate(amounts, person)[1][:, a:].sum(dim=1)
    goal = separable.need[person] - rest
    if separable.squared:
        chosen = _balanced(moves, person, low, high, goal)
    else:
        chosen = _filled(moves, person, low, high, goal)
    result = amounts.clone()
    result[:, :a] = chosen
    return result


def _filled(moves, person: Tensor, low: Tensor, high: Tensor, goal: Tensor) -> Tensor:
    """Fill segments by gain per cost until the goal is met (l1)."""
    kink = torch.minimum(torch.maximum(moves.kink[person], low), high)
    alpha = torch.cat([moves.alpha1[person], moves.alpha2[person]], dim=1)
    capacity = torch.cat([kink - low, high - kink], dim=1)
    price = moves.weight.repeat(2)
    ratio = torch.where(capacity > 0, alpha / price, -1.0)
    order = torch.argsort(ratio, dim=1, descending=True, stable=True)
    gains = (alpha * capacity).clamp_min(0).gather(1, order)
    needed = (goal - moves.gain(low, person).sum(dim=1)).unsqueeze(1)
    before = torch.cumsum(gains, dim=1) - gains
    used = torch.minimum((needed - before).clamp_min(0), gains)
    share = torch.where(gains > 0, used / gains, 0.0)
    share = torch.zeros_like(share).scatter(1, order, share)
    length = torch.where(share >= 1, capacity, share * capacity)
    return low + length[:, : low.shape[1]] + length[:, low.shape[1] :]


def _balanced(moves, person: Tensor, low: Tensor, high: Tensor, goal: Tensor) -> Tensor:
    """Equalize marginal price and gain by bisection on the multiplier (l2)."""
    unit1 = moves.alpha1[person] / moves.weight**2
    unit2 = moves.alpha2[person] / moves.weight**2
    kink = moves.kink[person]

    def distance(multiplier: Tensor) -> Tensor:
        near = multiplier.unsqueeze(1) * unit1
        far = torch.maximum(multiplier.unsqueeze(1) * unit2, kink)
        free = torch.where(near < kink, near, far)
        return torch.minimum(torch.maximum(free, low), high)

    ends = torch.where((high > low) & (unit2 > 0), high / unit2, 0.0).amax(dim=1)
    upper, lower = ends, torch.zeros_like(ends)
    for _ in range(_CUTS):
        middle = (lower + upper) / 2
        met = moves.gain(distance(middle), person).sum(dim=1) >= goal
        upper, lower = torch.where(met, middle, upper), torch.where(met, lower, middle)
    return distance(upper)


def _branch(separable: Separable, nodes: Nodes, dual: Dual) -> tuple[Nodes, Tensor]:
    """Split every node at the feature that matters most of those that its solutions set apart.

    Returns
    -------
    children : Nodes
    stuck : Tensor of shape (N,), bool
        Nodes whose solutions agree in all that can be split.
    """
    under, over = dual.under.amounts, dual.over.amounts
    a = separable.n_continuous
    least, most = torch.minimum(under, over), torch.maximum(under, over)
    # A continuous number can be split only into staying and changing.
    apart = (least == 0) & (most > 0) & (nodes.state == FREE)
    apart[:, a:] = most[:, a:] > least[:, a:]
    difference = (
        separable.evaluate(over, nodes.person)[1] - separable.evaluate(under, nodes.person)[1]
    ).abs()
    feature = torch.where(apart, difference, -1.0).argmax(dim=1)
    rows = torch.arange(len(nodes))
    stuck = ~apart[rows, feature]
    nodes, feature = nodes.take(~stuck), feature[~stuck]
    least, most = least[~stuck], most[~stuck]
    rows = torch.arange(len(nodes))
    floor = _threshold(separable, nodes, dual, ~stuck, feature, least, most)
    is_continuous = feature < a
    ceiling = torch.where(is_continuous, nodes.low[rows, feature], floor + 1)
    ceiling = torch.maximum(ceiling, nodes.low[rows, feature])
    stays = floor < nodes.low[rows, feature]
    return Nodes.concatenate(
        [_nearer(nodes, feature, floor, stays), _farther(nodes, feature, ceiling)]
    ), stuck


def _threshold(
    separable: Separable,
    nodes: Nodes,
    dual: Dual,
    kept: Tensor,
    feature: Tensor,
    least: Tensor,
    most: Tensor,
) -> Tensor:
    """Return the amount up to which the nearer child goes; the farther one begins at the next."""
    rows = torch.arange(len(nodes))
    low, high = least[rows, feature], most[rows, feature]
    is_grid = (feature >= separable.n_continuous) & (
        feature < separable.n_continuous + separable.n_gridded
    )
    middle = torch.floor((low + high) / 2)
    if bool(is_grid.any()):
        # Where the mixture of the two solutions that just meets the need lies on the grid.
        missing = separable.need[nodes.person] - dual.under.gain[kept]
        share = missing / (dual.over.gain[kept] - dual.under.gain[kept])
        grid = torch.where(is_grid, feature - separable.n_continuous, 0)
        start = separable.n_continuous
        ends = []
        for amounts in (dual.under.amounts[kept], dual.over.amounts[kept]):
            steps = amounts[:, start : start + separable.n_gridded]
            ends.append(separable.grid_distance(steps, nodes.person)[rows, grid])
        goal = torch.zeros((len(nodes), separable.n_gridded), dtype=torch.float64)
        goal[rows, grid] = ends[0] + share * (ends[1] - ends[0])
        middle = torch.where(is_grid, separable.grid_steps(goal, nodes.person)[rows, grid], middle)
    middle = torch.minimum(torch.maximum(middle, low), high - 1)
    return torch.where(feature < separable.n_continuous, 0.0, middle)


def _nearer(nodes: Nodes, feature: Tensor, floor: Tensor, stays: Tensor) -> Nodes:
    """Return the children whose feature stays, or changes by at most ``floor``."""
    rows = torch.arange(len(nodes))
    possible = ~(stays & (nodes.state[rows, feature] == IN))
    high, state = nodes.high.clone(), nodes.state.clone()
    high[rows, feature] = torch.where(stays, high[rows, feature], floor)
    state[rows, feature] = torch.where(stays, OUT, state[rows, feature]).to(torch.int8)
    return replace(nodes, high=high, state=state).take(possible)


def _farther(nodes: Nodes, feature: Tensor, ceiling: Tensor) -> Nodes:
    """Return the children whose feature changes by at least ``ceiling``."""
    rows = torch.arange(len(nodes))
    low, state = nodes.low.clone(), nodes.state.clone()
    low[rows, feature] = ceiling
    state[rows, feature] = IN
    possible = ceiling <= nodes.high[rows, feature]
    return replace(nodes, low=low, state=state).take(possible)
