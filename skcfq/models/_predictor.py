"""Any supported classifier as one thing: a feature space and differentiable logits on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from skcfq.deploy import DeployedClassifier, IntegerNetwork
from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.exceptions import (
    BackgroundRequiredError,
    FeatureSpaceError,
    UnreadableStepError,
    UnsupportedModelError,
)
from skcfq.models._functions import FunctionModel, RowHead, read_function, row_head_of
from skcfq.models._heads import (
    EstimatorHead,
    Head,
    LinearHead,
    head_digest,
    is_own_estimator,
    linear_weights,
    read_head,
)
from skcfq.models._pipelines import Steps, check_model_is_fitted, join_steps, split_model
from skcfq.nn import DeployedNetwork, FrozenMLP, FullPrecisionMLP
from skcfq.utils import take_rows

# Rows on which a model's probabilities are compared with its margins.
_EXAMPLES = 16


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
    head : LinearHead, MLPHead, EstimatorHead, DeployedNetwork or RowHead
        Encoded rows to logits; raw rows to logits where the model is only a function.
    """

    model: Any
    space: FeatureSpace
    classes: np.ndarray
    head: Head | RowHead

    def logits(self, Z: Tensor) -> Tensor:
        """Return the class logits of encoded rows, differentiable with respect to them.

        Parameters
        ----------
        Z : Tensor of shape (n, d), float64
            Rows in encoded space.

        Returns
        -------
        logits : Tensor of shape (n, n_classes), float64

        Raises
        ------
        UnsupportedModelError
            The model is only a function of raw rows.
        """
        if isinstance(self.head, RowHead):
            raise UnsupportedModelError(
                f"{self.name} is only a function of raw rows: it has no logits on encoded rows and "
                "no gradients. Use row_logits, or a solver with method='black_box'."
            )
        return self.head(Z)

    def loss_gradient(self, Z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the summed cross-entropy of a target, and the logits.

        Parameters
        ----------
        Z : Tensor of shape (n, d)
            Rows in encoded space.
        target : Tensor of shape (n,), int64

        Returns
        -------
        gradient : Tensor of shape (n, d)
            A tensor of its own.
        logits : Tensor of shape (n, n_classes)
        """
        network = self._network
        if network is not None:
            return network.frozen().loss_gradient(Z, target)
        Z = Z.detach().requires_grad_(True)
        logits = self.logits(Z)
        (gradient,) = torch.autograd.grad(cross_entropy(logits, target, reduction="sum"), Z)
        return gradient.contiguous(), logits.detach()

    def in_precision(self, dtype: torch.dtype) -> FrozenMLP | None:
        """Return the logits alone in another precision; None where they are not a plain network's.

        Parameters
        ----------
        dtype : torch.dtype
            Of the rows that it takes.
        """
        network = self._network
        return None if network is None else network.frozen().to(dtype)

    def logits_in(self, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """Return the map from rows of a precision to logits; plain networks compute in it too.

        Parameters
        ----------
        dtype : torch.dtype
        """
        same = self.in_precision(dtype)
        return same.logits if same is not None else lambda Z: self.logits(Z.double())

    @property
    def _network(self) -> FullPrecisionMLP | None:
        """The network whose rectified layers are all that the head is."""
        if not isinstance(self.head, EstimatorHead):
            return None
        network = getattr(self.head.estimator, "network_", None)
        return network if isinstance(network, FullPrecisionMLP) else None

    def row_logits(self, X: Any) -> Tensor:
        """Return the class logits of raw rows, shape (n, n_classes)."""
        if isinstance(self.head, RowHead):
            return self.head(X)
        return self.logits(torch.from_numpy(self.space.encode(X, copy=False)))

    def row_scores(self, X: Any) -> np.ndarray:
        """Return what :meth:`row_logits` does, as an array; linear models need no torch for it.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, n_raw_columns)

        Returns
        -------
        logits : ndarray of shape (n, n_classes)
        """
        if not isinstance(self.head, LinearHead):
            return self.row_logits(X).detach().numpy()
        coef, intercept = self.linear_arrays
        return self.space.encode(X, copy=False) @ coef + intercept

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

    def is_logistic(self, X: Any) -> bool:
        """Tell whether the probability of the last of two classes is the sigmoid of its margin.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, n_raw_columns)
            The first rows that it is asked about are what it is found out on.
        """
        found = self.__dict__.get("_logistic")
        if found is None and len(X):
            found = self.__dict__["_logistic"] = self._looks_logistic(X)
        return bool(found)

    def _looks_logistic(self, X: Any) -> bool:
        if len(self.classes) != 2:
            return False
        if isinstance(self.head, RowHead):
            return self.head.output == "probabilities"
        if not hasattr(self.model, "predict_proba"):
            return False
        X = take_rows(X, np.arange(min(len(X), _EXAMPLES)))
        logits = self.row_logits(X).detach()
        wanted = torch.sigmoid(logits[:, 1] - logits[:, 0]).numpy()
        shares = np.asarray(self.model.predict_proba(X))[:, 1]
        return bool(np.allclose(wanted, shares, rtol=0, atol=1e-6))

    @property
    def differentiable(self) -> bool:
        """Whether the model has logits on encoded rows, with gradients."""
        return not isinstance(self.head, RowHead)

    @cached_property
    def linear(self) -> tuple[Tensor, Tensor] | None:
        """Weights (n_classes, d) and intercepts (n_classes,) of linear logits, else None."""
        return None if isinstance(self.head, RowHead) else linear_weights(self.head)

    @cached_property
    def linear_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights (d, n_classes) and intercepts of a linear model as arrays."""
        assert self.linear is not None
        coef, intercept = self.linear
        return np.ascontiguousarray(coef.numpy().T), intercept.numpy()

    @property
    def is_piecewise_constant(self) -> bool:
        """Whether inputs are quantized: the cheapest point then lies on a rounding threshold."""
        quantized = isinstance(self.head, EstimatorHead) and hasattr(
            self.head.estimator, "bit_widths_"
        )
        return quantized or self.integers is not None

    @property
    def integers(self) -> IntegerNetwork | None:
        """The integers that decide; None for a model without such a form."""
        if isinstance(self.head, DeployedNetwork):
            return self.head.network
        if isinstance(self.head, EstimatorHead):
            return getattr(self.head.estimator, "integer_network_", None)
        return None

    @property
    def name(self) -> str:
        """Class name of the estimator that decides, or name of the function."""
        if isinstance(self.model, FunctionModel):
            return self.model.head.name
        return type(split_model(self.model)[1]).__name__

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the feature space, the classes and the parameters of the head."""
        labels = repr(self.classes.tolist())
        head = self.head
        digest = head.digest if isinstance(head, RowHead) else head_digest(head)
        parts = f"{self.space.fingerprint} {labels} {digest}"
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
    classes: Any = None,
    output: str = "auto",
) -> Predictor:
    """Read a fitted classifier, or any function of raw rows, as a predictor.

    Parameters
    ----------
    model : estimator
        An estimator of this library, a loaded model file, a linear classifier of scikit-learn,
        an ``MLPClassifier``, or a pipeline that ends in one of them behind an encoder that works
        column by column (samplers are skipped). ``FrozenEstimator`` and fitted searches are
        unwrapped. Any other classifier, and any function of raw rows, is asked as it is, without
        gradients. A :class:`Predictor` is returned as it is.
    background : DataFrame or ndarray of shape (n, n_raw_columns), optional
        The population that spreads, quantiles and observed bounds are taken from. Needed only
        where the model does not carry them: estimators of this library do, and so does a pipeline
        whose one preprocessing step is a ``TableEncoder``. A model file carries what it was
        exported with; unless that is everything, ``background`` takes its place.
    sample_weight : array-like of shape (n,), optional
        Weights of the rows of ``background``.
    space : FeatureSpace, optional
        The model's feature space, where it is known already: a student keeps its teacher's
        as ``feature_space_``, with the statistics of the training rows. Nothing is read then. A
        model file takes it where it is its own, told in full.
    classes : array-like of shape (n_classes,), optional
        Labels of a plain function, in the order of its scores.
    output : {"auto", "labels", "probabilities", "logits"}, default="auto"
        What a plain function returns. ``"auto"`` takes scores of shape (n, n_classes) whose rows
        sum to one for probabilities, other scores for logits, and everything else for labels.

    Returns
    -------
    predictor : Predictor
        Frozen. ``predictor.logits`` computes in float64, and its argmax is the model's
        ``predict``. A model that is only a function has ``differentiable == False`` and
        ``row_logits`` alone: the logarithms of its probabilities, its scores, or 0 and 1.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        The model is not fitted; nothing is fitted here.
    UnsupportedModelError
        The model is no classifier, or a function without ``classes``.
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
    if callable(model) and not isinstance(model, type) and not hasattr(model, "fit"):
        return _function_predictor(model, background, sample_weight, space, classes, output)
    if isinstance(model, DeployedClassifier):
        return _loaded_predictor(model, background, sample_weight, space)
    check_model_is_fitted(model)
    steps, final = split_model(model)
    try:
        head = read_head(final)
        if space is None:
            space = _read_space(steps, final, background, sample_weight)
    except (UnsupportedModelError, UnreadableStepError) as error:
        if not (hasattr(model, "classes_") and hasattr(model, "predict")):
            raise
        row_head = row_head_of(model, type(final).__name__, str(error).rstrip("."))
        return _row_predictor(model, row_head, background, sample_weight, space)
    if space.n_encoded != head.n_inputs:
        raise FeatureSpaceError(
            f"{type(final).__name__} reads {head.n_inputs} columns, but there are "
            f"{space.n_encoded} encoded ones. Give the rows that the whole model receives as "
            "`background`."
        )
    return Predictor(model=model, space=space, classes=np.asarray(final.classes_), head=head)


