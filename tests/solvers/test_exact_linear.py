"""The exact method against scipy's programs, a bisection and brute force, people at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from program_oracle import (
    disagreements,
    enumerate_options,
    integer_program,
    least_squares_costs,
    linear_model,
    linear_program,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder

# Asked for, so that the optimum does not depend on what rounding needs.
MARGIN = 0.05
ORDER = ["lo", "mid", "hi", "top"]


def continuous_problem(seed: int, n: int, m: int):
    """Draw people, a model that refuses most of them, rules and each one's box."""
    rng = np.random.RandomState(seed)
    X = rng.rand(n, m) * rng.choice([0.3, 1, 40], m)
    spread = np.ptp(X, axis=0)
    coef = rng.randn(m) / spread
    coef[rng.rand(m) < 0.1] = 0.0
    score = X @ coef
    model = linear_model(coef, -np.quantile(score, rng.uniform(0.8, 1.0)))
    low, high = X.min(axis=0) - 0.1 * spread, X.max(axis=0) + 0.1 * spread
    far = spread * rng.uniform(0.1, 0.5, m)
    kind = rng.choice(["free", "up", "down", "near", "held"], m, p=[0.3, 0.2, 0.2, 0.2, 0.1])
    names = {k: np.flatnonzero(kind == k).tolist() for k in ("up", "down", "near", "held")}
    rules = {
        "bounds": {j: (low[j], high[j]) for j in range(m)},
        "increasing": names["up"],
        "decreasing": names["down"],
        "relative_bounds": {j: (-far[j], 2 * far[j]) for j in names["near"]},
        "immutable": names["held"],
    }
    low, high = np.minimum(low, X), np.maximum(high, X)
    low = np.where(np.isin(kind, ["up", "held"]), X, low)
    high = np.where(np.isin(kind, ["down", "held"]), X, high)
    low = np.where(kind == "near", np.maximum(low, X - far), low)
    high = np.where(kind == "near", np.minimum(high, X + 2 * far), high)
    weights = rng.uniform(0.3, 3, m) / spread
    return model, X, rules, (low, high), weights


def solve(model, X, rules, weights, norm, **parameters):
    given = {"method": "exact", "target": 1, "margin": MARGIN} | parameters
    solver = RecourseSolver(ActionSet(**rules), cost=norm, cost_weights=weights, **given)
    return solver.solve(model, X, background=X)


def free_weights(rules, weights) -> dict:
    return {j: w for j, w in enumerate(weights.tolist()) if j not in rules["immutable"]}


def linear_costs(model, X, box, weights, rows) -> np.ndarray:
    coef, need = model.coef_[0], MARGIN - model.intercept_[0]
    low, high = box
    return np.array([linear_program(X[i], low[i], high[i], weights, coef, need) for i in rows])


def test_continuous_l1_is_the_linear_program():
    people, several, infeasible = 0, [], 0
    for seed in range(8):
        m = 3 + 2 * (seed % 5)
        model, X, rules, box, weights = continuous_problem(seed, 260, m)
        result = solve(model, X, rules, free_weights(rules, weights), "l1")
        rows = np.flatnonzero(result.denied)
        expected = linear_costs(model, X, box, weights, rows)
        assert disagreements(result.status[rows], result.cost[rows], expected).size == 0
        assert (result.points >= box[0] - 1e-12).all() and (result.points <= box[1] + 1e-12).all()
        people += len(rows)
        infeasible += int(np.isinf(expected).sum())
        several += result.changed[result.reachable].sum(axis=1).tolist()
    # The control that the problems are hard enough to tell right from wrong.
    assert people > 1500 and infeasible > 100
    assert np.mean(np.array(several) >= 2) > 0.5


def test_continuous_l2_is_the_bisection():
    people, several, infeasible, capped = 0, [], 0, 0
    for seed in range(100, 120):
        m = 3 + 2 * (seed % 5)
        model, X, rules, box, weights = continuous_problem(seed, 400, m)
        result = solve(model, X, rules, free_weights(rules, weights), "l2")
        rows = np.flatnonzero(result.denied)
        low, high = box[0][rows], box[1][rows]
        need = MARGIN - model.decision_function(X[rows])
        expected = least_squares_costs(X[rows], low, high, weights, model.coef_[0], need)
        assert disagreements(result.status[rows], result.cost[rows], expected).size == 0
        people += len(rows)
        infeasible += int(np.isinf(expected).sum())
        several += result.changed[result.reachable].sum(axis=1).tolist()
        ended = (result.points[rows] == low) | (result.points[rows] == high)
        capped += int((ended & (result.points[rows] != X[rows])).any(axis=1).sum())
    assert people > 5000 and infeasible > 300 and capped > 1000
    assert np.mean(np.array(several) >= 2) > 0.8


