"""How large a validity drop may be among people to come."""

from __future__ import annotations

from numbers import Real
from typing import Any, Literal

import numpy as np

from skcfq.metrics._faithfulness import failed_rows
from skcfq.metrics._population import row_weights
from skcfq.results import RecourseResult
from skcfq.theory import FailureLimits, failure_limits
from skcfq.utils import HasMethods, Interval, StrOptions, check_parameters

SHARE = Interval(Real, 0, 1, closed="neither")
WITHOUT_ACTION = StrOptions({"exclude", "fail"})


@check_parameters(
    reference=[HasMethods("predict")],
    deployed=[HasMethods("predict")],
    result=[RecourseResult],
    confidence=[SHARE],
    wanted=[SHARE, None],
    without_action=[WITHOUT_ACTION],
)
def validity_drop_limits(
    reference: Any,
    deployed: Any,
    result: RecourseResult,
    *,
    groups: Any = None,
    sample_weight: Any = None,
    confidence: float = 0.95,
    wanted: float | None = None,
    without_action: Literal["exclude", "fail"] = "exclude",
) -> FailureLimits:
    r"""Return upper limits on the validity drop among people to come, for all groups at once.

    Teacher, student and solver (and its seed) must be fixed *before* these people are drawn, and
    the people be drawn independently, not from the training. Then nothing else is assumed.

    Parameters
    ----------
    reference : estimator
        The fitted model that ``result`` was solved on.
    deployed : estimator
        The fitted model that decides in production. Only its ``predict`` is used.
    result : RecourseResult
        Actions of the reference, n rows.
    groups : array-like of shape (n,), optional
        Label of each row's group. The confidence is that all limits hold.
    sample_weight : array-like of shape (n,), optional
        Weight of each row; see :func:`~skcfq.theory.failure_limits`.
    confidence : float, default=0.95
    wanted : float, optional
        The limit that is hoped for. Groups too small to reach it get the status
        ``"no statement"``.
    without_action : {"exclude", "fail"}, default="exclude"
        Refused people without an action are another population: those with one are spoken of, as
        in :func:`validity_drop`. ``"fail"`` speaks of all refused people, and counts people
        without an action among the failures.

    Returns
    -------
    limits : FailureLimits
        A group of whom nobody is spoken of has no statement.

    Notes
    -----
    People whom the deployed model gives the target already at their own row survive, though not by
    advice.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import validity_drop_limits
    >>> from skcfq.solvers import RecourseSolver
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> model = LogisticRegression().fit(X, X[:, 0] > 99)
    >>> result = RecourseSolver().solve(model, X, background=X)
    >>> limits = validity_drop_limits(model, model, result)
    >>> limits.n_failures.tolist(), limits.n_people.tolist(), limits.limits.round(3).tolist()
    ([0], [100], [0.03])
    """
    weight = row_weights(sample_weight, result)
    population, failed = people_and_failures(reference, deployed, result, without_action)
    if groups is None:
        failed, weight = failed[population], weight[population]
    else:
        # A group of whom nobody is left is told of, too.
        weight = weight * population
    return failure_limits(
        failed, groups=groups, sample_weight=weight, confidence=confidence, wanted=wanted
    )


def people_and_failures(
    reference: Any, deployed: Any, result: RecourseResult, without_action: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return who is spoken of, and who of them has no advice that works, bool of shape (n,)."""
    with_action = result.reachable
    failed = failed_rows(reference, deployed, result, with_action)
    if without_action == "exclude":
        return with_action, failed
    return result.denied, failed | (result.denied & ~with_action)
