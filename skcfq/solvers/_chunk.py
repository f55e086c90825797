"""Solve one chunk of refused people: by the shortcut of a method, or by the method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skcfq.solvers._collection import Collection

if TYPE_CHECKING:
    from skcfq.solvers.problems import Effort, Method, Shortcut, Solution, Task


def solve_chunk(
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
    shortcut = method.shortcut_for(task)
    if shortcut is not None:
        return [_solve_short(shortcut, method, effort, task, seed)]
    return _solve_long(method, effort, task, seed, starts)


def _solve_long(
    method: Method, effort: Effort, task: Task, seed: int, starts: list[Any]
) -> list[Solution]:
    # On tensors; a shortcut that answers everybody needs no torch.
    from skcfq.solvers._people import solve_with_alternatives

    return solve_with_alternatives(method, effort, task, seed, starts)


def _solve_short(
    shortcut: Shortcut, method: Method, effort: Effort, task: Task, seed: int
) -> Solution:
    solution, left = shortcut.solve(task)
    if len(left) == 0:
        return solution
    (others,) = _solve_long(method, effort, task.take(left), seed, [])
    collection = Collection(solution)
    collection.write(left, others)
    return collection.solution()
