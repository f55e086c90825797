"""The one rule for every parameter that holds a model: fitted is used, unfitted is cloned."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skcfq.encoding import FeatureSpace
from skcfq.utils import NotedInterrupts


def fitted_or_clone(model: Any) -> tuple[Any, bool]:
    """Return a model that may be used as it is, or an unfitted clone to be fitted.

    Parameters
    ----------
    model : estimator

    Returns
    -------
    model : estimator
        Out of its ``FrozenEstimator``, if it was in one.
    fitted : bool
    """
    if isinstance(model, FrozenEstimator):
        check_is_fitted(model)
        return model.estimator, True
    try:
        check_is_fitted(model)
    except NotFittedError:
        return clone(model), False
    return model, True


def fit_encoder(
    encoder: Any, X: Any, labels: np.ndarray, sample_weight: np.ndarray
) -> tuple[Any, FeatureSpace]:
    """Fit an encoder, unless it is fitted, and read it.

    Parameters
    ----------
    encoder : transformer
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    labels : ndarray of shape (n,)
    sample_weight : ndarray of shape (n,)
        For the statistics, and for the encoder if it takes weights itself.

    Returns
    -------
    encoder : transformer
    space : FeatureSpace
    """
    encoder, fitted = fitted_or_clone(encoder)
    if not fitted:
        weighted = has_fit_parameter(encoder, "sample_weight")
        encoder.fit(X, labels, **({"sample_weight": sample_weight} if weighted else {}))
        if hasattr(encoder, "feature_space_"):
            return encoder, encoder.feature_space_
    return encoder, FeatureSpace.from_encoder(encoder, X, sample_weight=sample_weight)


def fit_model(model: Any, X: Any, y: np.ndarray, sample_weight: np.ndarray, seed: int) -> None:
    """Fit a classifier, in place, with weights and a seed wherever it has none.

    Parameters
    ----------
    model : classifier or pipeline
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    y : ndarray of shape (n,)
    sample_weight : ndarray of shape (n,)
    seed : int

    Raises
    ------
    ValueError
        There are weights, and the model takes none.
    KeyboardInterrupt
        Also where the model's own ``fit`` would return after it: half a model is another model.
    """
    for name, value in model.get_params().items():
        if value is None and name.split("__")[-1] == "random_state":
            model.set_params(**{name: seed})
    name = None if np.all(sample_weight == 1) else _weight_parameter(model)
    if name is None and not np.all(sample_weight == 1):
        raise ValueError(
            f"`sample_weight` was given, but the unfitted {type(model).__name__} takes "
            "none in `fit`. Fit it first, in its own way, and give it fitted (wrapped in "
            "sklearn.frozen.FrozenEstimator inside a search)."
        )
    with NotedInterrupts() as noted:
        model.fit(X, y, **({} if name is None else {name: sample_weight}))
    if noted.pressed:
        raise KeyboardInterrupt


def _weight_parameter(model: Any) -> str | None:
    """Return the keyword under which ``fit`` takes sample weights."""
    if get_config()["enable_metadata_routing"]:
        routing = get_routing_for_object(model)
        if isinstance(routing, MetadataRouter):
            return "sample_weight" if routing.consumes("fit", ["sample_weight"]) else None
    elif isinstance(model, Pipeline):
        name, last = model.steps[-1]
        inner = _weight_parameter(last)
        return None if inner is None else f"{name}__{inner}"
    return "sample_weight" if has_fit_parameter(model, "sample_weight") else None
