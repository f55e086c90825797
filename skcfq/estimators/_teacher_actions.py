"""The teacher recourse points that supervise the quantized network (§4.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skcfq.actions import ActionSet
from skcfq.models import Predictor, validity_slack
from skcfq.solvers import projected_steps

# People whose actions are computed together.
_ROWS = 4096


class TeacherActions(BaseEstimator):
    """K projected gradient steps on the teacher, from each refused person's own row (Eq. 6).

    Parameters
    ----------
    n_steps : int, default=3
        K of the paper.
    step_size : float, default=0.5
        α of the paper, in encoded units per unit of the gradient of the cross-entropy.

    Notes
    -----
    The teacher does not change while the student is trained, so the actions are computed once.
    The paper gives no step size. This one was chosen on validation shares of the training
    rows of Adult and of a generated table: larger steps end deep inside the target region, where
    every quantized network agrees with the teacher and nothing is learned; smaller ones make the
    student lenient.

    Examples
    --------
    >>> TeacherActions(n_steps=1).n_steps
    1
    """

    def __init__(self, n_steps: int = 3, *, step_size: float = 0.5):
        self.n_steps = n_steps
        self.step_size = step_size

    def check(self) -> None:
        """Raise ValueError where there is no step to take."""
        if not (self.n_steps >= 1 and self.step_size > 0):
            raise ValueError(
                f"teacher_actions has n_steps={self.n_steps!r} and step_size={self.step_size!r}; "
                "give at least one step, of positive size."
            )

    def points(
        self, teacher: Predictor, action_set: ActionSet, X: Any, target: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Return the encoded points x + δ of people whom the teacher refuses.

        Parameters
        ----------
        teacher : Predictor
        action_set : ActionSet
        X : DataFrame or ndarray of shape (n, n_raw_columns)
        target : ndarray of shape (n,), int64

        Returns
        -------
        points : Tensor of shape (n, n_encoded), float64
        valid : Tensor of shape (n,), bool
            Whether the teacher gives the target there; K steps do not always suffice.
        """
        region = action_set.compile(teacher.space).at(X)
        points, valid = torch.empty_like(region.origin), torch.zeros(len(target), dtype=torch.bool)
        for rows in torch.arange(len(target)).split(_ROWS):
            people, wanted = region.take(rows), torch.from_numpy(target)[rows]
            reached = projected_steps(
                teacher, people, wanted, n_steps=self.n_steps, step_size=self.step_size
            )
            with torch.no_grad():
                valid[rows] = validity_slack(teacher.logits(reached), wanted) >= 0
            points[rows] = reached
        return points, valid
