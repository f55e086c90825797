"""What every network classifier of the library shares: tables in, labels and logits out."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d
from torch import Tensor, nn

from skcfq.deploy import softmax
from skcfq.encoding import FeatureSpace
from skcfq.models import encoding_hint
from skcfq.training import TrainingTable, check_same_classes
from skcfq.utils import (
    NestedParametersMixin,
    check_sample_weight,
    check_weights,
    take_rows,
    validate_table,
)

# Rows that one forward pass takes.
_ROWS = 8192
# Squares of larger encoded values are no numbers in single precision.
_FARTHEST = 1e15


class NetworkClassifier(NestedParametersMixin, ClassifierMixin, BaseEstimator):
    """Base of the classifiers whose decision is the argmax of a network on encoded rows.

    A subclass's ``fit`` sets ``classes_``, ``feature_space_``, ``encoder_`` and ``network_``.
    """

    network_: nn.Module
    classes_: np.ndarray
    interrupted_: bool
    feature_space_: FeatureSpace
    encoder_: Any

    @property
    def _goes_on(self) -> bool:
        """Whether a fit starts from the network of the previous one."""
        return False

    def _read_table(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        class_weight: Any = None,
    ) -> TrainingTable:
        """Validate parameters, rows and labels: those of a previous fit, where one goes on."""
        self._validate_params()
        known_classes = self.classes_ if self._goes_on else None
        X = validate_table(self, X, reset=known_classes is None)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        y = _check_labels(y)
        check_consistent_length(X, y)
        sample_weight = check_sample_weight(sample_weight, X)
        # A row without weight is no row: left in, it would still shape batches and ranges.
        counted = np.flatnonzero(sample_weight > 0)
        X, y, sample_weight = take_rows(X, counted), y[counted], sample_weight[counted]
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of at least two classes, but the y of positive "
                f"weight has {len(classes)} class only: {classes.tolist()}. Give rows "
                "of every class."
            )
        if known_classes is not None:
            check_same_classes(known_classes, classes)
        self.classes_ = classes
        self.interrupted_ = False
        weights = sample_weight * _class_weights(class_weight, y, labels, sample_weight)
        is_double = isinstance(X, np.ndarray) and X.dtype != np.float32
        return TrainingTable(
            X=X,
            labels=labels.astype(np.int64),
            weights=weights,
            sample_weight=sample_weight,
            dtype=torch.float64 if is_double else torch.float32,
        )

    def _encode(self, X: Any) -> np.ndarray:
        """Return encoded rows that a network can be fitted to.

        Raises
        ------
        ValueError
            A value is so far from those that the encoder was fitted on that products overflow.
        """
        encoded = self.feature_space_.encode(X)
        far = np.abs(encoded) > _FARTHEST
        if far.any():
            row, column = np.argwhere(far)[0]
            block = next(one for one in self.feature_space_.blocks if column in one.columns)
            raise ValueError(
                f"X has a value in row {row} of column {block.name!r} that the encoder turns into "
                f"{encoded[row, column]:g}, too far from what it was fitted on for a network. "
                "Check the unit of the column, or fit the encoder, or the teacher, on such rows."
            )
        return encoded

    def _keep(self, network: nn.Module) -> None:
        """Keep the network for inference, which is always on the CPU and in float64."""
        self.network_ = network.cpu().double().eval().requires_grad_(False)

    def logits_(self, Z: Tensor) -> Tensor:
        """Return the logits of encoded rows, differentiable with respect to them.

        Parameters
        ----------
        Z : Tensor of shape (n, n_encoded), float64

        Returns
        -------
        logits : Tensor of shape (n, n_classes), float64
        """
        return self.network_(Z)

    def _logits(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "network_")
        X = validate_table(self, X, reset=False)
        encoded = torch.from_numpy(self.feature_space_.encode(X))
        with torch.no_grad():
            return torch.cat([self.logits_(rows) for rows in encoded.split(_ROWS)]).numpy()

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits; for two classes, the margin of the second.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes), float64
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the softmax of the logits.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        return softmax(self._logits(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the class with the largest logit.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


def _check_labels(y: Any) -> np.ndarray:
    """Return labels as an array; scikit-learn's own check casts gaps before it looks for them."""
    try:
        np.asarray(y)
    except ValueError as error:
        raise ValueError(f"y is {reprlib.repr(y)}; give one label a row ({error}).") from error
    masked = np.ma.getmaskarray(y).ravel() if isinstance(y, np.ma.MaskedArray) else False
    # Nullable booleans would come out as floats.
    y = column_or_1d(y.to_numpy() if isinstance(y, pd.Series) else y, warn=True)
    missing = np.flatnonzero(pd.isna(y) | masked)
    if len(missing):
        raise ValueError(
            f"Input y contains NaN: {len(missing)} labels are missing, the first in row "
            f"{missing[0]}. Drop the rows without a label."
        )
    if y.dtype.kind == "f" and np.isinf(y).any():
        raise ValueError("Input y contains infinity. Give one label of a finite set a row.")
    if y.dtype == object:
        kinds = {isinstance(label, str) for label in y.tolist()}
        if len(kinds) > 1:
            raise ValueError(
                "Input y has labels of mixed types, text and others, which have no order. Give "
                "labels of one type, for example y.astype(str)."
            )
    check_classification_targets(y)
    return y


def _class_weights(
    class_weight: Any, y: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray
) -> np.ndarray:
    """Return each row's class weight; a class is as large as the weight of its rows."""
    if class_weight == "balanced":
        totals = np.bincount(labels, weights=sample_weight)
        return (totals.mean() / totals)[labels]
    if class_weight is not None:
        _check_class_weight(class_weight, np.unique(y))
    return compute_sample_weight(class_weight, y)


def _check_class_weight(class_weight: dict, classes: np.ndarray) -> None:
    """Refuse weights that are none, and labels that y does not have where others are left out."""
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    left_out = [label for label in labels if label not in class_weight]
    if unknown and left_out:
        raise ValueError(
            f"`class_weight` names {unknown}, which y does not have, and leaves out {left_out}. "
            f"Name labels of y.{encoding_hint(labels)}"
        )
    try:
        weights = np.array([class_weight.get(label, 1.0) for label in labels], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`class_weight` is {class_weight!r}; give a number a label.") from error
    check_weights(weights, "class_weight")
    if not weights.any():
        raise ValueError(
            f"`class_weight` is {class_weight!r}: no class counts. Give a class a positive weight."
        )
