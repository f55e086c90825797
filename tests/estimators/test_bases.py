"""What the base classes share, and what a subclass does not have."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from skcfq import PTQClassifier, QATClassifier, TeacherClassifier
from skcfq.estimators import TeacherActions


@pytest.fixture(scope="module")
def numbers():
    X = np.random.default_rng(0).normal(size=(60, 3))
    return X, (X[:, 0] > 0).astype(int)


def test_what_is_not_trained_has_no_history(numbers):
    teacher = TeacherClassifier((4,), max_iter=3, random_state=0)
    model = PTQClassifier(teacher=teacher, target=1, random_state=0).fit(*numbers)
    for name in ("history_", "n_iter_", "warm_start", "early_stopping", "class_weight"):
        assert not hasattr(model, name), name
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.decision_function(numbers[0]), model.decision_function(numbers[0]))


def test_a_key_of_the_actions_keeps_the_steps_of_ptq():
    """None is the K steps there, and a search over their number must not change the method."""
    model = PTQClassifier().set_params(teacher_actions__n_steps=2)
    assert model.teacher_actions.get_params() == TeacherActions(2).get_params()


@pytest.mark.parametrize("classifier", [QATClassifier, PTQClassifier])
def test_a_key_of_another_classifier_leaves_nothing_behind(classifier):
    model = classifier()
    with pytest.raises(ValueError, match="Invalid parameter 'objective'"):
        model.set_params(objective__eta=1.0)
    assert not hasattr(model, "objective")
