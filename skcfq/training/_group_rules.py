"""How a loss weighs groups of people: words, weights, and a bound on what each of them loses."""

from __future__ import annotations

from numbers import Real
from typing import Any

from sklearn.base import BaseEstimator

from skcfq.utils import Interval, StrOptions, check_options, is_weight


class GroupBound(BaseEstimator):
    r"""Bound on the accuracy that every group may lose against the teacher.

    Parameters
    ----------
    accuracy_drop : float, default=0.01
        Bound :math:`\epsilon`, in accuracy: what the quantized network may get wrong more than the
        teacher does, in each group.
    rate : float, default=1.0
        Step :math:`\rho` of the multipliers, per pass and unit of accuracy.

    Notes
    -----
    With :math:`\ell_g` the mean of the terms at x over group g, :math:`\pi_g` its share of the
    rows, and :math:`d_g` the accuracy of the teacher less that of the network in g, the training
    looks for a saddle point of

    .. math:: \sum_g (\pi_g + \lambda_g)\, \ell_g \Big/ \Big(1 + \sum_g \lambda_g\Big), \qquad
              \lambda_g \leftarrow \min\{1, \max\{0, \lambda_g + \rho (d_g - \epsilon)\}\}

    after every pass, from :math:`\lambda = 0`. The multipliers follow the accuracy itself and the
    weights of the network its differentiable stand-in (a proxy-Lagrangian). :math:`d_g` is
    measured on ``validation_fraction`` of the rows, which neither the network nor a teacher that is
    fitted here is trained on; a teacher that was fitted before may know them, and then seems
    better there than it is. No multiplier exceeds 1: no group ever counts more than everybody
    together. What is reached is no guarantee, neither there nor for others: ``history_`` has the
    largest :math:`d_g` of every pass (``group_accuracy_drop``). A group without a held-out row
    keeps :math:`\lambda_g = 0`.

    References
    ----------
    A. Cotter, H. Jiang and K. Sridharan, Two-Player Games for Efficient Non-Convex Constrained
    Optimization, ALT 2019.

    Examples
    --------
    >>> from skcfq.estimators import GroupBound, QATClassifier
    >>> QATClassifier().set_params(task_groups__accuracy_drop=0.02).task_groups
    GroupBound(accuracy_drop=0.02)
    """

    _parameter_constraints: dict = {
        "accuracy_drop": [Interval(Real, 0, 1, closed="both")],
        "rate": [Interval(Real, 0, 1e6, closed="right")],
    }

    def __init__(self, accuracy_drop: float = 0.01, *, rate: float = 1.0) -> None:
        self.accuracy_drop = accuracy_drop
        self.rate = rate


GROUP_RULES: list = [StrOptions({"balanced", "worst"}), dict, None]
TASK_GROUP_RULES: list = [*GROUP_RULES, GroupBound]


def check_group_rule(rule: Any, name: str) -> None:
    """Raise ValueError where a rule of the right kind has wrong weights or parameters.

    Parameters
    ----------
    rule : {"balanced", "worst"}, dict, GroupBound or None
    name : str
        Of the parameter.
    """
    if isinstance(rule, GroupBound):
        check_options(rule, name)
    if isinstance(rule, dict):
        wrong = {group: one for group, one in rule.items() if not is_weight(one)}
        if wrong or not any(rule.values()):
            raise ValueError(
                f"{name} has the weights {wrong or rule!r}; give finite numbers of at least 0, "
                "one of them positive."
            )
