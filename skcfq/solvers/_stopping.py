"""What is said where work was stopped, and what is done where a part of it is of no use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.exceptions import InterruptedWarning, WorkerDiedError
from skcfq.utils import warn_user

if TYPE_CHECKING:
    from skcfq.results import RecourseResult
    from skcfq.solvers._solver import RecourseSolver


def solve_whole(solver: RecourseSolver, model: Any, X: Any, **asked: Any) -> RecourseResult:
    """Solve, for those to whom a part of the people is of no use.

    Parameters
    ----------
    solver : RecourseSolver
    model : fitted estimator or Predictor
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    **asked
        As in :meth:`RecourseSolver.solve`.

    Returns
    -------
    result : RecourseResult

    Raises
    ------
    KeyboardInterrupt
        Where :meth:`RecourseSolver.solve` returns what is done.
    """
    result = solver._answer(model, X, **asked)
    _stop_where_interrupted(result)
    return result


def compare_whole(
    solver: RecourseSolver, reference: Any, deployed: Any, X: Any, **asked: Any
) -> tuple[RecourseResult, RecourseResult]:
    """Compare, for those to whom a part of the people is of no use.

    Parameters
    ----------
    solver : RecourseSolver
    reference, deployed : fitted estimators
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    **asked
        As in :meth:`RecourseSolver.compare`.

    Returns
    -------
    result_reference, result_deployed : RecourseResult

    Raises
    ------
    KeyboardInterrupt
        Where :meth:`RecourseSolver.compare` returns what is done.
    """
    results = solver._answers(reference, deployed, X, **asked)
    _stop_where_interrupted(*results)
    return results


def _stop_where_interrupted(*results: RecourseResult) -> None:
    if any(result.interrupted for result in results):
        raise KeyboardInterrupt


def as_interrupted(result: RecourseResult) -> RecourseResult:
    """Return a result, and its alternatives, that say so."""
    others = tuple(replace(other, interrupted=True) for other in result.alternatives)
    return replace(result, alternatives=others, interrupted=True)


def tell_interruption(*results: RecourseResult) -> None:
    """Warn where somebody has pressed Ctrl-C.

    Warns
    -----
    InterruptedWarning
    """
    if any(result.interrupted for result in results):
        left = " and ".join(_left(result) for result in results)
        warn_user(
            f"Interrupted: {left} people were not finished; they have the status 'time_limit', "
            "and the result says interrupted=True.",
            InterruptedWarning,
        )


def worker_died(result: RecourseResult) -> WorkerDiedError:
    """Return the error that hands over what is done."""
    return WorkerDiedError(
        f"A worker process died before all people were finished: {_left(result)} were not. Most "
        "often the memory was short: give fewer n_jobs or a smaller batch_size, or n_jobs=1 to see "
        "what the model itself says. Those who were finished are in the `results` of this error.",
        (result,),
    )


def _left(result: RecourseResult) -> str:
    left = int(np.sum(result.status == "time_limit"))
    return f"{left} of {int(result.denied.sum())}"
