"""Run one task from the choice of a method to its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from skcfq.solvers._batches import Batches
from skcfq.solvers._collection import Collection
from skcfq.solvers._contradictions import without_false_proofs
from skcfq.solvers._methods import choose_method
from skcfq.solvers._own_rows import margin_of, with_own_logits
from skcfq.solvers._result_building import result_of
from skcfq.solvers._stopping import as_interrupted, with_results
from skcfq.solvers.problems import Effort
from skcfq.utils import HeldInterrupts, Progress

if TYPE_CHECKING:
    from skcfq.results import RecourseResult
    from skcfq.solvers.problems import Method, Task


def solve_task(
    parameters: Mapping[str, Any], task: Task, starts: list[Any], *, stopped: bool = False
) -> RecourseResult:
    """Solve, or, where work was stopped before, tell only who needs nothing.

    Parameters
    ----------
    parameters : dict of name to value
        Those of the solver.
    task : Task
    starts : list of DataFrame or ndarray
        Raw points to start from too.
    stopped : bool, default=False
    """
    method = choose_method(parameters["method"], task)
    denied = np.flatnonzero(task.decisions != task.predictor.classes[task.target])
    task = with_own_logits(task)
    assert task.logits is not None
    margin = margin_of(task.logits, task.target)
    n_alternatives = parameters["n_alternatives"]
    ranks = [Collection.before(task, denied, margin.copy()) for _ in range(n_alternatives)]
    size = parameters["batch_size"] or method.batch_size_for(task)
    people = denied[:0] if stopped else denied
    seed, free = _seed(method, parameters["random_state"]), parameters["batch_size"] is None
    batches = Batches(method, _effort(parameters), task, starts, people, size, seed, free)
    shown = bool(parameters["verbose"])
    with Progress("recourse", "person", len(denied), shown=shown) as progress:
        end = batches.solve_into(ranks, parameters["n_jobs"], progress)
    with HeldInterrupts() as held:
        solutions = without_false_proofs(task, denied, [rank.solution() for rank in ranks])
        result = result_of(parameters, task, solutions, method.name)
    if isinstance(end, Exception):
        raise with_results(end, as_interrupted(result))
    if stopped or end is not None or held.pressed:
        return as_interrupted(result)
    return result


def _effort(parameters: Mapping[str, Any]) -> Effort:
    limit = parameters["time_limit"]
    return Effort(
        n_restarts=parameters["n_restarts"],
        beam_width=parameters["beam_width"],
        n_steps=parameters["n_steps"],
        step_size=float(parameters["step_size"]),
        time_limit=None if limit is None else float(limit),
        max_nodes=int(parameters["max_nodes"]),
    )


def _seed(method: Method, random_state: Any) -> int:
    """Return the seed of the random starts; methods that only prove draw nothing."""
    if method.proves and method.otherwise is None:
        return 0
    return int(check_random_state(random_state).randint(2**31 - 1))
