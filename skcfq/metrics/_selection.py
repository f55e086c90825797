"""Choosing among the candidates of a search by accuracy and recourse together (§4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from skcfq.utils import Interval, check_parameters


@check_parameters(
    cv_results=[Mapping],
    tolerance=[Interval(Real, 0, None, closed="left")],
    accuracy=[str],
    by=[str],
)
def select_faithful(
    cv_results: Mapping[str, Any],
    *,
    tolerance: float = 0.005,
    accuracy: str = "accuracy",
    by: str = "validity_drop",
) -> int:
    """Return the most faithful candidate among those that are nearly the most accurate.

    It is meant as ``refit=select_faithful`` of a search with several metrics; other arguments go
    in with :func:`functools.partial`.

    Parameters
    ----------
    cv_results : mapping
        ``cv_results_`` of a search whose scores have the two names below.
    tolerance : float, default=0.005
        Mean test accuracy that may be given up against the best candidate, at least 0.
    accuracy : str, default="accuracy"
        Name of the score that may not fall.
    by : str, default="validity_drop"
        Name of the score that decides; greater is better, so drops and gaps are negated, as
        :class:`RecourseScorer` does.

    Returns
    -------
    index : int
        Of the candidate; among equals the most accurate, then the first.

    Raises
    ------
    ValueError
        A score is missing, or is NaN for every candidate.

    Notes
    -----
    The paper's rule, the largest validation accuracy, is ``refit="accuracy"``. The validity drop
    alone rewards lenient models: look at ``"recourse_gap"`` too, or choose by ``"faithfulness"``.

    References
    ----------
    Paper, §4.2.

    Examples
    --------
    >>> results = {
    ...     "mean_test_accuracy": [0.850, 0.849, 0.830],
    ...     "mean_test_validity_drop": [-0.30, -0.10, -0.01],
    ... }
    >>> select_faithful(results)
    1
    """
    accuracies, scores = (
        _means(cv_results, name, parameter)
        for parameter, name in (("accuracy", accuracy), ("by", by))
    )
    known = np.isfinite(accuracies) & np.isfinite(scores)
    if not known.any():
        raise ValueError(
            f"Every candidate has NaN as its {accuracy!r} or {by!r} in `cv_results`. Look at the "
            "warnings of the scorer: nobody may have been refused, or no recourse been found."
        )
    # Means of the same scores over folds differ in the last bits.
    eligible = known & (accuracies >= accuracies[known].max() - tolerance - 1e-12)
    order = np.lexsort((-accuracies, -scores))
    return int(next(index for index in order if eligible[index]))


def _means(cv_results: Mapping[str, Any], name: str, parameter: str) -> np.ndarray:
    key = f"mean_test_{name}"
    if key not in cv_results:
        given = [one.removeprefix("mean_test_") for one in cv_results if "mean_test_" in one]
        raise ValueError(
            f"{parameter}={name!r} is no score of the search, which has {given}. Give `scoring` a "
            f"dict with that name, or functools.partial(select_faithful, {parameter}=...)."
        )
    try:
        return np.asarray(cv_results[key], dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`cv_results` holds no numbers as {key!r}: {error}.") from error
