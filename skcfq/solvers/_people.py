"""Solve refused people with one method, and verify what it says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from skcfq.models import least_margin
from skcfq.solvers._alternatives import enumerate_actions
from skcfq.solvers._collection import Collection
from skcfq.solvers._verification import verify
from skcfq.solvers.problems import (
    Draws,
    ExactAnswer,
    Solution,
    Starts,
    States,
    all_of,
    anchor_far_people,
    best_per_person,
    favorable_examples,
    linear_problem,
    pose,
    region_for,
)
from skcfq.solvers.search import stabilize
from skcfq.utils import HeldInterrupts, interrupts_heard, stack_rows, take_rows

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.models import Predictor
    from skcfq.solvers.problems import Effort, Method, RecourseProblem, Task

_Answer = TypeVar("_Answer")
# A point that its own raw row does not confirm is looked for once more with this much more margin;
# where answers must survive jitter, that is then asked of every point on the way.
_SAFER_MARGINS = (0.0, 1e-7, 1e-4)
# Then a cost above the proved bound by no more than this share is still called optimal.
_STILL_OPTIMAL = 1e-6
# The same for what a column of single precision makes of a value.
_STILL_ROUNDED = 1e-5


def solve_with_alternatives(
    method: Method, effort: Effort, task: Task, seed: int, starts: list[Any]
) -> list[Solution]:
    """Solve refused people, with as many alternatives as are wanted.

    Parameters
    ----------
    method : Method
    effort : Effort
    task : Task
        N people, all refused.
    seed : int
    starts : list of DataFrame or ndarray
        Raw points of the N people to start from too.

    Returns
    -------
    solutions : list of n_alternatives Solution
        Cheapest first.
    """
    encoded = [torch.from_numpy(task.predictor.space.encode(start)) for start in starts]
    region = region_for(task)
    best = solve_people(method, effort, task, seed, encoded, region)
    if task.n_alternatives == 1:
        return [best]

    def solve_again(people: np.ndarray, frozen: np.ndarray) -> Solution:
        held = region.take(people).freeze(torch.from_numpy(frozen))
        part = [start[people] for start in encoded]
        return solve_people(method, effort, task.take(people), seed, part, held)

    nothing = Solution.nothing(task.X, task.actions.n_features)
    return enumerate_actions(solve_again, best, nothing, task.n_alternatives)


def solve_people(
    method: Method,
    effort: Effort,
    task: Task,
    seed: int,
    starts: list[Tensor],
    region: ActionRegion,
) -> Solution:
    """Solve refused people.

    Parameters
    ----------
    method : Method
    effort : Effort
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
    solution : Solution
    """
    answer, lacks_margin = _solve_people(method, effort, task, seed, starts, region)
    if not task.single_precision or answer.interrupted:
        return answer
    # A margin for rounding must not lose a person: where it cannot be had, none is asked for.
    # Integers need none, and were asked about nothing else.
    asked_more = task.first_margin > task.margin
    left = ~answer.found & (lacks_margin | (asked_more & (answer.status == "infeasible")))
    if not left.any():
        return answer
    rows = np.flatnonzero(left)
    others, _ = _solve_people(
        method,
        effort,
        replace(task.take(rows), single_precision=False),
        seed,
        [start[rows] for start in starts],
        region.take(rows),
    )
    collection = Collection(answer)
    collection.write(rows, others)
    return replace(collection.solution(), interrupted=others.interrupted)


def _solve_people(
    method: Method,
    effort: Effort,
    task: Task,
    seed: int,
    starts: list[Tensor],
    region: ActionRegion,
) -> tuple[Solution, np.ndarray]:
    """Return what is found with one margin, and which raw rows lacked some of it, shape (N,)."""
    pile = _Pile(task)
    open_rows, interrupted = np.arange(len(task)), False
    # How much margin the raw row of a point lacked, twice.
    missing = np.zeros(len(task))
    # Ctrl-C is heard while somebody searches, and else after what was found is written down.
    with HeldInterrupts() as held:
        for extra in _SAFER_MARGINS if not method.literal else (0.0,):
            rows = open_rows
            try:
                more = np.maximum(missing[rows], extra)
                part, problem = _posed(task, region, rows, more, method.gradients)
                points = [start[rows] for start in starts]
                states, status, bound, interrupted = _ask(
                    method, effort, part, problem, seed, points
                )
                if extra == 0.0:
                    pile.begin(status, bound)
                if interrupted:
                    pile.leave(rows[status == "time_limit"])
                # Who has no point is finished.
                open_rows = rows[states.person.numpy()]
                if len(open_rows) == 0:
                    break
                states, stands = _stable(part, problem, states, status)
                checked, shortfall = verify(part, problem, states)
                kept, person = checked.found & stands.numpy(), states.person.numpy()
                said = status[person]
                # A column of half precision cannot hold the values that were proved the cheapest.
                said[checked.cost > states.cost.numpy() * (1 + _STILL_ROUNDED)] = "feasible"
                # The margin for rounding is that of the point, of which the first was a guess.
                guessed = kept & task.single_precision & (missing[open_rows] > extra)
                pile.answer.bound[open_rows[guessed]] = bound[person[guessed]]
                pile.add(open_rows, checked, said, kept, extra)
                missing[open_rows] = 2 * shortfall
                open_rows = open_rows[~kept]
            except KeyboardInterrupt:
                interrupted = True
            if interrupted or held.came or len(open_rows) == 0:
                break
        if interrupted or held.came:
            pile.leave(open_rows)
        answer = pile.solution()
    return replace(answer, interrupted=interrupted or held.pressed), missing > 0


class _Pile:
    """What is known so far about some people; their raw rows, before and after, lie in one pile."""

    def __init__(self, task: Task) -> None:
        self.answer = Solution.nothing(task.X, task.actions.n_features)
        self.points = [task.X]
        # Where each person's row is.
        self.source = np.arange(len(task))
        self.height = len(task)

    def begin(self, status: np.ndarray, bound: np.ndarray) -> None:
        """Note what a method says about everybody."""
        self.answer.status[:] = status
        self.answer.bound[:] = bound

    def add(
        self,
        rows: np.ndarray,
        checked: Solution,
        status: np.ndarray,
        kept: np.ndarray,
        extra: float,
    ) -> None:
        """Note points of the people at some rows, of which some are kept."""
        answer, found, cost = self.answer, rows[kept], checked.cost[kept]
        still = (extra == 0.0) | (cost <= answer.bound[found] * (1 + _STILL_OPTIMAL))
        # Nothing is known about a point that its raw row refutes.
        answer.status[rows] = "not_found"
        answer.status[found] = np.where(still, status[kept], "feasible")
        answer.cost[found] = cost
        answer.margin[found] = checked.margin[kept]
        answer.changed[found] = checked.changed[kept]
        self.source[found] = self.height + np.flatnonzero(kept)
        self.points.append(checked.points)
        self.height += len(kept)

    def leave(self, rows: np.ndarray) -> None:
        """Note that nobody will say more about the people at some rows."""
        self.answer.status[rows] = "time_limit"
        self.answer.bound[rows] = 0.0

    def solution(self) -> Solution:
        """Return what is known about everybody."""
        answer = self.answer
        bound = np.fmin(answer.bound, np.where(answer.found, answer.cost, np.inf))
        return replace(answer, bound=bound, points=_joined(self.points, self.source))


def _stable(
    task: Task, problem: RecourseProblem, states: States, status: np.ndarray
) -> tuple[States, Tensor]:
    """Move points until they survive jitter, where that is asked; tell which of them do."""
    if not task.perturbation_radius:
        return states, torch.ones(len(states), dtype=torch.bool)
    before = states.values
    with interrupts_heard():
        states, stands = stabilize(problem, states)
    moved = (states.values != before).any(dim=1)
    status[states.person[moved].numpy()] = "feasible"
    return states, stands


def _posed(
    task: Task, region: ActionRegion, rows: np.ndarray, more: np.ndarray, gradients: bool
) -> tuple[Task, RecourseProblem]:
    """Return the task of some people, and their problem with some more margin."""
    if len(rows) < len(task):
        task, region = task.take(rows), region.take(rows)
    steady = bool(more.any()) and task.perturbation_radius > 0
    return task, pose(task, region, torch.from_numpy(more), gradients=gradients, steady=steady)


def _ask(
    method: Method,
    effort: Effort,
    task: Task,
    problem: RecourseProblem,
    seed: int,
    points: list[Tensor],
) -> tuple[States, np.ndarray, np.ndarray, bool]:
    """Return at most one point for each person, their statuses and bounds, and if Ctrl-C came."""
    if method.linear:
        return _ask_linear(method, effort, task, problem)
    starts = Starts(points, _draws(seed, problem), partial(favorable_examples, task))
    with interrupts_heard():
        found = method.solve(problem, effort, starts)
    n = problem.n_people
    if method.proves:
        answer = _checked(method, found, ExactAnswer)
        states, status, bound = _believed(problem, np.arange(n), answer)
        left = np.flatnonzero(np.isin(status, ("feasible", "time_limit")))
        if method.otherwise is None or answer.interrupted or len(left) == 0:
            return states, status, bound, answer.interrupted
        # What is found already is a start too.
        begun = problem.origin.clone()
        begun[states.person] = problem.assemble(states.person, states.values, states.levels)
        others = _ask(
            method.otherwise,
            effort,
            task.take(left),
            problem.take(torch.from_numpy(left)),
            seed,
            [start[left] for start in (*points, begun)],
        )
        both = States.concatenate([states, others[0].of(torch.from_numpy(left))])
        states = both.take(best_per_person(both.person, both.cost, 1))
        status[left] = np.where(np.isin(left, states.person.numpy()), "feasible", "not_found")
        return states, status, bound, others[3]
    found = _checked(method, found, States)
    found = found.take(found.valid)
    found = found.take(best_per_person(found.person, found.cost, 1))
    status = np.full(n, "not_found", dtype="<U17")
    status[found.person.numpy()] = "feasible"
    return found, status, np.zeros(n), False


def _draws(seed: int, problem: RecourseProblem) -> Draws:
    """Return random numbers that depend on each person's row and target, and on nobody else."""
    return Draws(seed, np.column_stack([problem.origin.numpy(), problem.target.numpy()]))


