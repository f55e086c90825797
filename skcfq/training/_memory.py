"""What ``memory`` spares: the fit of a teacher, and its recourse.

Both are functions of their arguments alone, seeds included, and of the code behind them, which is
a part of the key: a result from the cache is the result that a computation would give, bit for
bit. It is kept with a digest, and computed anew where the two no longer fit.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pickle import PicklingError
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.utils.validation import check_memory
from torch import Tensor

from skcfq.actions import ActionSet
from skcfq.models import Predictor
from skcfq.training._code_identity import code_identity
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
    if memory is None:
        fit_model(model, X, y, sample_weight, seed)
        return model
    try:
        cached = _opened(memory).cache(_fitted)
        return _remembered(cached, _fitted, code_identity(model), model, X, y, sample_weight, seed)
    except _Unkept as stop:
        return stop.model
    except PicklingError as error:
        _check_picklable(model, error)
        raise


def _opened(memory: Any) -> Any:
    """Return a joblib memory; a text is the folder that it is in, which is made where needed."""
    try:
        return check_memory(memory)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"memory={memory!r} is no folder that can be written ({error}). Give another folder, a "
            "joblib.Memory, or None."
        ) from error


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
    asked = (actions, teacher.fingerprint, action_set, X, target, seed)
    if memory is None:
        return actions.points(teacher, action_set, X, target, seed, verbose=verbose)
    cached = _opened(memory).cache(_points, ignore=["teacher", "verbose"])
    identity = code_identity(actions, action_set, teacher.model)
    points, valid = _remembered(cached, _points, identity, *asked, teacher=teacher, verbose=verbose)
    return torch.from_numpy(points), torch.from_numpy(valid)


class _Unkept(Exception):  # noqa: N818  (a signal, not an error)
    """A fitted model cannot be pickled: it is used, but not remembered."""

    def __init__(self, model: Any):
        super().__init__(model)
        self.model = model


def _remembered(cached: Any, work: Callable[..., tuple], *given: Any, **named: Any) -> Any:
    """Return what is kept, or what is computed where nothing is, or something else."""
    sealed = cached(*given, **named)
    if not _is_whole(sealed):
        # A file that cannot be read is noticed by joblib, other numbers in it are not.
        if hasattr(cached, "call_and_shelve"):
            cached.call_and_shelve(*given, **named).clear()
            sealed = cached(*given, **named)
        else:
            sealed = work(*given, **named)
    return pickle.loads(sealed[1])


def _sealed(value: Any) -> tuple[str, bytes]:
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return hashlib.sha256(content).hexdigest(), content


def _is_whole(sealed: Any) -> bool:
    if not (isinstance(sealed, tuple) and len(sealed) == 2 and isinstance(sealed[1], bytes)):
        return False
    return bool(hashlib.sha256(sealed[1]).hexdigest() == sealed[0])


def _fitted(
    identity: str, model: Any, X: Any, y: np.ndarray, sample_weight: np.ndarray, seed: int
) -> tuple[str, bytes]:
    fit_model(model, X, y, sample_weight, seed)
    try:
        return _sealed(model)
    except (PicklingError, TypeError, AttributeError) as error:
        raise _Unkept(model) from error


def _points(
    identity: str,
    actions: TeacherActions,
    fingerprint: str,
    action_set: ActionSet,
    X: Any,
    target: np.ndarray,
    seed: int,
    *,
    teacher: Predictor,
    verbose: bool,
) -> tuple[str, bytes]:
    points, valid = actions.points(teacher, action_set, X, target, seed, verbose=verbose)
    return _sealed((points.numpy(), valid.numpy()))