def _loaded_predictor(
    model: DeployedClassifier, background: Any, sample_weight: Any, space: FeatureSpace | None
) -> Predictor:
    """Read a model file; what it does not tell of the population comes from a background."""
    told = model.feature_space_
    if space is not None and space.fingerprint == told.fingerprint and space.same_map(told):
        told = space
    elif background is not None and told.statistics != "full":
        told = told.described_by(background, sample_weight)
    return Predictor(model, told, model.classes_, DeployedNetwork(model.integer_network_))


def _function_predictor(
    function: Any, background: Any, sample_weight: Any, space: Any, classes: Any, output: str
) -> Predictor:
    name = getattr(function, "__name__", type(function).__name__)
    if classes is None:
        raise UnsupportedModelError(
            f"{name} is only a function: give its labels, in the order of its scores, as "
            "`classes=`, such as as_predictor(function, classes=[0, 1], background=X)."
        )
    if space is None:
        space = _raw_space(name, background, sample_weight)
    if background is None and output == "auto":
        raise BackgroundRequiredError(
            f"What {name} returns is found out on a few rows: give `background=`, or `output=`."
        )
    example = None if background is None else take_rows(background, np.arange(2))
    model = read_function(function, classes, output, example)
    return Predictor(model=model, space=space, classes=model.classes_, head=model.head)


def _row_predictor(
    model: Any, head: RowHead, background: Any, sample_weight: Any, space: Any
) -> Predictor:
    """Read a classifier whose inside is closed; its encoder is read where that is open."""
    if space is None:
        steps, final = split_model(model)
        try:
            space = _read_space(steps, final, background, sample_weight)
        except (FeatureSpaceError, ValueError):
            space = _raw_space(head.name, background, sample_weight)
    return Predictor(model=model, space=space, classes=head.classes, head=head)


def _raw_space(name: str, background: Any, sample_weight: Any) -> FeatureSpace:
    """Scale numbers and spread categories, as a unit for the actions of a closed model."""
    if background is None:
        raise BackgroundRequiredError(
            f"{name} carries no statistics of its raw columns. Give `background=`, the rows that "
            "spreads, quantiles and observed bounds are to be taken from."
        )
    return TableEncoder().fit(background, sample_weight=sample_weight).feature_space_


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