def _ask_linear(
    method: Method, effort: Effort, task: Task, problem: RecourseProblem
) -> tuple[States, np.ndarray, np.ndarray, bool]:
    """Ask about the people of each target at once."""
    region = problem.region
    status, bound = np.full(len(task), "time_limit", dtype="<U17"), np.zeros(len(task))
    found, interrupted = [], False
    for target in np.unique(task.target).tolist():
        here = np.flatnonzero(task.target == target)
        of_target = region if len(here) == len(task) else region.take(here)
        logits = [_linear_logits(model) for model in task.models]
        anchors = anchor_far_people(
            of_target,
            *_margins(logits, target),
            least_margin(torch.zeros(1, 1), float(problem.margin.min())).item(),
            task.cost,
            weight_radius=task.margin_radius,
        )
        problems = [
            linear_problem(
                *of_model,
                target,
                anchors.region,
                task.cost,
                margin=problem.margin[here],
                weight_radius=task.margin_radius,
            )
            for of_model in logits
        ]
        linear = replace(all_of(problems), forced=anchors.forced)
        # Methods that prove hear Ctrl-C where they can stop, and return what is proved.
        answer = _checked(method, method.solve(linear, effort), ExactAnswer)
        answer = anchors.believed(answer)
        states, status[here], bound[here] = _believed(problem, here, answer)
        found.append(states)
        if answer.interrupted:
            interrupted = True
            break
    return States.concatenate(found), status, bound, interrupted


