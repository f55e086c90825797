"""Two models, the rows that they are asked about, and the class that is wanted there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from skcfq.exceptions import TargetError
from skcfq.models import (
    Predictor,
    as_predictor,
    carried_target,
    predictor_of_same_space,
    resolve_target,
)
from skcfq.nn import target_margin as margin_of_logits
from skcfq.utils import as_table


@dataclass(frozen=True, eq=False)
class ModelPair:
    """A reference, the model that is deployed in its place, and points at which both are asked.

    Attributes
    ----------
    reference, deployed : Predictor
        They share one feature space.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows.
    """

    reference: Predictor
    deployed: Predictor
    X: Any

    @cached_property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """The logits of both at the points, each of shape (n, n_classes)."""
        return self.reference.row_scores(self.X), self.deployed.row_scores(self.X)

    @cached_property
    def encoded(self) -> np.ndarray:
        """The points in encoded space, shape (n, n_encoded)."""
        return self.reference.space.encode(self.X)

    def margins(self, target: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the target margins of both, each of shape (n,)."""
        return self.margins_of(self.wanted(target))

    def margins_of(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same for positions of the targets among the classes."""
        before, after = (margins_at(logits, wanted) for logits in self.logits)
        return before, after

    def wanted(self, target: Any) -> np.ndarray:
        """Return the position of each point's target among the classes, shape (n,)."""
        return wanted_classes(target, len(self.logits[0]), self.reference, self.deployed)


def read_pair(reference: Any, deployed: Any, X: Any, background: Any) -> ModelPair:
    """Read two models of the same rows.

    Parameters
    ----------
    reference, deployed : estimator or Predictor
    X : DataFrame or array-like of shape (n, n_raw_columns)
        Raw rows.
    background : DataFrame, ndarray or None
        Where the models carry no statistics.
    """
    X = as_table(X)
    first = as_predictor(reference, background=background, example=X)
    return ModelPair(first, predictor_of_same_space(first, deployed, background, X), X)


def wanted_classes(target: Any, n: int, *predictors: Predictor) -> np.ndarray:
    """Return the position of the target of n points among the classes, shape (n,).

    Parameters
    ----------
    target : label, array-like of shape (n,) or None
        None is what the models were told.
    n : int
    *predictors : Predictor
        The classes are those of the first one.
    """
    classes = predictors[0].classes
    target = carried_target(*predictors) if target is None else target
    if isinstance(target, str) and target == "opposite" and target not in classes.tolist():
        raise TargetError(
            "target='opposite' is the other class than that of a person, and here are points, "
            "which may have it already. Give the label, or one a row, such as `result.target`."
        )
    return resolve_target(target, classes, np.full(n, classes[0]))


def margins_at(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the target margins of logits (n, n_classes), shape (n,)."""
    return margin_of_logits(torch.from_numpy(logits), torch.from_numpy(target)).numpy()
