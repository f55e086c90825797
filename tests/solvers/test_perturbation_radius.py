"""Advice that survives jitter of its own size."""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import skcfq
from skcfq import (
    ActionSet,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    TeacherClassifier,
)
from skcfq.datasets import make_credit
from skcfq.deploy import onnx_inputs
from skcfq.metrics import RecourseScorer

pytestmark = pytest.mark.usefixtures("short_teachers")

WIDTHS = (2, 4, 8)


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
        for bits in WIDTHS
    }
    return {"linear": linear, "teacher": teacher, **quantized}


def without_integers(n_inputs, n_classes):
    return nn.Sequential(nn.Linear(n_inputs, 6), nn.Tanh(), nn.Linear(6, n_classes))


def survivors(model, points, spread, size):
    """Share of points that stay valid under fresh jitters of every column."""
    rng = np.random.default_rng(7)
    alive = np.ones(len(points), dtype=bool)
    for _ in range(60):
        jitter = rng.uniform(-1, 1, points.shape) * size * spread
        alive &= model.predict(points + jitter) == 1
    return alive.mean()


@pytest.mark.parametrize("name", ["linear", *WIDTHS])
def test_advice_survives_jitter(name, models, table):
    X, _ = table
    model, spread = models[name], table[0].std(axis=0)
    people = X[model.predict(X) != 1][:25]
    settings = {"target": 1, "random_state": 0}
    plain = RecourseSolver(perturbation_radius=0, **settings).solve(model, people, background=X)
    apart = RecourseSolver(perturbation_radius=1e-4, **settings).solve(model, people, background=X)
    assert (apart.valid == plain.valid).all()
    both = plain.valid & apart.valid
    assert survivors(model, plain.points[plain.valid], spread, 1e-4) < 0.5
    assert survivors(model, apart.points[apart.valid], spread, 1e-4) == 1
    gap = (apart.cost - plain.cost)[both] / plain.cost[both]
    assert np.median(gap) < 0.01
    assert (gap >= -1e-9).mean() > 0.9
    assert "perturbation_radius=0.0001" in apart.protocol
    assert "perturbation_radius" not in plain.protocol
    assert not (apart.status == "optimal").all()


@pytest.mark.parametrize("name", ["linear", "teacher", 4])
def test_default_is_for_quantized_inputs_alone(name, models, table):
    X, _ = table
    model = models[name]
    people = X[model.predict(X) != 1][:10]
    settings = {"target": 1, "random_state": 0, "n_restarts": 0}
    default = RecourseSolver(**settings).solve(model, people, background=X)
    size = 1e-4 if name == 4 else 0.0
    given = RecourseSolver(perturbation_radius=size, **settings).solve(model, people, background=X)
    np.testing.assert_array_equal(default.points, given.points)
    np.testing.assert_array_equal(default.status, given.status)
    assert default.protocol == given.protocol
    assert default.provenance["required_perturbation_radius"] == size


def test_default_sees_a_quantized_model_inside_others(models, table, tmp_path):
    X, _ = table
    path = tmp_path / "model.skcfq"
    models[4].export(path)
    people = X[models[4].predict(X) != 1][:3]
    behind = make_pipeline(FunctionTransformer(), models[4])
    solver = RecourseSolver(target=1, random_state=0, n_restarts=0)
    for model in (skcfq.load(path), behind):
        result = solver.solve(model, people, background=X)
        assert "perturbation_radius=0.0001" in result.protocol
    robust = solver.solve(models["teacher"], people, variants=[models[4]])
    assert "perturbation_radius=0.0001" in robust.protocol
    spread = X.std(axis=0)
    for settings in ({}, {"module": without_integers}):
        model = QATClassifier(4, hidden_layer_sizes=(6,), max_iter=3, **settings)
        model.set_params(batch_size=32, target=1, random_state=0).fit(*table)
        assert hasattr(model, "integer_network_") == ("module" not in settings)
        result = solver.solve(model, X[model.predict(X) != 1][:5])
        assert "perturbation_radius=0.0001" in result.protocol
        assert survivors(model, result.points[result.valid], spread, 1e-4) == 1
    literal = RecourseSolver(target=1, method="pgd").solve(models[4], people)
    assert "perturbation_radius" not in literal.protocol


