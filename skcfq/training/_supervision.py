"""What the teacher tells the student: recourse points, targets, groups and how they are weighed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from skcfq.actions import ActionSet, CompiledActions, compile_cost, region_of
from skcfq.exceptions import EmptyPopulationWarning
from skcfq.models import Predictor
from skcfq.nn import Matching, TrainingRows
from skcfq.solvers.search import projected_steps
from skcfq.training._conformal import calibration_people
from skcfq.training._groups import Groups
from skcfq.training._memory import teacher_points
from skcfq.training._objective import CFQObjective
from skcfq.training._people import People
from skcfq.training._promise import AdvisedPeople
from skcfq.training._seeds import draw_seed
from skcfq.training._table import TrainingTable
from skcfq.training._teacher_actions import OnlineActions, TeacherActions
from skcfq.utils import decision_fault, take_rows, warn_user

# Rows that the teacher is asked about together.
_ROWS = 4096


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
        People with an action who are kept for the promise.
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

    def advised(self, people: People, teacher: Predictor) -> AdvisedPeople | None:
        """Return those who were kept for the promise; where nobody could be, who was trained on.

        Parameters
        ----------
        people : People
            Whose supervision this is.
        teacher : Predictor

        Returns
        -------
        advised : AdvisedPeople or None
            None where nobody has advice.
        """
        who = self.promised if self.held is None or not self.held.any() else self.held
        if not who.any():
            return None
        rows = who.numpy().nonzero()[0]
        return AdvisedPeople.of(
            teacher,
            take_rows(people.table.X, rows),
            torch.from_numpy(people.encoded[rows]),
            self.points[who].double(),
            self.targets[who],
            self.weights[who],
            None if self.groups is None else self.groups.take(rows),
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
            groups=rows.groups if self.groups is None else self.groups.codes,
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


def supervise(
    people: People,
    teacher: Predictor,
    *,
    action_set: ActionSet,
    actions: TeacherActions,
    objective: CFQObjective,
    rng: np.random.RandomState,
    memory: Any = None,
    verbose: bool = False,
) -> Supervision | None:
    """Compute the teacher's actions for the people whom it refuses.

    Parameters
    ----------
    people : People
    teacher : Predictor
    action_set : ActionSet
    actions : TeacherActions
    objective : CFQObjective
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
    X, target = people.table.X, torch.from_numpy(people.target)
    rows = np.arange(len(target)) if objective.all_rows else np.flatnonzero(people.denied)
    if len(rows) == 0:
        _warn_unsupervised("The teacher refuses nobody", "Check `target`.", people)
        return None
    rows = rows[actions.draw(len(rows), rng)]
    seed, asked = draw_seed(rng), (take_rows(X, rows), people.target[rows])
    points = torch.from_numpy(people.encoded).clone()
    points[rows], valid = teacher_points(
        memory, actions, teacher, action_set, *asked, seed, verbose=verbose
    )
    if not (valid.any() or objective.all_rows):
        other = "more or larger steps" if actions.method == "pgd" else "another solver"
        _warn_unsupervised(
            f"Of the {len(rows)} people whom the teacher refuses, none reaches the target by its "
            "actions",
            f"Widen `action_set`, or give `teacher_actions` {other}.",
            people,
        )
        return None
    drawn, promised = torch.zeros(2, len(points), dtype=torch.bool)
    # Where the teacher itself refuses the point, there is no promise that could be kept.
    drawn[rows], promised[rows] = True, valid
    promised &= torch.from_numpy(people.denied)
    weights = torch.from_numpy(people.table.sample_weight).double()
    acted = drawn if objective.all_rows else promised
    told = Supervision(points, target, acted, promised, weights, people.groups)
    if objective.after_training.validity_drop is not None:
        told = _keeping_people_for_the_promise(told, people, rng)
    if max(objective.matching_weights) > 0:
        compiled = action_set.compile(teacher.space)
        matching = _matching(X, teacher, target, compiled, actions, objective)
        told = replace(told, matching=matching)
    if actions.online:
        online = _online(people.table, teacher, action_set, actions, seed)
        online = replace(online, everywhere=objective.all_rows)
        # Every person who was drawn may get a valid point in some pass, with other noise.
        acted = drawn if told.held is None else drawn & ~told.held
        told = replace(told, online=online, acted=acted)
    return replace(told, points=points.to(people.table.dtype))


def supervise_both(
    people: People,
    others: People | None,
    teacher: Predictor,
    *,
    actions: TeacherActions,
    objective: CFQObjective,
    **given: Any,
) -> tuple[Supervision | None, Supervision | None]:
    """Compute the teacher's actions for those who are trained on, and for a validation share.

    Parameters
    ----------
    people : People
    others : People or None
        The validation share.
    teacher : Predictor
    actions : TeacherActions
    objective : CFQObjective
    **given : dict
        All else that :func:`supervise` takes.
    """
    if not objective.needs_recourse:
        return None, None
    told = supervise(people, teacher, actions=actions, objective=objective, **given)
    if told is None or others is None:
        return told, None
    # The promise would keep some of these people, and every one is validated on; online actions
    # would move the points from pass to pass.
    without_finish = clone(objective).set_params(finish=None)
    fixed = clone(actions).set_params(online=False)
    with warnings.catch_warnings():
        # Nobody who is refused among a few held-out rows is no news.
        warnings.simplefilter("ignore", EmptyPopulationWarning)
        return told, supervise(others, teacher, actions=fixed, objective=without_finish, **given)


def _keeping_people_for_the_promise(
    told: Supervision, people: People, rng: np.random.RandomState
) -> Supervision:
    """Keep some people from the terms; of groups that are promised the same each, as many."""
    groups = told.groups
    held = calibration_people(
        torch.from_numpy(people.encoded),
        told.promised,
        torch.from_numpy(people.table.sample_weight),
        rng,
        codes=None if groups is None or groups.weights is not None else groups.codes,
    )
    return replace(told, acted=told.acted & ~held, promised=told.promised & ~held, held=held)


def _online(
    table: TrainingTable,
    teacher: Predictor,
    action_set: ActionSet,
    actions: TeacherActions,
    seed: int,
) -> OnlineActions:
    """Return what computes the actions of a batch, with noise of its own."""
    region = region_of(action_set.compile(teacher.space), table.X)
    noise = torch.Generator().manual_seed(seed)
    return OnlineActions.prepare(actions, teacher, region, noise, table.dtype)


def _matching(
    X: Any,
    teacher: Predictor,
    target: Tensor,
    compiled: CompiledActions,
    actions: TeacherActions,
    objective: CFQObjective,
) -> Matching:
    """Return the matching regularizer: the teacher's K steps beside the student's."""
    region, n_steps, step_size = region_of(compiled, X), actions.n_steps, actions.step_size
    direction, cost = objective.matching_weights
    return Matching(
        direction=direction,
        cost=cost,
        region=region,
        points=projected_steps(teacher, region, target, n_steps=n_steps, step_size=step_size),
        cost_of=compile_cost(compiled),
        n_steps=n_steps,
        step_size=step_size,
    )


def _warn_unsupervised(what: str, remedy: str, people: People) -> None:
    # Of those who are refused it is enough to know that they are.
    decisions = np.where(people.denied, -1, people.target)
    fault = decision_fault(decisions, people.target, people.table.labels)
    warn_user(
        f"{what}, so there is no recourse to preserve: the training is without the terms at "
        f"recourse points, and the bias stays as it is. {fault or remedy}",
        EmptyPopulationWarning,
    )
