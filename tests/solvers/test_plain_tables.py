"""The exact method on float tables says what it says on any other table, and nothing unproved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcfq import ActionSet, RecourseSolver
from skcfq.actions import compile_cost, region_of
from skcfq.encoding import FeatureSpace
from skcfq.models import as_predictor
from skcfq.solvers.exact import EXACT

ENCODERS = {
    "bare": [],
    "scaled": [StandardScaler()],
    "filled": [SimpleImputer(), StandardScaler()],
}


def draw(seed: int, n: int = 300, m: int = 6):
    rng = np.random.RandomState(seed)
    X = rng.randn(n, m) * rng.choice([1.0, 20.0], m) + rng.choice([0.0, -300.0], m)
    score = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.randn(m) + rng.randn(n)
    low, high = np.quantile(X, [0.1, 0.9], axis=0)
    rules = {
        "immutable": [0],
        "increasing": [1],
        "decreasing": [2],
        "bounds": {3: (low[3], high[3]), 4: (low[4], None)},
        "max_change": {5: X[:, 5].std() / 2},
    }
    return X, (score > np.quantile(score, 0.8)).astype(int), rules


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_an_array_gets_the_answers_of_a_frame(encoder, norm):
    X, y, rules = draw(len(encoder) + len(norm))
    people = X.copy()
    if encoder == "filled":
        people[::7, 3] = np.nan
    answers = []
    for container in (np.asarray, pd.DataFrame):
        model = make_pipeline(*ENCODERS[encoder], LogisticRegression()).fit(container(X), y)
        solver = RecourseSolver(ActionSet(**rules), method="exact", cost=norm, target=1)
        answers.append(solver.solve(model, container(people), background=container(X)))
    array, frame = answers
    assert array.status.tolist() == frame.status.tolist()
    assert {"optimal", "infeasible"} <= set(array.status)
    np.testing.assert_allclose(array.cost, frame.cost, rtol=1e-9)
    np.testing.assert_allclose(array.lower_bound, frame.lower_bound, rtol=1e-9)
    np.testing.assert_allclose(array.margin, frame.margin, rtol=1e-6, atol=1e-9)
    assert np.array_equal(array.changed, frame.changed)
    np.testing.assert_allclose(array.points, frame.points.to_numpy(), rtol=1e-9)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_few_people_get_the_answers_of_many(norm):
    """Of many, one feature is filled after the other; of few, all at once."""
    X, y, rules = draw(9, n=6000, m=8)
    # Short steps, so that most people need several features, and some find no way.
    rules["max_change"] = {j: X[:, j].std() / 3 for j in range(3, 8)}
    model = LogisticRegression(max_iter=1000).fit(X, y)
    many, few = (
        RecourseSolver(
            ActionSet(**rules), method="exact", cost=norm, target=1, batch_size=size
        ).solve(model, X, background=X)
        for size in (None, 50)
    )
    assert many.denied.sum() > 4000
    assert {"optimal", "infeasible"} <= set(many.status)
    assert many.changed.sum(axis=1).max() > 3
    assert many.status.tolist() == few.status.tolist()
    assert np.array_equal(many.changed, few.changed)
    np.testing.assert_allclose(many.points, few.points, rtol=1e-12)
    np.testing.assert_allclose(many.cost, few.cost, rtol=1e-12)
    np.testing.assert_allclose(many.lower_bound, few.lower_bound, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 1, 17])
def test_the_table_that_was_given_stays_as_it_was(batch_size):
    X, y, rules = draw(6)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    # Everybody is refused, so that one batch may be the whole table.
    refused = X[model.predict(X) == 0]
    before = refused.copy()
    solver = RecourseSolver(ActionSet(**rules), target=1, batch_size=batch_size)
    result = solver.solve(model, refused, background=X)
    stays = np.setdiff1d(np.arange(len(refused)), np.flatnonzero(result.reachable))
    assert len(stays) > 0
    assert np.array_equal(result.points[stays], before[stays])
    result.points[:] = 0.0
    assert np.array_equal(refused, before)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_what_the_models_own_predict_denies_is_no_answer(norm):
    X, y, rules = draw(3)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    predictor = as_predictor(model, background=X)
    solver = RecourseSolver(ActionSet(**rules), method="exact", cost=norm, target=1)
    # From now on the model decides as if its intercept were a little lower than its logits say.
    model.predict = lambda rows: (model.decision_function(rows) >= 1e-5).astype(int)
    result = solver.solve(predictor, X)
    found = result.denied & result.reachable
    assert found.sum() > 50
    assert (model.predict(result.points[found]) == 1).all()
    model.predict = lambda rows: np.zeros(len(rows), dtype=int)
    with_no_way = solver.solve(predictor, X)
    assert with_no_way.denied.all()
    assert not with_no_way.reachable.any()
    assert set(with_no_way.status) <= {"not_found", "infeasible"}
    assert np.array_equal(with_no_way.points, X)


MORE_THAN_LIMITS = [
    {"max_changes": 2},
    {"steps": {5: 1.0}},
    {"min_change": {5: 0.1}},
]


@pytest.mark.parametrize("more", [{}, *MORE_THAN_LIMITS], ids=str)
def test_plain_tables_take_the_short_way_and_others_do_not(more):
    X, y, rules = draw(1)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    seen = []

    def counted(task):
        seen.append(len(task))
        return EXACT.shortcut.solve(task)

    method = replace(EXACT, shortcut=replace(EXACT.shortcut, solve=counted))
    solver = RecourseSolver(ActionSet(**rules | more), method=method, target=1)
    result = solver.solve(model, X, background=X)
    assert sum(seen) == (0 if more else result.denied.sum())


ASKING_MORE = [
    {"n_alternatives": 2},
    {"target_proba": 0.6},
    {"weight_radius": 0.01},
    {"perturbation_radius": 0.01},
]


@pytest.mark.parametrize("more", ASKING_MORE, ids=str)
def test_the_short_way_is_for_plain_questions(more):
    X, y, rules = draw(1)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    seen = []
    method = replace(EXACT, shortcut=replace(EXACT.shortcut, solve=seen.append))
    given = {"target": 1} | more
    result = RecourseSolver(ActionSet(**rules), method=method, batch_size=999, **given).solve(
        model, X, background=X
    )
    assert result.reachable.any()
    assert seen == []


@pytest.mark.parametrize("norm", ["l1", "l2", "mixed"])
def test_the_cost_with_another_move_is_the_cost_of_that_state(norm):
    X, _, _ = draw(2, n=20)
    actions = ActionSet().compile(FeatureSpace.from_frame(X))
    cost, region = compile_cost(actions, cost=norm), region_of(actions, X)
    here = region.values + region.values.std(dim=0)
    parts = cost.contributions(here, region.levels, region)
    elsewhere = region.values - 0.3
    moved = cost.feature_weights * (elsewhere - region.values).abs()
    together = cost.with_moves(parts, moved)
    for j in range(X.shape[1]):
        state = here.clone()
        state[:, j] = elsewhere[:, j]
        expected = cost.of_state(state, region.levels, region)
        np.testing.assert_allclose(together[:, j], expected, rtol=1e-12)
