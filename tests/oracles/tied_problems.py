"""Linear models, people and rules of all kinds, rules across features among them."""

from __future__ import annotations

import numpy as np
from raw_oracle import draw_rows, draw_rules
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder

FEATURES = ["a", "b", "f", "c", "e"]


def draw_problem(seed: int, *, across: bool, n_classes: int = 2):
    """Return a linear model, rows, rules and cost weights; most people are refused."""
    rng = np.random.RandomState(seed)
    X = draw_rows(rng, 250)
    score = 0.5 * X["a"] + 0.3 * X["b"] + 0.6 * X["f"] + X["e"].map({"lo": 0, "mid": 1}).fillna(2)
    score += X["c"].map({"w": 0, "x": 1, "y": -1, "z": 2}) - 0.05 * X["age"] + rng.randn(250)
    cuts = np.quantile(score, [0.85] if n_classes == 2 else [0.5, 0.85])
    model = make_pipeline(TableEncoder(), LogisticRegression(max_iter=500))
    model.fit(X, np.searchsorted(cuts, score))
    # Coefficients of their own size make boxes matter: no single feature does it all.
    head = model[-1]
    head.coef_ = head.coef_ * rng.uniform(0.2, 1.2, head.coef_.shape)
    rules = draw_rules(rng, across=across)
    return model, X, rules, dict(zip(FEATURES, rng.uniform(0.4, 2.5, 5).tolist(), strict=True))


def solve(model, X, rules, weights, norm, method):
    solver = RecourseSolver(
        ActionSet(**rules),
        target=model.classes_[-1],
        cost=norm,
        cost_weights=weights,
        method=method,
    )
    return solver.solve(model, X)
