"""Exact branch and bound over separable recourse problems, all people at once.

Every round bounds all open nodes in one vectorized pass, turns the dual's upper solution into an
action, drops the nodes that cannot beat the best action of their person, and splits the others
where the dual's two solutions disagree.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from skcfq.solvers.exact._lagrangian import FREE, IN, OUT, Dual, Nodes, dual_bound
from skcfq.solvers.exact._separable import Separable
from skcfq.utils import (
    interrupts_heard,
    parts_in_memory,
    row_sums,
    rows_in_memory,
    rows_waiting,
)

# An action is optimal when no bound is lower than its objective by more than this share.
RELATIVE_GAP = 1e-9
# Nodes of one person that are bounded in a round, and that may wait: beyond them, or where they
# would take too much memory, that person's proof is given up.
_NODES_PER_ROUND = 16_384
_MOST_NODES = 500_000
_CUTS = 64


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best amounts of P people.

    Attributes
    ----------
    amounts : ndarray of shape (P, F)
    cost : ndarray of shape (P,)
        Objective, infinite where nothing was found.
    bound : ndarray of shape (P,)
        Proved lower bound of the objective.
    finished : ndarray of shape (P,), bool
        Whether the search was complete.
    interrupted : bool
        Ctrl-C came; whoever was open then is not finished.
    """

    amounts: np.ndarray
    cost: np.ndarray
    bound: np.ndarray
    finished: np.ndarray
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
    amounts = np.zeros((n, n_features), dtype=np.float64)
    best = np.full((n,), np.inf, dtype=np.float64)
    given_up = np.full((n,), np.inf, dtype=np.float64)
    waiting = _roots(separable)
    most = min(_MOST_NODES, rows_waiting(n_features))
    deadline = None if time_limit is None else time.monotonic() + time_limit
    interrupted = False
    while len(waiting):
        late = deadline is not None and time.monotonic() > deadline
        hopeless = late | (np.bincount(waiting.person, minlength=n) > most)
        if bool(hopeless.any()):
            left = hopeless[waiting.person]
            np.minimum.at(given_up, waiting.person[left], waiting.bound[left])
            waiting = waiting.take(~left)
            continue
        try:
            with interrupts_heard():
                waiting = _round(separable, waiting, amounts, best, given_up)
        except KeyboardInterrupt:
            # The nodes of the broken round are open still.
            interrupted = True
            break
    np.minimum.at(given_up, waiting.person, waiting.bound)
    finished = given_up >= _to_beat(best)
    bound = np.minimum(best, given_up)
    return Optimum(amounts, best, bound, finished, interrupted)


def _round(
    separable: Separable,
    waiting: Nodes,
    amounts: np.ndarray,
    best: np.ndarray,
    given_up: np.ndarray,
) -> Nodes:
    """Bound some open nodes, note what they give, and return those that are open afterwards."""
    nodes, waiting = _next_round(waiting, min(_NODES_PER_ROUND, rows_in_memory(separable.width)))
    dual = dual_bound(separable, nodes)
    _improve(separable, nodes, dual, amounts, best)
    open_ = dual.bound < _to_beat(best)[nodes.person]
    nodes = replace(nodes, bound=np.maximum(nodes.bound, dual.bound)).take(open_)
    dual = Dual(dual.bound[open_], dual.under.take(open_), dual.over.take(open_))
    children, stuck = _branch(separable, nodes, dual)
    np.minimum.at(given_up, nodes.person[stuck], nodes.bound[stuck])
    waiting = Nodes.concatenate([waiting, children])
    return waiting.take(waiting.bound < _to_beat(best)[waiting.person])


def _to_beat(best: np.ndarray) -> np.ndarray:
    return best * (1 - RELATIVE_GAP)


def _roots(separable: Separable) -> Nodes:
    n = len(separable.need)
    state = np.where(separable.high > 0, FREE, OUT)
    state = np.where(separable.forced, IN, state).astype(np.int8)
    bound = np.zeros(n, dtype=np.float64)
    return Nodes(np.arange(n), separable.low, separable.high, state, bound)


