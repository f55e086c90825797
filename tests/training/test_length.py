"""Teachers are trained until what they learn no longer holds for others."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skcfq import CFQClassifier, PTQClassifier, QATClassifier, TeacherClassifier
from skcfq.exceptions import EmptyPopulationWarning
from skcfq.training import teacher_fault


@pytest.fixture(scope="module")
def rare():
    """1 % of the rows have the label that people want, and no column tells which."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 2)), (np.arange(300) % 100 == 0).astype(int)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_small_table_is_learned_as_well_as_by_a_linear_model():
    X, y = load_iris(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
    linear = LogisticRegression(max_iter=1000).fit(X, y).score(X_test, y_test)
    teacher = TeacherClassifier(random_state=0).fit(X, y)
    assert teacher.score(X_test, y_test) >= linear - 0.05
    # The length is no function of the number of rows alone.
    assert teacher.n_iter_ > 50


def test_what_cannot_be_learned_is_not_learned_by_heart():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 20)), rng.integers(0, 2, 300)
    teacher = TeacherClassifier(random_state=0).fit(X, y)
    assert teacher.n_iter_ < 100
    assert teacher.score(X, y) < 0.95


def test_the_length_is_that_of_the_teacher_and_not_of_the_student():
    X, y = load_iris(return_X_y=True)
    y = y == 2
    quick = QATClassifier(max_iter=2, hidden_layer_sizes=(8,), random_state=0).fit(X, y)
    assert quick.n_iter_ == 2
    assert quick.teacher_.n_iter_ > 50
    assert quick.teacher_.score(X, y) > 0.9
    assert TeacherClassifier(max_iter=7).fit(X, y).n_iter_ == 7


def test_a_loss_that_does_not_settle_is_told(monkeypatch):
    X, y = load_iris(return_X_y=True)
    monkeypatch.setattr("skcfq.training._length._MOST_UPDATES", 210)
    slow = TeacherClassifier((), learning_rate_init=1e-3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="210 updates .* still falling.*learning_rate"):
        slow.fit(X, y)


def test_two_rows_of_a_label_are_enough():
    X, y = np.arange(8.0)[:, None], [0, 0, 0, 0, 0, 0, 0, 1]
    assert TeacherClassifier((4,), random_state=0).fit(X, y).n_iter_ == 200


def test_a_further_fit_settles_too():
    X, y = load_iris(return_X_y=True)
    teacher = TeacherClassifier(warm_start=True, random_state=0).fit(X, y)
    first = teacher.n_iter_
    teacher.fit(X, y)
    assert len(teacher.history_) == first + teacher.n_iter_
    assert teacher.score(X, y) > 0.95


def test_weights_count_in_the_length_too(rare):
    X, y = rare
    kept = y == 0
    kept[:50] = True
    same = TeacherClassifier((4,), random_state=0).fit(X[kept], y[kept])
    left_out = TeacherClassifier((4,), random_state=0).fit(X, y, sample_weight=kept.astype(float))
    np.testing.assert_array_equal(same.predict_proba(X), left_out.predict_proba(X))


@pytest.mark.parametrize(
    "model",
    [
        CFQClassifier(max_iter=2, hidden_layer_sizes=(4,), random_state=0),
        PTQClassifier(8, teacher=TeacherClassifier((4,)), random_state=0),
    ],
    ids=lambda one: type(one).__name__,
)
def test_nobody_to_advise_is_first_the_fault_of_the_teacher(model, rare):
    told = r"target to none of 300 rows, and 1% of y have it.*class_weight='balanced'"
    with pytest.warns(EmptyPopulationWarning, match=told):
        model.fit(*rare)


def test_a_teacher_who_refuses_nobody_is_told_apart_from_a_target_that_all_have():
    all_of_them, most = np.ones(20, dtype=int), (np.arange(20) > 1).astype(int)
    told = teacher_fault(all_of_them, most, np.ones(20, dtype=int))
    assert "refuses nobody: it gives the target to all of 20 rows, and 10% of y do not" in told
    assert teacher_fault(all_of_them, all_of_them, np.ones(20, dtype=int)) is None
    assert teacher_fault(most, most, np.ones(20, dtype=int)) is None
    assert "none of 20" in teacher_fault(0 * most, most, np.ones(20, dtype=int))
