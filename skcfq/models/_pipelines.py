"""Take a model apart: the fitted preprocessing steps, and the estimator that decides."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skcfq.deploy import DeployedClassifier
from skcfq.exceptions import UnsupportedModelError

Steps = list[tuple[str, Any]]


def split_model(model: Any) -> tuple[Steps, Any]:
    """Split a fitted model into preprocessing steps and its final estimator.

    Pipelines may be nested; ``FrozenEstimator``, fitted searches and threshold classifiers are
    unwrapped (see :func:`read_threshold`). Steps that predict skips (``"passthrough"`` and the
    samplers of imbalanced-learn) are left out.

    Parameters
    ----------
    model : estimator
        A fitted classifier, search or pipeline.

    Returns
    -------
    steps : list of (name, transformer)
        In the order in which ``predict`` applies them; names of nested steps are dotted.
    final : estimator
        The classifier, unwrapped.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> steps, final = split_model(make_pipeline(StandardScaler(), LogisticRegression()))
    >>> [name for name, _ in steps], final
    (['standardscaler'], LogisticRegression())
    """
    if not isinstance(model, Pipeline):
        within = inner_model(model)
        return ([], model) if within is None else split_model(within)
    *transformers, (last_name, last) = model.steps
    inner, final = split_model(last)
    steps = [(name, step) for name, step in transformers if _transforms(step)]
    return steps + [(f"{last_name}.{name}", step) for name, step in inner], final


def inner_model(model: Any) -> Any:
    """Return the model that a wrapper, search or pipeline asks in the end; None for any other."""
    if isinstance(model, FrozenEstimator):
        return model.estimator
    if isinstance(model, (FixedThresholdClassifier, TunedThresholdClassifierCV)):
        # One that was given a fitted estimator need not be fitted itself.
        return getattr(model, "estimator_", model.estimator)
    if hasattr(model, "best_estimator_"):
        return model.best_estimator_
    return model.steps[-1][1] if isinstance(model, Pipeline) else None


def with_final(model: Any, final: Any, *, keep_steps: bool = True) -> Any:
    """Return a fitted model with another final estimator.

    Parameters
    ----------
    model : estimator
    final : estimator
    keep_steps : bool, default=True
        Whether it keeps its preprocessing steps, which are shared; thresholds stay in any case.
    """
    within = inner_model(model)
    if within is None:
        return final
    changed = with_final(within, final, keep_steps=keep_steps)
    if isinstance(model, FrozenEstimator):
        return FrozenEstimator(changed)
    if isinstance(model, (FixedThresholdClassifier, TunedThresholdClassifierCV)):
        wrapper = copy.copy(model)
        wrapper.estimator_ = changed
        return wrapper
    if not isinstance(model, Pipeline) or not keep_steps:
        return changed
    pipeline = copy.copy(model)
    pipeline.steps = [*model.steps[:-1], (model.steps[-1][0], changed)]
    return pipeline


def transform_rows(steps: Steps, X: Any) -> Any:
    """Pass raw rows through fitted preprocessing steps."""
    for _, step in steps:
        X = step.transform(X)
    return X


def join_steps(steps: Steps) -> Any:
    """Return the steps as one fitted transformer."""
    return steps[0][1] if len(steps) == 1 else Pipeline(steps)


def check_model_is_fitted(model: Any, *, name: str = "model", remedy: str = "") -> None:
    """Raise ``NotFittedError`` that names the parameter and what to do, unless ``model`` is fitted.

    Parameters
    ----------
    model : object
        The model, possibly a pipeline, a search or wrapped in ``FrozenEstimator``.
    name : str, default="model"
        Name of the parameter that holds it.
    remedy : str
        A last sentence for the message.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        The model is an estimator that was not fitted.
    UnsupportedModelError
        It is no estimator at all.
    """
    if isinstance(model, DeployedClassifier):
        return
    if isinstance(model, type) or not hasattr(model, "fit"):
        raise UnsupportedModelError(
            f"`{name}` must be a fitted estimator, got {model!r}. Read a mere function with "
            "skcfq.models.as_predictor(function, classes=[...], background=X)."
        )
    for part in [model, split_model(model)[1]]:
        check_is_fitted(
            part,
            msg=(
                f"`{name}` holds an unfitted %(name)s, and is used as it is: call `fit` on it "
                "first, and wrap it in sklearn.frozen.FrozenEstimator inside a search, because "
                f"clones forget a fit. {remedy}"
            ).rstrip(),
        )


def _transforms(step: Any) -> bool:
    return step is not None and step != "passthrough" and hasattr(step, "transform")
