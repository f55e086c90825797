r"""Recourse for a linear model, written out: a separable cost under one linear constraint a rival.

A linear model says the target t when its margin over every rival class r suffices,

.. math:: (w_t - w_r)^T x' + b_t - b_r \ge m \quad \text{for all } r \ne t,

which is Eq. 14 with a margin and with K classes. No encoded column depends on two raw ones, so
the left side is a sum over features, as the cost is (Appendix A.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from skcfq.models import least_margin
from skcfq.solvers.problems._task import FAR
from skcfq.utils import row_products

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion, RecourseCost


@dataclass(frozen=True, eq=False)
class LinearProblem:
    r"""Recourse of n people with one target class, under a linear model.

    A state is valid when, for every rival r,

    .. math:: \sum_j a_{rj} (v_j - x_j) + \sum_c A_{rc}[l_c] \ge \text{need}_r .

    Attributes
    ----------
    region : ActionRegion
    cost : RecourseCost
    max_changes : int or None
    numeric_gain : Tensor of shape (R, m)
        :math:`a`, per encoded unit.
    level_gain : list of c Tensors of shape (n, R, L)
        :math:`A`; zero at the person's own level.
    need : Tensor of shape (n, R)
        What the action must add; the required margin is inside.
    weight_radius : float
        :math:`\rho`: every weight of the model may be off by this much. With one rival, the gain
        of a number is then :math:`a_j (v - x) - \rho(|v| - |x|)`, and `level_gain` and `need`
        contain their part of :math:`\rho(\|x'\|_1 + 1)` already.
    forced : Tensor of shape (n, m), bool, or None
        Numbers that count as changed where they stay, because the own value was moved near.
    """

    region: ActionRegion
    cost: RecourseCost
    max_changes: int | None
    numeric_gain: Tensor
    level_gain: list[Tensor]
    need: Tensor
    weight_radius: float = 0.0
    forced: Tensor | None = None

    @property
    def n_people(self) -> int:
        """Number n of people."""
        return self.region.n_people

    def take(self, rows: Tensor) -> LinearProblem:
        """Return the problem of some of the people."""
        return LinearProblem(
            self.region.take(rows),
            self.cost,
            self.max_changes,
            self.numeric_gain,
            [gain[rows] for gain in self.level_gain],
            self.need[rows],
            self.weight_radius,
            None if self.forced is None else self.forced[rows],
        )

    def gain(self, values: Tensor, levels: Tensor) -> Tensor:
        """Return what states add to the margin over each rival.

        Parameters
        ----------
        values : Tensor of shape (n, m)
        levels : int64 Tensor of shape (n, c)

        Returns
        -------
        gain : Tensor of shape (n, R)
        """
        own = torch.nan_to_num(self.region.values)
        total = _products(values - own, self.numeric_gain)
        if self.weight_radius:
            total = total - self.weight_radius * (values.abs() - own.abs()).sum(dim=1)[:, None]
        for c, gain in enumerate(self.level_gain):
            level = levels[:, c]
            moved = gain.gather(2, level.clamp_min(0)[:, None, None].expand(-1, gain.shape[1], 1))
            stays = (level < 0) | (level == self.region.levels[:, c])
            total = total + torch.where(stays[:, None], torch.zeros_like(total), moved.squeeze(2))
        return total


@dataclass(frozen=True, eq=False)
class ExactAnswer:
    """What an exact method knows about n people.

    Attributes
    ----------
    values : Tensor of shape (n, m)
    levels : int64 Tensor of shape (n, c)
        The best state; the person's own where none was found.
    status : ndarray of shape (n,), str
        ``"optimal"``, ``"feasible"``, ``"infeasible"``, ``"not_found"`` or ``"time_limit"``.
    bound : Tensor of shape (n,)
        Proved lower bound of the cost: the cost itself where optimal, infinity where infeasible,
        0 where nothing is proved.
    interrupted : bool
        Ctrl-C came; who was not finished is ``"time_limit"``.
    """

    values: Tensor
    levels: Tensor
    status: np.ndarray
    bound: Tensor
    interrupted: bool = False


def linear_problem(
    coef: Tensor,
    intercept: Tensor,
    target: int,
    region: ActionRegion,
    cost: RecourseCost,
    *,
    margin: float | Tensor = 0.0,
    weight_radius: float = 0.0,
) -> LinearProblem:
    """Write out the recourse problem of a linear model.

    Parameters
    ----------
    coef : Tensor of shape (K, d)
        Logit weights; a binary score s has the two rows (0, w).
    intercept : Tensor of shape (K,)
    target : int
        Position of the target among the K classes.
    region : ActionRegion
        What each of the n people may change.
    cost : RecourseCost
    margin : float or Tensor of shape (n,), default=0.0
        Logit margin that a valid point must have.
    weight_radius : float, default=0.0
        Largest error of each weight and intercept of a class, in logit units per encoded unit.
        A difference of two classes errs by twice as much, except with a binary score.

    Returns
    -------
    problem : LinearProblem
    """
    rivals = torch.arange(len(coef)) != target
    rows = coef[target] - coef[rivals]
    origin = torch.nan_to_num(region.origin)
    logits = _products(origin, coef) + intercept
    margins = _products(origin, rows) + (intercept[target] - intercept[rivals])
    # More than validity asks for: the moved point's own logits may be a little larger, and its raw
    # row rounds. Those of people far outside say nothing about where they go.
    logits = logits.clamp(-FAR, FAR)
    need = (least_margin(logits, margin) + least_margin(logits))[:, None] - margins
    numeric, levels = region.effects(rows)
    own = region.levels.clamp_min(0)
    if weight_radius:
        need = need + weight_radius * (origin.abs().sum(dim=1, keepdim=True) + 1)
        levels = [gain - weight_radius * _code_growth(region, c) for c, gain in enumerate(levels)]
    for c, gain in enumerate(levels):
        known = region.levels[:, c] >= 0
        gain[known, :, own[known, c]] = 0.0
    return LinearProblem(
        region, cost, region.compiled.max_changes, numeric, levels, need, weight_radius
    )


def all_of(problems: Sequence[LinearProblem]) -> LinearProblem:
    """Return the problem of satisfying several linear models at once: one rival after the other.

    Parameters
    ----------
    problems : sequence of LinearProblem
        Of the same people, target and rules.
    """
    first = problems[0]
    if len(problems) == 1:
        return first
    levels = zip(*(problem.level_gain for problem in problems), strict=True)
    return replace(
        first,
        numeric_gain=torch.cat([problem.numeric_gain for problem in problems]),
        level_gain=[torch.cat(gains, dim=1) for gains in levels],
        need=torch.cat([problem.need for problem in problems], dim=1),
    )


def _products(points: Tensor, rows: Tensor) -> Tensor:
    """Return ``points @ rows.T``, each point as if it were the only one."""
    return torch.from_numpy(row_products(points.numpy(), rows.T.numpy()))


def _code_growth(region: ActionRegion, c: int) -> Tensor:
    """Return how much the absolute code of each level exceeds the own one, shape (n, 1, L)."""
    own = torch.nan_to_num(region.origin[:, region.categorical_columns[c]]).abs().sum(dim=1)
    return (region.codes[c].abs().sum(dim=1)[None, :] - own[:, None])[:, None, :]
