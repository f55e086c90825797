"""treecf: branch and bound for one person on the trees themselves, as it comes."""

from __future__ import annotations

import numpy as np
import treecf
from protocol import Problem, one_by_one, serve


def prepare(problem: Problem, variant: str):
    # Rules go by the names that it gives the columns.
    names = treecf.Explainer(problem.model, problem.background).ir.feature_names
    box = zip(names, problem.mutable, problem.low, problem.high, strict=True)
    rules = [
        treecf.Range(name, float(low), float(high)) if moves else treecf.Freeze(name)
        for name, moves, low, high in box
    ]
    # Rows are in standard units already, so that a plain sum is the common cost.
    ones = dict.fromkeys(names, 1.0)
    explainer = treecf.Explainer(problem.model, constraints=rules, normalizers=ones)
    averages = hasattr(problem.model, "estimators_")
    target = (treecf.Target.raw if averages else treecf.Target.probability)(
        op=">=", value=0.5 + 1e-9
    )
    del variant

    def answer(row: np.ndarray) -> np.ndarray | None:
        found = explainer.explain(row, target, backend="exact", seed=0, time_budget_s=60.0)
        return getattr(found, "x_cf", None)

    return one_by_one(answer, expected=())


if __name__ == "__main__":
    serve(prepare, packages=["treecf", "scikit-learn", "numpy"])
