"""A search on a wide table: first among the few features that promise most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from skcfq.solvers.problems import Effort, RecourseProblem, Starts, States, best_per_person
from skcfq.solvers.search._black_box import nearest_examples, without_point
from skcfq.solvers.search._focus import focused, is_wide
from skcfq.solvers.search._polish import polish
from skcfq.solvers.search._relaxed_descent import random_points, relaxed_descent

Search = Callable[[RecourseProblem, Effort, Starts], States]

# Examples whose gradients tell what promises most, beside the own point's.
_TOWARD = 2
# Steps of those who climb on all features, as none were enough of the few.
_STEPS = 36
# Points of each person that are made cheaper.
_KEPT = 2


def search_in_focus(
    search: Search, problem: RecourseProblem, effort: Effort, starts: Starts
) -> States:
    """Search as ever, or on a wide table in fewer features, and elsewhere for whom that was none.

    Parameters
    ----------
    search : callable
    problem : RecourseProblem
        n people.
    effort : Effort
    starts : Starts

    Returns
    -------
    states : States
        The cheapest valid point of each person for whom one was found.
    """
    if not is_wide(problem):
        return search(problem, effort, starts)
    examples = nearest_examples(problem, starts.examples)
    near = focused(problem, examples[:_TOWARD])
    found = [search(near, effort, replace(starts, points=[]))]
    # What somebody gives to start from may change any feature.
    found += [_valid(problem.states_at(points)) for points in starts.points]
    missed = without_point(problem, States.concatenate(found))
    if len(missed):
        shown = [points[missed] for points in examples]
        part = replace(starts, draws=starts.draws.take(missed), points=shown)
        found.append(_search_everywhere(problem.take(missed), effort, part).of(missed))
    best = States.concatenate(found)
    # Along the boundary by all numbers; trades among all features would be asked about for hours.
    return polish(problem, best.take(best_per_person(best.person, best.cost, 1)), thorough=False)


def _search_everywhere(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    """Look for points that may change every feature: by examples, by climbing, and at random."""
    drawn = [random_points(problem, starts.draws) for _ in range(effort.n_restarts + 1)]
    found = [_valid(problem.states_at(points)) for points in (*starts.points, *drawn)]
    if problem.gradients:
        for start in (problem.origin, *drawn):
            found.append(relaxed_descent(problem, start, n_steps=_STEPS, count=1))
    candidates = States.concatenate(found)
    kept = best_per_person(candidates.person, candidates.cost, _KEPT)
    return polish(problem, candidates.take(kept), thorough=False)


def _valid(states: States) -> States:
    return states.take(states.valid)
