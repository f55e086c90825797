"""Who keeps the promise that advice holds: the model or the advice, after a fit and anew."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

import skcfq
from skcfq import (
    ActionSet,
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    RecourseTransformer,
)
from skcfq.datasets import make_credit
from skcfq.estimators import CFQObjective, Finish, Quantizer, TeacherActions, with_logit_bias
from skcfq.exceptions import RecourseGapWarning
from skcfq.metrics import RecourseScorer, counterfactual_recourse_gap, validity_drop

pytestmark = pytest.mark.usefixtures("short_teachers")

SHARE = 0.1
QUICK = CFQObjective(distillation=1.0, margins=1.0, eta=0.0, finish=Finish(validity_drop=SHARE))


@pytest.fixture(scope="module")
def credit():
    return make_credit(480, random_state=3)


@pytest.fixture(scope="module")
def settings(credit):
    return {
        "objective": QUICK,
        "action_set": credit.action_set,
        "target": credit.favorable,
        "hidden_layer_sizes": (8,),
        "bit_policy": "uniform",
        "max_iter": 5,
        "random_state": 0,
    }


@pytest.fixture(scope="module")
def rows(credit):
    X, y = credit.data, credit.target
    return X.iloc[:320], y.iloc[:320], X.iloc[320:]


@pytest.fixture(scope="module")
def models(settings, rows):
    """One student under each promise; what comes before it is the same."""
    X, y, _ = rows
    made = [CFQClassifier(3, promise=kind, **settings) for kind in ("model", "advice", None)]
    model, advice, none = (one.fit(X, y) for one in made)
    return {"model": model, "advice": advice, None: none}


def copy_of(model):
    return pickle.loads(pickle.dumps(model))


def solver(**given):
    return RecourseSolver(**{"margin": 0.0, "random_state": 0, **given})


def test_one_of_them_pays_and_the_model_alone_is_changed(models, rows):
    model, advice, none = models["model"], models["advice"], models[None]
    assert model.logit_bias_ > 0 == model.recourse_margin_
    assert advice.recourse_margin_ > 0 == advice.logit_bias_
    assert none.logit_bias_ == 0 and not hasattr(none, "recourse_margin_")
    X = rows[2]
    np.testing.assert_array_equal(advice.decision_function(X), none.decision_function(X))
    change = model.decision_function(X) - none.decision_function(X)
    sign = 1 if model.classes_[1] == model.target_ else -1
    assert sign * change == pytest.approx(model.logit_bias_, abs=1e-4)


def test_whoever_pays_what_either_costs_is_told(models):
    costs = [one.promise_costs_ for one in models.values()]
    for one in costs[1:]:
        pd.testing.assert_frame_equal(one, costs[0], rtol=1e-6)
    found = costs[0]
    assert found.loc["model", "logit_bias"] == models["model"].logit_bias_
    assert found.loc["advice", "recourse_margin"] == pytest.approx(
        models["advice"].recourse_margin_
    )
    assert found.loc["advice", "extra_cost"] > 0 == found.loc["model", "extra_cost"]
    for kind in ("model", "advice"):
        gap = models[kind].expected_recourse_gap_
        assert gap == pytest.approx(found.loc[kind, "expected_recourse_gap"])
    assert models["model"].margin_error_ == pytest.approx(models["advice"].margin_error_)


def test_the_advice_that_was_promised_holds_and_costs_what_was_said(models, rows):
    """Asked of the people of the calibration, of whom the figures were read off."""
    clf = models["advice"]
    people = clf._calibration.people.X
    cheap = solver().solve(clf.teacher_, people)
    safe = solver(margin="promise").solve(clf.teacher_, people)
    assert validity_drop(clf.teacher_, clf, cheap) > SHARE
    assert validity_drop(clf.teacher_, clf, safe) <= SHARE
    both = safe.reachable
    dearer = safe.cost[both].sum() / cheap.cost[both].sum() - 1
    assert dearer == pytest.approx(clf.promise_costs_.loc["advice", "extra_cost"], rel=0.02)
    assert f"margin={clf.recourse_margin_:g}" in safe.protocol


def test_the_expected_gap_is_that_of_a_solve(models):
    clf = models["model"]
    people = clf._calibration.people.X
    results = solver().compare(clf.teacher_, clf, people)
    gap = counterfactual_recourse_gap(*results)
    assert clf.expected_recourse_gap_ == pytest.approx(gap, abs=0.05)


def test_shares_accepted_are_those_of_the_training_rows(models, rows):
    clf, X = models["model"], rows[0]
    wanted = {"teacher": clf.teacher_.predict(X), "model": clf.predict(X)}
    wanted = {name: np.mean(labels == clf.target_) for name, labels in wanted.items()}
    assert clf.acceptance_rates_ == pytest.approx(wanted)


def test_everybody_takes_the_margin_of_a_promise(models, rows):
    clf, X = models["advice"], rows[2]
    margin = clf.recourse_margin_
    assert RecourseSolver.from_estimator(clf, margin="promise").margin == margin
    asked = solver(margin="promise", n_restarts=0)
    expected = asked.set_params(margin=margin).solve(clf.teacher_, X)
    asked = solver(margin="promise", n_restarts=0)
    for result in (asked.solve(clf.teacher_, X), asked.compare(clf.teacher_, clf, X)[0]):
        np.testing.assert_array_equal(result.cost, expected.cost)
    stream = list(asked.solve_chunks(clf.teacher_, [X]))
    np.testing.assert_array_equal(stream[0].cost, expected.cost)
    advisor = RecourseTransformer(clf.teacher_, solver=asked).fit(X)
    assert advisor.solver_.margin == "promise"
    found = advisor.transform(X)[expected.reachable]
    pd.testing.assert_frame_equal(found, expected.points[expected.reachable], check_dtype=False)
    scorer = RecourseScorer("validity_drop", solver=asked)
    assert scorer(clf, X) == -validity_drop(clf.teacher_, clf, expected)


def test_a_margin_that_nobody_knows_is_refused(models, settings, rows):
    X, y, people = rows
    asked = solver(margin="promise")
    with pytest.raises(ValueError, match="margin='promise', but the model knows of none"):
        asked.solve(models[None].teacher_, people)
    own = clone(models["model"]).set_params(teacher=FrozenEstimator(models["model"].teacher_))
    given = models["advice"].teacher_
    before = given.recourse_margin_
    student = own.set_params(teacher=FrozenEstimator(given)).fit(X, y)
    # A teacher that was given keeps what it knows, and a student is asked first.
    assert given.recourse_margin_ == before > 0
    assert "margin=0," in asked.compare(given, student, people)[0].protocol
    student.recourse_margin_ = float("nan")
    with pytest.raises(ValueError, match="is NaN"):
        asked.solve(student, people)
    with pytest.raises(ValueError, match="teacher_actions.solver has margin='promise'"):
        own.set_params(teacher_actions=TeacherActions(method="solver", solver=asked)).fit(X, y)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"objective": "paper"}, "promise='advice' needs the share"),
        ({"teacher_actions": TeacherActions()}, "advice that can have a margin"),
        ({"promise": "both"}, "'promise' parameter of CFQClassifier"),
    ],
)
def test_a_promise_that_cannot_be_given_is_refused(changed, message, settings, rows):
    model = CFQClassifier(3, **{**settings, "promise": "advice", **changed})
    with pytest.raises(ValueError, match=message):
        model.fit(*rows[:2])


@pytest.mark.parametrize("promise", ["model", "advice"])
def test_a_new_promise_takes_the_place_of_the_old_one(promise, models, rows):
    X = rows[2]
    fresh = copy_of(models[None]).recalibrate(X, promise=promise)
    for before in ("model", "advice"):
        model = copy_of(models[before])
        assert model.recalibrate(X, promise=promise) is model
        np.testing.assert_array_equal(model.predict_proba(X), fresh.predict_proba(X))
        assert model.logit_bias_ == pytest.approx(fresh.logit_bias_)
        assert model.recourse_margin_ == pytest.approx(fresh.recourse_margin_)
    # Of the new people, whom it was read off, no more than the share lose the advice.
    advice = solver(margin="promise").solve(fresh.teacher_, X)
    assert validity_drop(fresh.teacher_, fresh, advice) <= SHARE
    rates = {"teacher": fresh.teacher_.predict(X), "model": fresh.predict(X)}
    rates = {name: np.mean(labels == fresh.target_) for name, labels in rates.items()}
    assert fresh.acceptance_rates_ == pytest.approx(rates)


def test_files_carry_the_new_bias(models, rows, tmp_path):
    model, X = copy_of(models["model"]), rows[2]
    model.recalibrate(X.iloc[::2], validity_drop=0.5)
    assert model.logit_bias_ != models["model"].logit_bias_
    model.export(tmp_path / "m")
    np.testing.assert_array_equal(
        skcfq.load(tmp_path / "m").decision_function(X), model.decision_function(X)
    )
    onnxruntime = pytest.importorskip("onnxruntime")
    model.to_onnx(tmp_path / "m.onnx", preprocessing=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    encoded = model.feature_space_.encode(X)
    logits = session.run(["logits"], {"encoded": encoded})[0]
    np.testing.assert_array_equal(logits[:, 1] - logits[:, 0], model.decision_function(X))


def test_a_bias_that_was_added_by_hand_is_taken_back_too(models, rows):
    X = rows[2]
    by_hand = with_logit_bias(models["model"], models["model"].target_, 5.0)
    assert by_hand.logit_bias_ == models["model"].logit_bias_ + 5
    assert not hasattr(by_hand, "expected_recourse_gap_")
    fresh = copy_of(models[None]).recalibrate(X, promise="model")
    found = by_hand.recalibrate(X)
    np.testing.assert_array_equal(found.predict_proba(X), fresh.predict_proba(X))


@pytest.mark.parametrize("classifier", [QATClassifier, PTQClassifier])
def test_models_that_are_trained_without_advice_can_promise_it(classifier, models, rows, credit):
    X, y, people = rows
    given = {} if classifier is PTQClassifier else {"hidden_layer_sizes": (8,), "max_iter": 2}
    model = classifier(
        3,
        teacher=FrozenEstimator(models[None].teacher_),
        action_set=credit.action_set,
        target=credit.favorable,
        random_state=0,
        **given,
    ).fit(X, y)
    assert model.logit_bias_ == 0 and not hasattr(model, "recourse_margin_")
    with pytest.raises(AttributeError, match="promises nothing"):
        _ = model.promise_costs_
    plain = model.predict_proba(people)
    model.recalibrate(people, validity_drop=SHARE)
    assert model.logit_bias_ > 0 == model.recourse_margin_
    advice = solver().solve(model.teacher_, people)
    assert validity_drop(model.teacher_, model, advice) <= SHARE
    model.recalibrate(people, validity_drop=SHARE, promise="advice")
    np.testing.assert_array_equal(model.predict_proba(people), plain)
    safe = solver(margin=model.recourse_margin_).solve(model.teacher_, people)
    assert validity_drop(model.teacher_, model, safe) <= SHARE


def test_groups_are_promised_each_their_own(models, rows):
    X = rows[2]
    groups = np.where(np.arange(len(X)) % 3 == 0, "few", "many")
    model = copy_of(models["model"])
    model.set_params(objective=clone(QUICK).set_params(groups="worst"))
    model.recalibrate(X, sensitive_features=groups)
    advice = solver().solve(model.teacher_, X)
    for name in ("few", "many"):
        own = advice.reachable & (groups == name)
        lost = model.predict(advice.points)[own] != model.target_
        assert lost.mean() <= SHARE


def test_only_advice_can_pay_where_people_want_different_things(models, rows):
    model, X = copy_of(models["model"]), rows[2]
    model.target_ = "opposite"
    model.recalibrate(X)
    assert model.logit_bias_ == 0 and not hasattr(model, "recourse_margin_")
    model.recalibrate(X, promise="advice")
    advice = solver(margin="promise", target="opposite").solve(model.teacher_, X)
    lost = model.predict(advice.points) != advice.target
    assert model.recourse_margin_ > 0 == model.logit_bias_
    assert lost[advice.reachable].mean() <= SHARE


def test_people_who_cannot_be_promised_anything_are_refused(models, rows):
    model, X = models["model"], rows[2]
    bias, accepted = model.logit_bias_, models["model"].teacher_.predict(X) == model.target_
    with pytest.raises(ValueError, match="the teacher refuses nobody"):
        model.recalibrate(X[accepted])
    nobody = copy_of(model)
    nobody.action_set = ActionSet(immutable=list(X))
    with pytest.raises(ValueError, match="none of them reaches the target"):
        nobody.recalibrate(X)
    assert nobody.logit_bias_ == model.logit_bias_ == bias
    with pytest.raises(ValueError, match="'promise' parameter of .*recalibrate"):
        model.recalibrate(X, promise="both")


def test_what_is_far_off_is_said_with_what_is_left_to_do(models, settings, rows):
    X, y, people = rows
    given = {**settings, "teacher": models["model"].teacher_, "max_iter": 1}
    narrow = CFQClassifier(2, quantizer=Quantizer(2), **given)
    with pytest.warns(RecourseGapWarning, match="8 bits.*narrower.*'advice'.*more bits") as told:
        narrow.fit(X, y)
    assert f"{narrow.expected_recourse_gap_:.0%} of its cost" in str(told[0].message)
    assert "bit_policy" not in str(told[0].message)
    with pytest.warns(RecourseGapWarning) as told:
        narrow.recalibrate(people, promise="advice")
    assert "promise=" not in str(told[0].message)
    layers = CFQClassifier(2.5, quantizer=Quantizer(2), **given)
    with pytest.warns(RecourseGapWarning, match=r"bit_policy='units'.*more bits"):
        layers.fit(X, y)
    with pytest.warns(RecourseGapWarning) as told:
        layers.set_params(bit_policy="units").fit(X, y)
    assert "bit_policy" not in str(told[0].message)
