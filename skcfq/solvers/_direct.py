"""The direct method: exact recourse for binary linear models, vectorized over people (A.6).

With one linear constraint and a cost that is a sum over features, continuous problems have a
closed form: for the l1 cost a fractional knapsack, for the l2 cost a one-dimensional dual.
Categories, grids, smallest changes and ``max_changes`` go to an exact branch and bound.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skcfq.solvers._branch_and_bound import Optimum, branch_and_bound
from skcfq.solvers._linear_problem import ExactAnswer, LinearProblem
from skcfq.solvers._separable import Moves, separate, state_of, useful_moves


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
    moves = useful_moves(problem)
    need = problem.need[:, 0]
    solve = _knapsack if problem.cost.norm == "l1" else _balance
    distance, feasible = solve(moves, problem.numeric_gain[0].abs(), need)
    moved = moves.own + moves.sign * distance
    bound = torch.where(moves.sign > 0, problem.region.upper, problem.region.lower)
    values = torch.where(distance >= moves.most, bound, moved)
    values = torch.where((distance > 0) & feasible.unsqueeze(1), values, problem.region.values)
    price = moves.weight * distance
    cost = price.sum(dim=1) if problem.cost.norm == "l1" else price.norm(dim=1)
    status = np.where(feasible.numpy(), "optimal", "infeasible")
    return ExactAnswer(
        values, problem.region.levels, status, torch.where(feasible, cost, torch.inf)
    )


def _knapsack(moves: Moves, slope: Tensor, need: Tensor) -> tuple[Tensor, Tensor]:
    """Fill features in the order of gain per cost, which is the same for everybody."""
    order = torch.argsort(slope / moves.weight, descending=True, stable=True)
    slope, most = slope[order], moves.most[:, order]
    capacity = torch.where(most > 0, slope * most, 0.0)
    total = torch.cumsum(capacity, dim=1)
    before = torch.cat([torch.zeros_like(need).unsqueeze(1), total[:, :-1]], dim=1)
    used = torch.minimum((need.unsqueeze(1) - before).clamp_min(0), capacity)
    distance = torch.where(used >= capacity, most, used / slope)
    distance = torch.where(used > 0, distance, 0.0)
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    feasible = total[:, -1] >= need if total.shape[1] else torch.zeros_like(need, dtype=torch.bool)
    return distance[:, back], feasible


def _balance(moves: Moves, slope: Tensor, need: Tensor) -> tuple[Tensor, Tensor]:
    """Raise the multiplier until the features that are not at their end meet the need exactly.

    The multiplier of an active set never exceeds the true one, so the set of features at their
    end only grows, and at most m + 1 rounds are needed.
    """
    unit = slope / moves.weight**2
    most = moves.most
    capacity = torch.where(most > 0, slope * most, 0.0)
    feasible = capacity.sum(dim=1) >= need
    ended = ~(most > 0)
    multiplier = torch.zeros_like(need)
    for _ in range(most.shape[1] + 1):
        missing = need - torch.where(ended, capacity, 0.0).sum(dim=1)
        rate = torch.where(ended, 0.0, slope * unit).sum(dim=1)
        multiplier = torch.where(rate > 0, missing / rate, multiplier).clamp_min(0)
        reached = ended | (multiplier.unsqueeze(1) * unit >= most)
        if bool((reached == ended).all()):
            break
        ended = reached
    return torch.where(ended, most, multiplier.unsqueeze(1) * unit), feasible
