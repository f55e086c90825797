"""Columns of few digits, and of many whole numbers: advice is what they can hold, and holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder

RNG = np.random.RandomState(0)
WIDE = pd.DataFrame(
    {
        "score": RNG.normal(size=200),
        "income": RNG.gamma(2, 200, size=200),
        "year": RNG.randint(1960, 2020, 200) + RNG.rand(200),
    }
)
LABELS = WIDE.score + WIDE.income / 300 + (WIDE.year - 1990) / 20 + RNG.normal(size=200) > 2


def answers(dtype: str, array: bool, rules: ActionSet, method: str):
    table = WIDE.astype(dtype)
    if array:
        table = table.to_numpy()
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(table, LABELS)
    solver = RecourseSolver(rules, target=True, method=method, random_state=0)
    return model, table, solver.solve(model, table)


def rules_of(names, **more) -> ActionSet:
    bounds = {names[0]: (-3, 3), names[1]: (0.1, 1999.9), names[2]: (None, 2030)}
    return ActionSet(bounds=bounds, **more)


@pytest.mark.parametrize(
    ("method", "more"), [("exact", {}), ("exact", {"max_changes": 1}), ("gradient", {})]
)
@pytest.mark.parametrize(
    ("dtype", "array"),
    [
        ("float16", False),
        ("float16", True),
        ("float32", False),
        ("float32", True),
        ("Float32", False),
    ],
)
def test_nobody_is_lost(dtype, array, method, more):
    names = list(range(3)) if array else list(WIDE)
    model, table, result = answers(dtype, array, rules_of(names, **more), method)
    assert result.valid.all()
    points = result.points if array else result.points.to_numpy(dtype=np.float64)
    own = np.asarray(table, dtype=np.float64)
    if array:
        assert result.points.dtype == table.dtype
    else:
        assert (result.points.dtypes == table.dtypes).all()
    assert model.predict(result.points).all()
    points = points.astype(np.float64)
    assert (points[:, 0] <= np.maximum(own[:, 0], 3)).all()
    assert (points[:, 1] <= np.maximum(own[:, 1], 1999.9)).all()
    assert (points[:, 2] <= np.maximum(own[:, 2], 2030)).all()
    # The cost is that of the numbers that are told.
    spread = np.asarray(WIDE.astype(dtype), dtype=np.float64).std(axis=0)
    np.testing.assert_allclose(
        result.cost, (np.abs(points - own) / spread).sum(axis=1), rtol=1e-9, atol=1e-12
    )
    proved = result.status == "optimal"
    assert (result.cost[proved] <= result.lower_bound[proved] * (1 + 2e-5)).all()
    assert (result.cost >= result.lower_bound * (1 - 1e-9)).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_point_of_a_grid_is_the_number_nearest_to_it(dtype):
    rules = rules_of(list(WIDE), steps={"income": 0.1})
    model, table, result = answers(dtype, False, rules, "exact")
    assert result.valid.all()
    moved = (result.points.income != table.income).to_numpy()
    told = result.points.income[moved]
    tenths = np.round(told.astype(np.float64) * 10) / 10
    assert moved.any() and (np.abs(told - tenths) <= np.spacing(told)).all()
    assert model.predict(result.points).all()


@pytest.mark.parametrize("method", ["exact", "milp", "gradient", "black_box"])
def test_a_column_with_a_sentinel_moves_in_whole_numbers(method):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"capital": rng.integers(0, 5_000_000, 200), "loans": rng.integers(0, 9, 200)})
    y = X.capital / 1e6 + X.loans / 3 > 4
    X.loc[::10, "loans"] = -999_999_999
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, y)
    solver = RecourseSolver(ActionSet(), target=True, method=method, random_state=0)
    result = solver.solve(model, X.head(20))
    assert (result.denied & result.valid).sum() > 5
    assert (result.points.dtypes == X.dtypes).all()
    # The cost is that of the numbers that are told.
    moves = (result.points - X.head(20)).abs()
    np.testing.assert_allclose(result.cost, (moves / X.std(ddof=0)).sum(axis=1), rtol=1e-9)
    proved = result.status == "optimal"
    assert (result.cost[proved] <= result.lower_bound[proved] * (1 + 2e-5)).all()
