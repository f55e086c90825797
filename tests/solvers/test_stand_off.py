"""Advice that survives jitter of its own size."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skcfq import PTQClassifier, RecourseSolver, TeacherClassifier


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4)) * [1.0, 10.0, 0.1, 1.0]
    score = X @ [1.0, -0.1, 5.0, 0.0] + 0.05 * X[:, 0] * X[:, 1]
    return X, (score > 0).astype(int)


@pytest.fixture(scope="module")
def models(table):
    teacher = TeacherClassifier((12, 12), max_iter=20, batch_size=32, random_state=0).fit(*table)
    linear = LogisticRegression().fit(*table)
    quantized = {
        bits: PTQClassifier(bits, teacher=teacher, target=1, random_state=0).fit(*table)
        for bits in (2, 4, 8)
    }
    return {"linear": linear, **quantized}


def survivors(model, points, spread, size):
    """Share of points that stay valid under fresh jitters of every column."""
    rng = np.random.default_rng(7)
    alive = np.ones(len(points), dtype=bool)
    for _ in range(60):
        jitter = rng.uniform(-1, 1, points.shape) * size * spread
        alive &= model.predict(points + jitter) == 1
    return alive.mean()


@pytest.mark.parametrize("name", ["linear", 2, 4, 8])
def test_advice_survives_jitter(name, models, table):
    X, _ = table
    model, spread = models[name], table[0].std(axis=0)
    people = X[model.predict(X) != 1][:25]
    settings = {"target": 1, "random_state": 0}
    plain = RecourseSolver(**settings).solve(model, people, background=X)
    apart = RecourseSolver(stand_off=1e-4, **settings).solve(model, people, background=X)
    assert apart.valid.mean() > 0.95
    both = plain.valid & apart.valid
    assert survivors(model, plain.points[plain.valid], spread, 1e-4) < 0.5
    assert survivors(model, apart.points[apart.valid], spread, 1e-4) > 0.95
    gap = (apart.cost - plain.cost)[both] / plain.cost[both]
    assert np.median(gap) < 0.01
    assert (gap >= -1e-9).mean() > 0.9
    assert "stand_off=0.0001" in apart.protocol
    assert "stand_off" not in plain.protocol
    assert not (apart.status == "optimal").all()


def test_nothing_changes_where_the_point_stands_already(models, table):
    X, _ = table
    people = X[models[4].predict(X) != 1][:10]
    solver = RecourseSolver(target=1, random_state=0, stand_off=1e-12)
    result = solver.solve(models[4], people)
    assert result.valid.all()
    assert (models[4].predict(result.points) == 1).all()
