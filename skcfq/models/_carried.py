"""What a model was told of recourse: action set, target and the margin that was promised."""

from __future__ import annotations

import math
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skcfq.actions import ActionSet
from skcfq.exceptions import ActionSetError, TargetError
from skcfq.models._pipelines import split_model
from skcfq.models._predictor import Predictor

__all__ = ["carried_action_set", "carried_margin", "carried_target", "carry", "carry_margin"]


def carry(model: Any, action_set: ActionSet | None, target: Any) -> None:
    """Leave action set and target with a model that one's own fit has made.

    Parameters
    ----------
    model : estimator
        Of this library, of another one or a pipeline; it gets the attributes ``action_set_`` and
        ``target_``.
    action_set : ActionSet or None
        On the columns that the whole model reads.
    target : label, "opposite", callable or None
    """
    model.action_set_ = None if action_set is None else clone(action_set)
    model.target_ = target


def carry_margin(teacher: Any, margin: float | None) -> None:
    """Leave the margin that advice needs with a teacher that one's own fit has made.

    Parameters
    ----------
    teacher : estimator
        It gets the attribute ``recourse_margin_``.
    margin : float or None
        None where nothing is promised.
    """
    teacher.recourse_margin_ = margin


def carried_margin(*models: Any) -> float:
    """Return the margin that ``margin="promise"`` stands for: that of the first model with one.

    Parameters
    ----------
    *models : estimator, Predictor or function
        Quantized classifiers know it, and the teachers that their fits have made.

    Raises
    ------
    ValueError
        None of them knows one, or there is none at which the promise holds.
    """
    for model in models:
        for part in _parts(model):
            margin = getattr(part, "recourse_margin_", None)
            if margin is None:
                continue
            if math.isnan(margin):
                raise ValueError(
                    "margin='promise', but at no margin that was tried do enough people keep the "
                    f"advice (recourse_margin_ of {type(part).__name__} is NaN). Give a number, or "
                    "let the model pay (promise='model')."
                )
            return float(margin)
    raise ValueError(
        "margin='promise', but the model knows of none: of a teacher that was given to its student "
        "only the student does. Give margin=student.recourse_margin_, or make the solver by "
        "RecourseSolver.from_estimator(student, margin='promise')."
    )


def carried_action_set(*models: Any) -> ActionSet | None:
    """Return the action set of the first model that has one, None without.

    Parameters
    ----------
    *models : estimator, Predictor or function
        Estimators and model files of this library carry what they were given, teachers what the
        fit left with them that made them.

    Raises
    ------
    ActionSetError
        The first such model is behind the preprocessing steps of a pipeline: its rules name
        columns that the whole does not read.
    """
    for model in models:
        outer, final = _parts(model)
        rules = _rules_of(outer)
        if rules is not None:
            return rules
        rules = None if final is outer else _rules_of(final)
        if rules is None:
            continue
        if split_model(outer)[0]:
            raise ActionSetError(
                f"The action set of {type(final).__name__} names columns behind the preprocessing "
                "steps of its pipeline, and the pipeline reads the raw X. Give `action_set=` on "
                "the raw columns."
            )
        return rules
    return None


def carried_target(*models: Any) -> Any:
    """Return the target of the first model that has one, None without.

    Parameters
    ----------
    *models : estimator, Predictor or function
        As :func:`carried_action_set`; labels are those of the whole model.

    Raises
    ------
    TargetError
        The target is a rule for training rows.
    """
    for model in models:
        for part in _parts(model):
            target = _target_of(part)
            if target is not None:
                return target
    return None


def _parts(model: Any) -> tuple[Any, Any]:
    """Return a model out of its wrappers, and its last step."""
    model = model.model if isinstance(model, Predictor) else model
    while isinstance(model, FrozenEstimator) or hasattr(model, "best_estimator_"):
        model = model.estimator if isinstance(model, FrozenEstimator) else model.best_estimator_
    return model, split_model(model)[1]


def _rules_of(part: Any) -> ActionSet | None:
    rules = getattr(part, "action_set_", None)
    rules = getattr(part, "action_set", None) if rules is None else rules
    if isinstance(rules, dict):
        # A model file holds its rules as plain values.
        return ActionSet.from_dict(rules)
    return clone(rules) if isinstance(rules, ActionSet) else None


def _target_of(part: Any) -> Any:
    if not (hasattr(part, "action_set_") or hasattr(part, "action_set")):
        return None  # what a foreign model calls its target is something else
    found = getattr(part, "target_", None)
    if hasattr(part, "target"):
        # A guess of the fit is none: it is made, and announced, each time anew.
        given = part.target
        found = given if given is None or found is None or callable(given) else found
    if callable(found):
        raise TargetError(
            f"The target of {type(part).__name__} is the rule {found!r}, which serves training "
            "only. Give `target=`: a label, or 'opposite'."
        )
    return found
