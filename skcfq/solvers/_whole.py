"""Solving for those to whom a part of the people is of no use."""

from __future__ import annotations

from typing import Any

from skcfq.results import RecourseResult
from skcfq.solvers._solver import RecourseSolver


def solve_whole(solver: RecourseSolver, model: Any, X: Any, **asked: Any) -> RecourseResult:
    """Solve; whole or not at all.

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
    """Compare; whole or not at all.

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
