"""Solve one chunk of refused people with one method, and verify what it says."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from skcfq.solvers._alternatives import enumerate_actions
from skcfq.solvers._methods import METHODS
from skcfq.solvers._outcome import Outcome, nothing_found, verify
from skcfq.solvers.exact import is_plain, solve_plain
from skcfq.solvers.problems import ExactAnswer, LinearProblem, States, all_of, linear_problem
from skcfq.solvers.search import (
    black_box_search,
    multistart_search,
    projected_steps,
    stabilize,
)
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.solvers._solver import RecourseSolver
    from skcfq.solvers._task import Task
    from skcfq.solvers.problems import RecourseProblem

# A point that its own raw row does not confirm is looked for once more with this much more margin;
# where answers must survive jitter, that is then asked of every point on the way.
_SAFER_MARGINS = (0.0, 1e-7, 1e-4)
# Then a cost above the proved bound by no more than this share is still called optimal.
_STILL_OPTIMAL = 1e-6


def solve_chunk(
    settings: RecourseSolver, method: str, task: Task, seed: int, starts: list[Any]
) -> list[Outcome]:
    """Solve refused people, with as many alternatives as are wanted.

    Parameters
    ----------
    settings : RecourseSolver
    method : str
    task : Task
        N people, all refused.
    seed : int
    starts : list of DataFrame or ndarray
        Raw points of the N people to start from too.

    Returns
    -------
    outcomes : list of n_alternatives Outcome
        Cheapest first.
    """
    if method == "exact" and is_plain(settings, task):
        return [_solve_plain(settings, task, seed)]
    encoded = [torch.from_numpy(task.predictor.space.encode(start)) for start in starts]
    region = task.region()
    best = solve_people(settings, method, task, seed, encoded, region)
    if settings.n_alternatives == 1:
        return [best]

    def solve_again(people: np.ndarray, frozen: np.ndarray) -> Outcome:
        held = region.take(people).freeze(torch.from_numpy(frozen))
        part = [start[people] for start in encoded]
        return solve_people(settings, method, task.take(people), seed, part, held)

    return enumerate_actions(solve_again, best, nothing_found(task), settings.n_alternatives)


def _solve_plain(settings: RecourseSolver, task: Task, seed: int) -> Outcome:
    outcome, left = solve_plain(task)
    if len(left) == 0:
        return outcome
    part = task.take(left)
    answer = solve_people(settings, "exact", part, seed, [], part.region())
    for field in fields(Outcome):
        getattr(outcome, field.name)[left] = getattr(answer, field.name)
    return outcome


def solve_people(
    settings: RecourseSolver,
    method: str,
    task: Task,
    seed: int,
    starts: list[Tensor],
    region: ActionRegion,
) -> Outcome:
    """Solve refused people.

    Parameters
    ----------
    settings : RecourseSolver
        Parameters of the methods.
    method : str
        A key of ``METHODS``.
    task : Task
        N people, all refused.
    seed : int
        Of the random starts.
    starts : list of Tensor of shape (N, d)
        Encoded points to start from too.
    region : ActionRegion
        What the people may change.

    Returns
    -------
    outcome : Outcome
    """
    outcome = nothing_found(task)
    # Raw rows before and after lie in one pile; `source` says where each person's is.
    points = [task.X]
    source = np.arange(len(task))
    offset, rows = len(task), np.arange(len(task))
    for extra in _SAFER_MARGINS if method != "pgd" else (0.0,):
        steady = extra > 0 and task.perturbation_radius > 0
        part = _Part(task, region, rows, extra, gradients=method != "black_box", steady=steady)
        states, status, bound = _ask(settings, method, part, seed, starts)
        if extra == 0.0:
            outcome.status[:] = status
            outcome.bound[:] = bound
        if len(states) == 0:
            break
        stands = torch.ones(len(states), dtype=torch.bool)
        if task.perturbation_radius:
            before = states.values
            states, stands = stabilize(part.problem, states)
            moved = (states.values != before).any(dim=1)
            status[states.person[moved].numpy()] = "feasible"
        verified = verify(task.take(rows), part.problem, states)
        person = states.person.numpy()
        kept = verified.confirmed & stands.numpy()
        found = rows[person[kept]]
        cost = states.cost.numpy()[kept]
        still = (extra == 0.0) | (cost <= outcome.bound[found] * (1 + _STILL_OPTIMAL))
        outcome.status[found] = np.where(still, status[person[kept]], "feasible")
        outcome.cost[found] = cost
        outcome.margin[found] = verified.margin[kept]
        changed = part.problem.changed(states.person, states.values, states.levels)
        outcome.changed[found] = changed.numpy()[kept]
        source[found] = offset + np.flatnonzero(kept)
        points.append(verified.points)
        offset += len(kept)
        rows = rows[person[~kept]]
        # Nothing is known about a point that its raw row refutes.
        outcome.status[rows] = "not_found"
        if len(rows) == 0:
            break
    return Outcome(
        outcome.status,
        outcome.cost,
        np.fmin(outcome.bound, np.where(outcome.found, outcome.cost, np.inf)),
        outcome.margin,
        outcome.changed,
        _joined(points, source),
    )


class _Part:
    """Some people of a task with some more margin."""

    def __init__(
        self,
        task: Task,
        region: ActionRegion,
        rows: np.ndarray,
        extra: float,
        gradients: bool,
        steady: bool,
    ):
        self.task = task
        self.rows = rows
        self.extra = extra
        everybody = len(rows) == len(task)
        self.region = region if everybody else region.take(rows)
        self.target = task.target[rows]
        self.problem: RecourseProblem = task.problem(
            self.region, self.target, extra, gradients=gradients, steady=steady
        )


def _ask(
    settings: RecourseSolver, method: str, part: _Part, seed: int, starts: list[Tensor]
) -> tuple[States, np.ndarray, np.ndarray]:
    """Return at most one point for each person, and each person's status and bound."""
    if METHODS[method].exact:
        return _ask_exact(settings, method, part)
    problem = part.problem
    if method == "pgd":
        points = projected_steps(
            problem.predictor,
            problem.region,
            problem.target,
            n_steps=settings.n_steps,
            step_size=settings.step_size,
        )
        states = problem.states_at(points)
        states = states.take(states.valid)
    else:
        generator = torch.Generator().manual_seed(seed)
        given = [start[part.rows] for start in starts]
        effort = {"n_restarts": settings.n_restarts, "beam_width": settings.beam_width}
        if method == "black_box":
            examples = _examples(part)
            states = black_box_search(problem, given, examples, generator, **effort)
        else:
            states = multistart_search(problem, given, generator, **effort)
    status = np.full(len(part.rows), "not_found", dtype="<U17")
    status[states.person.numpy()] = "feasible"
    return states, status, np.zeros(len(part.rows))


