"""What the parameters of a call say, in the terms of the problems."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.exceptions import ActionSetError, UnsupportedModelError
from skcfq.models import RowHead, carried_action_set, carried_margin, carried_target
from skcfq.solvers._methods import named_method

if TYPE_CHECKING:
    from skcfq.models import Predictor
    from skcfq.solvers.problems import Method


# The perturbation radius of advice on a model with quantized inputs.
_PERTURBATION_RADIUS = 1e-4


def told_by(estimator: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters of a solver, with what an estimator was told where they say nothing.

    Parameters
    ----------
    estimator : estimator
    parameters : dict of name to value
    """
    told = dict(parameters)
    if told.get("action_set") is None:
        told["action_set"] = carried_action_set(estimator)
    if told.get("target") is None:
        told["target"] = carried_target(estimator)
    margin = told.get("margin")
    if isinstance(margin, str) and margin == "promise":
        told["margin"] = carried_margin(estimator)
    return told


def asked_margin(margin: float | str, *models: Any) -> float:
    """Return the margin that a parameter asks for; what ``"auto"`` does comes on top.

    Parameters
    ----------
    margin : float, "auto" or "promise"
    *models : estimator, Predictor or function
        The first that knows a promise says which.
    """
    if isinstance(margin, str):
        return carried_margin(*models) if margin == "promise" else 0.0
    return float(margin)


def required_margin(
    margin: float, proba: float | None, predictor: Predictor, target: np.ndarray
) -> np.ndarray:
    """Return the logit margin that a margin and a probability together ask for.

    Parameters
    ----------
    margin : float
    proba : float or None
        Probability of the target.
    predictor : Predictor
    target : ndarray of shape (n,), int64
        Position of each person's target among the classes.

    Returns
    -------
    margin : ndarray of shape (n,)
        With two classes the log-odds of ``proba``, less those of a threshold of the model's own.
        With more, a margin over every rival that suffices for it, and may be more than is needed.
        What ``"auto"`` asks for comes on top, point by point.

    Raises
    ------
    UnsupportedModelError
        The model has no probabilities, or does not decide by them.
    """
    if proba is None:
        return np.full(len(target), margin)
    labels_only = isinstance(predictor.head, RowHead) and predictor.head.output == "labels"
    if labels_only or not hasattr(predictor.model, "predict_proba"):
        what = "decides by labels alone" if labels_only else "has none"
        raise UnsupportedModelError(
            f"target_proba={proba:g} needs a model with predict_proba, and {predictor.name} "
            f"{what}. Give `margin=` instead."
        )
    odds = math.log((len(predictor.classes) - 1) * proba / (1 - proba))
    asked = [odds - predictor.nominal_margin(t) for t in range(len(predictor.classes))]
    return np.maximum(margin, asked)[target]


def follows_rounding(margin: float | str, method: str | Method) -> bool:
    """Tell whether a margin is what single precision may take; literal points have none."""
    named = named_method(method)
    return margin == "auto" and not (named is not None and named.literal)


def required_radius(
    radius: float | str, method: str | Method, models: Sequence[Predictor]
) -> float:
    """Return the perturbation radius of advice on some models, in units of the spreads."""
    if not isinstance(radius, str):
        return float(radius)
    named = named_method(method)
    is_literal = named is not None and named.literal
    jumps = any(model.is_piecewise_constant for model in models)
    return _PERTURBATION_RADIUS if jumps and not is_literal else 0.0


def overrides_by_position(overrides: Any, X: Any) -> dict[int, Mapping] | None:
    """Translate row labels into positions.

    Parameters
    ----------
    overrides : dict of row label to rules, or None
        Labels are those of the index of a DataFrame, positions for an array.
    X : DataFrame or ndarray of shape (n, n_raw_columns)

    Returns
    -------
    overrides : dict of int to rules, or None
        A label that several rows share stands for all of them.

    Raises
    ------
    ActionSetError
        Not a dict of dicts, or a label that no row has.
    """
    if overrides is None:
        return None
    if not isinstance(overrides, Mapping) or not all(
        isinstance(rules, Mapping) for rules in overrides.values()
    ):
        raise ActionSetError(
            f"overrides is {overrides!r}: give a dict from row labels to rules, such as "
            "{label: {'immutable': [...], 'bounds': {name: (low, high)}}}."
        )
    positions: dict[Hashable, list[int]] = {}
    index = X.index if isinstance(X, pd.DataFrame) else range(len(X))
    for position, label in enumerate(index):
        positions.setdefault(label, []).append(position)
    found: dict[int, Mapping] = {}
    for label, rules in overrides.items():
        if label not in positions:
            kind = "index label of X" if isinstance(X, pd.DataFrame) else "row position of X"
            raise ActionSetError(
                f"overrides names the row {label!r}, which is no {kind}. Name rows that are "
                "given to solve."
            )
        found.update((position, rules) for position in positions[label])
    return found
