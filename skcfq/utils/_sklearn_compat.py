"""The one place that imports private names of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight

from skcfq.utils._weights import as_weights, check_weights

__all__ = [
    "HasMethods",
    "Interval",
    "KnownParameters",
    "StrOptions",
    "boosted_nodes",
    "check_feature_names_in",
    "check_parameters",
    "check_sample_weight",
    "positive_label_of",
    "power_transformer_scaler",
]


_Function = TypeVar("_Function", bound=Callable)


def check_parameters(**constraints: Any) -> Callable[[_Function], _Function]:
    """Return a decorator that checks parameters as scikit-learn's own functions do.

    Parameters
    ----------
    constraints : list by name of parameter
        As in ``_parameter_constraints`` of an estimator.
    """
    checked = validate_params(constraints, prefer_skip_nested_validation=True)
    return cast(Callable[[_Function], _Function], checked)


def check_sample_weight(sample_weight: Any, X: Any) -> np.ndarray:
    """Return weights of the rows of X: finite, none negative, not all zero.

    Older versions of scikit-learn let weights through that are all zero.
    """
    if isinstance(sample_weight, str):
        raise ValueError(
            f"sample_weight={sample_weight!r}: give one number a row. Weights by class are "
            "`class_weight` of the classifiers."
        )
    if sample_weight is not None and getattr(sample_weight, "dtype", None) != np.float32:
        sample_weight = as_weights(sample_weight, "sample_weight")
    weights = _check_sample_weight(sample_weight, X)
    check_weights(weights, "sample_weight")
    if not np.any(weights):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def power_transformer_scaler(transformer: Any) -> Any:
    """Return the scaler inside a fitted ``PowerTransformer``, None without standardization."""
    return transformer._scaler if transformer.standardize else None


def boosted_nodes(model: Any) -> list[list[np.ndarray]]:
    """Return the nodes of the trees of a fitted ``HistGradientBoostingClassifier``, by stages."""
    return [[tree.nodes for tree in stage] for stage in model._predictors]


def positive_label_of(model: Any) -> Any:
    """Return the label that a threshold classifier's score speaks of, None for the last one."""
    scorer = getattr(model, "_curve_scorer", None)
    return model.pos_label if scorer is None else scorer._get_pos_label()


class KnownParameters(BaseEstimator):
    """Estimator that reads the names of its parameters from its constructor only once.

    scikit-learn reads them whenever a parameter is asked for, which takes longer than advice for
    one person does.
    """

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        return super()._get_param_names()
