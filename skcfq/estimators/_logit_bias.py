"""Baselines with a bias: what one number does to a model without counterfactual training."""

from __future__ import annotations

import reprlib
from copy import deepcopy
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skcfq.estimators._promised import PromisedClassifier
from skcfq.exceptions import UnsupportedModelError
from skcfq.models import as_predictor, label_position, validity_slack
from skcfq.results import RecourseResult
from skcfq.training import bias_above, quantile
from skcfq.utils import Interval, check_parameters

# In logit units; beyond, single precision has no digits left for the logits themselves.
_LARGEST = 1e15


@check_parameters(bias=[Interval(Real, -_LARGEST, _LARGEST, closed="both")])
def with_logit_bias(model: Any, target: Any, bias: float) -> Any:
    """Return a copy of a quantized classifier with a bias on the target's logit.

    Parameters
    ----------
    model : fitted QATClassifier, CFQClassifier or PTQClassifier
    target : label
    bias : float
        In logit units; positive is lenient.

    Returns
    -------
    model : estimator of the same class
    """
    if not isinstance(model, PromisedClassifier):
        raise UnsupportedModelError(
            f"model={reprlib.repr(model)} is no quantized classifier of this library. Give a "
            "fitted QATClassifier, CFQClassifier or PTQClassifier."
        )
    check_is_fitted(model, "network_")
    biased = deepcopy(model)
    biased._add_bias(label_position(target, model.classes_), bias)
    return biased


@check_parameters(result=[RecourseResult], validity_drop=[Interval(Real, 0, 1, closed="both")])
def bias_for_validity_drop(model: Any, result: RecourseResult, validity_drop: float) -> float:
    """Return the logit bias at which a model has a wanted validity drop on given actions.

    A validity drop can be bought with leniency: one scalar on the target logit. A comparison at
    equal validity drop shows what training adds. Choose the bias on *training* recourse points.

    Parameters
    ----------
    model : fitted classifier
        The deployed model.
    result : RecourseResult
        Actions of the reference.
    validity_drop : float
        In [0, 1].

    Returns
    -------
    bias : float
        In logit units: the smallest whose validity drop is at most the wanted one. It is less
        where several people have the same margin, as under activations of few bits.

    Examples
    --------
    >>> from skcfq import QATClassifier, RecourseSolver
    >>> from skcfq.datasets import make_credit
    >>> from skcfq.estimators import bias_for_validity_drop, with_logit_bias
    >>> from skcfq.metrics import validity_drop
    >>> credit = make_credit(300, random_state=0)
    >>> model = QATClassifier(2, hidden_layer_sizes=(8,), max_iter=20, batch_size=32,
    ...                       random_state=0)
    >>> model = model.fit(credit.data, credit.target)
    >>> solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    >>> advice = solver.solve(model.teacher_, credit.data)
    >>> bias = bias_for_validity_drop(model, advice, 0.1)
    >>> lenient = with_logit_bias(model, credit.favorable, bias)
    >>> validity_drop(model.teacher_, lenient, advice) <= 0.1
    True
    """
    rows = result.reachable
    if not rows.any():
        raise ValueError("`result` has no reachable row, so no bias can be chosen on it.")
    predictor = as_predictor(model)
    encoded = torch.from_numpy(predictor.space.encode(result.points))[torch.from_numpy(rows)]
    target = np.searchsorted(predictor.classes, result.target[rows])
    with torch.no_grad():
        logits = predictor.logits(encoded)
    slack = validity_slack(logits, torch.from_numpy(target))
    return bias_above(quantile(slack, torch.ones_like(slack), validity_drop))