def test_a_wrong_box_is_noticed():
    model, X, rules, _, weights = continuous_problem(2, 260, 7)
    result = solve(model, X, rules, free_weights(rules, weights), "l1")
    rows = np.flatnonzero(result.denied)
    low, high = np.array([rules["bounds"][j] for j in range(7)]).T
    wide = np.minimum(low, X), np.maximum(high, X)
    expected = linear_costs(model, X, wide, weights, rows)
    assert disagreements(result.status[rows], result.cost[rows], expected).size > 0


def table_problem(seed: int, n: int, *, fine: bool = False):
    """Draw a mixed table, a model with effects of its own sizes, and rules."""
    rng = np.random.RandomState(seed)
    X = pd.DataFrame(
        {
            "a": rng.randint(0, 8, n) * 1.0,
            "b": rng.randint(0, 6, n) * 2.0 + rng.choice([0.0, 0.7], n, p=[0.8, 0.2]),
            "f": rng.rand(n) * 4 if fine else rng.randint(0, 9, n) * 0.5,
            "c": rng.choice(list("wxyz"), n),
            "e": rng.choice(ORDER, n),
        }
    )
    model = make_pipeline(TableEncoder(), LogisticRegression(max_iter=500))
    model.fit(X, rng.rand(n) < 0.5)
    model[-1].coef_ = rng.randn(*model[-1].coef_.shape)
    model[-1].intercept_ -= np.quantile(model.decision_function(X), 0.9) + abs(rng.randn())
    rules = {
        "steps": {"a": 1, "b": 2} if fine else {"a": 1, "b": 2, "f": 0.5},
        "ordinal": {"e": ORDER},
        "bounds": {"a": (0, int(rng.randint(4, 9))), "b": (0, 10), "f": (0, 4)},
        "max_changes": [None, 1, 2, 3][seed % 4],
        "increasing": ["f"] if seed % 3 == 0 else [],
        "min_change": {"b": 3.0, "f": 0.8} if seed % 5 < 2 else {},
        "transitions": {"c": {"w": ["x"], "x": ["y", "z"], "y": list("wxz"), "z": []}}
        if seed % 2
        else {},
    }
    weights = dict(zip(X, rng.uniform(0.4, 2.5, 5).tolist(), strict=True))
    return model, X, rules, weights


class Effects:
    """What each raw value adds to the scores, found out by asking the model about raw rows."""

    def __init__(self, model, X):
        def scores(rows):
            return np.atleast_2d(model.decision_function(rows).T).T

        row = X.iloc[[0]]
        base = scores(row)[0]
        self.scale = {name: abs(model[0].feature_space_.block(name).scale) for name in "abf"}
        self.slope = {
            name: (scores(row.assign(**{name: row[name] + 1.0}))[0] - base) for name in "abf"
        }
        levels = {"c": list("wxyz"), "e": ORDER}
        self.level = {
            name: {v: scores(row.assign(**{name: [v]}))[0] - base for v in levels[name]}
            for name in levels
        }


def numbers_of(person, rules, weights, effects) -> list[dict]:
    """Return what the person may do with each number, by the rules on raw values."""
    numbers = []
    for name in "abf":
        own, (low, high) = person[name], rules["bounds"][name]
        low, high = min(low, own), max(high, own)
        low = own if name in rules["increasing"] else low
        values = (low, high)
        if name in rules["steps"]:
            grid = np.arange(0, 40) * rules["steps"][name]
            values = grid[(grid >= low) & (grid <= high)]
        numbers.append(
            {
                "own": own,
                "values": values,
                "weight": weights[name] * effects.scale[name],
                "gain": effects.slope[name],
                "least": rules["min_change"].get(name, 0.0),
            }
        )
    return numbers


def categories_of(person, rules, weights, effects) -> list[list[tuple[float, np.ndarray]]]:
    c, e = person["c"], person["e"]
    to = rules["transitions"].get("c", {c: list("wxyz")})[c]
    gain = effects.level
    rank = ORDER.index(e)
    return [
        [(weights["c"], gain["c"][level] - gain["c"][c]) for level in to if level != c],
        [
            (weights["e"] * abs(i - rank), gain["e"][level] - gain["e"][e])
            for i, level in enumerate(ORDER)
            if level != e
        ],
    ]


