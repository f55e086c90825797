"""Does the reference's advice survive in the deployed model? Metrics on results (§3.3).

Every function is pure: it reads :class:`~skcfq.results.RecourseResult` and solves nothing. An empty
population gives NaN and an :class:`~skcfq.exceptions.EmptyPopulationWarning`.
"""

from __future__ import annotations

from numbers import Real
from typing import Any, Literal

import numpy as np

from skcfq.metrics._population import Population, compared_rows, row_weights
from skcfq.results import RecourseResult
from skcfq.utils import HasMethods, Interval, StrOptions, check_parameters, take_rows

EPSILON = 1e-9
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
BOTH = "rows reachable under the reference for which the deployed model gives the target too"


@check_parameters(
    reference=[HasMethods("predict")],
    deployed=[HasMethods("predict")],
    result=[RecourseResult],
    kind=[StrOptions({"target", "mismatch"})],
)
def validity_drop(
    reference: Any,
    deployed: Any,
    result: RecourseResult,
    *,
    kind: Literal["target", "mismatch"] = "target",
    sample_weight: Any = None,
) -> float:
    r"""Return the share of rows whose reference action does not work under the deployed model.

    :math:`\mathrm{VD} = \mathbb P_x[f_q(x + \delta_f) \neq y_\mathrm{tgt}]`, where
    :math:`\delta_f` is the action that the reference :math:`f` advises and :math:`f_q` is the
    deployed model. Lower is better.

    Parameters
    ----------
    reference : estimator
        The fitted model that ``result`` was solved on.
    deployed : estimator
        The fitted model that decides in production. Only its ``predict`` is used.
    result : RecourseResult
        Actions of the reference, n rows.
    kind : {"target", "mismatch"}, default="target"
        ``"target"``: over reachable rows (denied by the reference, and a valid action of it was
        found), the share that ``deployed`` does not give the target. ``"mismatch"``: over all rows
        at which the reference gives the target, people who need no action (:math:`\delta_f = 0`)
        included, the share that the two models label differently. Over reachable rows alone
        the two forms are the same number.
    sample_weight : array-like of shape (n,), optional
        Weight of each row of ``result``.

    Returns
    -------
    drop : float
        Between 0 and 1; NaN with a warning where the population is empty.

    Raises
    ------
    ValueError
        ``result`` was not solved on ``reference``: it does not give the target at the points.

    Notes
    -----
    §3.3, restricted to rows for which an action exists; the others are counted by
    :func:`feasible_recourse_rate`. The figure depends on margin, solver and population: print
    ``result.protocol`` beside it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import validity_drop
    >>> from skcfq.solvers import RecourseSolver
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> result = RecourseSolver().solve(reference, X, background=X)
    >>> validity_drop(reference, stricter, result)
    1.0
    """
    weight = row_weights(sample_weight, result)
    rows = result.reachable if kind == "target" else result.valid
    failed = failed_rows(reference, deployed, result, rows)
    population = "reachable rows" if kind == "target" else "rows that the reference favors"
    return Population("validity_drop", population, result).mean(failed, weight * rows)


@check_parameters(
    result_reference=[RecourseResult],
    result_deployed=[RecourseResult],
    kind=[StrOptions({"absolute", "signed", "median", "ratio"})],
    eps=[_NOT_NEGATIVE],
)
def counterfactual_recourse_gap(
    result_reference: RecourseResult,
    result_deployed: RecourseResult,
    *,
    kind: Literal["absolute", "signed", "median", "ratio"] = "absolute",
    eps: float = EPSILON,
    sample_weight: Any = None,
) -> float:
    r"""Return how much dearer (or cheaper) recourse is under the deployed model.

    Each row has the gap :math:`g = (c(\delta_q) - c(\delta_f)) / (c(\delta_f) + \varepsilon)`,
    where :math:`\delta_f` and :math:`\delta_q` are the cheapest actions found for the reference
    and for the deployed model.

    Parameters
    ----------
    result_reference, result_deployed : RecourseResult
        Both models solved on the same n rows, with the same action set, cost and target.
    kind : {"absolute", "signed", "median", "ratio"}, default="absolute"
        Mean of :math:`|g|`; mean of :math:`g` (the paper's form: a lenient model has a negative
        gap); median of :math:`g`; or the ratio of sums
        :math:`\sum (c(\delta_q) - c(\delta_f)) / \sum c(\delta_f)`.
    eps : float, default=1e-9
        :math:`\varepsilon`, in units of cost.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    gap : float
        0 is faithful; NaN with a warning where the population is empty.

    Raises
    ------
    SpaceMismatchError
        The two results have different feature spaces or action sets.

    Notes
    -----
    §3.3. The population is the rows reachable under both models; a row that the deployed model
    already favors counts with :math:`c(\delta_q) = 0`, that is :math:`g = -1`. The solver's own
    noise (the reference against itself, with another seed) belongs beside every gap.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import counterfactual_recourse_gap
    >>> from skcfq.solvers import RecourseSolver
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> results = RecourseSolver().compare(reference, stricter, X, background=X)
    >>> counterfactual_recourse_gap(*results, kind="signed") > 0
    True
    """
    rows, weight = compared_rows(result_reference, result_deployed, sample_weight)
    cost_reference = result_reference.cost[rows]
    difference = result_deployed.cost[rows] - cost_reference
    gap = difference / (cost_reference + eps)
    people = Population("counterfactual_recourse_gap", BOTH, result_reference)
    if kind == "absolute":
        return people.mean(np.abs(gap), weight)
    if kind == "signed":
        return people.mean(gap, weight)
    if kind == "median":
        return people.median(gap, weight)
    total = np.dot(weight, cost_reference)
    return float(np.dot(weight, difference) / total) if total > 0 else people.nan()


