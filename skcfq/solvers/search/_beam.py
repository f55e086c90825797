"""A beam search over single-feature moves."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.solvers.problems import RecourseProblem, States, best_per_person
from skcfq.solvers.search._neighborhood import Neighbors, expand

# Bits of a number that tells which features change.
_PLACES = 62


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
        reached = expand(problem, states)
        gained = reached.slack - states.slack[reached.parent]
        paid = reached.cost - states.cost[reached.parent]
        ratio = torch.where((paid > 0) & (gained > 0), gained / paid, torch.zeros_like(gained))
        rate = rate.scatter_reduce(0, reached.person, ratio, "amax")
        valid = reached.valid
        good = reached.take(valid)
        features = _moved_features(problem, good)
        good = good.take(_best(features, good.person, good.estimate, n, count))
        found.append(good.states())
        estimates.append(good.estimate)
        cheapest = cheapest.scatter_reduce(0, good.person, good.cost, "amin")
        states = _survivors(reached.take(~valid), rate, cheapest, width).states()
    if not found:
        return states.take(torch.zeros(len(states), dtype=torch.bool))
    everything, estimate = States.concatenate(found), torch.cat(estimates)
    features = _changed_features(problem, everything)
    return everything.take(_best(features, everything.person, estimate, n, count))


def _best(features: Tensor, person: Tensor, score: Tensor, n: int, count: int) -> Tensor:
    """Return the positions of the best points of n people that change different features."""
    _, features = torch.unique(features, return_inverse=True)
    _, group = torch.unique(features * n + person, return_inverse=True)
    best = best_per_person(group, score, 1)
    return best[best_per_person(person[best], score[best], count)]


def _changed_features(problem: RecourseProblem, states: States) -> Tensor:
    """Return a number that tells which features points change, shape (N,)."""
    changed = problem.changed(states.person, states.values, states.levels).to(torch.int64)
    # The sum may wrap around for very many features: two sets of features then share one place.
    return (changed << (torch.arange(changed.shape[1]) % _PLACES)).sum(dim=1)


def _moved_features(problem: RecourseProblem, neighbors: Neighbors) -> Tensor:
    """Return the same for neighbors, whose points are not written down."""
    states, moves = neighbors.origins, neighbors.moves
    changed = problem.changed(states.person, states.values, states.levels)
    before, after = moves.changes(problem, states, changed)
    step = (after.long() - before.long()) << (moves.feature % _PLACES)
    return _changed_features(problem, states)[moves.parent] + step


def _survivors(states: Neighbors, rate: Tensor, cheapest: Tensor, width: int) -> Neighbors:
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
