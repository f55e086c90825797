"""The teacher recourse points that supervise the quantized network (§4.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skcfq.actions import ActionSet
from skcfq.models import Predictor
from skcfq.solvers import projected_steps

# People whose actions are computed together.
_ROWS = 4096


class TeacherActions(BaseEstimator):
    """K projected gradient steps on the teacher, from each refused person's own row (Eq. 6).

    Parameters
    ----------
    n_steps : int, default=3
        K of the paper.
    step_size : float, default=1.0
        α of the paper, in encoded units per unit of the gradient of the cross-entropy.

    Notes
    -----
    The teacher does not change while the student is trained, so the actions are computed once.

    Examples
    --------
    >>> TeacherActions(n_steps=1).n_steps
    1
    """

    def __init__(self, n_steps: int = 3, *, step_size: float = 1.0):
        self.n_steps = n_steps
        self.step_size = step_size

    def points(
        self, teacher: Predictor, action_set: ActionSet, X: Any, target: np.ndarray
    ) -> Tensor:
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
        """
        if not (self.n_steps >= 1 and self.step_size > 0):
            raise ValueError(
                f"teacher_actions has n_steps={self.n_steps!r} and step_size={self.step_size!r}; "
                "give at least one step, of positive size."
            )
        region = action_set.compile(teacher.space).at(X)
        parts = [
            projected_steps(
                teacher,
                region.take(rows),
                torch.from_numpy(target)[rows],
                n_steps=self.n_steps,
                step_size=self.step_size,
            )
            for rows in torch.arange(len(target)).split(_ROWS)
        ]
        return torch.cat(parts) if parts else torch.empty((0, teacher.space.n_encoded))
