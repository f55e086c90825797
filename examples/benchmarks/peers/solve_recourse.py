"""actionable-recourse: one mixed-integer program a person, on a grid of 100 steps a feature."""

from __future__ import annotations

import numpy as np
import pandas as pd
from protocol import Problem, one_by_one, serve
from recourse import ActionSet, RecourseBuilder


def prepare(problem: Problem, variant: str):
    names = [f"x{j}" for j in range(problem.X.shape[1])]
    box = {
        name: (float(low), float(high), "absolute")
        for name, low, high in zip(names, problem.low, problem.high, strict=True)
    }
    frame = pd.DataFrame(problem.background, columns=names)
    actions = ActionSet(frame, custom_bounds=box)
    for name, moves in zip(names, problem.mutable, strict=True):
        actions[name].actionable = bool(moves)
        # Its costs are differences of percentiles; of the values themselves, they are the common
        # cost, so that it minimizes what it is judged by.
        actions[name]._interpolator = np.asarray
    coef, intercept = problem.weights[0]
    actions.set_alignment(coefficients=coef[:, 0], intercept=float(intercept[0]))

    def answer(row: np.ndarray) -> np.ndarray | None:
        builder = RecourseBuilder(
            action_set=actions,
            x=row,
            coefficients=coef[:, 0],
            intercept=float(intercept[0]),
            mip_cost_type="total",
            solver=variant,
        )
        found = builder.fit()
        return row + found["actions"] if found["feasible"] else None

    return one_by_one(answer, expected=())


if __name__ == "__main__":
    serve(prepare, packages=["actionable-recourse", "mip", "cplex", "numpy", "scikit-learn"])
