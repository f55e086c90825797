"""LP, QP and mixed-integer programs against scipy's programs and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from program_oracle import (
    disagreements,
    integer_program,
    linear_model,
    linear_program,
    rivals_of,
    sign_vectors,
)
from scipy.optimize import linprog, minimize
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.exceptions import UnsupportedModelError

MARGIN = 0.05


def draw(seed: int, *, n_classes: int, n: int = 40, m: int = 4, across: bool = False):
    """Draw people, a model, rules, boxes (n, m), weights and the rows a·v <= b of the rules."""
    rng = np.random.RandomState(seed)
    X = pd.DataFrame(rng.rand(n, m) * 4 - 1, columns=list("abcdef")[:m])
    coef = rng.randn(1 if n_classes == 2 else n_classes, m)
    scores = X.to_numpy() @ coef.T
    intercept = -np.quantile(scores, 0.9, axis=0)
    if n_classes > 2:
        intercept = np.r_[-np.quantile(scores[:, :-1], 0.6, axis=0), intercept[-1] - 0.5]
    model = linear_model(coef, intercept)
    model.feature_names_in_ = np.array(X.columns, dtype=object)
    rules = {"bounds": dict.fromkeys(X, (-1.3, 3.3)), "increasing": ["b"]}
    values = X.to_numpy()
    low, high = np.full((n, m), -1.3), np.full((n, m), 3.3)
    low[:, 1] = values[:, 1]
    rows = []
    if across:
        rules["constraints"] = ["a + 2 * b - c <= 4", "change(a) + change(b) <= 0.8", "d >= a - 1"]
        rows = [(np.eye(m)[0] + 2 * np.eye(m)[1] - np.eye(m)[2], np.full(n, 4.0))]
        rows += [(np.eye(m)[0] + np.eye(m)[1], values[:, :2].sum(axis=1) + 0.8)]
        rows += [(np.eye(m)[0] - np.eye(m)[3], np.full(n, 1.0))]
        # Who breaks a rule already must not make it worse.
        rows = [(a, np.maximum(b, values @ a)) for a, b in rows]
    weights = dict(zip(X, rng.uniform(0.3, 3, m).tolist(), strict=True))
    return model, X, rules, (low, high), weights, rows


def solve(model, X, rules, weights, **parameters):
    given = {"target": int(model.classes_[-1]), "margin": MARGIN} | parameters
    solver = RecourseSolver(ActionSet(**rules), cost_weights=weights, **given)
    return solver.solve(model, X, background=X)


def polyhedron(model, X, i, rows, radius: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return A and b of A v >= b: the margins, for every corner of the weights' box, and rules."""
    coef, intercept = rivals_of(model, len(model.classes_) - 1)
    A, b = coef, MARGIN - intercept
    if radius:
        # Both classes of a margin err; a binary score errs once.
        error = radius * (1 if len(model.classes_) == 2 else 2)
        corners = sign_vectors(X.shape[1])
        A = (coef[:, None, :] + error * corners).reshape(-1, X.shape[1])
        b = np.repeat(b + error, len(corners))
    return (
        np.vstack([A, *(-a[None] for a, _ in rows)]),
        np.concatenate([b, *(np.array([-limit[i]]) for _, limit in rows)]),
    )


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("across", [False, True], ids=["boxes", "rules across"])
def test_lp_is_the_linear_program(n_classes, across):
    people, several, infeasible = 0, [], 0
    for seed in range(6):
        model, X, rules, (low, high), weights, rows = draw(seed, n_classes=n_classes, across=across)
        result = solve(model, X, rules, weights, method="lp")
        refused = np.flatnonzero(result.denied)
        expected = np.array(
            [
                linear_program(
                    X.to_numpy()[i],
                    low[i],
                    high[i],
                    np.array(list(weights.values())),
                    *polyhedron(model, X, i, rows),
                )
                for i in refused
            ]
        )
        assert disagreements(result.status[refused], result.cost[refused], expected).size == 0
        people += len(refused)
        infeasible += int(np.isinf(expected).sum())
        several += result.changed[result.reachable].sum(axis=1).tolist()
    assert people > 150 and infeasible > 5
    assert np.mean(np.array(several) >= 2) > (0.5 if n_classes > 2 or across else 0.1)


