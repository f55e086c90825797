"""Any supported classifier as one thing: a feature space and differentiable logits on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skcfq.encoding import FeatureSpace
from skcfq.exceptions import BackgroundRequiredError, FeatureSpaceError, UnsupportedModelError
from skcfq.models._heads import (
    Head,
    head_digest,
    is_own_estimator,
    linear_weights,
    read_head,
)
from skcfq.models._pipelines import Steps, check_model_is_fitted, join_steps, split_model


@dataclass(frozen=True, eq=False, repr=False)
class Predictor:
    """A fitted classifier, read: its feature space, its classes and its logits.

    Built by :func:`as_predictor`.

    Attributes
    ----------
    model : estimator
        The fitted object that was read; its ``predict`` is the authority on decisions.
    space : FeatureSpace
        The map between the raw columns that ``model`` receives and encoded columns.
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the logits.
    head : LinearHead, MLPHead or EstimatorHead
        Encoded rows to logits.
    """

    model: Any
    space: FeatureSpace
    classes: np.ndarray
    head: Head

    def logits(self, Z: Tensor) -> Tensor:
        """Return the class logits of encoded rows, differentiable with respect to them.

        Parameters
        ----------
        Z : Tensor of shape (n, d), float64
            Rows in encoded space.

        Returns
        -------
        logits : Tensor of shape (n, n_classes), float64
        """
        return self.head(Z)

    def row_logits(self, X: Any) -> Tensor:
        """Return the class logits of raw rows, shape (n, n_classes)."""
        return self.logits(torch.from_numpy(self.space.encode(X)))

    def predict(self, X: Any) -> np.ndarray:
        """Return the model's own labels for raw rows.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, n_raw_columns)

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        return np.asarray(self.model.predict(X))

    @property
    def differentiable(self) -> bool:
        """Whether gradients of the logits can be taken. Every head that is read today has them."""
        return True

    @cached_property
    def linear(self) -> tuple[Tensor, Tensor] | None:
        """Weights (n_classes, d) and intercepts (n_classes,) of linear logits, else None."""
        return linear_weights(self.head)

    @property
    def name(self) -> str:
        """Class name of the estimator that decides."""
        return type(split_model(self.model)[1]).__name__

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the feature space, the classes and the parameters of the head."""
        labels = repr(self.classes.tolist())
        parts = f"{self.space.fingerprint} {labels} {head_digest(self.head)}"
        return hashlib.sha256(parts.encode()).hexdigest()

    def __repr__(self) -> str:
        return (
            f"Predictor({self.name}, {self.space.n_raw} raw and {self.space.n_encoded} encoded "
            f"columns, {len(self.classes)} classes)"
        )


def as_predictor(
    model: Any,
    *,
    background: Any = None,
    sample_weight: Any = None,
    space: FeatureSpace | None = None,
) -> Predictor:
    """Read a fitted classifier as a predictor on encoded rows.

    Parameters
    ----------
    model : estimator
        An estimator of this library, a linear classifier of scikit-learn, an ``MLPClassifier``,
        or a pipeline that ends in one of them behind an encoder that works column by column
        (samplers are skipped). ``FrozenEstimator`` and fitted searches are unwrapped. A
        :class:`Predictor` is returned as it is.
    background : DataFrame or ndarray of shape (n, n_raw_columns), optional
        The population that spreads, quantiles and observed bounds are taken from. Needed only
        where the model does not carry them: estimators of this library do, and so does a pipeline
        whose one preprocessing step is a ``TableEncoder``.
    sample_weight : array-like of shape (n,), optional
        Weights of the rows of ``background``.
    space : FeatureSpace, optional
        The model's feature space, where it is known already: a student keeps its teacher's
        as ``feature_space_``, with the statistics of the training rows. Nothing is read then.

    Returns
    -------
    predictor : Predictor
        Frozen. ``predictor.logits`` computes in float64, and its argmax is the model's
        ``predict``.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        The model is not fitted; nothing is fitted here.
    UnsupportedModelError
        The model has no head that can be read (a function, a forest, a kernel machine).
    UnreadableStepError
        A preprocessing step mixes columns.
    BackgroundRequiredError
        Statistics are needed, and ``background`` is None.
    FeatureSpaceError
        ``background`` does not have the columns that the model was fitted on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
    >>> model = LogisticRegression().fit(X, ["refuse", "refuse", "grant", "grant"])
    >>> as_predictor(model, background=X)
    Predictor(LogisticRegression, 2 raw and 2 encoded columns, 2 classes)
    """
    if isinstance(model, Predictor):
        return model
    check_model_is_fitted(model)
    steps, final = split_model(model)
    head = read_head(final)
    if space is None:
        space = _read_space(steps, final, background, sample_weight)
    if space.n_encoded != head.n_inputs:
        raise FeatureSpaceError(
            f"{type(final).__name__} reads {head.n_inputs} columns, but there are "
            f"{space.n_encoded} encoded ones. Give the rows that the whole model receives as "
            "`background`."
        )
    return Predictor(model=model, space=space, classes=np.asarray(final.classes_), head=head)


def _read_space(steps: Steps, final: Any, background: Any, sample_weight: Any) -> FeatureSpace:
    own = is_own_estimator(final)
    if own and not steps:
        return final.feature_space_
    if own:
        steps = [*steps, ("encoder", _own_encoder(final))]
    elif len(steps) == 1 and hasattr(steps[0][1], "feature_space_"):
        return steps[0][1].feature_space_
    if background is None:
        raise BackgroundRequiredError(
            f"{type(final).__name__} carries no statistics of its raw columns. Give "
            "`background=`, the rows that spreads, quantiles and observed bounds are to be taken "
            "from (usually the training rows, as the whole model receives them)."
        )
    if steps:
        return FeatureSpace.from_encoder(join_steps(steps), background, sample_weight)
    _check_columns(final, background)
    return FeatureSpace.from_frame(background, sample_weight)


def _own_encoder(final: Any) -> Any:
    encoder = getattr(final, "encoder_", None)
    if encoder is None:
        raise UnsupportedModelError(
            f"{type(final).__name__} stands behind preprocessing steps and has no `encoder_` to "
            "join to them. Give the steps as its `encoder=` instead."
        )
    return encoder


def _check_columns(final: Any, background: Any) -> None:
    """Refuse a background whose columns would silently be read in another order."""
    names = getattr(final, "feature_names_in_", None)
    if names is None or list(getattr(background, "columns", [])) == list(names):
        return
    raise FeatureSpaceError(
        f"{type(final).__name__} was fitted on the columns {list(names)}; `background` must be a "
        "DataFrame with these columns in this order."
    )