def _next_round(waiting: Nodes, most: int) -> tuple[Nodes, Nodes]:
    """Take the nodes of as many people as there is room for, those with the lowest bounds first.

    A person's nodes come in the same rounds and in the same order, whoever else waits: those of
    one person even where they are more than `most`.
    """
    if len(waiting) == 1:
        return waiting, waiting.take(np.zeros(1, dtype=bool))
    order = _best_of_each(waiting.person, waiting.bound, _NODES_PER_ROUND)
    of_person = waiting.person[order]
    ends = np.append(np.flatnonzero(of_person[1:] != of_person[:-1]) + 1, len(order))
    order = order[: ends[ends <= max(most, int(ends[0]))][-1]]
    rest = np.ones(len(waiting), dtype=bool)
    rest[order] = False
    return waiting.take(order), waiting.take(rest)


def _best_of_each(person: np.ndarray, score: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of each person's lowest scores, best first; ties go to earlier ones."""
    order = np.lexsort((score, person))
    of_person = person[order]
    first = np.flatnonzero(np.append(True, of_person[1:] != of_person[:-1])[: len(order)])
    sizes = np.diff(np.append(first, len(order)))
    return order[np.arange(len(order)) - np.repeat(first, sizes) < count]


def _improve(
    separable: Separable, nodes: Nodes, dual: Dual, amounts: np.ndarray, best: np.ndarray
) -> None:
    """Turn the upper solutions into actions, and keep each person's cheapest."""
    feasible = np.isfinite(dual.bound)
    nodes = nodes.take(feasible)
    if len(nodes) == 0:
        return
    over = dual.over.amounts[feasible]
    parts = parts_in_memory(len(nodes), separable.width)
    trimmed = np.concatenate([_trim(separable, nodes.take(part), over[part]) for part in parts])
    cost = row_sums(separable.evaluate(trimmed, nodes.person)[0])
    chosen = _best_of_each(nodes.person, cost, 1)
    person, cost = nodes.person[chosen], cost[chosen]
    better = cost < best[person]
    # In this order, a cost that Ctrl-C leaves behind is never below that of its amounts.
    amounts[person[better]] = trimmed[chosen[better]]
    best[person[better]] = cost[better]


def _trim(separable: Separable, nodes: Nodes, amounts: np.ndarray) -> np.ndarray:
    """Use up what amounts gain beyond the need: continuous numbers at best, then grids greedily."""
    person = nodes.person
    need = separable.need[person]
    changed = amounts > 0
    floor = np.where(changed & (nodes.low > 0), nodes.low, 0.0)
    a, b = separable.n_continuous, separable.n_continuous + separable.n_gridded
    amounts = _refill(separable, nodes, amounts, floor) if a else amounts.copy()
    cost, gain = separable.evaluate(amounts, person)
    surplus = row_sums(gain) - need
    # Rounding of the last sum must not cost the last step of a grid.
    slack = 1e-13 * np.abs(need)
    prices = np.where(gain > 0, cost / gain, 0.0)[:, a:b]
    rows = np.arange(len(person))
    for j in np.argsort(-prices, axis=1, kind="stable").T:
        at = a + j
        if not (amounts[rows, at] > floor[rows, at]).any():
            continue
        kept = np.maximum(gain[rows, at] - surplus, 0.0)
        goal = separable.gridded.alpha1[person, j]
        steps = separable.steps_within(_distance_for(separable, person, j, kept), person, j)
        for extra in (0.0, 1.0):
            tried = np.minimum(np.maximum(steps + extra, floor[rows, at]), amounts[rows, at])
            gained = gain.copy()
            gained[rows, at] = separable.gain_of_steps(tried, person, j)
            left = row_sums(gained) - need
            valid = (left >= -slack) & (goal > 0)
            amounts[rows[valid], at[valid]] = tried[valid]
            gain = np.where(valid[:, None], gained, gain)
            surplus = np.where(valid, left, surplus)
            steps = np.where(valid, tried - extra, steps)
    return amounts


def _distance_for(
    separable: Separable, person: np.ndarray, j: np.ndarray, gain: np.ndarray
) -> np.ndarray:
    """Return the distance at which a number on a grid gains so much."""
    moves = separable.gridded
    alpha1, alpha2 = moves.alpha1[person, j], moves.alpha2[person, j]
    kink = moves.kink[person, j]
    at_kink = alpha1 * np.nan_to_num(kink, posinf=1e300)
    return np.where(gain <= at_kink, gain / alpha1, kink + (gain - at_kink) / alpha2)


def _refill(
    separable: Separable, nodes: Nodes, amounts: np.ndarray, floor: np.ndarray
) -> np.ndarray:
    """Choose the continuous amounts of the changed features at best, given all the others."""
    person, a = nodes.person, separable.n_continuous
    moves = separable.continuous
    changed = (amounts[:, :a] > 0) | (nodes.state[:, :a] == IN)
    low, high = floor[:, :a], np.where(changed, nodes.high[:, :a], 0.0)
    low = np.minimum(low, high)
    rest = row_sums(separable.evaluate(amounts, person)[1][:, a:])
    goal = separable.need[person] - rest
    if separable.squared:
        chosen = _balanced(moves, person, low, high, goal)
    else:
        chosen = _filled(moves, person, low, high, goal)
    result = amounts.copy()
    result[:, :a] = chosen
    return result


def _filled(
    moves, person: np.ndarray, low: np.ndarray, high: np.ndarray, goal: np.ndarray
) -> np.ndarray:
    """Fill segments by gain per cost until the goal is met (l1)."""
    kink = np.minimum(np.maximum(moves.kink[person], low), high)
    alpha = np.concatenate([moves.alpha1[person], moves.alpha2[person]], axis=1)
    capacity = np.concatenate([kink - low, high - kink], axis=1)
    price = np.tile(moves.weight, 2)
    ratio = np.where(capacity > 0, alpha / price, -1.0)
    order = np.argsort(-ratio, axis=1, kind="stable")
    gains = np.take_along_axis(np.maximum(alpha * capacity, 0.0), order, 1)
    needed = (goal - row_sums(moves.gain(low, person)))[:, None]
    before = np.cumsum(gains, axis=1) - gains
    used = np.minimum(np.maximum(needed - before, 0.0), gains)
    share = np.zeros_like(gains)
    np.put_along_axis(share, order, np.where(gains > 0, used / gains, 0.0), 1)
    length = np.where(share >= 1, capacity, share * capacity)
    return low + length[:, : low.shape[1]] + length[:, low.shape[1] :]


def _balanced(
    moves, person: np.ndarray, low: np.ndarray, high: np.ndarray, goal: np.ndarray
) -> np.ndarray:
    """Equalize marginal price and gain by bisection on the multiplier (l2)."""
    unit1 = moves.alpha1[person] / moves.weight**2
    unit2 = moves.alpha2[person] / moves.weight**2
    kink = moves.kink[person]

    def distance(multiplier: np.ndarray) -> np.ndarray:
        near = multiplier[:, None] * unit1
        far = np.maximum(multiplier[:, None] * unit2, kink)
        free = np.where(near < kink, near, far)
        return np.minimum(np.maximum(free, low), high)

    ends = np.where((high > low) & (unit2 > 0), high / unit2, 0.0).max(axis=1)
    upper, lower = ends, np.zeros_like(ends)
    for _ in range(_CUTS):
        middle = (lower + upper) / 2
        met = row_sums(moves.gain(distance(middle), person)) >= goal
        upper, lower = np.where(met, middle, upper), np.where(met, lower, middle)
    return distance(upper)


def _branch(separable: Separable, nodes: Nodes, dual: Dual) -> tuple[Nodes, np.ndarray]:
    """Split every node at the feature that matters most of those that its solutions set apart.

    Returns
    -------
    children : Nodes
    stuck : ndarray of shape (N,), bool
        Nodes whose solutions agree in all that can be split.
    """
    under, over = dual.under.amounts, dual.over.amounts
    a = separable.n_continuous
    least, most = np.minimum(under, over), np.maximum(under, over)
    # A continuous number can be split only into staying and changing.
    apart = (least == 0) & (most > 0) & (nodes.state == FREE)
    apart[:, a:] = most[:, a:] > least[:, a:]
    gains = [separable.evaluate(amounts, nodes.person)[1] for amounts in (over, under)]
    difference = np.abs(gains[0] - gains[1])
    feature = np.where(apart, difference, -1.0).argmax(axis=1)
    rows = np.arange(len(nodes))
    stuck = ~apart[rows, feature]
    nodes, feature = nodes.take(~stuck), feature[~stuck]
    least, most = least[~stuck], most[~stuck]
    rows = np.arange(len(nodes))
    floor = _threshold(separable, nodes, dual, ~stuck, feature, least, most)
    is_continuous = feature < a
    ceiling = np.where(is_continuous, nodes.low[rows, feature], floor + 1)
    ceiling = np.maximum(ceiling, nodes.low[rows, feature])
    stays = floor < nodes.low[rows, feature]
    return Nodes.concatenate(
        [_nearer(nodes, feature, floor, stays), _farther(nodes, feature, ceiling)]
    ), stuck


def _threshold(
    separable: Separable,
    nodes: Nodes,
    dual: Dual,
    kept: np.ndarray,
    feature: np.ndarray,
    least: np.ndarray,
    most: np.ndarray,
) -> np.ndarray:
    """Return the amount up to which the nearer child goes; the farther one begins at the next."""
    rows = np.arange(len(nodes))
    low, high = least[rows, feature], most[rows, feature]
    is_grid = (feature >= separable.n_continuous) & (
        feature < separable.n_continuous + separable.n_gridded
    )
    middle = np.floor((low + high) / 2)
    if bool(is_grid.any()):
        # Where the mixture of the two solutions that just meets the need lies on the grid.
        missing = separable.need[nodes.person] - dual.under.gain[kept]
        share = missing / (dual.over.gain[kept] - dual.under.gain[kept])
        grid = np.where(is_grid, feature - separable.n_continuous, 0)
        start = separable.n_continuous
        ends = []
        for amounts in (dual.under.amounts[kept], dual.over.amounts[kept]):
            steps = amounts[:, start : start + separable.n_gridded]
            ends.append(separable.grid_distance(steps, nodes.person)[rows, grid])
        goal = ends[0] + share * (ends[1] - ends[0])
        middle = np.where(is_grid, separable.steps_within(goal, nodes.person, grid), middle)
    middle = np.minimum(np.maximum(middle, low), high - 1)
    return np.where(feature < separable.n_continuous, 0.0, middle)


def _nearer(nodes: Nodes, feature: np.ndarray, floor: np.ndarray, stays: np.ndarray) -> Nodes:
    """Return the children whose feature stays, or changes by at most ``floor``."""
    rows = np.arange(len(nodes))
    possible = ~(stays & (nodes.state[rows, feature] == IN))
    high, state = nodes.high.copy(), nodes.state.copy()
    high[rows, feature] = np.where(stays, high[rows, feature], floor)
    state[rows, feature] = np.where(stays, OUT, state[rows, feature]).astype(np.int8)
    return replace(nodes, high=high, state=state).take(possible)


def _farther(nodes: Nodes, feature: np.ndarray, ceiling: np.ndarray) -> Nodes:
    """Return the children whose feature changes by at least ``ceiling``."""
    rows = np.arange(len(nodes))
    low, state = nodes.low.copy(), nodes.state.copy()
    low[rows, feature] = ceiling
    state[rows, feature] = IN
    possible = ceiling <= nodes.high[rows, feature]
    return replace(nodes, low=low, state=state).take(possible)
