"""A model is read once, and again as soon as anything about it has changed."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skcfq
from skcfq import (
    ActionSet,
    CFQClassifier,
    PTQClassifier,
    RecourseSolver,
    TableEncoder,
    TeacherClassifier,
)
from skcfq.datasets import make_credit
from skcfq.models import _memory, remembered_predictor


@pytest.fixture(scope="module")
def credit():
    return make_credit(600, random_state=0)


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    monkeypatch.setattr(_memory, "_MEMORY", _memory._Memory())
    return _memory._MEMORY


def logistic(X, y):
    return make_pipeline(TableEncoder(), LogisticRegression(max_iter=300)).fit(X, y)


def boosted(X, y):
    return make_pipeline(TableEncoder(), GradientBoostingClassifier(n_estimators=5)).fit(X, y)


def teacher(X, y):
    return TeacherClassifier(hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(X, y)


def loaded(X, y, folder):
    student = PTQClassifier(teacher=teacher(X, y), budget=4, target=y.iloc[0]).fit(X, y)
    student.export(folder / "model.skcfq")
    return skcfq.load(folder / "model.skcfq")


@pytest.mark.parametrize("make", [logistic, boosted, teacher])
def test_a_model_is_read_once(credit, make):
    model = make(credit.data, credit.target)
    first = remembered_predictor(model, credit.data, credit.data)
    assert remembered_predictor(model, credit.data, credit.data[:1]) is first
    assert first.model is model


def test_a_file_is_described_once(credit, tmp_path):
    model = loaded(credit.data, credit.target, tmp_path)
    first = remembered_predictor(model, credit.data, credit.data)
    assert remembered_predictor(model, credit.data, credit.data) is first
    assert remembered_predictor(model, None, credit.data) is not first
    assert remembered_predictor(model, credit.data.copy(), credit.data) is first
    assert remembered_predictor(model, credit.data[:300], credit.data) is not first


def test_a_copy_is_another_model(credit):
    model = logistic(credit.data, credit.target)
    first = remembered_predictor(model, credit.data, credit.data)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert remembered_predictor(other, credit.data, credit.data).model is other
    assert remembered_predictor(model, credit.data, credit.data) is first


def change_coefficients(model):
    model[-1].coef_ *= 2


def change_weights(model):
    with torch.no_grad():
        model.network_.layers[0].weight.mul_(2)


def change_weights_behind_torch(model):
    model.network_.layers[0].weight.data.numpy()[0, 0] += 1


def change_leaves(model):
    model[-1].estimators_[0, 0].tree_.value[:] *= 3


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (logistic, change_coefficients),
        (teacher, change_weights),
        (teacher, change_weights_behind_torch),
        (boosted, change_leaves),
    ],
)
def test_what_changes_in_place_is_read_again(credit, make, change):
    model = make(credit.data, credit.target)
    before = remembered_predictor(model, credit.data, credit.data)
    old = before.fingerprint
    change(model)
    after = remembered_predictor(model, credit.data, credit.data)
    assert after is not before
    if make is not boosted:
        assert after.fingerprint != old


@pytest.mark.parametrize("make", [logistic, boosted, teacher])
def test_a_refit_is_read_again(credit, make):
    X, y = credit.data, credit.target
    model = make(X, y)
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    refused = X[model.predict(X) != credit.favorable].head(3)
    solver.solve(model, refused, background=X)
    half = X.index % 2 == 0
    model.fit(X[half], y[half])
    again = solver.solve(model, refused, background=X)
    fresh = solver.solve(copy.deepcopy(model), refused, background=X)
    pd.testing.assert_frame_equal(again.points, fresh.points)
    np.testing.assert_array_equal(again.cost, fresh.cost)
    assert again.provenance["model"] == fresh.provenance["model"]


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.__setitem__("income", X["income"] * 2),
        lambda X: X.iloc.__setitem__((3, X.columns.get_loc("housing")), "".join(["r", "ent"])),
        lambda X: setattr(X, "columns", ["wage" if c == "income" else c for c in X]),
    ],
)
def test_a_background_that_changes_in_place_is_looked_at_again(credit, tmp_path, change):
    model = loaded(credit.data, credit.target, tmp_path)
    background = credit.data.copy()
    background["housing"] = background["housing"].astype(object)
    known = remembered_predictor(model, background, credit.data)
    assert remembered_predictor(model, background, credit.data) is known
    change(background)
    try:
        assert remembered_predictor(model, background, credit.data) is not known
    except skcfq.exceptions.FeatureSpaceError:
        assert "wage" in background


SCALE = 1.0


def scaled(X):
    return X * SCALE


def test_a_function_of_the_user_is_asked_each_time():
    X = np.random.RandomState(0).randn(80, 3)
    steps = FunctionTransformer(scaled), LogisticRegression()
    model = make_pipeline(*steps).fit(X, X[:, 0] > 0)
    first = remembered_predictor(model, X, X)
    assert remembered_predictor(model, X, X) is not first


class MyLogistic(LogisticRegression):
    """What it does is written here, and not in what it holds."""


def test_a_class_of_the_user_is_read_each_time():
    X = np.random.RandomState(0).randn(80, 3)
    model = MyLogistic().fit(X, X[:, 0] > 0)
    first = remembered_predictor(model, X, X)
    assert remembered_predictor(model, X, X) is not first


def test_mutable_cells_are_not_remembered():
    X = np.random.RandomState(0).randn(80, 2)
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    background = X.astype(object)
    assert remembered_predictor(model, background, X) is remembered_predictor(model, background, X)
    kept = _memory.KeptTable(np.array([[1.0, []]], dtype=object))
    assert not kept.is_settled


def test_few_are_kept(memory):
    X = np.random.RandomState(0).randn(80, 2)
    for _ in range(12):
        remembered_predictor(LogisticRegression().fit(X, X[:, 0] > 0), X, X)
    assert len(memory._entries) == 8
    model = memory._entries[-1].model
    for c in (0.1, 0.2, 0.3):
        model.set_params(C=c).fit(X, X[:, 0] > 0)
        remembered_predictor(model, X, X)
    assert sum(entry.model is model for entry in memory._entries) == 1


def test_rules_that_change_are_compiled_again(credit):
    X, y = credit.data, credit.target
    model = teacher(X, y)
    rules = clone(credit.action_set)
    solver = RecourseSolver(rules, target=credit.favorable, random_state=0)
    refused = X[model.predict(X) != credit.favorable].head(4)
    solver.solve(model, refused)
    rules.immutable.append("income")
    edited = solver.solve(model, refused)
    rules.set_params(max_changes=1)
    fewer = clone(solver).solve(model, refused)
    assert "income" not in edited.feature_names
    assert edited.provenance["action_set"]["immutable"][-1] == "income"
    assert fewer.changed.sum(axis=1).max() <= 1
    assert fewer.provenance["action_set"]["max_changes"] == 1
    assert isinstance(pickle.loads(pickle.dumps(solver)).action_set, ActionSet)


def test_a_student_that_is_fitted_again_is_asked_anew(credit):
    X, y = credit.data, credit.target
    student = CFQClassifier(teacher=teacher(X, y), budget=4, target=credit.favorable, max_iter=1)
    student.set_params(action_set=credit.action_set, random_state=0).fit(X, y)
    solver = RecourseSolver(random_state=0)
    refused = X[student.predict(X) != credit.favorable].head(3)
    solver.solve(student, refused)
    student.set_params(budget=2).fit(X, y)
    again, fresh = (solver.solve(one, refused) for one in (student, copy.deepcopy(student)))
    np.testing.assert_array_equal(again.cost, fresh.cost)
    assert again.provenance["model"] == fresh.provenance["model"]
