"""People far outside the table (sentinels), against knapsacks in rational numbers."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from program_oracle import linear_model
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder

MARGIN = Fraction(1, 10**9)
FAR = [-1e6, -1e9, -999999999.0, -1e12, 1e6, 1e9, 1e12]


def exact(numbers) -> list[Fraction]:
    return [Fraction(float(number)) for number in numbers]


def cheapest(x, low, high, coef, intercept, weights, changes):
    """Return the least cost and its destination among changes of at most so many features."""
    best = None
    features = [j for j in range(len(x)) if coef[j] != 0]
    for some in combinations(features, min(changes, len(features))):
        point = list(x)
        missing = MARGIN - intercept - sum(c * v for c, v in zip(coef, x, strict=True))
        for j in sorted(some, key=lambda j: -abs(coef[j]) / weights[j]):
            end = high[j] if coef[j] > 0 else low[j]
            step = min(max(missing, Fraction(0)) / abs(coef[j]), abs(end - x[j]))
            point[j] = x[j] + step * (1 if coef[j] > 0 else -1)
            missing -= step * abs(coef[j])
        cost = sum(w * abs(p - v) for w, p, v in zip(weights, point, x, strict=True))
        if missing <= 0 and (best is None or cost < best[0]):
            best = cost, point
    return best


def extreme_problem(seed: int):
    """Draw a table, a model, and people with one or two sentinels each."""
    rng = np.random.RandomState(seed)
    m = 4
    X = rng.randn(60, m) * rng.choice([0.5, 1, 30], m)
    coef = rng.randn(m) / X.std(axis=0)
    model = linear_model(coef, -np.quantile(X @ coef, rng.uniform(0.6, 1.0)) * rng.choice([1, 5]))
    people = X[rng.randint(0, 60, 12)].copy()
    for person in people:
        person[rng.choice(m, rng.randint(1, 3), replace=False)] = rng.choice(FAR)
    return model, X, people, rng.choice([1, 2, m])


def answers_and_optima(seed: int, method: str, frame: bool):
    """Yield the result, and each denied person with the least cost and where it leads."""
    model, X, people, changes = extreme_problem(seed)
    names = list("abcd") if frame else list(range(4))
    weights, changes = 1 / X.std(axis=0), 4 if method == "lp" else int(changes)
    low, high = X.min(axis=0), X.max(axis=0)
    if frame:
        model.feature_names_in_ = np.array(names, dtype=object)
        X, people = (pd.DataFrame(table, columns=names) for table in (X, people))
    solver = RecourseSolver(
        ActionSet(max_changes=changes if changes < 4 else None),
        cost_weights=dict(zip(names, weights, strict=True)),
        method=method,
        target=1,
        margin=0.0,
    )
    result = solver.solve(model, people, background=X)
    coef, weights = exact(model.coef_[0]), exact(weights)
    for i in np.flatnonzero(result.denied):
        x = exact(np.asarray(people)[i])
        lower = [min(a, b) for a, b in zip(exact(low), x, strict=True)]
        upper = [max(a, b) for a, b in zip(exact(high), x, strict=True)]
        intercept = Fraction(float(model.intercept_[0]))
        best = cheapest(x, lower, upper, coef, intercept, weights, changes)
        yield result, i, best, x, weights


@pytest.mark.parametrize(
    ("method", "frame", "seeds"),
    [("exact", True, 60), ("exact", False, 60), ("lp", True, 60), ("milp", True, 20)],
)
def test_proofs_about_extreme_people_are_true(method, frame, seeds):
    seen = set()
    for seed in range(seeds):
        for result, i, best, x, weights in answers_and_optima(seed, method, frame):
            seen.add(result.status[i])
            if best is None:
                assert result.status[i] == "infeasible", (seed, i)
                continue
            assert result.status[i] == "optimal", (seed, i)
            assert result.cost[i] == pytest.approx(float(best[0]), rel=1e-8)
            # Huge costs hide what a destination wastes, so the waste is looked at by itself; who
            # stays far out with another feature stands on numbers that are far apart.
            point = exact(np.asarray(result.points)[i])
            cost = sum(w * abs(p - v) for w, p, v in zip(weights, point, x, strict=True))
            coarse = max(abs(p) * w for p, w in zip(point, weights, strict=True))
            assert float(cost - best[0]) < 1e-5 + 1e-13 * float(coarse), (seed, i)
    assert seen == {"optimal", "infeasible"}


@pytest.mark.parametrize(("method", "norm"), [("exact", "l2"), ("qp", "l2"), ("qp", "mixed")])
def test_other_costs_prove_nothing_false(method, norm):
    for seed in range(20):
        model, X, people, _ = extreme_problem(seed)
        solver = RecourseSolver(cost=norm, method=method, target=1, margin=0.0)
        result = solver.solve(model, people, background=X)
        lp = RecourseSolver(method="lp", target=1, margin=0.0).solve(model, people, background=X)
        hopeless = lp.status == "infeasible"
        assert (result.status[hopeless] == "infeasible").all(), seed
        assert (result.status[~hopeless] != "infeasible").all(), seed
        # Beyond, neighboring floats are farther apart than the margin.
        near = ~hopeless & (np.abs(people).max(axis=1) < 1e11)
        if method == "exact":
            assert np.isin(result.status, ("optimal", "already_favorable"))[near].all(), seed


@pytest.mark.parametrize("method", ["exact", "milp", "gradient", "black_box"])
@pytest.mark.parametrize("rule", [{"steps": {"income": 0.25}}, {"min_change": {"income": 2.0}}, {}])
def test_a_sentinel_goes_where_a_neighbor_goes(method, rule):
    rng = np.random.RandomState(0)
    table = pd.DataFrame({"income": rng.randn(200), "other": rng.randn(200)})
    labels = (table.income + 0.2 * table.other > 0.5).astype(int)
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(table, labels)
    rules = ActionSet(immutable=["other"], bounds={"income": (-4, 4)}, **rule)
    solver = RecourseSolver(rules, method=method, target=1, random_state=0)
    near = pd.DataFrame({"income": [-3.5], "other": [0.0]})
    goal = solver.solve(model, near).points.income.iloc[0]
    for own in FAR[:4]:
        result = solver.solve(model, near.assign(income=own))
        proved = method in ("exact", "milp")
        assert result.status.tolist() == ["optimal" if proved else "feasible"]
        if proved:
            assert result.points.income.iloc[0] == pytest.approx(goal, abs=1e-6)
