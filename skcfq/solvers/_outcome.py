"""Verified answers: what a raw row does not confirm is never called valid."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skcfq.actions import raw_rows
from skcfq.models import validity_slack
from skcfq.nn import target_margin
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.solvers._task import Task
    from skcfq.solvers.problems import RecourseProblem, States


@dataclass(frozen=True, eq=False)
class Outcome:
    """What is known about N people after solving.

    Attributes
    ----------
    status : ndarray of shape (N,), str
    cost, bound, margin : ndarray of shape (N,)
        Cost of the action, its proved lower bound, the margin at the point; cost and margin are
        NaN without an action.
    changed : ndarray of shape (N, F), bool
    points : DataFrame or ndarray of shape (N, n_raw_columns)
        Raw rows after the action; the own row without one.
    """

    status: np.ndarray
    cost: np.ndarray
    bound: np.ndarray
    margin: np.ndarray
    changed: np.ndarray
    points: Any

    def __len__(self) -> int:
        return len(self.status)

    @property
    def found(self) -> np.ndarray:
        """Who has an action, shape (N,), bool."""
        return ~np.isnan(self.cost)

    def take(self, rows: np.ndarray) -> Outcome:
        """Return the answers of some people."""
        arrays = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "points"}
        return Outcome(points=take_rows(self.points, rows), **arrays)


def nothing_found(task: Task, status: str = "not_found") -> Outcome:
    """Return the answers before anything was tried."""
    n = len(task)
    return Outcome(
        np.full(n, status, dtype="<U17"),
        np.full(n, np.nan),
        np.zeros(n),
        np.full(n, np.nan),
        np.zeros((n, task.actions.n_features), dtype=bool),
        task.X,
    )


def own_logits(task: Task) -> np.ndarray:
    """Return the logits of the people's own rows, shape (n, n_classes)."""
    logits = np.empty((len(task), len(task.predictor.classes)))
    for block in task.blocks():
        logits[block] = task.predictor.row_scores(take_rows(task.X, block))
    return logits


def margin_of(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return what ``target_margin`` does, for arrays, shape (n,)."""
    person = np.arange(len(target))
    others = logits.copy()
    others[person, target] = -np.inf
    # Column by column: a maximum along short rows is ten times slower.
    return logits[person, target] - reduce(np.maximum, others.T)


@dataclass(frozen=True, eq=False)
class Verified:
    """Points that were put to the models once more, as raw rows."""

    confirmed: np.ndarray
    margin: np.ndarray
    points: Any


def verify(task: Task, problem: RecourseProblem, states: States) -> Verified:
    """Ask the models about the decoded raw rows of some points.

    Parameters
    ----------
    task : Task
        The people of ``problem``.
    problem : RecourseProblem
    states : States
        N points.

    Returns
    -------
    verified : Verified
        A point is confirmed when its raw row obeys all rules, has the required margin under every
        model, and every model's own ``predict`` gives the target.
    """
    everybody = torch.equal(states.person, torch.arange(problem.region.n_people))
    region = problem.region if everybody else problem.region.take(states.person)
    target = problem.target[states.person]
    points = raw_rows(region, problem.assemble(states.person, states.values, states.levels))
    encoded = torch.from_numpy(task.predictor.space.encode(points))
    confirmed = region.contains(encoded)
    margin = None
    worst_loss = task.margin_radius * (encoded.abs().sum(dim=1) + 1) if task.weight_radius else 0.0
    for predictor in (task.predictor, *task.variants):
        if predictor.differentiable:
            logits = predictor.logits(encoded).detach()
        else:
            logits = predictor.row_logits(points).detach()
        confirmed &= validity_slack(logits, target, task.margin) >= worst_loss
        labels = predictor.classes[target.numpy()]
        confirmed &= torch.from_numpy(predictor.predict(points) == labels)
        if margin is None:
            margin = target_margin(logits, target).numpy()
    if task.proba is not None:
        shares = np.asarray(task.predictor.model.predict_proba(points))
        shares = shares[np.arange(len(shares)), target.numpy()]
        confirmed &= torch.from_numpy(shares >= task.proba - 1e-9)
    return Verified(confirmed.numpy(), np.asarray(margin), points)
