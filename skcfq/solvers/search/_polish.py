"""Make valid actions cheaper without losing validity."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.solvers.problems import RecourseProblem, States, best_per_person
from skcfq.solvers.search._descent import revert, shrink, slide
from skcfq.solvers.search._exchange import exchange
from skcfq.solvers.search._line_search import AT_BOUNDARY

_ROUNDS = 4
# A further round is worth while for a point that became cheaper by this share.
_GAIN = 1e-6
# Two points of a person are one where the way between them costs less than this share of either.
_SAME = 1e-6


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
        As in :func:`skcfq.solvers.search._line_search.line_search`.

    Returns
    -------
    states : States
        Valid points. Each given one stands for a point that is never dearer; points of a person
        that came to the same end are returned once.
    """
    finished: list[States] = []
    for _ in range(_ROUNDS if thorough else 1):
        before = states.cost
        states = shrink(problem, revert(problem, states), near=near)
        kept = distinct(problem, states)
        states, before = slide(problem, states.take(kept), near=near), before[kept]
        if thorough:
            kept = distinct(problem, states)
            states, before = exchange(problem, states.take(kept), near=near), before[kept]
        again = states.cost < before * (1 - _GAIN)
        finished.append(states.take(~again))
        states = states.take(again)
        if len(states) == 0:
            break
    return States.concatenate([*finished, states])


def distinct(problem: RecourseProblem, states: States) -> Tensor:
    """Return the positions of points without those that repeat another of the same person.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N points.

    Returns
    -------
    index : Tensor of shape (k,), int64
        Of the cheapest of each kind, in the order of persons and costs.
    """
    order = best_per_person(states.person, states.cost, len(states))
    one, next_ = order[:-1], order[1:]
    apart = (states.values[one] - states.values[next_]).abs()
    # A gap that is kept is the same gap.
    way = (problem.numeric_weights * apart).nansum(dim=1)
    repeated = (states.person[one] == states.person[next_]) & (way <= _SAME * states.cost[one])
    repeated &= (states.levels[one] == states.levels[next_]).all(dim=1)
    return order[torch.cat([torch.ones(min(len(order), 1), dtype=torch.bool), ~repeated])]
