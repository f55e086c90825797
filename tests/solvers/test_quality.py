"""How far from the optimum the gradient search stays, by brute force over every admissible row."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, QATClassifier, RecourseSolver, TableEncoder
from skcfq.actions import compile_cost
from skcfq.models import as_predictor
from skcfq.solvers.search import BOTH_WAYS

pytestmark = pytest.mark.usefixtures("short_teachers")

NUMBERS, ORDER = ["a", "b", "f"], ["lo", "mid", "hi"]
RULES = {"steps": dict.fromkeys(NUMBERS, 1), "ordinal": {"e": ORDER}}


def draw_table(seed: int, n: int = 300) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.RandomState(seed)
    X = pd.DataFrame(
        {
            "a": rng.randint(0, 20, n).astype(float),
            "b": rng.randint(0, 12, n).astype(float),
            "c": rng.choice(list("wxyz"), n),
            "e": rng.choice(ORDER, n),
            "f": rng.randint(0, 8, n).astype(float),
        }
    )
    score = (X["a"] - 10) / 6 + 1.2 * np.sin(X["b"])
    score += X["c"].map({"x": 0, "y": 1, "z": -1, "w": 0.5})
    score += X["e"].map({"lo": -0.8, "mid": 0, "hi": 1}) + 0.08 * (X["f"] - 4) * (X["a"] - 10)
    return X, (score + rng.randn(n) * 0.5 > 1.0).astype(int)


@cache
def drawn_models(seed: int) -> tuple[pd.DataFrame, dict]:
    """A table and models of it, of which all costs ask."""
    X, y = draw_table(seed)
    small = {"hidden_layer_sizes": (16, 16), "random_state": 0}
    # A large tolerance ends the training after 60 passes, without a convergence warning.
    mlp = MLPClassifier((16, 16), max_iter=200, random_state=0, tol=1.0, n_iter_no_change=60)
    return X, {
        "linear": make_pipeline(TableEncoder(), LogisticRegression()).fit(X, y),
        "network": make_pipeline(TableEncoder(), mlp).fit(X, y),
        "4 bits": QATClassifier(4, **small).fit(X, y),
        "2 bits": QATClassifier(2, **small).fit(X, y),
    }


def favorable_rows(model, X: pd.DataFrame) -> pd.DataFrame:
    """Every row that the rules can reach and that the model gives the target."""
    axes = [
        np.arange(X[name].min(), X[name].max() + 1) if name in NUMBERS else sorted(set(X[name]))
        for name in X
    ]
    rows = pd.DataFrame(list(itertools.product(*axes)), columns=X.columns).astype(X.dtypes)
    return rows[model.predict(rows) == 1]


def optimal_cost(rows, person, weights, scales, norm, max_changes) -> float:
    """The definition of the cost, written again from Eq. 4 on raw rows."""
    parts = np.zeros((len(rows), len(person)))
    for j, name in enumerate(rows):
        values, own = rows[name].to_numpy(), person[name]
        if name in NUMBERS:
            parts[:, j] = np.abs(values - own) * scales[name]
        elif name == "e":
            parts[:, j] = [abs(ORDER.index(value) - ORDER.index(own)) for value in values]
        else:
            parts[:, j] = values != own
        parts[:, j] *= weights[name]
    parts = parts[(parts > 0).sum(axis=1) <= max_changes]
    total = parts.sum(axis=1) if norm == "l1" else np.sqrt((parts**2).sum(axis=1))
    return total.min(initial=math.inf)


@pytest.mark.parametrize("max_changes", [None, 2])
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_mean_excess_over_the_optimum_is_small(norm, max_changes):
    excess, missed, solvable = {"smooth": [], "quantized": []}, 0, 0
    for seed in range(3):
        X, models = drawn_models(seed)
        for name, model in models.items():
            kind = "quantized" if "bits" in name else "smooth"
            rules = ActionSet(**RULES, max_changes=max_changes)
            space = as_predictor(model).space
            actions = rules.compile(space)
            cost = compile_cost(actions, cost=norm)
            weights = dict(zip(actions.feature_names, cost.feature_weights.tolist(), strict=True))
            scales = {name: abs(space.block(name).scale) for name in NUMBERS}
            people = X[model.predict(X) == 0].head(15)
            rows = favorable_rows(model, X)
            # The search is judged on the linear model too, where "auto" would be exact.
            solver = RecourseSolver(rules, method="gradient", target=1, cost=norm, random_state=0)
            result = solver.solve(model, people)
            for i in range(len(people)):
                best = optimal_cost(
                    rows, people.iloc[i], weights, scales, norm, max_changes or len(X.columns)
                )
                if math.isinf(best):
                    assert result.status[i] == "not_found"
                    continue
                solvable += 1
                missed += result.status[i] != "feasible"
                if result.status[i] == "feasible":
                    assert result.cost[i] >= best * (1 - 1e-9)
                    excess[kind].append(result.cost[i] / best - 1)
    assert np.mean(excess["smooth"]) <= 0.02
    # Few-bit networks are piecewise constant: there gradients say little.
    assert np.mean(excess["quantized"]) <= 0.06
    assert missed <= 0.01 * solvable


@pytest.mark.parametrize("cost", ["l1", "l2"])
@pytest.mark.parametrize("name", ["linear", "network", "4 bits", "2 bits"])
def test_auto_is_never_dearer_than_another_method(name, cost):
    X, models = drawn_models(0)
    rules = ActionSet(steps=dict.fromkeys(NUMBERS, 0), max_changes=3)
    solver = RecourseSolver(rules, cost=cost, target=1, random_state=0, perturbation_radius=0.0)
    people = X[models[name].predict(X) == 0].head(15)

    def costs(method):
        result = solver.set_params(method=method).solve(models[name], people, background=X)
        return np.where(result.valid, result.cost, np.inf)

    blind = costs("black_box")
    # What auto takes where it does not prove is asked by itself too.
    for method in ("auto", BOTH_WAYS):
        assert (costs(method) <= blind * (1 + 1e-6)).all()


def test_a_network_that_is_not_proved_is_asked_by_both_searches():
    X, y = draw_table(1)
    mlp = MLPClassifier((16, 16), "tanh", learning_rate_init=0.02, random_state=0, tol=1.0)
    smooth = make_pipeline(TableEncoder(), mlp.set_params(n_iter_no_change=60)).fit(X, y)
    rules = ActionSet(steps=dict.fromkeys(NUMBERS, 0), max_changes=3)
    solver = RecourseSolver(rules, cost="l2", target=1, random_state=0, perturbation_radius=0.0)
    people = X[smooth.predict(X) == 0].head(60)
    cost = {
        method: solver.set_params(method=method).solve(smooth, people, background=X).cost
        for method in ("auto", "gradient", "black_box")
    }
    assert (cost["auto"] <= cost["black_box"] * (1 + 1e-6)).all()
    assert (cost["gradient"] > cost["black_box"] * (1 + 1e-6)).any()
