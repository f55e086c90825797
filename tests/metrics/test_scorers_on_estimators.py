"""Scorers through the library's own classifiers, as a user calls them."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skcfq import ActionSet, CFQClassifier, QATClassifier, RecourseSolver, TeacherClassifier
from skcfq.datasets import make_credit
from skcfq.encoding import TableEncoder
from skcfq.metrics import RecourseScorer, faithfulness_scorer, validity_drop, vd_scorer
from skcfq.models import as_predictor

pytestmark = pytest.mark.usefixtures("short_teachers")

SMALL = {"hidden_layer_sizes": (6,), "max_iter": 30, "batch_size": 16, "random_state": 0}
QUICK = RecourseSolver(method="pgd", n_steps=20, step_size=1.0, random_state=0)
NAMES = ["validity_drop", "recourse_gap", "direction_similarity"]


@pytest.fixture(scope="module")
def credit():
    return make_credit(240, random_state=0)


@pytest.fixture(scope="module")
def deployed(credit):
    model = QATClassifier(budget=2, action_set=credit.action_set, target=credit.favorable, **SMALL)
    return model.fit(credit.data, credit.target)


def test_all_metrics_of_a_quantized_classifier(credit, deployed):
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    scores = RecourseScorer(NAMES, solver=QUICK)(deployed, credit.data)
    assert -1 <= scores["validity_drop"] <= 0
    assert scores["recourse_gap"] <= 0
    assert -1 <= scores["direction_similarity"] <= 1
    # The named scorer takes rules and target from the estimator.
    result = solver.solve(deployed.teacher_, credit.data)
    expected = -validity_drop(deployed.teacher_, deployed, result)
    scorer = RecourseScorer("validity_drop", solver=RecourseSolver(random_state=0))
    assert scorer(deployed, credit.data) == pytest.approx(expected)


def test_reference_against_itself_is_perfectly_faithful(credit, deployed):
    scorer = RecourseScorer(
        [*NAMES, "faithfulness"],
        solver=clone(QUICK).set_params(target=credit.favorable),
        reference=deployed.teacher_,
    )
    scores = scorer(deployed.teacher_, credit.data)
    perfect = {"validity_drop": 0, "recourse_gap": 0, "direction_similarity": 1, "faithfulness": 0}
    assert scores == pytest.approx(perfect, abs=1e-6)


def test_cross_val_score_and_grid_search(credit):
    rules = {"action_set": credit.action_set, "target": credit.favorable}
    model = CFQClassifier(budget=4, objective="paper", **rules, **SMALL)
    scores = cross_val_score(
        model, credit.data, credit.target, scoring=vd_scorer, cv=2, error_score="raise"
    )
    assert ((scores >= -1) & (scores <= 0)).all()
    scorer = RecourseScorer(NAMES, solver=QUICK)
    search = GridSearchCV(
        model, {"budget": [2, 4]}, scoring=scorer, refit="recourse_gap", cv=2, error_score="raise"
    ).fit(credit.data, credit.target)
    assert search.best_params_["budget"] in (2, 4)
    assert np.isfinite(search.cv_results_["mean_test_validity_drop"]).all()


def test_action_set_searches_need_a_scorer_of_fixed_rules(credit):
    model = QATClassifier(budget=4, target=credit.favorable, **SMALL)
    scorer = RecourseScorer("validity_drop", solver=QUICK, action_set=credit.action_set)
    search = GridSearchCV(
        model, {"action_set__max_changes": [1, 2]}, scoring=scorer, cv=2, error_score="raise"
    ).fit(credit.data, credit.target)
    # Uniform training does not look at the rules, so fixed rules measure both alike.
    first, second = search.cv_results_["mean_test_score"]
    assert first == second


def test_teacher_without_statistics_borrows_the_student_s(credit):
    encode = make_column_transformer(
        (StandardScaler(), numeric_columns(credit)), (OneHotEncoder(), text_columns(credit))
    )
    complete = credit.data.dropna().index
    X, y = credit.data.loc[complete], credit.target[credit.data.index.get_indexer(complete)]
    teacher = make_pipeline(encode, LogisticRegression()).fit(X, y)
    model = QATClassifier(
        budget=4, teacher=FrozenEstimator(teacher), target=credit.favorable, **SMALL
    ).fit(X, y)
    scores = RecourseScorer(NAMES, solver=QUICK)(model, X)
    assert np.isfinite(list(scores.values())).all()


@pytest.mark.slow
def test_behind_preprocessing_and_sampler(credit):
    model = make_imblearn_pipeline(
        TableEncoder(),
        RandomOverSampler(random_state=0),
        QATClassifier(budget=4, target=credit.favorable, **SMALL),
    )
    found = cross_validate(
        model,
        credit.data,
        credit.target,
        scoring={"vd": RecourseScorer("validity_drop", solver=QUICK), "accuracy": "accuracy"},
        cv=2,
        error_score="raise",
    )
    assert np.isfinite(found["test_vd"]).all()
    # In raw units the preprocessing joins both models, and needs a population.
    model.fit(credit.data, credit.target)
    scorer = RecourseScorer(NAMES, solver=QUICK, action_set=ActionSet(), background=credit.data)
    assert np.isfinite(list(scorer(model, credit.data).values())).all()


@pytest.mark.slow
def test_frozen_reference_for_every_candidate(credit):
    reference = TeacherClassifier((6,), max_iter=8, random_state=0)
    reference.fit(credit.data, credit.target)
    model = QATClassifier(teacher=FrozenEstimator(reference), target=credit.favorable, **SMALL)
    scorer = RecourseScorer("faithfulness", solver=QUICK, reference=FrozenEstimator(reference))
    search = GridSearchCV(model, {"budget": [2, 8]}, scoring=scorer, cv=2, error_score="raise")
    search.fit(credit.data, credit.target)
    assert search.best_estimator_.teacher_ is reference
    given, own = (
        s(search, credit.data) for s in (scorer, clone(scorer).set_params(reference=None))
    )
    assert given == own


def test_faithfulness_scorer_with_nothing_given(credit, deployed):
    assert faithfulness_scorer(deployed, credit.data[:60]) <= 0


def test_fingerprints_of_a_pair(deployed):
    reference, quantized = as_predictor(deployed.teacher_), as_predictor(deployed)
    assert reference.space.fingerprint == quantized.space.fingerprint
    assert reference.fingerprint != quantized.fingerprint


def numeric_columns(credit):
    return list(credit.data.select_dtypes("number").columns)


def text_columns(credit):
    return [name for name in credit.data.columns if name not in numeric_columns(credit)]
