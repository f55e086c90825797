"""Gradient-free search over raw moves, for models that are only a function.

Nothing is asked of the model but its answer to batches of rows: no gradient, no weight, no
monotonicity. What it finds is verified and feasible; what it does not find proves nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.solvers.problems import (
    Draws,
    Effort,
    RecourseProblem,
    Starts,
    States,
    best_per_person,
)
from skcfq.solvers.search._beam import beam_search
from skcfq.solvers.search._polish import polish
from skcfq.solvers.search._relaxed_descent import random_points
from skcfq.utils import rows_in_memory

# Favorable people whose values each person tries on.
_N_EXAMPLES = 6
_DEPTH = 4
# Random points are drawn ever nearer, as shares of the way from the person to them.
_SHRINK = (1.0, 0.5, 0.25)
# Times as many random points of the people for whom nothing was found.
_INSISTENT = 16
# Points that are drawn at once: a call costs more than a few of them.
_TOGETHER = 1024
# Points on the way of each that are at hand with it.
_STEPS = 8


def black_box_search(
    problem: RecourseProblem, effort: Effort, starts: Starts, known: States | None = None
) -> States:
    """Look for cheap valid points by asking the model about raw rows.

    Parameters
    ----------
    problem : RecourseProblem
        n people.
    effort : Effort
        Rounds of random points, and the width of the beam search.
    starts : Starts
        The nearest of its examples show what to copy.
    known : States, optional
        Valid points: nobody insists where there is one.

    Returns
    -------
    states : States
        The cheapest valid point of each person for whom one was found.
    """
    best = _search(problem, effort, starts)
    found = best if known is None else States.concatenate([best, known])
    missed = without_point(problem, found)
    if len(missed):
        more = _insist(problem.take(missed), effort, starts.draws.take(missed))
        best = States.concatenate([best, more.of(missed)])
    return best


def without_point(problem: RecourseProblem, states: States) -> Tensor:
    """Return the people whom no point belongs to, shape (k,)."""
    return (torch.bincount(states.person, minlength=problem.n_people) == 0).nonzero().squeeze(1)


def _search(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    own = problem.own_states()
    found = [own.take(own.valid)]
    points = [*starts.points, *nearest_examples(problem, starts.examples)]
    for _ in range(effort.n_restarts + 1):
        drawn = random_points(problem, starts.draws)
        points += [problem.origin + share * (drawn - problem.origin) for share in _SHRINK]
    for point in points:
        states = problem.states_at(point)
        found.append(states.take(states.valid))
    depth, width = min(problem.max_changes, _DEPTH), effort.beam_width
    found.append(beam_search(problem, own, width=width, depth=depth, count=width))
    return _polished(problem, States.concatenate(found))


def _insist(problem: RecourseProblem, effort: Effort, draws: Draws) -> States:
    """Look for points of people for whom there is none yet: at random, then from what came near."""
    left = _INSISTENT * (effort.n_restarts + 1)
    together = max(1, at_once(problem, _TOGETHER) // problem.n_people)
    tried = []
    while left:
        count = min(left, together)
        everybody = torch.arange(problem.n_people).repeat(count)
        tried.append(problem.states_at(random_points(problem, draws, count), everybody))
        left -= count
    states = States.concatenate(tried)
    found, width = [states.take(states.valid)], effort.beam_width
    near = states.take(~states.valid)
    near = near.take(best_per_person(near.person, -near.slack, width))
    depth = min(problem.max_changes, _DEPTH)
    found.append(beam_search(problem, near, width=width, depth=depth, count=width))
    return _polished(problem, States.concatenate(found))


def at_once(problem: RecourseProblem, most: int) -> int:
    """Return how many points are made at once: fewer of many columns."""
    return min(most, rows_in_memory(_STEPS * problem.origin.shape[1]))


def _polished(problem: RecourseProblem, candidates: States) -> States:
    candidates = candidates.take(best_per_person(candidates.person, candidates.cost, 6))
    candidates = polish(problem, candidates, thorough=False)
    kept = best_per_person(candidates.person, candidates.cost, 3)
    candidates = polish(problem, candidates.take(kept))
    return candidates.take(best_per_person(candidates.person, candidates.cost, 1))


def nearest_examples(problem: RecourseProblem, examples: Tensor | None) -> list[Tensor]:
    """Return the favorable people that are nearest to each person, nearest first."""
    if examples is None or len(examples) == 0:
        return []
    distance = torch.cdist(torch.nan_to_num(problem.origin), torch.nan_to_num(examples), p=1)
    nearest = distance.topk(min(_N_EXAMPLES, len(examples)), dim=1, largest=False).indices
    return [examples[nearest[:, k]] for k in range(nearest.shape[1])]