@check_parameters(
    result_reference=[RecourseResult],
    result_deployed=[RecourseResult],
    eps=[_NOT_NEGATIVE],
)
def direction_similarity(
    result_reference: RecourseResult,
    result_deployed: RecourseResult,
    *,
    eps: float = EPSILON,
    sample_weight: Any = None,
) -> float:
    r"""Return the mean cosine between the actions of the two models, in encoded units.

    :math:`\mathrm{DirSim} = \mathbb E_x[\langle \delta_f, \delta_q\rangle /
    (\|\delta_f\|_2 \|\delta_q\|_2 + \varepsilon)]` (§3.3). Higher is better.

    Parameters
    ----------
    result_reference, result_deployed : RecourseResult
        Both models solved on the same n rows.
    eps : float, default=1e-9
        :math:`\varepsilon`.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    similarity : float
        Between -1 and 1, over the population of :func:`counterfactual_recourse_gap`. A row that
        the deployed model already favors has :math:`\delta_q = 0` and counts with 0.

    Raises
    ------
    SpaceMismatchError
        The two results have different feature spaces or action sets.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import direction_similarity
    >>> from skcfq.solvers import RecourseSolver
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> results = RecourseSolver().compare(reference, stricter, X, background=X)
    >>> round(direction_similarity(*results), 6)
    1.0
    """
    rows, weight = compared_rows(result_reference, result_deployed, sample_weight)
    first, second = result_reference.delta_of(rows), result_deployed.delta_of(rows)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosine = np.sum(first * second, axis=1) / (lengths + eps)
    return Population("direction_similarity", BOTH, result_reference).mean(cosine, weight)


@check_parameters(
    result_reference=[RecourseResult],
    result_deployed=[RecourseResult],
    threshold=[_NOT_NEGATIVE, None],
)
def action_overlap(
    result_reference: RecourseResult,
    result_deployed: RecourseResult,
    *,
    threshold: float | None = None,
    sample_weight: Any = None,
) -> float:
    r"""Return the mean Jaccard overlap of what the two models advise to change.

    Parameters
    ----------
    result_reference, result_deployed : RecourseResult
        Both models solved on the same n rows.
    threshold : float, optional
        By default the sets hold *features* (a category that changes counts once). A number
        :math:`\tau \geq 0` gives the paper's form instead: sets of encoded coordinates
        with :math:`|\delta_j| > \tau`.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    overlap : float
        Between 0 and 1, over the population of :func:`counterfactual_recourse_gap`. Two empty
        sets overlap by 0, as in §3.3.

    Raises
    ------
    SpaceMismatchError
        The two results have different feature spaces or action sets.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import action_overlap
    >>> from skcfq.solvers import RecourseSolver
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> results = RecourseSolver().compare(reference, stricter, X, background=X)
    >>> action_overlap(*results)
    1.0
    """
    rows, weight = compared_rows(result_reference, result_deployed, sample_weight)
    first, second = (
        result.changed[rows] if threshold is None else np.abs(result.delta_of(rows)) > threshold
        for result in (result_reference, result_deployed)
    )
    shared = np.sum(first & second, axis=1)
    either = np.sum(first | second, axis=1)
    overlap = shared / np.maximum(either, 1)
    return Population("action_overlap", BOTH, result_reference).mean(overlap, weight)


@check_parameters(
    result=[RecourseResult],
)
def feasible_recourse_rate(result: RecourseResult, *, sample_weight: Any = None) -> float:
    r"""Return the share of denied rows for which a valid action was found (FRR, Eq. 34).

    Parameters
    ----------
    result : RecourseResult
        Actions of one model, n rows.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    rate : float
        Between 0 and 1; NaN with a warning where nobody is denied. Where the solver only
        searches (status ``"not_found"``), the rate is a lower bound of
        :math:`\mathbb P_x[\exists \delta \in \mathcal A(x): f(x + \delta) = y_\mathrm{tgt}]`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import feasible_recourse_rate
    >>> from skcfq.solvers import RecourseSolver
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> model = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> feasible_recourse_rate(RecourseSolver().solve(model, X, background=X))
    1.0
    """
    weight = row_weights(sample_weight, result) * result.denied
    return Population("feasible_recourse_rate", "denied rows", result).mean(
        result.reachable, weight
    )


def failed_rows(
    reference: Any, deployed: Any, result: RecourseResult, rows: np.ndarray
) -> np.ndarray:
    """Return which of some rows the deployed model does not give the target, bool of shape (n,)."""
    failed = np.zeros(len(rows), dtype=bool)
    if rows.any():
        points, target = take_rows(result.points, rows), result.target[rows]
        _check_solved_on(reference, points, target)
        failed[rows] = np.asarray(deployed.predict(points)) != target
    return failed


def _check_solved_on(reference: Any, points: Any, target: np.ndarray) -> None:
    wrong = int(np.sum(np.asarray(reference.predict(points)) != target))
    if wrong:
        raise ValueError(
            f"`result` was not solved on `reference`: it does not predict the target at {wrong} of "
            f"{len(target)} recourse points. Give the model that the result was solved on."
        )
