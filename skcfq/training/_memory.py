"""What ``memory`` spares: the fit of a teacher, and its recourse.

Both are functions of their arguments alone, seeds included, so that a result from the cache is the
result that a computation would give, bit for bit.
"""

from __future__ import annotations

from pickle import PicklingError
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.utils.validation import check_memory
from torch import Tensor

from skcfq.actions import ActionSet
from skcfq.models import Predictor
from skcfq.training._inner_models import fit_model
from skcfq.training._teacher_actions import TeacherActions


def fitted_model(
    memory: Any, model: Any, X: Any, y: np.ndarray, sample_weight: np.ndarray, seed: int
) -> Any:
    """Return a model that is fitted on these rows, or was before.

    Parameters
    ----------
    memory : None, str or object with the joblib.Memory interface
    model : classifier or pipeline
        Unfitted; it may be fitted in place.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    y, sample_weight : ndarray of shape (n,)
    seed : int
        For every ``random_state`` of the model that is None.

    Raises
    ------
    ValueError
        A parameter of the model cannot be pickled, so that no memory can know it again.
    """
    try:
        return check_memory(memory).cache(_fitted)(model, X, y, sample_weight, seed)
    except PicklingError as error:
        _check_picklable(model, error)
        raise


def _check_picklable(model: Any, error: PicklingError) -> None:
    """Raise for a parameter that joblib could not make a key of."""
    # The innermost first: what holds a parameter cannot be pickled either.
    for name, value in sorted(model.get_params().items(), key=lambda one: -one[0].count("__")):
        try:
            joblib.hash(value)
        except PicklingError:
            raise ValueError(
                f"`memory` knows a fit by its parameters, pickled, but {name}={value!r} of "
                f"{type(model).__name__} cannot be pickled. Define it at the top level of a module "
                "that can be imported, not inside a function or as a lambda, or give memory=None."
            ) from error


def teacher_points(
    memory: Any,
    actions: TeacherActions,
    teacher: Predictor,
    action_set: ActionSet,
    X: Any,
    target: np.ndarray,
    seed: int,
    *,
    verbose: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return what ``actions.points`` returns now, or returned before.

    Parameters
    ----------
    memory : None, str or object with the joblib.Memory interface
    actions : TeacherActions
    teacher : Predictor
        Known by its fingerprint: the map to encoded columns, its statistics and all weights.
    action_set : ActionSet
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    target : ndarray of shape (n,), int64
    seed : int
    verbose : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    points : Tensor of shape (n, n_encoded), float64
    valid : Tensor of shape (n,), bool
    """
    cached = check_memory(memory).cache(_points, ignore=["teacher", "verbose"])
    points, valid = cached(
        actions, teacher.fingerprint, action_set, X, target, seed, teacher=teacher, verbose=verbose
    )
    return torch.from_numpy(points), torch.from_numpy(valid)


def _fitted(model: Any, X: Any, y: np.ndarray, sample_weight: np.ndarray, seed: int) -> Any:
    fit_model(model, X, y, sample_weight, seed)
    return model


def _points(
    actions: TeacherActions,
    fingerprint: str,
    action_set: ActionSet,
    X: Any,
    target: np.ndarray,
    seed: int,
    *,
    teacher: Predictor,
    verbose: bool,
) -> tuple[np.ndarray, np.ndarray]:
    points, valid = actions.points(teacher, action_set, X, target, seed, verbose=verbose)
    return points.numpy(), valid.numpy()
