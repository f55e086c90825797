"""Solve one chunk of refused people: by the shortcut of a method, or by the method."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.solvers._collection import Collection
from skcfq.solvers.problems import Solution
from skcfq.solvers.search import BLACK_BOX
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.solvers.problems import Effort, Method, Shortcut, Task


def solve_chunk(
    method: Method, effort: Effort, task: Task, seed: int, starts: list[Any], size: int
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
    size : int
        How many are solved together at most.

    Returns
    -------
    solutions : list of n_alternatives Solution
        Cheapest first.
    """
    groups = [
        rows[begin : begin + size] for rows in task.groups() for begin in range(0, len(rows), size)
    ]
    if len(groups) == 1:
        return _solve_group(method, effort, task, seed, starts)
    parts: list[list[Solution]] = []
    for rows in groups:
        part = task.take(rows)
        if parts and parts[-1][0].interrupted:
            left = Solution.nothing(part.X, part.actions.n_features, "time_limit")
            parts.append([replace(left, interrupted=True)] * task.n_alternatives)
            continue
        of_part = [take_rows(start, rows) for start in starts]
        parts.append(_solve_group(method, effort, part, seed, of_part))
    place = np.argsort(np.concatenate(groups))
    return [Solution.concatenate(rank).take(place) for rank in zip(*parts, strict=True)]


def _solve_group(
    method: Method, effort: Effort, task: Task, seed: int, starts: list[Any]
) -> list[Solution]:
    if task.apart.any():
        # All of a group are: nothing is proved about them, and no gradient is right.
        method, task = BLACK_BOX, task.as_functions()
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
    return replace(collection.solution(), interrupted=others.interrupted)
