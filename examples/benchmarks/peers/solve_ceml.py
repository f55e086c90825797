"""ceml: one convex program a person, as it comes ("plain") or with the box added ("box")."""

from __future__ import annotations

import logging

import numpy as np
from ceml.sklearn.softmaxregression import SoftmaxCounterfactual
from protocol import Problem, one_by_one, serve
from sklearn.linear_model import LogisticRegression


class InBox(SoftmaxCounterfactual):
    """ceml's own program, with the bounds that it offers no parameter for."""

    def __init__(self, model: LogisticRegression, low: np.ndarray, high: np.ndarray):
        super().__init__(model)
        self.low, self.high = low, high

    def _build_constraints(self, var_x, y):
        return [*super()._build_constraints(var_x, y), var_x >= self.low, var_x <= self.high]


class NothingFoundError(Exception):
    """ceml's program had no solution, or its solution was on the wrong side."""


def prepare(problem: Problem, variant: str):
    logging.disable(logging.WARNING)
    model = LogisticRegression(multi_class="multinomial")
    coef, intercept = problem.weights[0]
    model.coef_, model.intercept_, model.classes_ = coef.T, intercept, np.array([0, 1])
    moving = np.flatnonzero(problem.mutable).tolist()
    if variant == "box":
        # What is held stays where it is, inside or outside of the box.
        low = np.where(problem.mutable, problem.low, -1e3)
        high = np.where(problem.mutable, problem.high, 1e3)
        explainer, settings = InBox(model, low, high), {"solver": "ECOS", "epsilon": 1e-6}
    else:
        explainer, settings = SoftmaxCounterfactual(model), None

    def answer(row: np.ndarray) -> np.ndarray:
        try:
            point, _, _ = explainer.compute_counterfactual(
                row, 1, moving, "l1", optimizer="mp", optimizer_args=settings, return_as_dict=False
            )
        except Exception as error:  # ceml raises no narrower class
            if type(error) is Exception or "None" in str(error):
                raise NothingFoundError from error
            raise
        return point

    return one_by_one(answer, expected=(NothingFoundError,))


if __name__ == "__main__":
    serve(prepare, packages=["ceml", "cvxpy", "jax", "numpy"])