def _examples(part: _Part) -> Tensor | None:
    """Return people who have the target that all of this part want, if it is one."""
    targets = np.unique(part.target)
    return part.task.favorable_examples(int(targets[0])) if len(targets) == 1 else None


def _ask_exact(
    settings: RecourseSolver, method: str, part: _Part
) -> tuple[States, np.ndarray, np.ndarray]:
    status = np.full(len(part.rows), "not_found", dtype="<U17")
    bound = np.zeros(len(part.rows))
    found = []
    models = [model.linear for model in (part.task.predictor, *part.task.variants)]
    for target in np.unique(part.target).tolist():
        here = np.flatnonzero(part.target == target)
        region = part.region if len(here) == len(part.rows) else part.region.take(here)
        linear = [
            linear_problem(
                *weights,
                target,
                region,
                part.task.cost,
                margin=part.task.margin + part.extra,
                weight_radius=part.task.margin_radius,
            )
            for weights in models
            if weights is not None
        ]
        answer = _solve_linear(all_of(linear), method, settings.time_limit)
        status[here], bound[here] = answer.status, answer.bound.numpy()
        solved = np.isin(answer.status, ("optimal", "feasible"))
        person = torch.from_numpy(here[solved])
        found.append((person, answer.values[solved], answer.levels[solved]))
    person, values, levels = (torch.cat(field) for field in zip(*found, strict=True))
    # The model is asked when the raw rows are verified; until then the method is believed.
    cost = part.problem.cost(person, values, levels)
    return States(person, values, levels, cost, torch.zeros_like(cost)), status, bound


def _solve_linear(problem: LinearProblem, method: str, time_limit: float | None) -> ExactAnswer:
    if method == "exact":
        from skcfq.solvers.exact import solve_direct

        limit = None if time_limit is None else time_limit * problem.n_people
        return solve_direct(problem, time_limit=limit)
    # cvxpy takes a second to import, and most people never need it.
    from skcfq.solvers.exact import solve_convex

    return solve_convex(problem, method=method, time_limit=time_limit)


def _joined(points: list[Any], rows: np.ndarray) -> Any:
    """Return rows of several tables that lie one after the other."""
    if len(points) == 2 and np.array_equal(rows, len(points[0]) + np.arange(len(points[1]))):
        return points[1]
    if isinstance(points[0], pd.DataFrame):
        return take_rows(pd.concat(points), rows)
    return np.concatenate(points)[rows]
