"""Nominal and robust success by hand, and robust recourse from variants to verified advice."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from sklearn.linear_model import LogisticRegression

from skcfq import ActionSet, QATClassifier, RecourseResult, RecourseSolver
from skcfq.actions import region_of
from skcfq.datasets import make_credit
from skcfq.exceptions import EmptyPopulationWarning, SpaceMismatchError
from skcfq.metrics import deployment_success
from skcfq.models import deployment_variants
from skcfq.quantization import mse_step

pytestmark = pytest.mark.usefixtures("short_teachers")


class AtLeast:
    """Grant whoever has at least so much in the first column."""

    def __init__(self, threshold):
        self.threshold = threshold

    def predict(self, X):
        first = np.asarray(X, dtype=float)[:, 0]
        return np.where(first >= self.threshold, "grant", "refuse")


def make_result(status, points):
    n = len(status)
    points = np.asarray(points, dtype=float).reshape(n, 1)
    return RecourseResult(
        X=np.zeros((n, 1)),
        points=points,
        cost=points[:, 0],
        margin=np.zeros(n),
        status=np.asarray(status),
        valid=np.isin(status, ["optimal", "feasible", "already_favorable"]),
        changed=points != 0,
        target=np.full(n, "grant"),
        actions=SimpleNamespace(),
        protocol="by hand",
        lower_bound=np.zeros(n),
        method="by hand",
        cost_function=None,
    )


RESULT = make_result(
    ["already_favorable", "feasible", "optimal", "feasible", "not_found", "infeasible"],
    [9, 1, 2, 4, 9, 9],
)
VARIANTS = [AtLeast(1), AtLeast(2), AtLeast(3), AtLeast(4)]


def test_shares_and_counts_by_hand():
    success = deployment_success(RESULT, VARIANTS)
    np.testing.assert_array_equal(success.shares, [np.nan, 0.25, 0.5, 1.0, np.nan, np.nan])
    assert success.nominal == 3 / 5
    assert success.robust == pytest.approx((0.25 + 0.5 + 1.0) / 3)
    assert success.all_variants == pytest.approx(1 / 3)
    assert (success.n_denied, success.n_reachable, success.n_variants) == (5, 3, 4)
    assert "nominal=0.600" in repr(success) and "all_variants=0.333" in repr(success)


def test_weights_count_people():
    success = deployment_success(RESULT, VARIANTS, sample_weight=[7, 2, 0, 1, 1, 0])
    assert success.nominal == 3 / 4
    assert success.robust == pytest.approx((2 * 0.25 + 1.0) / 3)
    assert success.all_variants == pytest.approx(1 / 3)


def test_nobody_with_an_action_is_nan_and_not_zero():
    lost = make_result(["not_found", "already_favorable"], [0, 9])
    with pytest.warns(EmptyPopulationWarning, match="deployment_success is NaN.*have an action"):
        success = deployment_success(lost, VARIANTS)
    assert success.nominal == 0
    assert np.isnan([success.robust, success.all_variants]).all()
    assert np.isnan(success.shares).all()


def test_nobody_refused_is_nan():
    happy = make_result(["already_favorable"], [9])
    with pytest.warns(EmptyPopulationWarning) as caught:
        success = deployment_success(happy, VARIANTS)
    assert np.isnan([success.nominal, success.robust, success.all_variants]).all()
    assert any("over refused people, and" in str(w.message) for w in caught)
    assert all(w.filename == __file__ for w in caught)


def test_no_variants_is_an_error():
    with pytest.raises(ValueError, match="'variants' parameter"):
        deployment_success(RESULT, [])


@pytest.fixture(scope="module")
def credit():
    return make_credit(300, random_state=0)


@pytest.fixture(scope="module")
def deployed(credit):
    model = QATClassifier(
        4, hidden_layer_sizes=(8,), max_iter=12, batch_size=32, random_state=0
    ).fit(credit.data, credit.target)
    seen = deployment_variants(model, 6, X=credit.data, random_state=1)
    unseen = deployment_variants(model, 30, X=credit.data, random_state=2)
    return model, seen, unseen


@pytest.fixture(scope="module")
def answers(credit, deployed):
    model, seen, _ = deployed
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    people = credit.data.iloc[:80]
    return solver.solve(model, people), solver.solve(model, people, variants=seen)


def test_robust_answers_hold_on_the_model_and_on_every_variant_given(credit, deployed, answers):
    model, seen, _ = deployed
    _, robust = answers
    rows = robust.reachable
    assert rows.sum() > 15
    points = robust.points[rows]
    for judge in (model, *seen):
        assert (judge.predict(points) == credit.favorable).all()
    success = deployment_success(robust, seen)
    assert success.robust == success.all_variants == 1
    assert set(robust.status) <= {"already_favorable", "optimal", "infeasible"}
    assert "variants=6" in robust.protocol
    np.testing.assert_array_equal(robust.denied, answers[0].denied)


def test_robust_answers_obey_the_rules(credit, answers):
    _, robust = answers
    rows = np.flatnonzero(robust.reachable)
    region = region_of(robust.actions, credit.data.iloc[rows])
    encoded = robust.actions.space.encode(robust.points.iloc[rows])
    assert region.contains(torch.from_numpy(encoded)).all()


def test_success_on_unseen_deployments_rises_and_has_its_price(deployed, answers):
    _, seen, unseen = deployed
    standard, robust = answers
    before, after = (deployment_success(result, unseen) for result in answers)
    assert after.robust > before.robust + 0.1
    assert deployment_success(standard, seen).all_variants < 0.5
    assert after.nominal <= before.nominal
    both = standard.reachable & robust.reachable
    assert robust.cost[both].mean() > standard.cost[both].mean()


def test_a_variant_that_grants_nothing_leaves_everybody_without_an_action(numbers):
    X, model = numbers
    never = LogisticRegression().fit(X, model.predict(X))
    never.intercept_ = never.intercept_ - 1e6
    result = RecourseSolver(random_state=0).solve(model, X, background=X, variants=[never])
    assert set(result.status) == {"already_favorable", "infeasible"}
    assert not result.reachable.any()
    assert np.isnan(result.cost[result.denied]).all()


def test_a_variant_of_other_classes_is_refused(numbers, deployed, credit):
    X, model = numbers
    with pytest.raises(SpaceMismatchError):
        RecourseSolver().solve(model, X, background=X, variants=[deployed[0]])


@pytest.fixture(scope="module")
def numbers():
    X = np.random.default_rng(0).normal(size=(60, 4))
    return X, LogisticRegression().fit(X, X @ [1.0, -2.0, 0.5, 1.0] > 0.5)


def test_linear_variants_cost_what_a_linear_program_says(numbers):
    X, model = numbers
    variants = deployment_variants(
        model, 6, kinds=["rounding", "steps"], bits=3, background=X, random_state=0
    )
    solver = RecourseSolver(ActionSet(bounds=dict.fromkeys(range(4), (-4.0, 4.0))), random_state=0)
    single = solver.solve(model, X, background=X)
    result = solver.solve(model, X, background=X, variants=variants)
    assert (single.method, result.method) == ("exact", "lp")
    scale = 1 / X.std(axis=0)
    optimal = np.full(len(X), np.nan)
    rows = [(m.coef_[0], m.intercept_[0]) for m in (model, *(v.model for v in variants))]
    for i in np.flatnonzero(result.denied):
        # x' = x + up - down, every score at least 0.
        program = linprog(
            np.concatenate([scale, scale]),
            A_ub=np.array([np.concatenate([-w, w]) for w, _ in rows]),
            b_ub=np.array([w @ X[i] + b - 1e-9 for w, b in rows]),
            bounds=[(0, max(4.0 - x, 0)) for x in X[i]] + [(0, max(4.0 + x, 0)) for x in X[i]],
        )
        if program.status == 0:
            optimal[i] = program.fun
    found = result.reachable
    assert (found[result.denied] == ~np.isnan(optimal[result.denied])).all()
    assert found.sum() > 20
    excess = result.cost[found] / optimal[found] - 1
    assert excess.min() > -1e-6
    assert excess.mean() < 0.01
    assert (optimal[found] > single.cost[found] * (1 + 1e-6)).any()


def test_the_box_of_weight_changes_is_survived_and_no_larger_one(numbers):
    X, model = numbers
    radius = 0.05
    result = RecourseSolver(weight_radius=radius).solve(model, X, background=X)
    points = result.points[result.reachable]
    assert set(result.status) == {"already_favorable", "optimal"}
    assert len(points) > 20

    def worst_score(rho):
        w, b = model.coef_[0], model.intercept_[0]
        return points @ w + b - rho * (np.abs(points).sum(axis=1) + 1)

    assert (worst_score(radius) >= 0).all()
    # An optimal action has nothing to spare.
    assert (worst_score(1.01 * radius) < 0).all()
    rng = np.random.default_rng(0)
    for _ in range(50):
        moved = LogisticRegression().fit(X, model.predict(X))
        moved.coef_ = model.coef_ + rng.uniform(-radius, radius, model.coef_.shape)
        moved.intercept_ = model.intercept_ + rng.uniform(-radius, radius, 1)
        assert moved.predict(points).all()


def test_the_box_of_one_step_holds_every_rounding(numbers):
    X, model = numbers
    step = float(mse_step(torch.from_numpy(model.coef_), 8))
    roundings = deployment_variants(
        model, 100, kinds=["rounding"], bits=8, background=X, random_state=0
    )
    furthest = max(np.abs(variant.model.coef_ - model.coef_).max() for variant in roundings)
    assert step / 2 < furthest <= step
    standard = RecourseSolver().solve(model, X, background=X)
    robust = RecourseSolver(weight_radius=step).solve(model, X, background=X)
    assert deployment_success(standard, roundings).all_variants < 0.1
    assert deployment_success(robust, roundings).all_variants == 1