def _margins(logits: list[tuple[Tensor, Tensor]], target: int) -> tuple[Tensor, Tensor]:
    """Return weights and intercepts of the margins over all rivals under all models."""
    rivals = torch.arange(len(logits[0][1])) != target
    rows = [coef[target] - coef[rivals] for coef, _ in logits]
    return torch.cat(rows), torch.cat([b[target] - b[rivals] for _, b in logits])


def _linear_logits(model: Predictor) -> tuple[Tensor, Tensor]:
    # Whoever takes linear problems requires that all models are linear.
    assert model.linear is not None
    return model.linear


def _checked(method: Method, answer: Any, kind: type[_Answer]) -> _Answer:
    if not isinstance(answer, kind):
        says = "proves what it says" if method.proves else "searches"
        raise TypeError(
            f"method={method.name!r} {says}, so it must return {kind.__name__}, not "
            f"{type(answer).__name__}."
        )
    return answer


def _believed(
    problem: RecourseProblem, people: np.ndarray, answer: ExactAnswer
) -> tuple[States, np.ndarray, np.ndarray]:
    """Take the states of a proof as valid, until the model is asked about their raw rows."""
    solved = np.isin(answer.status, ("optimal", "feasible"))
    person = torch.from_numpy(people[solved])
    # A program obeys limits up to its tolerance.
    values, levels = problem.snap(person, answer.values[solved]), answer.levels[solved]
    cost = problem.cost(person, values, levels)
    states = States(person, values, levels, cost, torch.zeros_like(cost))
    return states, answer.status, answer.bound.numpy()


def _joined(points: list[Any], rows: np.ndarray) -> Any:
    """Return rows of several tables that lie one after the other."""
    if len(points) == 2 and np.array_equal(rows, len(points[0]) + np.arange(len(points[1]))):
        return points[1]
    return take_rows(stack_rows(points), rows)