def enumerated_costs(model, X, rows, rules, weights, norm) -> np.ndarray:
    effects = Effects(model, X)
    need = MARGIN - model.decision_function(X)
    costs = []
    for i in rows:
        person = X.iloc[i]
        features, rest = [], None
        for number in numbers_of(person, rules, weights, effects):
            if isinstance(number["values"], tuple):
                low, high = number["values"]
                slope = number["gain"][0]
                most = high - number["own"] if slope > 0 else number["own"] - low
                rest = number["weight"], abs(slope), number["least"], most
                continue
            step = number["values"] - number["own"]
            step = step[(step != 0) & (np.abs(step) >= number["least"] - 1e-9)]
            features.append([(number["weight"] * abs(s), number["gain"][0] * s) for s in step])
        for options in categories_of(person, rules, weights, effects):
            features.append([(cost, gain[0]) for cost, gain in options])
        costs.append(
            enumerate_options(features, need[i], limit=rules["max_changes"], norm=norm, number=rest)
        )
    return np.array(costs)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("fine", [False, True], ids=["grids", "with a continuous number"])
def test_grids_and_categories_are_enumerated(norm, fine):
    people, several, infeasible = 0, [], 0
    for seed in range(300 * fine, 300 * fine + 20):
        model, X, rules, weights = table_problem(seed, 80, fine=fine)
        result = solve(model, X, rules, weights, norm)
        rows = np.flatnonzero(result.denied)
        expected = enumerated_costs(model, X, rows, rules, weights, norm)
        assert disagreements(result.status[rows], result.cost[rows], expected).size == 0
        people += len(rows)
        infeasible += int(np.isinf(expected).sum())
        several += result.changed[result.reachable].sum(axis=1).tolist()
    assert people > 1300 and infeasible > 200
    assert np.mean(np.array(several) >= 2) > 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_changes": None},
        {"min_change": {}},
        {"transitions": {}},
        {"increasing": []},
        {"bounds": {"a": (0, 30), "b": (0, 10), "f": (0, 4)}},
    ],
    ids=lambda rule: next(iter(rule)),
)
def test_a_wrong_rule_is_noticed(wrong):
    differ = 0
    for seed in (15, 21):
        model, X, rules, weights = table_problem(seed, 60)
        result = solve(model, X, rules, weights, "l1")
        rows = np.flatnonzero(result.denied)
        expected = enumerated_costs(model, X, rows, rules | wrong, weights, "l1")
        differ += disagreements(result.status[rows], result.cost[rows], expected).size
    assert differ > 0


def test_continuous_numbers_beside_grids_are_the_integer_program():
    people, several, infeasible = 0, [], 0
    for seed in range(200, 210):
        model, X, rules, weights = table_problem(seed, 60, fine=True)
        result = solve(model, X, rules, weights, "l1")
        rows = np.flatnonzero(result.denied)
        effects = Effects(model, X)
        need = MARGIN - model.decision_function(X)
        expected = np.array(
            [
                integer_program(
                    numbers_of(X.iloc[i], rules, weights, effects),
                    categories_of(X.iloc[i], rules, weights, effects),
                    need[[i]],
                    limit=rules["max_changes"],
                )
                for i in rows
            ]
        )
        assert disagreements(result.status[rows], result.cost[rows], expected).size == 0
        people += len(rows)
        infeasible += int(np.isinf(expected).sum())
        several += result.changed[result.reachable].sum(axis=1).tolist()
    assert people > 500 and infeasible > 50
    assert np.mean(np.array(several) >= 2) > 0.5


def test_one_number_that_just_suffices_alone_is_found():
    """Its distance is need over gain, which rounding makes too short in one case of several."""
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.rand(200), rng.randint(0, 5, 200)]) * 1.0
    model = linear_model(np.array([1.7, 0.31]), -6.0)
    rules = {"bounds": {0: (0, 9), 1: (0, 9)}, "steps": {1: 1}}
    result = solve(model, X, rules, {0: 1.0, 1: 1.0}, "l1")
    assert (result.status == "optimal").all()
    alone = (MARGIN - model.decision_function(X)) / 1.7
    np.testing.assert_allclose(result.cost, alone, rtol=1e-6)


def test_people_do_not_touch_each_other():
    model, X, rules, weights = table_problem(3, 60)
    together = solve(model, X, rules, weights, "l2")
    apart = solve(model, X, rules, weights, "l2", batch_size=7)
    pd.testing.assert_frame_equal(together.points, apart.points)
    np.testing.assert_array_equal(together.status, apart.status)
    backwards = solve(model, X.iloc[::-1], rules, weights, "l2")
    np.testing.assert_allclose(backwards.cost[::-1], together.cost, rtol=1e-9)
    assert together.reachable.sum() > 20


def test_a_time_limit_leaves_nothing_that_is_not_proved():
    model, X, rules, weights = table_problem(3, 60)
    full = solve(model, X, rules, weights, "l1")
    late = solve(model, X, rules, weights, "l1", time_limit=1e-12)
    assert (late.status[late.denied] == "time_limit").all()
    assert (late.lower_bound[full.reachable] <= full.cost[full.reachable]).all()
    assert not late.reachable.any() and np.isnan(late.cost[late.denied]).all()
