"""Pairs of models that quantization tells apart: a perceptron, and what was quantized of it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer

from skcfq import PTQClassifier, QATClassifier, TeacherClassifier
from skcfq.datasets import make_credit


def _teacher(X, y, **parameters):
    given = {"max_iter": 15, "batch_size": 16, "random_state": 0}
    return TeacherClassifier((7, 5), **given | parameters).fit(X, y)


def _pair(teacher, X, y, student, **parameters):
    given = {"teacher": FrozenEstimator(teacher), "budget": 4, "random_state": 0}
    return teacher, student(**given | parameters).fit(X, y), X


@pytest.fixture(scope="session")
def three():
    """Reference, its post-training quantization, and 80 rows of four numbers in three classes.

    Nothing scales the columns, so that the quantized network reads them in units of their own.
    """
    X = np.random.default_rng(1).normal(size=(80, 4)) * [1.0, 20.0, 0.5, 1.0]
    y = np.digitize(X[:, 0] + X[:, 1] / 20, [-0.5, 0.5])
    teacher = _teacher(X, y, encoder=FunctionTransformer())
    reference, deployed, X = _pair(teacher, X, y, PTQClassifier)
    assert deployed.integer_network_.input_units is not None
    return reference, deployed, X


@pytest.fixture(scope="session")
def lending():
    """Reference and a trained student of the lending table, which has categories and gaps."""
    credit = make_credit(120, random_state=0)
    training = {"hidden_layer_sizes": (7, 5), "max_iter": 5, "batch_size": 16}
    told = {"action_set": credit.action_set, "target": credit.favorable}
    teacher = _teacher(credit.data, credit.target)
    return _pair(teacher, credit.data, credit.target, QATClassifier, **training | told)


@pytest.fixture(scope="session")
def by_units(lending):
    """The same reference, and a student whose units have widths of their own."""
    reference, deployed, X = lending
    student = clone(deployed).set_params(bit_policy="units", budget=3)
    student.set_params(teacher=FrozenEstimator(reference))
    return reference, student.fit(X, make_credit(120, random_state=0).target), X


@pytest.fixture(params=["three", "lending", "by_units"])
def pair(request):
    """Each of the three pairs, with its rows and a target."""
    reference, deployed, X = request.getfixturevalue(request.param)
    return reference, deployed, X, reference.classes_[-1]
