"""The margin of advice for teams that may not touch the deployed model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import clone

from skcfq.metrics._drop_limits import SHARE, WITHOUT_ACTION, people_and_failures
from skcfq.models import carried_action_set, carried_target
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.theory import fixed_sequence
from skcfq.utils import HasMethods, Interval, ListOf, check_parameters

# What a solver takes.
_LARGEST = 1e9
# Failures, people, and the mean cost of their advice.
_Outcome = tuple[int, int, float]
_MARGINS = (2.0, 1.5, 1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class AdviceMargin:
    """The margin that advice needs, and what was tested to find it.

    Returned by :func:`advice_margin`, never made by a user. Arrays have one entry a margin that was
    tested, from the largest; margins below the last were not looked at.

    Attributes
    ----------
    margin : float or None
        The cheapest certified margin, in logit units; None where not even the largest is.
    status : {"certified", "not certified", "too few people"}
        ``"too few people"``: at the largest margin, not even 0 failures would have sufficed.
    margin_on_average : float or None
        The plug-in twin, estimated: conformal risk control. See :func:`advice_margin`.
    margins : float64 ndarray
    n_people, n_failures : int64 ndarray
    p_values : float64 ndarray
        Exact, of "more than the wanted share lose their advice".
    mean_cost : float64 ndarray
        Of the people with an action at that margin; NaN without.
    validity_drop, confidence : float
        What was asked for.
    without_action : {"exclude", "fail"}
    """

    margin: float | None
    status: str
    margin_on_average: float | None
    margins: np.ndarray
    n_people: np.ndarray
    n_failures: np.ndarray
    p_values: np.ndarray
    mean_cost: np.ndarray
    validity_drop: float
    confidence: float
    without_action: str

    def to_frame(self) -> pd.DataFrame:
        """Return one row a tested margin."""
        names = ["n_people", "n_failures", "p_values", "mean_cost"]
        index = pd.Index(self.margins, name="margin")
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=index)

    def __repr__(self) -> str:
        return (
            f"AdviceMargin({self.status}: margin={self.margin} for a validity drop of at most "
            f"{self.validity_drop:g}, confidence {self.confidence:g}; on average "
            f"{self.margin_on_average})\n{self.to_frame().to_string()}"
        )


@check_parameters(
    reference=[HasMethods("predict")],
    deployed=[HasMethods("predict")],
    validity_drop=[SHARE],
    confidence=[SHARE],
    margins=[ListOf(Interval(Real, 0, _LARGEST, closed="both"), least=1)],
    solver=[RecourseSolver, None],
    without_action=[WITHOUT_ACTION],
)
def advice_margin(
    reference: Any,
    deployed: Any,
    X_calibration: Any,
    validity_drop: float = 0.02,
    confidence: float = 0.95,
    *,
    margins: Any = _MARGINS,
    solver: RecourseSolver | None = None,
    background: Any = None,
    without_action: Literal["exclude", "fail"] = "exclude",
) -> AdviceMargin:
    r"""Return the cheapest margin at which advice of the reference survives in the deployed model.

    Teacher, student and solver (and its seed) are fixed *before* the calibration people are drawn,
    and so are ``margins``. The people are drawn independently from those who will ask, and none of
    them was trained on. Then, with probability ``confidence`` over the draw, at most the share
    ``validity_drop`` of people to come lose advice that this solver gives at the returned margin.
    (:func:`~skcfq.estimators.bias_for_validity_drop` changes the model instead.)

    Parameters
    ----------
    reference : fitted estimator
        Whom advice is solved on.
    deployed : fitted estimator
        Who decides. Action set and target are its own where solver and reference have none.
    X_calibration : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows of the people; those whom the reference refuses count.
    validity_drop : float, default=0.02
        In (0, 1). Where c is the confidence, at least :math:`\ln(1 - c) / \ln(1 - d)` people with
        an action are needed for a drop d: 149 at the defaults.
    confidence : float, default=0.95
    margins : list of float
        In logit units, 0 to 1e9; tested from the largest. By default eleven, from 2 down to 0.
        Where the largest leaves too few people with an action, nothing is certified: look for
        a grid on other people.
    solver : RecourseSolver, optional
        Its clone is used, with each margin in place of its own; by default one with
        ``random_state=0``, which also takes the place of None.
    background : DataFrame or ndarray, optional
        As in :meth:`RecourseSolver.solve`.
    without_action : {"exclude", "fail"}, default="exclude"
        As in :func:`validity_drop_limits`: each margin speaks of those with an action at that
        margin, or of all refused people.

    Returns
    -------
    advice : AdviceMargin
        Give ``advice.margin`` to the same solver. None, with a status, where nothing is certified.

    Notes
    -----
    Learn then Test: margins are tested from the largest on, until the first that is not certified
    (:func:`~skcfq.theory.fixed_sequence`); the drop need not fall with the margin.
    ``margin_on_average``, the last with :math:`(k + 1) / (n + 1)` at most the wanted drop, keeps it
    in the mean over draws of calibration people only, and only where whoever survives at a margin
    survives at larger ones and the same people have actions at all.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import advice_margin
    >>> X = np.random.default_rng(0).normal(size=(600, 2))
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 0)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 0.05)
    >>> people = np.random.default_rng(1).normal(size=(400, 2))
    >>> advice_margin(reference, stricter, people, margins=[2, 1, 0.0], background=X).margin
    1.0
    """
    fixed = _fixed_solver(solver, reference, deployed)

    def outcome(margin: float) -> _Outcome:
        told = fixed.set_params(margin=margin)
        result = told.solve(reference, X_calibration, background=background, keep_partial=False)
        return _outcome(reference, deployed, result, without_action)

    grid = np.unique(np.asarray(margins, dtype=np.float64))[::-1]
    return _choose(grid, outcome, validity_drop, confidence, without_action)


def _outcome(
    reference: Any, deployed: Any, result: RecourseResult, without_action: str
) -> _Outcome:
    people, failed = people_and_failures(reference, deployed, result, without_action)
    cost = result.cost[result.reachable]
    return int(failed.sum()), int(people.sum()), float(cost.mean()) if len(cost) else np.nan


def _choose(
    grid: np.ndarray,
    outcome: Callable[[float], _Outcome],
    validity_drop: float,
    confidence: float,
    without_action: str,
) -> AdviceMargin:
    """Ask for outcomes along the margins until nothing more can be certified."""
    found: list[_Outcome] = []
    for margin in grid.tolist():
        found.append(outcome(margin))
        n_failures, n_people, mean_cost = map(np.array, zip(*found, strict=True))
        tested = fixed_sequence(n_failures, n_people, validity_drop, confidence=confidence)
        if not (tested.certified[-1] or tested.on_average[-1]):
            break
    last, on_average = tested.last_certified, tested.last_on_average
    status = "certified"
    if last is None:
        hopeful = fixed_sequence([0], n_people[:1], validity_drop, confidence=confidence)
        status = "not certified" if hopeful.certified[0] else "too few people"
    return AdviceMargin(
        margin=None if last is None else float(grid[last]),
        status=status,
        margin_on_average=None if on_average is None else float(grid[on_average]),
        margins=grid[: len(found)],
        n_people=n_people,
        n_failures=n_failures,
        p_values=tested.p_values,
        mean_cost=mean_cost,
        validity_drop=validity_drop,
        confidence=confidence,
        without_action=without_action,
    )


def _fixed_solver(solver: RecourseSolver | None, reference: Any, deployed: Any) -> RecourseSolver:
    """Return a solver that answers alike each time, with the rules of one of the models."""
    fixed = clone(RecourseSolver() if solver is None else solver)
    if fixed.random_state is None:
        fixed.set_params(random_state=0)
    elif not isinstance(fixed.random_state, Integral):
        raise ValueError(
            "solver.random_state is a generator, which answers differently each time; give the "
            "`solver` a whole number, so that what is certified is what people will be told."
        )
    if fixed.action_set is None:
        fixed.set_params(action_set=carried_action_set(reference, deployed))
    if fixed.target is None:
        fixed.set_params(target=carried_target(reference, deployed))
    return fixed
