"""Classifiers inside scikit-learn's own machinery, always with ``error_score="raise"``."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sklearn
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcfq import (
    ActionSet,
    CFQClassifier,
    QATClassifier,
    RecourseSolver,
    TableEncoder,
    TeacherClassifier,
)
from skcfq.estimators import CFQObjective, Quantizer, TeacherActions, UniformBits, UnitBits
from skcfq.metrics import RecourseScorer, faithfulness_scorer, vd_scorer

pytestmark = pytest.mark.usefixtures("short_teachers")

STEPS = RecourseSolver(method="pgd", n_steps=10, step_size=0.3, random_state=0)
RAISE = {"cv": 2, "error_score": "raise"}
NESTED = [
    ("action_set__max_changes", 2, ActionSet),
    ("objective__eta", 0.5, CFQObjective),
    ("objective__finish__validity_drop", 0.1, CFQObjective),
    ("quantizer__activation_bits", 8, Quantizer),
    ("bit_policy__candidates", (2, 8), UnitBits),
    ("teacher_actions__n_steps", 2, TeacherActions),
    ("teacher__alpha", 0.5, TeacherClassifier),
]


@pytest.fixture(scope="module")
def model(credit, quick):
    """K steps and few passes after the teacher's: what is tested is the machinery around it."""
    rules = {"action_set": credit.action_set, "target": credit.favorable}
    teacher = TeacherClassifier((8,), max_iter=30, batch_size=16)
    plan = {"objective": "paper", "teacher": teacher, **quick, "max_iter": 5}
    return CFQClassifier(budget=4, **rules, **plan)


@pytest.mark.parametrize(("key", "value", "made"), NESTED)
def test_nested_key_on_what_is_not_there_yet(key, value, made):
    model = CFQClassifier().set_params(**{key: value})
    name = key.partition("__")[0]
    assert type(getattr(model, name)) is made
    assert model.get_params()[key] == value
    assert clone(model).get_params()[key] == value
    # An object that is there is kept.
    before = getattr(model, name)
    assert getattr(model.set_params(**{key: value}), name) is before


def test_objects_behind_nested_keys_are_not_shared():
    first, second = (CFQClassifier().set_params(action_set__max_changes=k) for k in (1, 2))
    assert first.action_set.max_changes == 1
    assert second.action_set.max_changes == 2


def test_preset_and_nested_key_together():
    model = CFQClassifier().set_params(bit_policy="uniform", bit_policy__candidates=(2, 3))
    assert isinstance(model.bit_policy, UniformBits)
    assert QATClassifier().set_params(bit_policy__candidates=(4,)).bit_policy.candidates == (4,)


def test_nested_key_of_the_default_teacher_keeps_its_other_settings():
    model = CFQClassifier(batch_size=7).set_params(teacher__alpha=0.5, hidden_layer_sizes=(3,))
    assert model.teacher.hidden_layer_sizes == (3,)
    assert model.teacher.batch_size == 7


@pytest.mark.parametrize(
    "key", ["nothing", "nothing__key", "action_set__nothing", "eta", "budget__key"]
)
def test_unknown_keys(key):
    with pytest.raises((ValueError, AttributeError)):
        CFQClassifier().set_params(**{key: 1})