@pytest.mark.parametrize("kept", [slice(1, None), slice(0, 1)], ids=["without 1", "only 1"])
def test_forgotten_rules_are_noticed(kept):
    differ = 0
    for seed in range(3):
        model, X, rules, (low, high), weights, rows = draw(seed, n_classes=3, across=True)
        result = solve(model, X, rules, weights, method="lp")
        w = np.array(list(weights.values()))
        for i in np.flatnonzero(result.denied):
            A, b = polyhedron(model, X, i, rows[kept])
            cost = linear_program(X.to_numpy()[i], low[i], high[i], w, A, b)
            differ += len(disagreements(result.status[[i]], result.cost[[i]], np.array([cost])))
    assert differ > 0


def frank_wolfe_gap(moved, own, low, high, weights, mix, A, b) -> tuple[float, float]:
    """Return the cost of a point and how much cheaper any point may be, at most.

    The cost is convex, so it lies above its linearization at the point; scipy finds the least
    value of that over the polyhedron.
    """
    up, down = np.maximum(moved - own, 0), np.maximum(own - moved, 0)
    length = np.linalg.norm(weights * (up + down))
    slope = mix * weights + (1 - mix) * weights**2 * (up + down) / length
    cost = mix * (weights * (up + down)).sum() + (1 - mix) * length
    answer = linprog(
        np.concatenate([slope, slope]),
        A_ub=-np.hstack([A, -A]),
        b_ub=A @ own - b,
        bounds=np.column_stack([np.zeros(2 * len(own)), np.r_[high - own, own - low]]),
    )
    assert answer.status == 0, answer.message
    return cost, slope @ (up + down) - answer.fun


def polished(moved, own, low, high, weights, mix, A, b) -> float:
    """Return the cost of the best point that scipy finds from a point on."""
    sides, two = np.hstack([A, -A]), np.r_[weights, weights]

    def cost(z):
        return mix * two @ z + (1 - mix) * np.linalg.norm(two * z)

    best = minimize(
        cost,
        np.r_[np.maximum(moved - own, 0), np.maximum(own - moved, 0)],
        method="SLSQP",
        bounds=list(zip(np.zeros(2 * len(own)), np.r_[high - own, own - low], strict=True)),
        constraints={"type": "ineq", "fun": lambda z: sides @ z - b + A @ own},
        options={"ftol": 1e-14},
    )
    feasible = (sides @ best.x >= b - A @ own - 1e-9).all()
    return best.fun if feasible else math.inf


@pytest.mark.parametrize("norm", ["l2", "mixed"])
def test_qp_points_cannot_be_made_cheaper(norm):
    people, several, infeasible, unproved = 0, [], 0, 0
    for seed in range(6):
        n_classes = 2 + seed % 2
        model, X, rules, (low, high), weights, rows = draw(
            seed, n_classes=n_classes, n=30, across=seed > 2
        )
        result = solve(model, X, rules, weights, method="qp", cost=norm)
        w, own = np.array(list(weights.values())), X.to_numpy()
        for i in np.flatnonzero(result.denied):
            A, b = polyhedron(model, X, i, rows)
            if result.status[i] == "infeasible":
                assert linear_program(own[i], low[i], high[i], w, A, b) == math.inf
                infeasible += 1
                continue
            if result.status[i] == "feasible" and norm == "mixed":
                # Clarabel's answer was inaccurate, and proves nothing.
                unproved += 1
            else:
                assert result.status[i] == "optimal"
            moved = result.points.iloc[i].to_numpy(dtype=float)
            assert (A @ moved >= b - 1e-8).all()
            mix = result.cost_function.mix if norm == "mixed" else 0.0
            cost, gap = frank_wolfe_gap(moved, own[i], low[i], high[i], w, mix, A, b)
            assert result.cost[i] == pytest.approx(cost, rel=1e-9)
            # A proof; of first order in the point's error, where the cost is of second.
            assert gap <= (1e-6 if norm == "l2" else 1e-4) * cost
            assert polished(moved, own[i], low[i], high[i], w, mix, A, b) >= cost * (1 - 1e-6)
            # No change that is but the noise of an interior-point method.
            assert (w * np.abs(moved - own[i]))[result.changed[i]].min() > 1e-7 * cost
            several.append(int(result.changed[i].sum()))
        people += int(result.denied.sum())
    assert people > 100 and infeasible > 3 and unproved < 0.1 * people
    assert np.mean(np.array(several) >= 2) > 0.5