def test_comparisons_have_one_perturbation_radius(models, table):
    X, _ = table
    people = X[models["teacher"].predict(X) != 1][:15]
    settings = {"target": 1, "random_state": 0, "n_restarts": 0}
    for result in RecourseSolver(**settings).compare(models["teacher"], models[4], people):
        assert "perturbation_radius" not in result.protocol
    solver = RecourseSolver(perturbation_radius=1e-3, **settings)
    spread = X.std(axis=0)
    for model, result in zip(
        (models["teacher"], models[4]),
        solver.compare(models["teacher"], models[4], people),
        strict=True,
    ):
        assert "perturbation_radius=0.001" in result.protocol
        # An action that is taken over from the other model stands as well.
        assert survivors(model, result.points[result.valid], spread, 1e-3) == 1


def test_a_metric_is_the_same_alone_and_with_others(models, table):
    # The reference is quantized too, and the deployed model has its thresholds a little further
    # out: cheapest actions end between the two, and those with a perturbation radius do not.
    X, _ = table
    deployed = copy.deepcopy(models[8])
    deployed.network_.log_input_step.add_(1e-6)
    rules = {"target": 1, "random_state": 0, "reference": models[8]}
    people = X[models[8].predict(X) != 1][:12]
    alone = RecourseScorer("validity_drop", **rules)(deployed, people, None)
    both = RecourseScorer(["validity_drop", "recourse_gap"], **rules)(deployed, people, None)
    assert alone == both["validity_drop"]
    assert alone < 0
    apart = RecourseSolver(target=1, random_state=0)
    assert (
        RecourseScorer("validity_drop", solver=apart.set_params(perturbation_radius=1e-4), **rules)(
            deployed, people, None
        )
        == 0
    )


def test_a_step_of_a_grid_on_a_threshold_is_not_the_last_word(table):
    """A whole number cannot go a little further: the search itself has to know of the jitter."""
    X, _ = table
    X = np.round(X * [3.0, 0.3, 30.0, 3.0])
    y = (X[:, 0] + X[:, 1] + X[:, 2] > 0).astype(int)
    teacher = TeacherClassifier((8,), max_iter=20, batch_size=32, random_state=0).fit(X, y)
    model = PTQClassifier(4, teacher=teacher, target=1, random_state=0).fit(X, y)
    people = X[model.predict(X) != 1][:40]
    # What nobody may change jitters as well.
    rules = ActionSet(steps={1: 1, 2: 1, 3: 1}, immutable=[0])
    settings = {"target": 1, "random_state": 0}
    # Wide enough for a box that reaches over thresholds.
    apart = RecourseSolver(rules, perturbation_radius=0.1, **settings).solve(model, people)
    plain = RecourseSolver(rules, perturbation_radius=0.0, **settings).solve(model, people)
    spread = X.std(axis=0)
    assert survivors(model, plain.points[plain.valid], spread, 0.1) < 0.9
    assert apart.valid.sum() >= 0.9 * plain.valid.sum()
    assert survivors(model, apart.points[apart.valid], spread, 0.1) == 1


@pytest.mark.parametrize("bits", WIDTHS)
def test_default_advice_stands_in_every_engine(bits, tmp_path):
    credit = make_credit(1500, random_state=0)
    X, y = credit.data, credit.target
    teacher = TeacherClassifier((16, 16), max_iter=6, random_state=0).fit(X, y)
    model = PTQClassifier(
        bits,
        teacher=teacher,
        action_set=credit.action_set,
        target=credit.favorable,
        allocation="uniform",
        random_state=0,
    ).fit(X, y)
    model.export(tmp_path / "model.skcfq")
    model.to_onnx(tmp_path / "model.onnx")
    loaded = skcfq.load(tmp_path / "model.skcfq")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    people = X[model.predict(X) != credit.favorable].iloc[:60]
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    result = solver.solve(model, people)
    assert result.valid.sum() > 30
    points = result.points[result.valid].reset_index(drop=True)
    space, rng = model.feature_space_, np.random.default_rng(1)
    jittered = []
    for _ in range(20):
        Z = space.encode(points)
        for block in space.blocks:
            if block.width == 1:
                size = 1e-4 * block.statistics.encoded_std
                Z[:, block.columns[0]] += size * rng.choice([-1, 1], len(Z))
        jittered.append(space.decode(Z, points))
    rows = pd.concat(jittered, ignore_index=True)
    assert not rows.equals(pd.concat([points] * 20, ignore_index=True))
    labels = session.run(["label"], onnx_inputs(loaded, rows))[0]
    for decided in (model.predict(rows), loaded.predict(rows), labels):
        assert (decided == credit.favorable).all()


def test_nothing_changes_where_the_point_stands_already(models, table):
    X, _ = table
    people = X[models[4].predict(X) != 1][:10]
    solver = RecourseSolver(target=1, random_state=0, perturbation_radius=1e-12)
    result = solver.solve(models[4], people)
    assert result.valid.all()
    assert (models[4].predict(result.points) == 1).all()
