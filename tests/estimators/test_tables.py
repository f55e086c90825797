"""Tables, labels and weights as they come, and clear errors for those that cannot be used."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skcfq import ActionSet, CFQClassifier, QATClassifier, TeacherClassifier
from skcfq.exceptions import ActionSetError

pytestmark = pytest.mark.usefixtures("short_teachers")

CLASSIFIERS = [TeacherClassifier, QATClassifier, CFQClassifier]


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_kind_of_column(classifier, people, small):
    X, score = people
    y = (score > 0).astype(int)
    model = classifier(**small, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.75
    proba = model.predict_proba(X)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(X))
    np.testing.assert_array_equal(model.decision_function(X) > 0, model.predict(X) == 1)
    assert list(model.feature_names_in_) == list(X.columns)
    # A category that training never saw, and gaps where it saw none.
    odd = X.iloc[:2].copy()
    odd["job"] = ["diver", None]
    odd["years"] = [np.nan, 3]
    assert model.predict(odd).shape == (2,)


def test_a_prediction_does_not_depend_on_its_company(people, small):
    X, score = people
    model = CFQClassifier(**small, random_state=0).fit(X, (score > 0).astype(int))
    one_by_one = np.concatenate([model.predict_proba(X.iloc[[row]]) for row in range(20)])
    np.testing.assert_allclose(one_by_one, model.predict_proba(X.iloc[:20]), rtol=1e-12)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes"], dtype=object),
        pd.Series(["no", "yes"], dtype="string"),
        pd.Series(["no", "yes"], dtype="category"),
        np.array([False, True]),
        pd.Series([False, True], dtype="boolean"),
        np.array([-3, 7]),
        pd.Series([-3, 7], dtype="Int64"),
        np.array([0.0, 1.0]),
    ],
    ids=lambda labels: f"{type(labels).__name__}-{labels.dtype}",
)
def test_labels_of_every_type_come_back(labels, people, small):
    X, score = people
    y = labels[(score > 0).astype(int)]
    favorable = labels[1]
    if isinstance(y, pd.Series):
        y.index = X.index
    model = CFQClassifier(objective="paper", **small, target=favorable, random_state=0).fit(X, y)
    predicted = model.predict(X)
    assert predicted.dtype == model.classes_.dtype
    assert set(predicted.tolist()) <= set(labels.tolist())
    assert np.mean(predicted == np.asarray(y)) > 0.75
    assert model.target_ == favorable


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_three_classes(classifier, people, small):
    X, score = people
    y = np.array([10, 20, 30])[np.digitize(score, [-0.7, 0.7])]
    model = classifier(**small, random_state=0).fit(X, y)
    assert model.decision_function(X).shape == (len(X), 3)
    assert model.score(X, y) > 0.55
    if classifier is CFQClassifier:
        assert model.target_ == 30
        assert "validity_loss" in model.history_


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_weights_are_repetitions_and_zero_is_absence(classifier, people, small):
    X, score = people
    X = X[["income", "years", "member"]].fillna(3000.0).to_numpy(dtype=np.float64)
    y = (score > 0).astype(int)
    # Halfway between two whole numbers the last bit of a spread decides, which sums in two orders.
    X[:, 1:] += np.random.default_rng(0).random((len(X), 2)) / 8
    weights = np.random.default_rng(1).integers(0, 3, len(X))
    X[weights == 0, 0] = 1e6
    parameters = {**small, "batch_size": 1000, "class_weight": "balanced", "random_state": 0}
    weighted = classifier(**parameters).fit(X, y, sample_weight=weights)
    repeated = classifier(**parameters).fit(X.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6, atol=1e-9
    )
    first, second = weighted.feature_space_.blocks[0], repeated.feature_space_.blocks[0]
    assert first.statistics.maximum == second.statistics.maximum < 1e6
    assert first.statistics.std == pytest.approx(second.statistics.std)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_class_weights_move_the_decisions(classifier, people, small):
    X, score = people
    y = (score > 0).astype(int)
    eager, shy = (classifier(**small, class_weight={k: 3.0}, random_state=0) for k in (1, 0))
    if classifier is not TeacherClassifier:
        # One that has not told all people apart yet.
        eager.set_params(teacher__max_iter=30)
        shy.set_params(teacher__max_iter=30)
    eager, shy = eager.fit(X, y), shy.fit(X, y)
    assert eager.predict(X).mean() > shy.predict(X).mean() + 0.1


def test_class_weights_do_not_touch_the_statistics_of_the_population(people, small):
    X, score = people
    y = (score > 0).astype(int)
    small = {"objective": "paper", "random_state": 0, **small}
    plain = CFQClassifier(**small).fit(X, y)
    balanced = CFQClassifier(**small, class_weight={1: 3.0}).fit(X, y)
    assert balanced.feature_space_.fingerprint == plain.feature_space_.fingerprint


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize(
    ("kind", "expected"),
    [(np.float32, torch.float32), (np.float64, torch.float64), (np.int32, torch.float64)],
)
def test_training_keeps_the_precision_and_inference_is_double(
    classifier, kind, expected, people, small, monkeypatch
):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0).to_numpy(dtype=kind)
    seen = []
    original = torch.nn.Module.to

    def spy(module, *args, **kwargs):
        seen.extend(a for a in args if isinstance(a, torch.dtype))
        return original(module, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "to", spy)
    model = classifier(**small, random_state=0)
    if classifier is CFQClassifier:
        # The solver, which the faithful objective asks, works in double precision.
        model.set_params(objective="paper")
    model.fit(X, (score > 0).astype(int))
    assert set(seen) == {expected}
    assert {p.dtype for p in model.network_.parameters()} == {torch.float64}
    assert model.predict_proba(X).dtype == np.float64


def test_a_frame_can_be_predicted_in_another_order_of_rows_only(people, small):
    X, score = people
    model = TeacherClassifier(**small, random_state=0).fit(X, (score > 0).astype(int))
    shuffled = X.sample(frac=1, random_state=0)
    expected = pd.Series(model.predict(X), X.index)[shuffled.index]
    np.testing.assert_array_equal(model.predict(shuffled), expected)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X[X.columns[::-1]])


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_one_class_only(classifier, people, small):
    X, _ = people
    with pytest.raises(ValueError, match=r"1 class only: \[7\].* Give rows of every class"):
        classifier(**small).fit(X, np.full(len(X), 7))
    y = np.arange(len(X)) % 2
    with pytest.raises(ValueError, match=r"the y of positive weight has 1 class only"):
        classifier(**small).fit(X, y, sample_weight=y)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_missing_labels(classifier, gap, people, small):
    X, _ = people
    y = np.where(np.arange(len(X)) % 2, "no", "yes").astype(object)
    y[3] = gap
    with pytest.raises(ValueError, match="1 labels are missing, the first in row 3"):
        classifier(**small).fit(X, y)


def test_empty_frame(people, small):
    X, _ = people
    with pytest.raises(ValueError, match="0 sample.*Pass at least one row"):
        CFQClassifier(**small).fit(X.iloc[:0], [])
    with pytest.raises(ValueError, match="0 feature.*Pass at least one column"):
        CFQClassifier(**small).fit(X[[]], np.arange(len(X)) % 2)


def test_duplicate_column(people, small):
    X, score = people
    twice = pd.concat([X, X[["job"]]], axis=1)
    with pytest.raises(ValueError, match="'job' appears more than once in X. Rename or drop"):
        CFQClassifier(**small).fit(twice, score > 0)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (ActionSet(immutable=["incme"]), "'incme'"),
        (ActionSet(bounds={"income": (5000, 100)}), "'income'.*5000"),
        (ActionSet(immutable=[40]), "40"),
    ],
)
def test_impossible_rules(rules, message, people, small):
    X, score = people
    with pytest.raises(ActionSetError, match=message):
        CFQClassifier(action_set=rules, **small).fit(X, score > 0)


def test_rows_and_labels_of_different_length(people, small):
    X, score = people
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        QATClassifier(**small).fit(X, score[:-1] > 0)