@pytest.mark.parametrize(("method", "n_classes"), [("exact", 2), ("lp", 2), ("milp", 2), ("lp", 3)])
def test_the_worst_weights_of_a_box_are_survived_at_least_cost(method, n_classes):
    people, infeasible, dearer = 0, 0, 0
    for seed in range(3 if method != "exact" else 8):
        model, X, rules, (low, high), weights, rows = draw(
            20 + seed, n_classes=n_classes, across=method == "lp"
        )
        radius = 0.05 + 0.05 * (seed % 3)
        result = solve(model, X, rules, weights, method=method, weight_radius=radius)
        nominal = solve(model, X, rules, weights, method=method)
        refused = np.flatnonzero(result.denied)
        w = np.array(list(weights.values()))
        expected = np.array(
            [
                linear_program(
                    X.to_numpy()[i], low[i], high[i], w, *polyhedron(model, X, i, rows, radius)
                )
                for i in refused
            ]
        )
        assert disagreements(result.status[refused], result.cost[refused], expected).size == 0
        both = result.reachable & nominal.reachable
        dearer += int((result.cost[both] > nominal.cost[both] * 1.01).sum())
        people += len(refused)
        infeasible += int(np.isinf(expected).sum())
        for change in sign_vectors(X.shape[1])[:: 1 if n_classes == 2 else 5]:
            for sign in (-1, 1):
                worse = linear_model(model.coef_.copy(), model.intercept_.copy())
                error = radius * np.outer([sign, -sign, 0, 0][: len(model.coef_)], change)
                worse.coef_ = worse.coef_ + error
                worse.intercept_ = worse.intercept_ - radius * np.eye(len(model.coef_))[-1]
                points = result.points[result.reachable].to_numpy()
                assert (worse.predict(points) == model.classes_[-1]).all()
    assert people > 60 and infeasible > 0 and dearer > 10


def test_robust_actions_of_categories_are_enumerated():
    rng = np.random.RandomState(4)
    X = pd.DataFrame(
        {
            "a": rng.randint(-4, 5, 60) * 1.0,
            "b": rng.randint(0, 5, 60),
            "c": rng.choice(list("xyz"), 60),
        }
    )
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, rng.rand(60) < 0.5)
    model[-1].coef_ = rng.randn(*model[-1].coef_.shape)
    model[-1].intercept_ -= np.quantile(model.decision_function(X), 0.85)
    rules = {"steps": {"a": 1, "b": 1}, "max_changes": 2, "bounds": {"a": (-4, 4), "b": (0, 4)}}
    weights, radius = {"a": 1.3, "b": 0.7, "c": 0.9}, 0.12
    options = itertools.product(np.arange(-4.0, 5.0), range(5), "xyz")
    rows = pd.DataFrame(list(options), columns=list(X)).astype(X.dtypes)
    size = np.abs(model[0].transform(rows)).sum(axis=1) + 1
    rows = rows[model.decision_function(rows) - radius * size >= MARGIN]
    scale = {name: abs(model[0].feature_space_.block(name).scale) for name in "ab"}
    for method in ("exact", "milp"):
        result = solve(model, X, rules, weights, method=method, weight_radius=radius)
        refused = np.flatnonzero(result.denied)
        expected = []
        for i in refused:
            person = X.iloc[i]
            near = rows[(rows != person).sum(axis=1) <= 2]
            cost = sum(weights[k] * scale[k] * (near[k] - person[k]).abs() for k in "ab")
            cost += weights["c"] * (near["c"] != person["c"])
            expected.append(cost.min() if len(near) else math.inf)
        expected = np.array(expected)
        assert disagreements(result.status[refused], result.cost[refused], expected).size == 0
        assert len(refused) > 40 and np.isfinite(expected).mean() > 0.3


def test_milp_with_rivals_and_rules_is_scipys_program():
    people, several, infeasible = 0, [], 0
    for seed in range(5):
        n_classes = 2 + seed % 2
        model, X, rules, (low, high), weights, rows = draw(
            seed, n_classes=n_classes, n=24, across=seed > 1
        )
        rules = rules | {
            "steps": {"a": 0.5},
            "min_change": {"c": 0.6},
            "max_changes": 2 + seed % 2,
        }
        result = solve(model, X, rules, weights, method="milp")
        refused = np.flatnonzero(result.denied)
        coef, intercept = rivals_of(model, n_classes - 1)
        own, expected = X.to_numpy(), []
        for i in refused:
            numbers = [
                {
                    "own": own[i, j],
                    "values": (low[i, j], high[i, j]),
                    "weight": weights[name],
                    "gain": coef[:, j],
                    "least": 0.6 if name == "c" else 0.0,
                }
                for j, name in enumerate(X)
            ]
            numbers[0]["values"] = np.arange(-2, 7) * 0.5
            need = MARGIN - intercept - coef @ own[i]
            tied = [(a, limit[i]) for a, limit in rows]
            expected.append(
                integer_program(numbers, [], need, limit=rules["max_changes"], rows=tied)
            )
        expected = np.array(expected)
        assert disagreements(result.status[refused], result.cost[refused], expected).size == 0
        people += len(refused)
        infeasible += int(np.isinf(expected).sum())
        several += result.changed[result.reachable].sum(axis=1).tolist()
    assert people > 70 and infeasible > 5
    assert np.mean(np.array(several) >= 2) > 0.5


