"""Does advice hold on every deployment of a model? Nominal and robust success (Appendix E.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.metrics._population import Population, row_weights
from skcfq.results import RecourseResult
from skcfq.utils import HasMethods, ListOf, check_parameters, take_rows


@dataclass(frozen=True, eq=False, repr=False)
class DeploymentSuccess:
    """How often the actions of one result work, on the model asked about and on variants of it.

    Attributes
    ----------
    nominal : float
        Share of the refused people who have an action that works on the model asked about.
    robust : float
        Mean share of the variants on which an action works, over the people who have one.
    all_variants : float
        Share of the people with an action for whom it works on all variants.
    shares : ndarray of shape (n,)
        Share of the variants on which each person's action works; NaN for people who need none
        and for those without one.
    n_denied, n_reachable, n_variants : int
        The counts behind these.
    """

    nominal: float
    robust: float
    all_variants: float
    shares: np.ndarray
    n_denied: int
    n_reachable: int
    n_variants: int

    def __repr__(self) -> str:
        return (
            f"DeploymentSuccess(nominal={self.nominal:.3f} of {self.n_denied} refused people; "
            f"with an action: robust={self.robust:.3f}, all_variants={self.all_variants:.3f} of "
            f"{self.n_reachable} people on {self.n_variants} variants)"
        )


@check_parameters(result=[RecourseResult], variants=[ListOf(HasMethods(["predict"]), least=1)])
def deployment_success(
    result: RecourseResult, variants: Sequence[Any], *, sample_weight: Any = None
) -> DeploymentSuccess:
    r"""Return how often the actions of a result work on other deployments of the model.

    Parameters
    ----------
    result : RecourseResult
        Actions for n people, of the standard or the robust solver.
    variants : sequence of fitted estimators or Predictors
        M deployments, for example from :func:`~skcfq.models.deployment_variants`. Only their
        ``predict`` is used. For an honest figure they are others than those given to the solver.
    sample_weight : array-like of shape (n,), optional
        Weight of each row of ``result``.

    Returns
    -------
    success : DeploymentSuccess
        Shares are NaN with a warning where the population is empty.

    Raises
    ------
    ValueError
        ``variants`` is empty.

    Notes
    -----
    Appendix E.2. A robust solver leaves more people without an action, which ``nominal`` tells.
    The robust success over all refused people, those without an action counted as failures,
    is ``nominal * robust``. On the variants that a solver was given its actions were verified, so
    there the robust success is 1 by construction; on others it is an estimate from M models.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import deployment_success
    >>> from skcfq.models import deployment_variants
    >>> from skcfq.solvers import RecourseSolver
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = LogisticRegression().fit(X, X @ [1.0, 2.0, -1.0] > 0)
    >>> options = {"kinds": ["rounding"], "bits": 4, "background": X}
    >>> seen = deployment_variants(model, 20, **options, random_state=0)
    >>> unseen = deployment_variants(model, 20, **options, random_state=1)
    >>> solver = RecourseSolver(random_state=0)
    >>> standard = solver.solve(model, X, background=X)
    >>> robust = solver.solve(model, X, background=X, variants=seen)
    >>> deployment_success(robust, seen).all_variants
    1.0
    >>> deployment_success(robust, unseen).robust > deployment_success(standard, unseen).robust
    True
    """
    weight = row_weights(sample_weight, result)
    denied, rows = result.denied, result.reachable
    shares = np.full(len(rows), np.nan)
    if rows.any():
        points, target = take_rows(result.points, rows), result.target[rows]
        works = [np.asarray(variant.predict(points)) == target for variant in variants]
        shares[rows] = np.mean(works, axis=0)
    name = "deployment_success"
    advised = Population(name, "refused people who have an action", result)
    return DeploymentSuccess(
        nominal=Population(name, "refused people", result).mean(rows, weight * denied),
        robust=advised.mean(shares[rows], weight[rows]),
        all_variants=advised.mean(shares[rows] == 1, weight[rows]),
        shares=shares,
        n_denied=int(denied.sum()),
        n_reachable=int(rows.sum()),
        n_variants=len(variants),
    )
