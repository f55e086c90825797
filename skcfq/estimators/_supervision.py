"""What the teacher's recourse tells the student: points, targets and the weights of both terms."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skcfq.actions import ActionSet
from skcfq.estimators._network_classifier import TrainingTable
from skcfq.estimators._objective import CFQObjective
from skcfq.estimators._teacher_actions import TeacherActions
from skcfq.exceptions import EmptyPopulationWarning
from skcfq.models import Predictor
from skcfq.utils import take_rows


@dataclass(frozen=True, eq=False)
class Supervision:
    """Teacher recourse points of the training rows, and the weights of the terms on them.

    Attributes
    ----------
    points : Tensor of shape (n, n_encoded)
        x + δ; x itself for people without an action.
    targets : Tensor of shape (n,), int64
    acted : Tensor of shape (n,), bool
        Rows that have a valid action of the teacher.
    eta, hinge, hinge_margin : float
    """

    points: Tensor
    targets: Tensor
    acted: Tensor
    eta: float
    hinge: float
    hinge_margin: float


def supervise(
    table: TrainingTable,
    encoded: np.ndarray,
    teacher: Predictor,
    denied: np.ndarray,
    target: np.ndarray,
    *,
    action_set: ActionSet,
    actions: TeacherActions,
    eta: float,
    objective: CFQObjective,
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
    eta : float
    objective : CFQObjective

    Returns
    -------
    supervision : Supervision or None
        None, with a warning, where there is no recourse to preserve.
    """
    rows = np.flatnonzero(denied)
    if len(rows) == 0:
        _warn_unsupervised("The teacher refuses nobody", "Check `target`.")
        return None
    points = torch.from_numpy(encoded).clone()
    points[rows], valid = actions.points(
        teacher, action_set, take_rows(table.X, rows), target[rows]
    )
    if not valid.any():
        _warn_unsupervised(
            f"Of the {len(rows)} people whom the teacher refuses, none reaches the target by its "
            "actions",
            "Give `teacher_actions` more or larger steps, or widen `action_set`.",
        )
        return None
    # Where the teacher itself refuses the point, there is no promise that could be kept.
    acted = torch.zeros(len(table), dtype=torch.bool)
    acted[rows] = valid
    return Supervision(
        points.to(table.dtype),
        torch.from_numpy(target),
        acted,
        float(eta),
        float(objective.hinge),
        float(objective.hinge_margin),
    )


def _warn_unsupervised(what: str, remedy: str) -> None:
    warnings.warn(
        f"{what}, so there is no recourse to preserve: the training is plain quantization-aware "
        f"training. {remedy}",
        EmptyPopulationWarning,
        stacklevel=4,
    )