@pytest.mark.parametrize("norm", ["l1", "mixed"])
def test_no_change_is_short_of_the_smallest_one(norm):
    model, X, _, _, weights, _ = draw(0, n_classes=2, n=30)
    sizes = dict.fromkeys(X, 0.7)
    result = solve(model, X, {"min_change": sizes}, weights, method="milp", cost=norm)
    moves = (result.points - X).abs().to_numpy()[result.denied]
    assert (moves > 0).any(axis=1).sum() > 10
    assert np.isclose(moves, 0.7).any()
    assert ((moves == 0) | (moves >= 0.7)).all()


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_a_time_limit_proves_no_more_than_was_proved(norm):
    model, X, rules, _, weights, _ = draw(1, n_classes=3, n=12)
    rules = rules | {"steps": {"a": 0.1, "c": 0.1}, "max_changes": 3}
    full = solve(model, X, rules, weights, method="milp", cost=norm)
    late = solve(model, X, rules, weights, method="milp", cost=norm, time_limit=1e-9)
    assert set(full.status) <= {"optimal", "infeasible", "already_favorable"}
    assert full.reachable.sum() > 5
    known = {"time_limit", "feasible", "optimal", "infeasible"}
    assert set(late.status[late.denied]) <= known
    if norm == "l2":
        # The relaxations are solved by this library's own search, which looks at the clock first.
        assert (late.status[late.denied] == "time_limit").all()
    found = late.reachable
    assert (late.cost[found] >= full.cost[found] * (1 - 1e-6)).all()
    assert (late.lower_bound[full.reachable] <= full.cost[full.reachable] * (1 + 1e-9)).all()
    assert (full.status[late.status == "infeasible"] == "infeasible").all()


@pytest.mark.parametrize(
    ("parameters", "rules", "reason"),
    [
        ({"method": "exact", "cost": "mixed"}, {}, "mixed cost.*'qp'"),
        ({"method": "lp", "cost": "l2"}, {}, "cost='l1'.*'qp'"),
        ({"method": "qp"}, {}, "'l2' and 'mixed'.*'lp'"),
        ({"method": "lp"}, {"steps": {"a": 1}}, "grid of 'a'.*'milp'"),
        ({"method": "lp"}, {"min_change": {"a": 1}}, "min_change for 'a'.*'milp'"),
        ({"method": "lp"}, {"max_changes": 2}, "max_changes=2.*'milp'"),
        ({"method": "lp"}, {"constraints": ["if a >= 1 then b >= 1"]}, "if-then.*'milp'"),
    ],
)
def test_what_a_method_cannot_do_is_named(parameters, rules, reason):
    model, X, _, _, weights, _ = draw(0, n_classes=2, n=10)
    with pytest.raises(UnsupportedModelError, match=reason):
        solve(model, X, rules, weights, **parameters)


def test_auto_takes_the_fastest_exact_method_that_applies():
    binary, X, rules, _, weights, _ = draw(0, n_classes=2, n=10)
    several, X3, rules3, _, weights3, _ = draw(0, n_classes=3, n=10)
    tied = rules | {"constraints": ["a + b <= 5"]}
    assert solve(binary, X, rules, weights).method == "exact"
    assert solve(binary, X, rules, weights, cost="mixed").method == "qp"
    assert solve(binary, X, tied, weights).method == "exact"
    assert solve(binary, X, tied, weights, cost="mixed").method == "qp"
    assert solve(several, X3, tied, weights3).method == "lp"
    assert solve(several, X3, tied | {"max_changes": 2}, weights3).method == "milp"
    assert solve(several, X3, rules3, weights3).method == "lp"
    assert solve(several, X3, rules3, weights3, cost="l2").method == "qp"
