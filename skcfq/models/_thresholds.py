"""Decision thresholds other than one half: scikit-learn's wrappers are read, not called."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

from skcfq.models._pipelines import inner_model
from skcfq.utils import positive_label_of

# A probability is kept away from 0 and 1 by this much: the logits must stay finite.
_SMALLEST_SHARE = 1e-300
_LARGEST_SHARE = 1 - 2**-53
# A score that lies on the threshold passes it; its margin must then pass for one.
_TIE = 4e-9


@dataclass(frozen=True)
class DecisionThreshold:
    """A model of two classes says one of them where its score reaches a number.

    Attributes
    ----------
    method : {"predict_proba", "decision_function"}
        What the score is.
    value : float
        The least score of the positive class.
    positive : {0, 1}
        Position of that class.
    """

    method: str
    value: float
    positive: int

    @property
    def logit(self) -> float:
        """The margin of class 1 over class 0 at which the decision changes.

        Where the score is a probability, it must be the sigmoid of a margin.
        """
        value = self.value
        if self.method == "predict_proba":
            share = min(max(value, _SMALLEST_SHARE), _LARGEST_SHARE)
            value = math.log(share) - math.log1p(-share)
        return value if self.positive == 1 else -value

    @property
    def tied_logit(self) -> float:
        """The same, moved so that a score on the threshold is on the side of the decision."""
        tie = _TIE * max(1.0, abs(self.logit))
        return self.logit - tie if self.positive == 1 else self.logit + tie

    def agrees(self, margins: np.ndarray, scores: np.ndarray) -> bool:
        """Tell whether the scores are what margins of class 1 come to.

        Parameters
        ----------
        margins : ndarray of shape (n,)
        scores : ndarray of shape (n,) or (n, 2)
            What the method of the final estimator returns.
        """
        if self.method == "predict_proba":
            return np.allclose(expit(margins), scores[:, 1], rtol=1e-6, atol=1e-9)
        return np.allclose(margins, scores, rtol=1e-6, atol=1e-9)


def read_threshold(model: Any) -> DecisionThreshold | None:
    """Return the threshold of a fitted model; None where it has none that can be read.

    Parameters
    ----------
    model : estimator
        ``FixedThresholdClassifier`` or ``TunedThresholdClassifierCV``, also at the end of a
        pipeline, inside a search or in ``FrozenEstimator``. Of two in each other, the outer one
        decides.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import FixedThresholdClassifier
    >>> model = FixedThresholdClassifier(LogisticRegression(), threshold=0.8)
    >>> round(read_threshold(model.fit([[0.0], [1.0]], [0, 1])).logit, 3)
    1.386
    """
    while model is not None:
        threshold = _own_threshold(model)
        if threshold is not None:
            return threshold
        model = inner_model(model)
    return None


def _own_threshold(model: Any) -> DecisionThreshold | None:
    for wrapper in (FixedThresholdClassifier, TunedThresholdClassifierCV):
        # A heir that decides in its own way is not one of them.
        if isinstance(model, wrapper) and type(model).predict is wrapper.predict:
            break
    else:
        return None
    inner = inner_model(model)
    method = model.response_method
    if method == "auto":
        method = "predict_proba" if hasattr(inner, "predict_proba") else "decision_function"
    if isinstance(model, TunedThresholdClassifierCV):
        value: Any = model.best_threshold_
    else:
        value = model.threshold
    if value == "auto":
        value = 0.5 if method == "predict_proba" else 0.0
    label = positive_label_of(model)
    positive = 1 if label is None else model.classes_.tolist().index(label)
    return DecisionThreshold(method, float(value), positive)
