"""Make a result of what is known about everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from skcfq.results import RecourseResult
from skcfq.solvers._provenance import protocol_of, provenance_of

if TYPE_CHECKING:
    from skcfq.solvers.problems import Solution, Task


def result_of(
    parameters: Mapping[str, Any], task: Task, ranks: list[Solution], method: str
) -> RecourseResult:
    """Return the result of a task.

    Parameters
    ----------
    parameters : dict of name to value
        Those of the solver.
    task : Task
    ranks : list of Solution
        Everybody's cheapest actions, then the alternatives.
    method : str
        The method that was taken.

    Returns
    -------
    result : RecourseResult
    """
    provenance = provenance_of(parameters, task, method)
    results = [
        RecourseResult(
            X=task.X,
            points=rank.points,
            cost=rank.cost,
            margin=rank.margin,
            status=rank.status,
            valid=rank.found,
            changed=rank.changed,
            target=task.predictor.classes[task.target],
            actions=task.actions,
            protocol=protocol_of(parameters, task, method, rank),
            lower_bound=rank.bound,
            method=method,
            cost_function=task.cost,
            provenance=provenance,
        )
        for rank in ranks
    ]
    return replace(results[0], alternatives=tuple(results[1:]))
