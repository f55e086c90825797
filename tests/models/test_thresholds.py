"""Decision thresholds other than one half: `predict` alone decides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skcfq import ActionSet, CFQClassifier, RecourseSolver, TeacherClassifier
from skcfq.exceptions import UnsupportedModelError
from skcfq.metrics import vd_scorer
from skcfq.models import as_predictor, deployment_variants

RNG = np.random.RandomState(0)
X = pd.DataFrame(RNG.normal(size=(300, 2)), columns=["u", "v"])
Y = np.where(X.sum(axis=1) + RNG.normal(size=300) > 0, "yes", "no")
FREE = ActionSet(bounds={"u": (None, None), "v": (None, None)})


def solve(model, **parameters):
    # At the threshold itself, where anybody can see whether it was the right one.
    given = {"target": "yes", "margin": 0.0, "random_state": 0} | parameters
    solver = RecourseSolver(FREE, **given)
    return solver.solve(model, X.head(60), background=X)


def fixed(inner, threshold, **parameters):
    return FixedThresholdClassifier(inner, threshold=threshold, **parameters)


WRAPPED = {
    "alone": lambda: fixed(LogisticRegression(), 0.7),
    "of the first class": lambda: fixed(LogisticRegression(), 0.7, pos_label="no"),
    "around a pipeline": lambda: fixed(make_pipeline(StandardScaler(), LogisticRegression()), 0.2),
    "inside a pipeline": lambda: make_pipeline(StandardScaler(), fixed(LogisticRegression(), 0.9)),
    "of scores": lambda: fixed(LinearSVC(), 0.4, response_method="decision_function"),
    "of scores, of the first class": lambda: fixed(LinearSVC(), 0.4, pos_label="no"),
    "of a decision": lambda: fixed(LogisticRegression(), -0.5, response_method="decision_function"),
    "automatic": lambda: fixed(LogisticRegression(), "auto"),
    "twice": lambda: fixed(fixed(LogisticRegression(), 0.1), 0.8),
    "prefit": lambda: fixed(FrozenEstimator(LogisticRegression().fit(X, Y)), 0.35),
    "search": lambda: GridSearchCV(fixed(LogisticRegression(), 0.5), {"threshold": [0.3]}),
    "tuned": lambda: TunedThresholdClassifierCV(LogisticRegression(), random_state=0),
    "discriminant": lambda: fixed(LinearDiscriminantAnalysis(), 0.6),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_threshold_is_read_and_the_model_stays_linear(kind):
    model = WRAPPED[kind]().fit(X, Y)
    predictor = as_predictor(model, background=X)
    assert predictor.is_linear
    assert (predictor.classes[predictor.row_scores(X).argmax(axis=1)] == model.predict(X)).all()
    result = solve(model)
    assert result.method == "exact" and result.denied.sum() > 0
    assert (result.status[result.denied] == "optimal").all()
    assert (model.predict(result.points) == "yes").all()
    # A little less of every action, and the model still says no: nobody pays too much.
    less = X.head(60) + (1 - 1e-5) * (result.points - X.head(60))
    assert (model.predict(less[result.denied]) == "no").all()


@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.8])
def test_the_cost_is_the_closed_form(threshold):
    result = solve(fixed(LogisticRegression(), threshold, pos_label="yes").fit(X, Y))
    inner = LogisticRegression().fit(X, Y)
    need = logit(threshold) - inner.decision_function(X.head(60))
    best = need / np.abs(inner.coef_[0] * X.std(ddof=0).to_numpy()).max()
    np.testing.assert_allclose(result.cost[result.denied], best[result.denied], rtol=1e-5)


@pytest.mark.parametrize(
    "inner",
    [
        MLPClassifier((8,), max_iter=1500, random_state=0),
        TeacherClassifier(hidden_layer_sizes=(8,), max_iter=20, random_state=0),
    ],
)
def test_a_threshold_is_read_and_a_network_stays_one(inner):
    model = fixed(inner, 0.7, pos_label="yes").fit(X, Y)
    predictor = as_predictor(model, background=X)
    assert predictor.differentiable and not predictor.is_linear
    result = solve(model)
    assert result.method == "exact" and result.reachable.any()
    assert (model.predict(result.points[result.reachable]) == "yes").all()
    shares = model.predict_proba(result.points[result.reachable])[:, 1]
    assert result.valid.all() and shares == pytest.approx(0.7, abs=1e-3)


def test_ties_are_on_the_side_of_the_decision():
    """A forest of ten trees says 0.6 exactly, which a threshold of 0.6 lets pass."""
    forest = RandomForestClassifier(10, max_depth=1, random_state=0).fit(X, Y)
    shares = np.unique(forest.predict_proba(X)[:, 1])
    threshold = shares[len(shares) // 2]
    model = fixed(FrozenEstimator(forest), threshold, pos_label="yes").fit(X, Y)
    predictor = as_predictor(model, background=X)
    assert predictor.head.output == "probabilities"
    assert (predictor.classes[predictor.row_scores(X).argmax(axis=1)] == model.predict(X)).all()


class Strict(LogisticRegression):
    """Says yes only where it is sure, which nothing of it tells."""

    def predict(self, X):
        return np.where(self.predict_proba(X)[:, 1] >= 0.8, "yes", "no")


class Unsure(LogisticRegression):
    """Refuses to say the third class."""

    def predict(self, X):
        shares = self.predict_proba(X)
        shares[:, 2] = 0
        return self.classes_[shares.argmax(axis=1)]


def test_a_rule_that_cannot_be_read_is_asked_for_labels():
    model = Strict().fit(X, Y)
    predictor = as_predictor(model, background=X)
    assert predictor.head.output == "labels" and "argmax" in predictor.head.reason
    result = solve(model, n_restarts=0)
    assert result.method == "black_box" and result.reachable.sum() > 0.9 * result.denied.sum()
    shares = model.predict_proba(result.points[result.reachable])[:, 1]
    assert (shares >= 0.8).all() and np.median(shares) < 0.81
    with pytest.raises(UnsupportedModelError, match="labels alone"):
        solve(model, target_proba=0.9)


def test_so_is_one_of_three_classes():
    labels = np.array(["a", "b", "c"])[np.digitize(X.u + X.v, [-0.5, 0.5])]
    model = Unsure().fit(X, labels)
    assert as_predictor(model, background=X).head.output == "labels"
    result = RecourseSolver(FREE, target="b", n_restarts=0).solve(model, X.head(20), background=X)
    assert (model.predict(result.points[result.reachable]) == "b").all()


def test_scores_that_are_no_sigmoid_are_not_taken_for_one():
    inner = SGDClassifier(loss="modified_huber", random_state=0)
    model = fixed(inner, 0.8, pos_label="yes").fit(X, Y)
    predictor = as_predictor(model, background=X)
    assert not predictor.differentiable and predictor.head.output == "probabilities"
    assert (predictor.classes[predictor.row_scores(X).argmax(axis=1)] == model.predict(X)).all()


@pytest.mark.parametrize("target", ["yes", "no"])
def test_a_probability_that_is_asked_for_counts_from_one_half(target):
    model = fixed(LogisticRegression(), 0.3, pos_label="yes").fit(X, Y)
    result = solve(model, target=target, target_proba=0.9)
    column = int(target == "yes")
    shares = model.predict_proba(result.points[result.denied])[:, column]
    np.testing.assert_allclose(shares, 0.9, atol=1e-6)
    assert result.provenance["model"]["probability"] is None


def test_variants_and_comparisons_keep_the_threshold():
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    model = fixed(inner, 0.7, pos_label="yes").fit(X, Y)
    variants = deployment_variants(
        model, n_variants=3, bits=6, background=X, kinds="rounding", random_state=0
    )
    for variant in variants:
        assert variant.threshold.value == 0.7
        scores = variant.row_scores(X)
        assert (variant.classes[scores.argmax(axis=1)] == variant.predict(X)).all()
    robust = RecourseSolver(FREE, target="yes").solve(
        model, X.head(60), background=X, variants=variants
    )
    assert robust.reachable.sum() == robust.denied.sum()
    solver = RecourseSolver(FREE, target="yes")
    first, second = solver.compare(model, inner.fit(X, Y), X.head(60), background=X)
    assert (first.denied & ~second.denied).any()
    assert (model.predict(first.points) == "yes").all()
    assert (inner.predict(second.points) == "yes").all()


def test_scorers_take_the_threshold_of_the_deployed_model():
    model = CFQClassifier(
        budget=4, action_set=FREE, target="yes", max_iter=2, random_state=0, objective="paper"
    ).fit(X, Y)
    strict = fixed(FrozenEstimator(model), 0.9, pos_label="yes").fit(X, Y)
    assert as_predictor(strict).threshold.value == 0.9
    behind = make_pipeline(StandardScaler().set_output(transform="pandas").fit(X), model)
    strict_behind = fixed(FrozenEstimator(behind), 0.9, pos_label="yes").fit(X, Y)
    assert vd_scorer(strict, X.head(80)) < vd_scorer(model, X.head(80)) - 0.2
    assert vd_scorer(strict_behind, X.head(80)) < vd_scorer(behind, X.head(80)) - 0.2
