"""What the teacher tells the student: recourse points, targets, groups and how they are weighed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skcfq.actions import ActionSet, compile_cost, region_of
from skcfq.exceptions import EmptyPopulationWarning
from skcfq.models import Predictor, validity_slack
from skcfq.nn import Matching, QuantizedNetwork, TrainingRows
from skcfq.solvers.search import projected_steps
from skcfq.training._groups import Groups
from skcfq.training._memory import teacher_points
from skcfq.training._objective import CFQObjective
from skcfq.training._table import TrainingTable
from skcfq.training._teacher_actions import OnlineActions, TeacherActions
from skcfq.utils import take_rows, warn_user

# Slack of the person at the quantile after the bias is set: they keep the advice.
_ABOVE = 1e-6
# Rows that the teacher is asked about together.
_ROWS = 4096
# People whose points calibrate the bias and are not trained on: so many, and at least and at most
# these shares. A share of 2 % that is read off 400 of them has a standard deviation of 0.7 %.
_HELD, _LEAST_HELD, _MOST_HELD, _SPREAD = 400, 0.2, 0.5, 1e4


@dataclass(frozen=True, eq=False)
class Supervision:
    """Teacher recourse points of the training rows, and what is compared at them.

    Attributes
    ----------
    points : Tensor of shape (n, n_encoded)
        x + δ; x itself for people without an action.
    targets : Tensor of shape (n,), int64
    acted : Tensor of shape (n,), bool
        Rows whose terms at recourse points count.
    promised : Tensor of shape (n,), bool
        Of these, the rows whose point here the teacher accepts: with online actions, others may
        get a valid one in some pass.
    weights : Tensor of shape (n,), float64
        How many people each row stands for; class weights do not count.
    groups : Groups or None
    held : Tensor of shape (n,), bool, or None
        People with an action who are kept for the calibration of the target's bias.
    depth : Tensor of shape (n,), float64, or None
        The teacher's slack at the points, for the calibration of the target's bias.
    validity_drop : float or None
        Share of the people with an action who may lose it.
    matching : Matching or None
    online : OnlineActions or None
    """

    points: Tensor
    targets: Tensor
    acted: Tensor
    promised: Tensor
    weights: Tensor
    groups: Groups | None = None
    matching: Matching | None = None
    online: OnlineActions | None = None
    held: Tensor | None = None
    depth: Tensor | None = None
    validity_drop: float | None = None

    def calibrate(self, network: QuantizedNetwork) -> float:
        """Set the bias of the target's logit; nothing where people want different things.

        Parameters
        ----------
        network : QuantizedNetwork
            In float64; changed in place.

        Returns
        -------
        bias : float
            By which the logit was raised.
        """
        if self.validity_drop is None or self.depth is None:
            return 0.0
        held = self.held if self.held is not None and self.held.any() else self.acted
        promised = held & (self.depth >= 0)
        targets = self.targets[promised].unique()
        if len(targets) != 1:
            return 0.0
        weights = self.weights[promised]
        with torch.no_grad():
            slack = validity_slack(network(self.points[promised].double()), self.targets[promised])
        wanted = _ABOVE - self._threshold(slack, promised.nonzero().squeeze(1))
        # Where actions end deep inside, nobody loses them; that is no reason to be stricter than
        # the teacher.
        strictest = -_quantile(slack - self.depth[promised], weights, 0.5)
        bias = max(wanted, strictest)
        network.raise_logit(int(targets[0]), bias)
        return bias

    def _threshold(self, slack: Tensor, rows: Tensor) -> float:
        """Return the slack below which people lose their advice, who may."""
        assert self.validity_drop is not None
        share, weights, codes = self.validity_drop, self.weights[rows], torch.zeros_like(rows)
        if self.groups is not None:
            codes = self.groups.codes[rows]
        if self.groups is not None and self.groups.weights is not None:
            shares = self.groups.balance(rows, weights)
            return _weighed_quantile(slack, weights, shares, codes, share)
        # Promised to all, or to the worst group, so to each.
        parts = [codes == code for code in codes.unique()]
        return min(
            _quantile(slack[part], weights[part], _share_for_others(share, weights[part]))
            for part in parts
        )

    def added_to(self, rows: TrainingRows, known: Tensor | None = None) -> TrainingRows:
        """Return the rows with what the loss reads of their recourse.

        Parameters
        ----------
        rows : TrainingRows
        known : Tensor of shape (n, 2, n_classes), optional
            What :func:`known_logits` returned.
        """
        return replace(
            rows,
            points=self.points,
            targets=self.targets,
            acted=self.acted,
            groups=None if self.groups is None else self.groups.codes,
            known=known,
        )


@torch.no_grad()
def known_logits(teacher: Predictor, rows: Tensor, points: Tensor) -> Tensor:
    """Return the teacher's logits at every row and at its recourse point.

    They do not change while the student is trained, so they are computed once.

    Parameters
    ----------
    teacher : Predictor
    rows, points : Tensor of shape (n, n_encoded)
        In the precision of the training.

    Returns
    -------
    Tensor of shape (n, 2, n_classes)
    """
    logits = teacher.logits_in(rows.dtype)
    pairs = zip(rows.split(_ROWS), points.split(_ROWS), strict=True)
    return torch.cat([torch.stack([logits(x), logits(u)], dim=1) for x, u in pairs]).to(rows.dtype)


def _share_for_others(share: float, weights: Tensor) -> float:
    """Return the share of these people who may lose their advice so that ``share`` of others do.

    Split conformal prediction: where the k-th lowest of n people sets the threshold, k of n + 1
    exchangeable people are below it on average. With fewer than 1 / share people, that is more.
    Weights below 1 are shares of something, and no fewer people.
    """
    n = _n_people(weights)
    return max(share * (n + 1) - 1, 0.0) / n


def _n_people(weights: Tensor) -> float:
    return max(float(weights.sum()), int((weights > 0).sum()))


def _quantile(values: Tensor, weights: Tensor, share: float) -> float:
    """Return the smallest value that more than a share of the weight does not exceed."""
    values, order = values.sort()
    shares = weights[order].cumsum(0)
    below = int((shares <= share * shares[-1]).sum())
    return values[min(below, len(values) - 1)].item()


def _weighed_quantile(
    values: Tensor, weights: Tensor, shares: Tensor, codes: Tensor, share: float
) -> float:
    """Return the highest value below which a share of others will be, who are weighed by group.

    Of the n people of a group, k below a value say that (k + 1) / (n + 1) of others are.
    """
    values, order = values.sort()
    weights, shares, codes = weights[order], shares[order] / shares.sum(), codes[order]
    expected = torch.zeros(len(values), dtype=torch.float64)
    for code in codes.unique():
        own = codes == code
        n = _n_people(weights[own])
        below = (weights * own).cumsum(0) - weights * own
        share_below = below / weights[own].sum().clamp_min(torch.finfo(torch.float64).tiny)
        expected += shares[own].sum() * (share_below * n + 1) / (n + 1)
    return values[max(int((expected <= share).sum()) - 1, 0)].item()


def supervise(
    table: TrainingTable,
    encoded: np.ndarray,
    teacher: Predictor,
    denied: np.ndarray,
    target: np.ndarray,
    *,
    action_set: ActionSet,
    actions: TeacherActions,
    objective: CFQObjective,
    groups: Groups | None,
    rng: np.random.RandomState,
    memory: Any = None,
    verbose: bool = False,
) -> Supervision | None:
    """Compute the teacher's actions for the people whom it refuses.

    Parameters
    ----------
    table : TrainingTable
    encoded : ndarray of shape (n, n_encoded)
    teacher : Predictor
    denied : ndarray of shape (n,), bool
    target : ndarray of shape (n,), int64
    action_set : ActionSet
    actions : TeacherActions
    objective : CFQObjective
    groups : Groups or None
    rng : RandomState
    memory : None, str or object with the joblib.Memory interface
        Where the actions are remembered.
    verbose : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    supervision : Supervision or None
        None, with a warning, where there is no recourse to preserve.
    """
    rows = np.flatnonzero(denied)
    if len(rows) == 0:
        _warn_unsupervised("The teacher refuses nobody", "Check `target`")
        return None
    rows = rows[actions.draw(len(rows), rng)]
    seed = int(rng.randint(np.iinfo(np.int32).max))
    points = torch.from_numpy(encoded).clone()
    people = take_rows(table.X, rows)
    points[rows], valid = teacher_points(
        memory, actions, teacher, action_set, people, target[rows], seed, verbose=verbose
    )
    if not valid.any():
        _warn_unsupervised(
            f"Of the {len(rows)} people whom the teacher refuses, none reaches the target by its "
            "actions",
            "Widen `action_set`, or give `teacher_actions` "
            + ("more or larger steps" if actions.method == "pgd" else "another solver"),
        )
        return None
    # Where the teacher itself refuses the point, there is no promise that could be kept.
    acted = torch.zeros(len(table), dtype=torch.bool)
    acted[rows] = valid
    held = None
    if objective.validity_drop is not None:
        promised_to = None if groups is None or groups.weights is not None else groups.codes
        held = _held_out(
            torch.from_numpy(encoded),
            acted,
            torch.from_numpy(table.sample_weight),
            rng,
            codes=promised_to,
        )
        acted &= ~held
    promised = acted.clone()
    wanted = torch.from_numpy(target)
    matching = online = None
    if max(objective.matching_weights) > 0:
        matching = _matching(table, teacher, wanted, action_set, actions, objective)
    if actions.online:
        region = region_of(action_set.compile(teacher.space), table.X)
        noise = torch.Generator().manual_seed(seed)
        online = OnlineActions.prepare(actions, teacher, region, noise, table.dtype)
        # Every person who was drawn may get a valid point in some pass, with other noise.
        acted[rows] = True
        if held is not None:
            acted &= ~held
    return Supervision(
        points.to(table.dtype),
        wanted,
        acted,
        promised,
        torch.from_numpy(table.sample_weight).double(),
        groups,
        matching,
        online,
        held,
        None if objective.validity_drop is None else _slack(teacher, points, wanted),
        objective.validity_drop,
    )


def _slack(teacher: Predictor, points: Tensor, target: Tensor) -> Tensor:
    """Return by how much the teacher gives the target at every point."""
    with torch.no_grad():
        return validity_slack(teacher.logits(points), target)


def _held_out(
    encoded: Tensor,
    acted: Tensor,
    weights: Tensor,
    rng: np.random.RandomState,
    *,
    codes: Tensor | None = None,
) -> Tensor:
    """Draw the people who are kept from the terms at recourse points.

    Points that are trained on lose less than others do. Who is held depends on the row's own
    values: equal rows are held together, wherever they are. With groups that are promised the same
    each, as many are held of each.
    """
    codes = torch.zeros(len(acted), dtype=torch.int64) if codes is None else codes
    totals = weights.new_zeros(int(codes.max()) + 1).index_add_(0, codes, weights * acted)
    share = (_HELD / totals).clamp(_LEAST_HELD, _MOST_HELD)[codes]
    direction = torch.from_numpy(rng.uniform(1.0, 2.0, size=encoded.shape[1]))
    held = acted & (((encoded * direction).sum(dim=1) * _SPREAD).frac().abs() < share)
    return held if held.any() and (acted & ~held).any() else torch.zeros_like(acted)


def _matching(
    table: TrainingTable,
    teacher: Predictor,
    target: Tensor,
    action_set: ActionSet,
    actions: TeacherActions,
    objective: CFQObjective,
) -> Matching:
    """Return the matching regularizer: the teacher's K steps beside the student's."""
    compiled = action_set.compile(teacher.space)
    region = region_of(compiled, table.X)
    points = projected_steps(
        teacher, region, target, n_steps=actions.n_steps, step_size=actions.step_size
    )
    direction, cost = objective.matching_weights
    return Matching(
        direction=direction,
        cost=cost,
        region=region,
        points=points,
        cost_of=compile_cost(compiled),
        n_steps=actions.n_steps,
        step_size=actions.step_size,
    )


def _warn_unsupervised(what: str, remedy: str) -> None:
    warn_user(
        f"{what}, so there is no recourse to preserve: the training is without the terms at "
        f"recourse points, and the bias stays as it is. {remedy}.",
        EmptyPopulationWarning,
    )
