"""Pairs of models that quantization tells apart: a perceptron, and what was quantized of it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skcfq import PTQClassifier, QATClassifier, TeacherClassifier
from skcfq.datasets import make_credit


def _pair(X, y, student, **parameters):
    teacher = TeacherClassifier((7, 5), max_iter=15, batch_size=16, random_state=0).fit(X, y)
    given = {"teacher": FrozenEstimator(teacher), "budget": 4, "random_state": 0}
    return teacher, student(**given | parameters).fit(X, y), X


@pytest.fixture(scope="session")
def three():
    """Reference, its post-training quantization, and 80 rows of four numbers in three classes."""
    X = np.random.default_rng(1).normal(size=(80, 4)) * [1.0, 3.0, 0.5, 1.0]
    return _pair(X, np.digitize(X[:, 0] + X[:, 1] / 3, [-0.5, 0.5]), PTQClassifier)


@pytest.fixture(scope="session")
def lending():
    """Reference and a trained student of the lending table, which has categories and gaps."""
    credit = make_credit(120, random_state=0)
    training = {"hidden_layer_sizes": (7, 5), "max_iter": 5, "batch_size": 16}
    told = {"action_set": credit.action_set, "target": credit.favorable}
    return _pair(credit.data, credit.target, QATClassifier, **training | told)


@pytest.fixture(params=["three", "lending"])
def pair(request):
    """Each of the two pairs, with its rows and a target."""
    reference, deployed, X = request.getfixturevalue(request.param)
    return reference, deployed, X, reference.classes_[-1]
