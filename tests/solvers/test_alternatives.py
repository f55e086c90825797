"""n_alternatives: distinct, sorted, none a superset of a cheaper one, and the cheapest of these."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from raw_oracle import admissible, costs, draw_rows, draw_rules
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder

FEATURES = ["a", "b", "f", "c", "e"]
COUNT = 4


def draw_problem(seed: int, *, across: bool):
    rng = np.random.RandomState(seed)
    X = draw_rows(rng, 120)
    model = make_pipeline(TableEncoder(), LogisticRegression(max_iter=500))
    model.fit(X, rng.rand(len(X)) < 0.5)
    model[-1].coef_ = rng.randn(*model[-1].coef_.shape)
    model[-1].intercept_ -= np.quantile(model.decision_function(X), 0.8)
    weights = dict(zip(FEATURES, rng.uniform(0.4, 2.5, 5).tolist(), strict=True))
    return model, X, draw_rules(rng, across=across), weights


def solve(model, X, rules, weights, **parameters):
    given = {"target": model.classes_[-1], "margin": 0.02, "random_state": 0} | parameters
    solver = RecourseSolver(ActionSet(**rules), cost_weights=weights, **given)
    return solver.solve(model, X)


def by_brute_force(model, person, rules, weights, norm) -> list[tuple[float, tuple]]:
    """Walk over all valid rows by cost; keep each that leaves a feature of every kept one alone."""
    rows = admissible(person, rules)
    rows = rows[model.decision_function(rows) >= 0.02]
    scales = {name: abs(model[0].feature_space_.block(name).scale) for name in "abf"}
    parts = costs(rows, person, weights, scales)
    total = parts.sum(axis=1) if norm == "l1" else np.linalg.norm(parts, axis=1)
    changed = (rows[FEATURES] != person[FEATURES]).to_numpy()
    kept: list[int] = []
    for row in np.argsort(total, kind="stable"):
        if not any((changed[row] >= changed[other]).all() for other in kept):
            kept.append(row)
    return [(total[row], tuple(changed[row])) for row in kept[:COUNT]]


@pytest.mark.parametrize(
    ("method", "norm", "across"),
    [("exact", "l1", False), ("exact", "l2", False), ("milp", "l1", True)],
)
def test_the_cheapest_of_all_other_actions(method, norm, across):
    people, ranks, ends = 0, np.zeros(COUNT, dtype=int), 0
    for seed in range(5 if method == "exact" else 1):
        model, X, rules, weights = draw_problem(seed, across=across)
        X = X.head(24 if method == "exact" else 6)
        result = solve(model, X, rules, weights, method=method, cost=norm, n_alternatives=COUNT)
        actions = [result, *result.alternatives]
        assert len(actions) == COUNT
        for i in np.flatnonzero(result.denied):
            expected = by_brute_force(model, X.iloc[i], rules, weights, norm)
            for rank, action in enumerate(actions):
                if rank >= len(expected):
                    assert action.status[i] == "infeasible"
                    ends += 1
                    continue
                assert action.status[i] == "optimal"
                assert action.cost[i] == pytest.approx(expected[rank][0], rel=1e-6)
                named = dict(zip(action.feature_names, action.changed[i], strict=True))
                assert tuple(named[name] for name in FEATURES) == expected[rank][1]
                ranks[rank] += 1
            people += 1
    assert people > (70 if method == "exact" else 3)
    assert ranks[1] > 0 and ((ranks[-1] > 0 and ends > 0) or method == "milp")


def assert_distinct(result) -> int:
    """Check what holds for every method; return how many people have more than one action."""
    actions = [result, *result.alternatives]
    for i in np.flatnonzero(result.denied):
        found = [a for a in actions if a.reachable[i]]
        assert [a.reachable[i] for a in actions] == sorted(
            (a.reachable[i] for a in actions), reverse=True
        )
        for dearer in range(1, len(found)):
            for cheaper in range(dearer):
                assert found[dearer].cost[i] >= found[cheaper].cost[i] * (1 - 1e-9)
                superset = found[dearer].changed[i] >= found[cheaper].changed[i]
                assert not superset.all()
    return int((np.sum([a.reachable for a in actions], axis=0) > 1).sum())


@pytest.mark.parametrize("kind", ["linear", "network", "forest"])
def test_every_action_is_verified_and_the_first_is_the_single_answer(kind):
    """Of an exact method; a heuristic may find a cheaper one while it looks for others."""
    model, X, rules, weights = draw_problem(11, across=False)
    y = model.predict(X)
    if kind == "network":
        head = MLPClassifier((6,), solver="lbfgs", max_iter=2000, random_state=0)
        model = make_pipeline(TableEncoder(), head).fit(X, y)
    elif kind == "forest":
        model = make_pipeline(TableEncoder(), RandomForestClassifier(5, random_state=0)).fit(X, y)
    X = X.head(12)
    single = solve(model, X, rules, weights)
    result = solve(model, X, rules, weights, n_alternatives=3)
    np.testing.assert_array_equal(result.status, single.status)
    if kind == "linear":
        np.testing.assert_array_equal(result.cost, single.cost)
        pd.testing.assert_frame_equal(result.points, single.points)
    assert (result.cost[result.valid] <= single.cost[result.valid]).all()
    assert len(single.alternatives) == 0 and len(result.alternatives) == 2
    assert assert_distinct(result) > 5
    for action in result.alternatives:
        moved = model.predict(action.points) == model.classes_[-1]
        assert moved[action.reachable].all()
        pd.testing.assert_frame_equal(action.points[~action.reachable], X[~action.reachable])
        assert np.isnan(action.cost[~action.valid]).all()
        assert set(action.status[action.denied]) <= {"optimal", "infeasible"}
        # Whoever needs no action needs no alternative either.
        assert (action.cost[~result.denied] == 0).all()


def test_the_flipset_lays_them_side_by_side():
    model, X, rules, weights = draw_problem(11, across=False)
    result = solve(model, X.head(20), rules, weights, n_alternatives=3)
    actions = [result, *result.alternatives]
    row = int(np.flatnonzero(result.alternatives[0].reachable)[0])
    table = result.flipset(row=row)
    assert len(table) == sum(a.reachable[row] for a in actions)
    np.testing.assert_allclose(table["cost"], [a.cost[row] for a in actions if a.reachable[row]])
    assert table["cost"].is_monotonic_increasing and table["features"].is_unique
