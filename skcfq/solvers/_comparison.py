"""Two models and the same people: each model's answers are offered to the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from skcfq.solvers._collection import Collection
from skcfq.solvers._stopping import as_interrupted, with_results
from skcfq.solvers._verification import verify
from skcfq.solvers.problems import pose, region_for
from skcfq.solvers.search import stabilize
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.results import RecourseResult
    from skcfq.solvers.problems import Solution, Task


def solve_both(
    solve: Callable[..., RecourseResult],
    result_of: Callable[[Task, list[Solution], str], RecourseResult],
    first: Task,
    second: Task,
) -> tuple[RecourseResult, RecourseResult]:
    """Solve two models, and let each adopt the other's cheaper actions.

    Parameters
    ----------
    solve : callable
        Takes a task, starts and whether the work was stopped.
    result_of : callable
        Takes a task, its solutions and the name of a method.
    first, second : Task

    Returns
    -------
    mine, theirs : RecourseResult
    """
    mine = solve(first, [])
    try:
        theirs = solve(second, [mine.points], stopped=mine.interrupted)
    except KeyboardInterrupt:
        theirs = solve(second, [], stopped=True)
    except Exception as error:
        raise with_results(error, mine, *getattr(error, "results", ())) from error.__cause__

    def adopt(task: Task, own: RecourseResult, other: RecourseResult) -> RecourseResult:
        better = with_cheaper_actions(task, own, other)
        if better is None:
            return own
        return replace(result_of(task, [better], own.method), interrupted=own.interrupted)

    try:
        # A cheaper action that only the deployed solve found is the reference's too, if valid.
        adopted = adopt(first, mine, theirs)
        return adopted, adopt(second, theirs, adopted)
    except KeyboardInterrupt:
        return as_interrupted(mine), as_interrupted(theirs)
    except Exception as error:
        raise with_results(error, mine, theirs) from error.__cause__


def with_cheaper_actions(
    task: Task, mine: RecourseResult, theirs: RecourseResult
) -> Solution | None:
    """Adopt the other model's actions where they are valid here too, and cheaper.

    Parameters
    ----------
    task : Task
        About the model whose result ``mine`` is.
    mine, theirs : RecourseResult
        Of the same people.

    Returns
    -------
    solution : Solution or None
        None where nothing is adopted.
    """
    better = mine.denied & theirs.reachable & ~(mine.cost <= theirs.cost)
    if mine.interrupted:
        # An action that nobody compared with one's own is no answer.
        better &= mine.status != "time_limit"
    rows = np.flatnonzero(better)
    if len(rows) == 0:
        return None
    part = task.take(rows)
    region = region_for(part)
    problem = pose(part, region)
    points = part.predictor.space.encode(take_rows(theirs.points, rows))
    states = problem.states_at(torch.from_numpy(points))
    states = states.take(states.valid)
    if task.perturbation_radius:
        states, stands = stabilize(problem, states)
        states = states.take(stands)
    states = states.take(~(torch.from_numpy(mine.cost[rows])[states.person] <= states.cost))
    if len(states) == 0:
        return None
    checked, _ = verify(part, problem, states)
    confirmed = np.flatnonzero(checked.found)
    adopted, here = checked.take(confirmed), rows[states.person.numpy()[confirmed]]
    status = np.where(mine.status[here] == "optimal", "optimal", "feasible")
    bound = np.fmin(mine.lower_bound[here], adopted.cost)
    collection = Collection.of(mine)
    collection.write(here, replace(adopted, status=status, bound=bound))
    return collection.solution()
