"""A category of very many levels: those that promise something are tried, and no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.models import as_predictor
from skcfq.solvers.problems import RecourseProblem, _problem

N_LEVELS = 300


@pytest.fixture(scope="module")
def town():
    rng = np.random.default_rng(0)
    town = np.r_[np.arange(N_LEVELS), rng.integers(N_LEVELS, size=300)]
    X = pd.DataFrame({"town": [f"town {i}" for i in town], "income": rng.normal(size=len(town))})
    y = X.income + np.sin(town) > 0.8
    return X, make_pipeline(TableEncoder(), LogisticRegression(C=100)).fit(X, y)


@pytest.fixture
def asked(monkeypatch):
    """Number of rows that models are asked about."""
    rows, ask = [], RecourseProblem.states
    monkeypatch.setattr(
        RecourseProblem, "states", lambda *what: rows.append(len(what[1])) or ask(*what)
    )
    return rows


# The best town may be worth a little or a lot for what it costs.
@pytest.mark.parametrize("price", [0.2, 3.0])
@pytest.mark.parametrize("method", ["gradient", "black_box"])
def test_few_questions_find_what_is_found_when_every_level_is_tried(
    method, price, town, asked, monkeypatch
):
    X, model = town
    people = X[~model.predict(X)][:4]
    solver = RecourseSolver(
        ActionSet(), target=True, method=method, random_state=0, cost_weights={"town": price}
    )
    found = solver.solve(model, people, background=X)
    n_asked = sum(asked)
    alone = solver.solve(model, people[:1], background=X)
    assert alone.cost[0] == found.cost[0]
    asked.clear()
    monkeypatch.setattr(_problem, "MOST_LEVELS", N_LEVELS)
    every = solver.solve(model, people, background=X)
    assert found.reachable.all()
    np.testing.assert_allclose(found.cost, every.cost, rtol=1e-9)
    assert n_asked < sum(asked)


def test_levels_that_nothing_tells_apart_are_all_tried(town):
    """Of a model that only says labels, the one level that helps is found among all the others."""
    X, _ = town
    model = as_predictor(
        lambda X: X["town"].to_numpy() == "town 250", classes=[False, True], background=X
    )
    solver = RecourseSolver(ActionSet(immutable=["income"]), target=True, method="black_box")
    assert _problem.MOST_LEVELS < 250
    assert solver.solve(model, X[:2]).points["town"].tolist() == ["town 250"] * 2
