"""skcfq: `"exact"`, the linear program, and the searches; all people at once, or one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from protocol import Problem, serve
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from skcfq import ActionSet, RecourseSolver
from skcfq.models import as_predictor

# Ends a variant in which each person is a call of its own.
_ALONE = ", one by one"


def prepare(problem: Problem, variant: str):
    torch.set_num_threads(1)
    model = as_predictor(rebuild(problem), background=problem.background)
    moving = np.flatnonzero(problem.mutable).tolist()
    box = {j: (float(problem.low[j]), float(problem.high[j])) for j in moving}
    action_set = ActionSet(immutable=np.flatnonzero(~problem.mutable).tolist(), bounds=box)
    # Rows are in standard units already, so that a plain sum is the common cost.
    method = variant.removesuffix(_ALONE)
    # The others leave no margin for a copy in single precision, which ours do by default.
    solver = RecourseSolver(
        action_set, method=method, cost_weights="uniform", margin=0.0, random_state=0
    )

    def solve(rows: np.ndarray) -> np.ndarray:
        result = solver.solve(model, rows)
        # What an exact method did not prove must not pass for the optimum.
        searches = method in ("gradient", "black_box")
        kept = result.reachable if searches else result.status == "optimal"
        result.points[~kept] = np.nan
        return result.points

    def solve_alone(rows: np.ndarray) -> np.ndarray:
        return np.vstack([solve(row[None]) for row in rows])

    return solve_alone if variant.endswith(_ALONE) else solve


def rebuild(problem: Problem) -> Any:
    if problem.model is not None:
        return problem.model
    labels = np.arange(len(problem.background)) % 2
    if problem.linear:
        model = LogisticRegression(max_iter=1, tol=1e9).fit(problem.background, labels)
        coef, intercept = problem.weights[0]
        model.coef_, model.intercept_ = coef.T, intercept
        return model
    hidden = [len(intercept) for _, intercept in problem.weights[:-1]]
    model = MLPClassifier(hidden, max_iter=1, tol=1e9, n_iter_no_change=1, random_state=0)
    model.partial_fit(problem.background, labels, classes=[0, 1])
    model.coefs_ = [coef for coef, _ in problem.weights]
    model.intercepts_ = [intercept for _, intercept in problem.weights]
    return model


if __name__ == "__main__":
    serve(prepare, packages=["skcfq", "torch", "numpy"], batch=1_000_000)
