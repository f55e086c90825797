"""Which points keep their target: Proposition 5.1, its bound, its risk, and one side alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skcfq.exceptions import EmptyPopulationWarning
from skcfq.theory._model_pairs import read_pair
from skcfq.theory._perturbation import Perturbation
from skcfq.utils import check_parameters, warn_user


@dataclass(frozen=True, eq=False, repr=False)
class MarginCondition:
    """For which of n points a condition on margins holds.

    Returned by :func:`margin_condition` and :func:`one_sided_condition`, never made by a user.

    Attributes
    ----------
    lower_bound : ndarray of shape (n,)
        Of the deployed model's target margin, in logit units.
    kind : {"certified", "sampled", "estimated"}
        How the perturbation behind it was found.
    """

    lower_bound: np.ndarray
    kind: str

    @property
    def holds(self) -> np.ndarray:
        """Whether the bound is positive, bool of shape (n,)."""
        return self.lower_bound > 0

    @property
    def at_risk(self) -> np.ndarray:
        """Whether it is not (the indicator of Eq. 64), or not known, bool of shape (n,)."""
        return ~self.holds

    @property
    def risk(self) -> float:
        """Share of the points at risk (mean of Eq. 64); NaN with a warning without points."""
        if len(self.lower_bound):
            return float(self.at_risk.mean())
        warn_user("MarginCondition: there is no point, so the risk is NaN.", EmptyPopulationWarning)
        return float("nan")

    def __repr__(self) -> str:
        n = int(self.holds.sum())
        return f"MarginCondition({self.kind}: holds at {n} of {len(self.lower_bound)} points)"


@check_parameters(perturbation=[Perturbation])
def margin_condition(margin: ArrayLike, perturbation: Perturbation) -> MarginCondition:
    r"""Return where Proposition 5.1 holds, and the margin that it leaves (Eq. 46, 51, 64).

    .. math:: m_f(u; y) > 2\epsilon \;\Rightarrow\; f_q(u) = y, \qquad
              m_{f_q}(u; y) \ge m_f(u; y) - 2\epsilon

    Parameters
    ----------
    margin : array-like of shape (n,)
        :math:`m_f`, the reference's :func:`target_margin` at the points.
    perturbation : Perturbation
        :math:`\epsilon` of the same points.

    Returns
    -------
    condition : MarginCondition
        ``holds`` is Eq. 46, ``lower_bound`` the right side of Eq. 51, ``at_risk`` the indicator of
        Eq. 64 and ``risk`` its mean. Its kind is that of the perturbation.

    Notes
    -----
    The proposition speaks of the point alone. Every perturbation of this package is at least the
    distance at the point itself, so where the condition holds, the deployed model gives the target
    there. That the ball or box around it survives does not follow: for this, use what is certified
    over all of it, and the margins of all of it.

    It is two-sided: where :math:`m_f` is near 0, as at cheapest actions by construction, it says
    nothing, and it counts against a lenient model that it moves margins far in the right
    direction. :func:`one_sided_condition` does neither.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> margin = theory.target_margin(reference, X, target=True, background=X)
    >>> epsilon = theory.exact_perturbation(reference, stricter, X, background=X)
    >>> bool(theory.margin_condition(margin, epsilon).holds[-1])
    True
    """
    margins = _as_margins(margin, len(perturbation.values))
    return MarginCondition(margins - 2 * perturbation.values, perturbation.kind)


def one_sided_condition(
    reference: Any, deployed: Any, X: Any, *, target: Any = None, background: Any = None
) -> MarginCondition:
    r"""Return where the reference's margin exceeds what the deployed model takes from it.

    .. math:: m_f(u; y) > m_f(u; y) - m_{f_q}(u; y)

    Only what is taken away counts (Eq. 67), and nothing of what is added: at the point itself the
    condition is exact, and equivalent to :math:`f_q(u) = y`.

    Parameters
    ----------
    reference, deployed : estimator or Predictor
        Fitted classifiers of one feature space.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    target : label or array-like of shape (n,), optional
        As in :func:`target_margin`.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    condition : MarginCondition
        Certified, of the points and of nothing around them; ``lower_bound`` is the deployed
        margin itself.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> condition = theory.one_sided_condition(reference, stricter, X, target=True, background=X)
    >>> bool((condition.holds == stricter.predict(X)).all())
    True
    """
    # What is taken away and then compared with what there was is what is left, without rounding.
    _, left = read_pair(reference, deployed, X, background).margins(target)
    return MarginCondition(left, "certified")


def _as_margins(margin: ArrayLike, n: int) -> np.ndarray:
    try:
        margins = np.asarray(margin, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"margin={margin!r} must hold one number a point: {error}.") from error
    if margins.shape != (n,):
        raise ValueError(
            f"`margin` has shape {margins.shape}, but `perturbation` has {n} points. Give the "
            "target_margin of the same rows."
        )
    return margins
