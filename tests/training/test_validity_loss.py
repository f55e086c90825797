"""The validity loss does its job: the teacher's advice survives quantization more often."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skcfq import CFQClassifier, QATClassifier, RecourseSolver, TeacherClassifier
from skcfq.datasets import make_credit
from skcfq.metrics import validity_drop

pytestmark = pytest.mark.usefixtures("short_teachers")


@pytest.fixture(scope="module")
def measured():
    """(validity drop of QAT, of CFQ, accuracy of QAT, of CFQ) for each of three seeds."""
    rows = []
    for seed in range(3):
        credit = make_credit(300, random_state=seed)
        X, y = credit.data, credit.target
        teacher = TeacherClassifier((8,), max_iter=30, batch_size=16, random_state=seed).fit(X, y)
        shared = {
            "bit_policy": "uniform",
            "action_set": credit.action_set,
            "target": credit.favorable,
            "teacher": FrozenEstimator(teacher),
            "hidden_layer_sizes": (8,),
            "max_iter": 30,
            "batch_size": 32,
            "random_state": seed,
        }
        qat = QATClassifier(3, **shared).fit(X, y)
        cfq = CFQClassifier(3, objective="paper", **shared).fit(X, y)
        solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
        advice = solver.solve(teacher, X)
        drops = [validity_drop(teacher, model, advice) for model in (qat, cfq)]
        rows.append([*drops, qat.score(X, y), cfq.score(X, y)])
    return np.array(rows)


def test_validity_drop_is_much_lower_at_the_same_bits(measured):
    qat, cfq = measured[:, :2].mean(axis=0)
    assert qat > 0.3
    assert cfq < 0.7 * qat


def test_accuracy_is_kept(measured):
    qat, cfq = measured[:, 2:].mean(axis=0)
    assert cfq > qat - 0.03