@pytest.mark.parametrize(
    ("grid", "scoring"),
    [
        ({"budget": [2, 4]}, RecourseScorer("validity_drop", solver=STEPS)),
        ({"objective__eta": [0.0, 2.0]}, RecourseScorer("faithfulness", solver=STEPS)),
        ({"objective__hinge": [0.0, 0.5], "teacher_actions__n_steps": [2]}, "accuracy"),
        ({"bit_policy__candidates": [(2, 8), (4,)]}, "accuracy"),
        ({"teacher__hidden_layer_sizes": [(4,), (6, 6)]}, "accuracy"),
        ({"objective": ["paper", "faithful"]}, "accuracy"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_grid_search(grid, scoring, credit, model):
    search = GridSearchCV(model, grid, scoring=scoring, **RAISE)
    search.fit(credit.data, credit.target)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    for key, value in search.best_params_.items():
        assert search.best_estimator_.get_params()[key] == value
    assert search.predict(credit.data).shape == (240,)


def test_search_over_the_rules(credit, model):
    """``action_set`` is None, and a scorer of its own rules measures the candidates alike."""
    model = clone(model).set_params(action_set=None)
    scorer = RecourseScorer("validity_drop", solver=STEPS, action_set=credit.action_set)
    search = GridSearchCV(model, {"action_set__max_changes": [1, 3]}, scoring=scorer, **RAISE)
    search.fit(credit.data, credit.target)
    assert search.best_estimator_.action_set.max_changes in (1, 3)
    assert model.action_set is None


def test_scorers_with_nothing_given(credit, model):
    few = slice(0, 160)
    X, y = credit.data[few], credit.target[few]
    assert (cross_val_score(model, X, y, scoring=vd_scorer, **RAISE) <= 0).all()
    bare = clone(model).set_params(action_set=None)
    assert np.isfinite(cross_val_score(bare, X, y, scoring=vd_scorer, **RAISE)).all()
    assert np.isfinite(cross_val_score(model, X, y, scoring=faithfulness_scorer, **RAISE)).all()


def test_several_metrics_at_once(credit, model):
    named = cross_validate(
        model,
        credit.data,
        credit.target,
        scoring={"vd": RecourseScorer("validity_drop", solver=STEPS), "accuracy": "accuracy"},
        **RAISE,
    )
    assert {"test_vd", "test_accuracy"} <= set(named)
    scorer = RecourseScorer(["validity_drop", "recourse_gap"], solver=STEPS)
    search = GridSearchCV(
        model, {"objective__eta": [0.5, 2.0]}, scoring=scorer, refit="recourse_gap", **RAISE
    ).fit(credit.data, credit.target)
    assert np.isfinite(search.cv_results_["mean_test_validity_drop"]).all()


@pytest.mark.filterwarnings("ignore::skcfq.exceptions.EncodedTableWarning")
@pytest.mark.parametrize("make", [make_pipeline, make_imblearn_pipeline])
def test_last_step_of_a_pipeline(make, credit, model):
    # Columns have other names behind the encoder, so there are no rules.
    model = make(TableEncoder(), clone(model).set_params(action_set=None))
    scorer = RecourseScorer("validity_drop", solver=STEPS)
    scores = cross_val_score(model, credit.data, credit.target, scoring=scorer, **RAISE)
    assert np.isfinite(scores).all()
    grid = {"cfqclassifier__budget": [2, 4], "cfqclassifier__action_set__max_changes": [2]}
    GridSearchCV(model, grid, **RAISE).fit(credit.data, credit.target)


def test_frame_steps_before_the_classifier(credit, model):
    whole = make_pipeline(FunctionTransformer(lambda X: X.assign(age=X["age"] / 10)), model)
    whole.fit(credit.data, credit.target)
    assert list(whole[-1].feature_names_in_) == list(credit.data.columns)
    assert whole.score(credit.data, credit.target) > 0.7


def test_sampler_before_the_classifier(credit, model):
    sampled = make_imblearn_pipeline(RandomOverSampler(random_state=0), model)
    scorer = RecourseScorer("validity_drop", solver=STEPS)
    scores = cross_val_score(sampled, credit.data, credit.target, scoring=scorer, **RAISE)
    assert np.isfinite(scores).all()


def test_as_a_feature_of_a_later_step(credit, model):
    """A fitted classifier is a plain scikit-learn classifier for those that build on it."""
    from sklearn.ensemble import StackingClassifier

    fitted = clone(model).fit(credit.data, credit.target)
    stack = StackingClassifier(
        [("cfq", FrozenEstimator(fitted))], final_estimator=LogisticRegression(), cv="prefit"
    ).fit(credit.data, credit.target)
    assert stack.score(credit.data, credit.target) > 0.7


@pytest.mark.parametrize("classifier", [TeacherClassifier, QATClassifier, CFQClassifier])
def test_clone_pickle_and_repr(classifier, credit, quick):
    kwargs = {} if classifier is TeacherClassifier else {"target": credit.favorable}
    model = classifier(**quick, **kwargs).fit(credit.data, credit.target)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        loaded.predict_proba(credit.data), model.predict_proba(credit.data)
    )
    assert loaded.history_.equals(model.history_)
    again = clone(model).fit(credit.data, credit.target)
    np.testing.assert_array_equal(
        again.predict_proba(credit.data), model.predict_proba(credit.data)
    )
    assert repr(model).startswith(f"{classifier.__name__}(")
    assert "hidden_layer_sizes=(8,)" in repr(model)
    assert classifier.__name__ in model._repr_html_()
    # Everything that a constructor takes is stored untouched.
    parameters = classifier().get_params(deep=False)
    assert parameters == {name: getattr(classifier(), name) for name in parameters}


@pytest.mark.parametrize("routing", [False, True])
def test_metadata_routing(routing, credit, model):
    weights = np.where(credit.target == "granted", 1.0, 3.0)
    with sklearn.config_context(enable_metadata_routing=routing):
        requesting = clone(model)
        if routing:
            requesting.set_fit_request(sample_weight=True)
        accuracy = make_scorer(accuracy_score)
        if routing:
            accuracy.set_score_request(sample_weight=False)
        scores = cross_validate(
            requesting,
            credit.data,
            credit.target,
            scoring={"vd": RecourseScorer("validity_drop", solver=STEPS), "accuracy": accuracy},
            params={"sample_weight": weights},
            **RAISE,
        )
        assert np.isfinite(scores["test_vd"]).all()
        search = GridSearchCV(requesting, {"objective__eta": [0.0, 1.0]}, scoring=accuracy, **RAISE)
        search.fit(credit.data, credit.target, sample_weight=weights)
        direct = clone(model).set_params(**search.best_params_)
        direct.fit(credit.data, credit.target, weights)
        np.testing.assert_array_equal(
            search.predict_proba(credit.data), direct.predict_proba(credit.data)
        )


def test_weights_of_a_teacher_pipeline_with_routing(people, quick):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0).to_numpy()
    weights = np.arange(len(X)) % 3 + 1.0
    with sklearn.config_context(enable_metadata_routing=True):
        silent = make_pipeline(FunctionTransformer(), LogisticRegression(max_iter=1000))
        with pytest.raises(ValueError, match="`sample_weight` was given"):
            QATClassifier(teacher=silent, **quick).fit(X, score > 0, sample_weight=weights)
        asking = LogisticRegression(max_iter=1000).set_fit_request(sample_weight=True)
        model = QATClassifier(teacher=make_pipeline(FunctionTransformer(), asking), **quick)
        model.fit(X, score > 0, sample_weight=weights)
        alone = LogisticRegression(max_iter=1000).fit(X, score > 0, weights)
    np.testing.assert_allclose(model.teacher_[-1].coef_, alone.coef_)


def test_fitted_teacher_in_a_search_must_be_frozen(credit, model):
    teacher = TeacherClassifier((8,), max_iter=30, batch_size=16, random_state=0)
    teacher.fit(credit.data, credit.target)
    frozen = clone(model).set_params(teacher=FrozenEstimator(teacher))
    search = GridSearchCV(frozen, {"budget": [2, 4]}, **RAISE).fit(credit.data, credit.target)
    assert search.best_estimator_.teacher_ is teacher
    # A clone forgets the fit, and the student fits it anew.
    bare = clone(model).set_params(teacher=teacher)
    assert clone(bare).fit(credit.data, credit.target).teacher_ is not teacher
