"""A multistart search for models with gradients, whose points are then made cheaper."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.solvers.problems import (
    Effort,
    RecourseProblem,
    Starts,
    States,
    best_per_person,
)
from skcfq.solvers.search._beam import beam_search
from skcfq.solvers.search._black_box import at_once, black_box_search, without_point
from skcfq.solvers.search._descent import shrink, slide
from skcfq.solvers.search._focus import is_wide
from skcfq.solvers.search._polish import polish
from skcfq.solvers.search._relaxed_descent import random_points, relaxed_descent

_RELAXED_STEPS = 36
# People who climb at once: a call costs more than a few of them.
_CLIMBERS = 2048
# Moves of the beam search: further changes are left to the gradient and to the polish.
_DEPTH = 4
# Points of each person that are polished thoroughly.
_KEPT = 3
# Share of the margins along a line that polishing leaves, at first and then.
_ROUGH, _CLOSE = 1e-3, 1e-4


def multistart_search(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    """Collect valid points from every kind of start, and make the best of them cheaper.

    Who has none is looked at once more without gradients.

    Parameters
    ----------
    problem : RecourseProblem
        n people.
    effort : Effort
        Random starts of the relaxed descent, and the width of the beam search.
    starts : Starts

    Returns
    -------
    states : States
        The cheapest valid point of each person for whom one was found.
    """
    best = _search(problem, effort, starts)
    missed = without_point(problem, best)
    if len(missed):
        more = _blind_search(
            problem.take(missed), effort, starts, missed, best.take(best.person < 0)
        )
        best = States.concatenate([best, more.of(missed)])
    return best


def search_both_ways(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    """Search with gradients and without, and return what neither search finds dearer.

    Parameters
    ----------
    problem : RecourseProblem
        n people.
    effort : Effort
        Of each of the two searches.
    starts : Starts

    Returns
    -------
    states : States
        The cheapest valid point of each person for whom one was found.
    """
    if is_wide(problem) and problem.is_smooth:
        # The other search takes five times as long, and spares less than 1e-6 of the cost.
        return multistart_search(problem, effort, starts)
    best = _search(problem, effort, starts)
    # Where rows of integers make insisting dear, it is for those without a point alone.
    known = best if any(model.is_piecewise_constant for model in problem.models) else None
    other = _blind_search(problem, effort, starts, torch.arange(problem.n_people), known)
    least = torch.full((problem.n_people,), torch.inf, dtype=torch.float64)
    least[best.person] = best.cost
    cheaper = polish(problem, other.take(other.cost < least[other.person]))
    both = States.concatenate([best, cheaper])
    return both.take(best_per_person(both.person, both.cost, 1))


def _blind_search(
    problem: RecourseProblem,
    effort: Effort,
    starts: Starts,
    people: Tensor,
    known: States | None = None,
) -> States:
    """Do what the search without gradients does for some of the people, whose problem this is.

    It does not insist where points are known.
    """
    points = [start[people] for start in starts.points]
    blind = Starts(points, starts.draws.take(people), starts.find_examples)
    return black_box_search(problem.without_gradients(), effort, blind, known)


def _search(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    given = [problem.states_at(points) for points in starts.points]
    own = problem.own_states()
    found = [states.take(states.valid) for states in [*given, own]]
    depth = min(problem.max_changes, _DEPTH)
    width = effort.beam_width
    found.append(beam_search(problem, own, width=width, depth=depth, count=width))
    found.append(_climbs(problem, effort, starts))
    # Points that will move again need not lie exactly on the boundary.
    candidates = polish(problem, States.concatenate(found), thorough=False, near=_ROUGH)
    kept = best_per_person(candidates.person, candidates.cost, _KEPT)
    candidates = polish(problem, candidates.take(kept), near=_CLOSE)
    best = candidates.take(best_per_person(candidates.person, candidates.cost, 1))
    return slide(problem, shrink(problem, best))


def _climbs(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    """Climb from everybody's own point, then from random ones; as many at once as there is room."""
    n, n_climbs = problem.n_people, effort.n_restarts + 1
    together = max(1, at_once(problem, _CLIMBERS) // n)
    found = []
    for first in range(0, n_climbs, together):
        count = min(together, n_climbs - first)
        start = random_points(problem, starts.draws, count - (first == 0))
        if first == 0:
            start = torch.cat([problem.origin, start])
        people = torch.arange(n).repeat(count)
        climbers = problem.take(people) if count > 1 else problem
        found.append(relaxed_descent(climbers, start, n_steps=_RELAXED_STEPS, count=1).of(people))
    return States.concatenate(found)
