"""A quantized classifier that needs numpy and pandas alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skcfq.deploy._arithmetic import IntegerNetwork, softmax
from skcfq.deploy._first_layer import UnusualRowsError
from skcfq.deploy._rows import encode_rows, is_records, rows_of_records
from skcfq.deploy._serving import Serving
from skcfq.encoding import FeatureSpace
from skcfq.exceptions import FeatureSpaceError, UnsupportedModelError
from skcfq.utils import warn_user


class DeployedClassifier:
    """What :func:`skcfq.load` returns: a classifier that computes in integers.

    Solvers, metrics and scorers take it as a model, so that validity drop, recourse gap and
    accuracy are those of the file.

    Parameters
    ----------
    network : IntegerNetwork
    space : FeatureSpace
    classes : ndarray of shape (n_classes,)
    columns : list of str or None
        Names of the columns that the estimator was fitted on; None for an array.
    target : label or None
        The outcome that people want.
    action_set : dict or None
        What people may change, as JSON values.
    model : str
        Class name of the estimator that was exported.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    feature_names_in_ : ndarray of str
        Only where the estimator was fitted on a DataFrame with text names.
    n_features_in_ : int
    feature_space_ : FeatureSpace
    integer_network_ : IntegerNetwork
    bit_widths_ : ndarray of shape (n_layers,)
    unit_bit_widths_ : list of ndarray of shape (n_units,)
    average_bits_ : float
    target_, action_set, model
    """

    def __init__(
        self,
        network: IntegerNetwork,
        space: FeatureSpace,
        classes: np.ndarray,
        *,
        columns: list[str] | None = None,
        target: Any = None,
        action_set: dict[str, Any] | None = None,
        model: str = "DeployedClassifier",
    ) -> None:
        self.integer_network_ = network
        self.feature_space_ = space
        self.classes_ = classes
        self.columns = columns
        self.target_ = target
        self.action_set = action_set
        self.model = model
        self.n_features_in_ = space.n_raw
        if columns is not None:
            self.feature_names_in_ = np.asarray(columns, dtype=object)

    @property
    def bit_widths_(self) -> np.ndarray:
        """Weight bits of each layer, shape (n_layers,): averages where units of a layer differ."""
        return self.integer_network_.bit_widths

    @property
    def unit_bit_widths_(self) -> list[np.ndarray]:
        """Weight bits of each unit, for each layer an array of shape (n_units,)."""
        return [layer.unit_bits for layer in self.integer_network_.layers]

    @property
    def average_bits_(self) -> float:
        """Average weight bits per weight."""
        return self.integer_network_.average_bits

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits; for two classes, the margin of the second.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features), or dict or list of dict
            As in :meth:`predict`.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes), float64
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the softmax of the logits, shape (n_samples, n_classes), float64.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features), or dict or list of dict
            As in :meth:`predict`.
        """
        return softmax(self._logits(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the class with the largest logit, shape (n_samples,); the first of equal ones.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features), or dict or list of dict
            A dict is one row, from column name to value. A list holds rows: one row is
            ``[[...]]``, and a flat list is refused.

        Raises
        ------
        FeatureSpaceError
            Columns are missing, unknown or in another order, or hold what has no code.
        """
        return self.classes_[self._decisions(X)]

    def score(self, X: Any, y: Any) -> float:
        """Return the share of rows whose label is predicted.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        """
        predicted, y = self.predict(X), np.asarray(y)
        if y.shape != predicted.shape:
            raise ValueError(
                f"y must hold one label for each of {len(predicted)} rows, got the shape {y.shape}."
            )
        return float(np.mean(predicted == y))

    @cached_property
    def _serving(self) -> Serving | None:
        return Serving.of(self.integer_network_, self.feature_space_, self.columns)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made on demand."""
        made = ("_serving", "_names")
        return {key: value for key, value in self.__dict__.items() if key not in made}

    def _logits(self, X: Any) -> np.ndarray:
        X, few = self._few(X)
        return self._many(X, Serving.logits) if few is None else few

    def _decisions(self, X: Any) -> np.ndarray:
        """Return the position of the largest logit, the first of equal ones, shape (n,)."""
        X, few = self._few(X)
        found = self._many(X, Serving.decisions) if few is None else few
        return found if found.ndim == 1 else found.argmax(axis=1)

    def _few(self, X: Any) -> tuple[Any, np.ndarray | None]:
        """Return rows with checked columns, and their logits where these are a few usual rows."""
        if is_records(X):
            X = rows_of_records(X, *self._names)
        else:
            self._check_columns(X)
        return X, None if self._serving is None else self._serving.few(X)

    @cached_property
    def _names(self) -> tuple[list | None, list]:
        """The names of the columns, if they have some, and the order in which they are encoded."""
        space = self.feature_space_
        own = list(space.raw_columns) if space.is_frame else None
        names = own if self.columns is None else self.columns
        return names, own or names or []

    def _many(self, X: Any, run: Callable[[Serving, Any], np.ndarray]) -> np.ndarray:
        """Return what a method of the serving form returns, or all logits where it does not."""
        if self._serving is not None:
            try:
                return run(self._serving, X)
            except UnusualRowsError:
                pass
        Z = encode_rows(self.feature_space_, X)
        if np.isinf(Z).any():
            raise FeatureSpaceError(
                "X holds infinite numbers. Replace them by a gap (NaN) or by a finite number."
            )
        return self.integer_network_.logits(Z)

    def _check_columns(self, X: Any) -> None:
        if self.columns is None:
            return
        if not isinstance(X, pd.DataFrame):
            if not hasattr(X, "columns"):
                # As scikit-learn's estimators warn: columns are taken by position.
                warn_user(
                    "X does not have valid feature names, but DeployedClassifier was fitted with "
                    "feature names",
                    UserWarning,
                )
            return
        given = X.columns.tolist()
        if given == self.columns:
            return
        missing = [name for name in self.columns if name not in given]
        unknown = [name for name in given if name not in self.columns]
        problems = [f"lacks the columns {missing}"] if missing else []
        problems += [f"has the unknown columns {unknown}"] if unknown else []
        remedy = "Give the columns of training, in their order"
        if not missing:
            problems = problems or ["has the columns of training in another order, or twice"]
            remedy += ": X[model.feature_names_in_]"
        raise FeatureSpaceError(f"X {' and '.join(problems)}. {remedy}.")

    def __repr__(self) -> str:
        return (
            f"DeployedClassifier({self.model}, {self.n_features_in_} columns, "
            f"{len(self.classes_)} classes, bits={self.bit_widths_.round(2).tolist()})"
        )


def deployed_form(model: Any) -> DeployedClassifier:
    """Return what is written of a model: itself, or what ``deployed()`` of an estimator gives."""
    if isinstance(model, DeployedClassifier):
        return model
    if hasattr(model, "deployed"):
        return model.deployed()
    raise UnsupportedModelError(
        f"{type(model).__name__} has no integers to write. Give a fitted CFQClassifier, "
        "QATClassifier or PTQClassifier; of a Pipeline, the last step (its file then reads what "
        "that step reads, so give the steps before it as `encoder=` where the file is to read raw "
        "columns)."
    )
