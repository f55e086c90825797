"""Who pays for the promise that advice holds: a bias of the model, or a margin of the advice.

Split conformal prediction: both are read off people whom no term was fitted to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skcfq.models import Predictor, validity_slack
from skcfq.nn import QuantizedNetwork
from skcfq.training._conformal import (
    bias_above,
    conformal_quantile,
    conformal_quantile_of_shares,
    quantile,
)
from skcfq.training._groups import Groups

# Margins at which people are advised anew, at most; two or three are enough where a margin more of
# the teacher is about a margin more of the student.
_MOST_SOLVES = 8
# What a margin that fails grows by at least, and how much more than is needed is no matter: the
# 2 % quantile of 400 people has a standard deviation of 7 %.
_LEAST_GROWTH, _NEAR_ENOUGH = 1.05, 0.1


@dataclass(frozen=True, eq=False)
class AdvisedPeople:
    """People whom the teacher refuses and can advise, and its advice.

    Attributes
    ----------
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    points : Tensor of shape (n, n_encoded), float64
        x + δ, which the teacher accepts.
    targets : Tensor of shape (n,), int64
    weights : Tensor of shape (n,), float64
    refused_by : Tensor of shape (n,), float64
        The teacher's target margin at x, below 0.
    depth : Tensor of shape (n,), float64
        The teacher's slack at the points, 0 or more.
    groups : Groups or None
        Of these people.
    """

    X: Any
    points: Tensor
    targets: Tensor
    weights: Tensor
    refused_by: Tensor
    depth: Tensor
    groups: Groups | None = None

    @classmethod
    def of(
        cls,
        teacher: Predictor,
        X: Any,
        rows: Tensor,
        points: Tensor,
        targets: Tensor,
        weights: Tensor,
        groups: Groups | None = None,
    ) -> AdvisedPeople:
        """Ask the teacher about rows and points."""
        with torch.no_grad():
            refused_by = validity_slack(teacher.logits(rows), targets)
            depth = validity_slack(teacher.logits(points), targets)
        return cls(X, points, targets, weights, refused_by, depth, groups)

    @property
    def one_target(self) -> int | None:
        """The position of the label that all of them want, if it is one."""
        found = self.targets.unique()
        return int(found[0]) if len(found) == 1 else None

    def slack_under(self, network: QuantizedNetwork, points: Tensor | None = None) -> Tensor:
        """Return the slack that points, by default those of the advice, have under a network."""
        with torch.no_grad():
            logits = network((self.points if points is None else points).double())
        return validity_slack(logits, self.targets)

    def threshold(self, slack: Tensor, share: float, among: Tensor | None = None) -> float:
        """Return the slack below which a share of others like them is on average.

        Parameters
        ----------
        slack : Tensor of shape (n,)
        share : float
            In [0, 1): of all, of each group, or of the groups as they are weighed.
        among : Tensor of shape (n,), bool, optional
            Those who count; by default all.
        """
        everyone = torch.arange(len(slack))
        rows = everyone if among is None else everyone[among]
        slack, weights = slack[rows], self.weights[rows]
        if self.groups is None:
            return conformal_quantile(slack, weights, torch.zeros_like(rows), share)
        codes = self.groups.codes[rows]
        if self.groups.weights is not None:
            shares = self.groups.balance(rows, weights)
            return conformal_quantile_of_shares(slack, weights, codes, shares, share)
        # Promised to the worst group, so to each.
        return conformal_quantile(slack, weights, codes, share)

    def bias(self, slack: Tensor, share: float) -> float:
        """Return the bias of the target's logit at which no more than a share loses the advice."""
        # Where actions end deep inside, nobody loses them; that is no reason to be stricter than
        # the teacher.
        strictest = -quantile(slack - self.depth, self.weights, 0.5)
        return max(bias_above(self.threshold(slack, share)), strictest)

    def error_spread(self, slack: Tensor) -> float:
        """Return the sd of the student's less the teacher's target margin at the points."""
        errors, weights = slack - self.depth, self.weights / self.weights.sum()
        mean = (weights * errors).sum()
        return float((weights * (errors - mean) ** 2).sum().sqrt())

    def expected_gap(self, slack: Tensor) -> float:
        r"""Return :math:`E[\min(1, |e| / |m|)]`, without a solve.

        On the way of the advice the teacher's target margin rises from m < 0 at x to 0. A student
        that is lenient by e there accepts after the share :math:`1 - e / |m|` of it (at once, where
        e is more than all of it), so that its recourse is cheaper by :math:`e / |m|`; one that is
        stricter asks for so much more.

        Parameters
        ----------
        slack : Tensor of shape (n,)
            Of the student at the points, a bias included.
        """
        shares = (slack - self.depth).abs() / self.refused_by.abs()
        return float((shares.clamp(max=1) * self.weights).sum() / self.weights.sum())


@dataclass(frozen=True)
class PromisedMargin:
    """The margin of the teacher's advice at which the promise holds.

    Attributes
    ----------
    margin : float
        In logit units; NaN where it holds at none that was tried.
    extra_cost : float
        By how much the advice of all is dearer than that without the margin, as a share of it.
    """

    margin: float
    extra_cost: float


def promised_margin(
    people: AdvisedPeople,
    share: float,
    slack_of: Callable[[Tensor], Tensor],
    advise: Callable[[float], tuple[Tensor, Tensor]],
    cost_of: Callable[[Tensor], Tensor],
    start: float = 0.0,
) -> PromisedMargin:
    """Return a margin at which no more than a share of others like these people lose the advice.

    The people are advised anew at each margin that is tried, and the one that is returned is one
    at which their new points keep the promise, by the rule of the bias. The next to be tried is
    what the last one lacks, or has too much.

    Parameters
    ----------
    people : AdvisedPeople
    share : float
        Of those who have advice at that margin.
    slack_of : function of a Tensor of shape (n, n_encoded)
        Slack of these people under the student at other points.
    advise : function of a margin
        Points and validity of the teacher's advice with that margin.
    cost_of : function of points
    start : float, default=0.0
        Margin of the advice that they have.

    Notes
    -----
    As conformal risk control, it holds on average where whoever keeps the advice at a margin keeps
    it at larger ones.
    """
    margin, threshold = start, people.threshold(slack_of(people.points), share)
    if threshold >= 0:
        return PromisedMargin(start, 0.0)
    lost, kept = start, PromisedMargin(float("nan"), float("nan"))
    for _ in range(_MOST_SOLVES):
        if threshold < 0:
            lost, margin = margin, max(margin - threshold, _LEAST_GROWTH * margin)
        else:
            margin -= threshold
        if margin <= lost or margin >= kept.margin:
            break
        points, reached = advise(margin)
        if not reached.any():
            break
        threshold = people.threshold(slack_of(points), share, reached)
        if threshold >= 0:
            dearer = (people.weights * cost_of(points))[reached].sum()
            before = (people.weights * cost_of(people.points))[reached].sum()
            kept = PromisedMargin(margin, float(dearer / before - 1) if before > 0 else 0.0)
            if threshold <= _NEAR_ENOUGH * margin:
                break
    return kept
