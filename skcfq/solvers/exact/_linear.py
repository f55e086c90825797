"""The exact method for binary linear models, vectorized over people (A.6).

With one linear constraint and a cost that is a sum over features, continuous problems have a
closed form: for the l1 cost a fractional knapsack, for the l2 cost a one-dimensional dual.
Categories, grids, smallest changes and ``max_changes`` go to an exact branch and bound.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skcfq.solvers.exact._branch_and_bound import Optimum, branch_and_bound
from skcfq.solvers.exact._separable import separate, state_of
from skcfq.solvers.problems import (
    Effort,
    ExactAnswer,
    LinearProblem,
    fractional_knapsack,
    quadratic_knapsack,
)


def solve_linear(problem: LinearProblem, effort: Effort) -> ExactAnswer:
    """Solve a binary linear problem exactly.

    Parameters
    ----------
    problem : LinearProblem
        With one rival, an l1 or l2 cost and no rules across features.
    effort : Effort
        The time limit of a person is the mean over all people.

    Returns
    -------
    answer : ExactAnswer

    Notes
    -----
    Certified: ``"optimal"`` within a relative gap of 1e-9, ``"infeasible"`` because even the
    largest gain that the rules allow misses the need.
    """
    closed = _is_continuous(problem)
    if bool(closed.all()):
        return _closed_form(problem)
    if not bool(closed.any()):
        return _branch_and_bound(problem, effort)
    # Each by their own way, whoever else is asked about.
    rows = [closed.nonzero().squeeze(1), (~closed).nonzero().squeeze(1)]
    answers = _closed_form(problem.take(rows[0])), _branch_and_bound(problem.take(rows[1]), effort)
    place = torch.argsort(torch.cat(rows))
    return ExactAnswer(
        torch.cat([answer.values for answer in answers])[place],
        torch.cat([answer.levels for answer in answers])[place],
        np.concatenate([answer.status for answer in answers])[place.numpy()],
        torch.cat([answer.bound for answer in answers])[place],
        answers[1].interrupted,
    )


def _branch_and_bound(problem: LinearProblem, effort: Effort) -> ExactAnswer:
    limit = None if effort.time_limit is None else effort.time_limit * problem.n_people
    # What cannot move has a price of nothing by nothing.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        separable = separate(problem)
        optimum = branch_and_bound(separable, time_limit=limit)
        state = state_of(problem, separable, optimum.amounts)
    bound = np.sqrt(optimum.bound) if separable.squared else optimum.bound
    values, levels, bound = (torch.from_numpy(one) for one in (*state, bound))
    return ExactAnswer(values, levels, _status(optimum), bound, optimum.interrupted)


def _status(optimum: Optimum) -> np.ndarray:
    found, finished = np.isfinite(optimum.cost), optimum.finished
    proved = np.where(found, "optimal", "infeasible")
    return np.where(finished, proved, np.where(found, "feasible", "time_limit"))


def _is_continuous(problem: LinearProblem) -> Tensor:
    """Return who has nothing to choose but how far each number goes, bool of shape (n,)."""
    region = problem.region
    limit = problem.max_changes
    counts = limit is not None and limit < region.n_features
    counts |= bool(problem.weight_radius) or region.min_change is not None
    counts |= any(grid is not None for grid in region.grids)
    free = torch.full((region.n_people,), not counts)
    for allowed, own in zip(region.allowed, region.levels.T, strict=True):
        others = allowed & (torch.arange(allowed.shape[1]) != own[:, None])
        free &= ~others.any(dim=1)
    return free


def _closed_form(problem: LinearProblem) -> ExactAnswer:
    region, need = problem.region, problem.need[:, 0]
    gain, own = problem.numeric_gain[0], region.values
    weight = problem.cost.feature_weights[: len(gain)]
    end = torch.where(gain > 0, region.upper, region.lower)
    # A gap that the encoder leaves open, and what gains nothing, can only be kept.
    most = torch.nan_to_num((end - own).abs_(), nan=0.0, posinf=torch.inf)
    most[:, gain == 0] = 0.0
    knapsack = fractional_knapsack if problem.cost.norm == "l1" else quadratic_knapsack
    numbers = (part.numpy() for part in (gain.abs(), weight, most, need))
    distance, feasible = (torch.from_numpy(part) for part in knapsack(*numbers))
    values = torch.where(distance >= most, end, own + gain.sign() * distance)
    values = torch.where(distance > 0, values, own)
    price = weight * distance
    cost = price.sum(dim=1) if problem.cost.norm == "l1" else price.norm(dim=1)
    status = np.where(feasible.numpy(), "optimal", "infeasible")
    return ExactAnswer(values, region.levels, status, torch.where(feasible, cost, torch.inf))
