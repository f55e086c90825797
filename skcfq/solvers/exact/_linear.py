"""The direct method: exact recourse for binary linear models, vectorized over people (A.6).

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
from skcfq.solvers.problems import ExactAnswer, LinearProblem, balance


def solve_direct(problem: LinearProblem, *, time_limit: float | None = None) -> ExactAnswer:
    """Solve a binary linear problem exactly.

    Parameters
    ----------
    problem : LinearProblem
        With one rival, an l1 or l2 cost and no rules across features.
    time_limit : float, optional
        Seconds for all people together.

    Returns
    -------
    answer : ExactAnswer

    Notes
    -----
    Certified: ``"optimal"`` within a relative gap of 1e-9, ``"infeasible"`` because even the
    largest gain that the rules allow misses the need.
    """
    if _is_continuous(problem):
        return _closed_form(problem)
    separable = separate(problem)
    optimum = branch_and_bound(separable, time_limit=time_limit)
    values, levels = state_of(problem, separable, optimum.amounts)
    bound = optimum.bound.sqrt() if separable.squared else optimum.bound
    return ExactAnswer(values, levels, _status(optimum), bound)


def _status(optimum: Optimum) -> np.ndarray:
    found = torch.isfinite(optimum.cost).numpy()
    finished = optimum.finished.numpy()
    proved = np.where(found, "optimal", "infeasible")
    return np.where(finished, proved, np.where(found, "feasible", "time_limit"))


def _is_continuous(problem: LinearProblem) -> bool:
    region = problem.region
    limit = problem.max_changes
    if limit is not None and limit < region.n_features:
        return False
    if problem.weight_radius or region.min_change is not None:
        return False
    if any(grid is not None for grid in region.grids):
        return False
    return all(int(allowed.sum(dim=1).max()) <= 1 for allowed in region.allowed if len(allowed))


def _closed_form(problem: LinearProblem) -> ExactAnswer:
    region, need = problem.region, problem.need[:, 0]
    gain, own = problem.numeric_gain[0], region.values
    weight = problem.cost.feature_weights[: len(gain)]
    end = torch.where(gain > 0, region.upper, region.lower)
    # A gap that the encoder leaves open, and what gains nothing, can only be kept.
    most = torch.nan_to_num((end - own).abs_(), nan=0.0, posinf=torch.inf)
    most[:, gain == 0] = 0.0
    solve = _knapsack if problem.cost.norm == "l1" else _balance
    distance, feasible = solve(gain.abs(), weight, most, need)
    distance[~feasible] = 0.0
    values = torch.where(distance >= most, end, own + gain.sign() * distance)
    values = torch.where(distance > 0, values, own)
    price = weight * distance
    cost = price.sum(dim=1) if problem.cost.norm == "l1" else price.norm(dim=1)
    status = np.where(feasible.numpy(), "optimal", "infeasible")
    return ExactAnswer(values, region.levels, status, torch.where(feasible, cost, torch.inf))


def _knapsack(slope: Tensor, weight: Tensor, most: Tensor, need: Tensor) -> tuple[Tensor, Tensor]:
    """Fill features in the order of gain per cost, which is the same for everybody."""
    order = torch.argsort(slope / weight, descending=True, stable=True)
    # What gains nothing comes last, and is never asked for more than nothing.
    slope, most = slope[order], most[:, order]
    capacity = torch.nan_to_num(slope * most, nan=0.0, posinf=torch.inf)
    total = torch.cumsum(capacity, dim=1)
    before = torch.zeros_like(total)
    before[:, 1:] = total[:, :-1]
    used = torch.minimum((need.unsqueeze(1) - before).clamp_min_(0), capacity)
    ordered = torch.where(used >= capacity, most, used / slope)
    distance = torch.empty_like(ordered)
    distance[:, order] = torch.where(used > 0, ordered, 0.0)
    feasible = total[:, -1] >= need if total.shape[1] else torch.zeros_like(need, dtype=torch.bool)
    return distance, feasible


def _balance(slope: Tensor, weight: Tensor, most: Tensor, need: Tensor) -> tuple[Tensor, Tensor]:
    """Raise the multiplier until all features together meet the need."""
    distance, feasible = balance(*(part.numpy() for part in (slope, weight, most, need)))
    return torch.from_numpy(distance), torch.from_numpy(feasible)
