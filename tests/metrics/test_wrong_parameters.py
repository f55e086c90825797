"""What a metric cannot be computed from is refused by the name of the parameter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from skcfq import PTQClassifier, RecourseSolver
from skcfq.estimators import bias_for_validity_drop, with_logit_bias
from skcfq.metrics import (
    RecourseScorer,
    action_overlap,
    counterfactual_recourse_gap,
    deployment_success,
    direction_similarity,
    feasible_recourse_rate,
    select_faithful,
    validity_drop,
)

X = np.arange(8.0).reshape(-1, 1)
MODEL = LogisticRegression().fit(X, X[:, 0] > 3)
RESULT = RecourseSolver().solve(MODEL, X, background=X)


@pytest.mark.parametrize("nothing", [None, 0, "x", np.array(1.0), RecourseSolver])
@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("reference", lambda value: validity_drop(value, MODEL, RESULT)),
        ("deployed", lambda value: validity_drop(MODEL, value, RESULT)),
        ("result", lambda value: validity_drop(MODEL, MODEL, value)),
        ("result", feasible_recourse_rate),
        ("result", lambda value: deployment_success(value, [MODEL])),
        ("variants", lambda value: deployment_success(RESULT, [value])),
        ("result_reference", lambda value: counterfactual_recourse_gap(value, RESULT)),
        ("result_deployed", lambda value: counterfactual_recourse_gap(RESULT, value)),
        ("result_deployed", lambda value: direction_similarity(RESULT, value)),
        ("result_reference", lambda value: action_overlap(value, RESULT)),
        ("cv_results", select_faithful),
    ],
)
def test_nothing_in_place_of_a_result_or_a_model(name, metric, nothing):
    with pytest.raises((TypeError, ValueError), match=name):
        metric(nothing)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "x", [1]])
def test_numbers_that_are_none(value):
    if value != float("inf"):
        with pytest.raises(ValueError, match="eps"):
            counterfactual_recourse_gap(RESULT, RESULT, eps=value)
        with pytest.raises(ValueError, match="eps"):
            direction_similarity(RESULT, RESULT, eps=value)
        with pytest.raises(ValueError, match="threshold"):
            action_overlap(RESULT, RESULT, threshold=value)
    with pytest.raises(ValueError, match="max_people"):
        RecourseScorer("validity_drop", reference=MODEL, max_people=value).score(MODEL, X)


@pytest.mark.parametrize(
    "weights",
    [3.0, "x", {}, np.ones(7), np.ones((8, 1)), np.ones((8, 1, 1)), np.ones(8) * 1j, [[1], [1, 2]]],
    ids=lambda weights: str(np.shape(weights)) if isinstance(weights, np.ndarray) else None,
)
def test_weights_that_are_not_one_a_row(weights):
    for metric in (
        lambda: validity_drop(MODEL, MODEL, RESULT, sample_weight=weights),
        lambda: counterfactual_recourse_gap(RESULT, RESULT, sample_weight=weights),
    ):
        with pytest.raises(ValueError, match="`sample_weight` .*give one number"):
            metric()


@pytest.mark.parametrize("kind", ["x", None, np.array([]), ["target"]])
def test_kinds_that_are_none(kind):
    with pytest.raises(ValueError, match="kind"):
        validity_drop(MODEL, MODEL, RESULT, kind=kind)
    with pytest.raises(ValueError, match="kind"):
        counterfactual_recourse_gap(RESULT, RESULT, kind=kind)


@pytest.mark.parametrize(
    "wrong", [{"metrics": [["validity_drop"]]}, {"metrics": 3}, {"solver": "x"}, {"action_set": []}]
)
def test_scorers_of_nothing(wrong):
    (name,) = wrong
    scorer = RecourseScorer(**{"metrics": "validity_drop", "reference": MODEL} | wrong)
    with pytest.raises(ValueError, match=name):
        scorer.score(MODEL, X)


@pytest.fixture(scope="module")
def quantized(taught, credit):
    given = {name: taught[name] for name in ("teacher", "action_set", "target", "random_state")}
    return PTQClassifier(**given).fit(credit.data, credit.target)


def test_biases_of_no_class_or_no_size(quantized):
    # A label is one, and the word for the other label says nothing here.
    for target in ("maybe", "opposite", None, pd.NA, 1, ["granted"], np.array(["granted"]), [[1]]):
        with pytest.raises(ValueError, match=r"target=.* is no class .*\['denied', 'granted'\]"):
            with_logit_bias(quantized, target, 1.0)
    for bias in (float("nan"), float("inf"), None, True, "1", [1.0], 10**400):
        with pytest.raises(ValueError, match="bias"):
            with_logit_bias(quantized, "granted", bias)
    for drop in (2, -1, None):
        with pytest.raises(ValueError, match="validity_drop"):
            bias_for_validity_drop(quantized, RESULT, drop)
