"""Adult at 4 bits on the paper's split: CFQ, LSQ-QAT, and LSQ-QAT with a bias (cf. Table 1).

Every row has the same weight bits, one teacher a seed, the gradient search at margin 0 and the same
refused test rows; activations have 8 bits, under the paper's objective those of the weights. Two
columns say how far the figures can be believed: the *noise* of the solver (the teacher against
itself, another seed of the solver), and a *baseline*: LSQ-QAT with one bias on the target logit,
chosen on training recourse points, that equals CFQ's validity drop. What training adds is the
difference in |CRG| at that validity drop.

    SKCFQ_DATA=../shared/data python examples/paper/adult_budget_4.py --seeds 3
"""

from __future__ import annotations

import argparse
from typing import Any

import pandas as pd
import torch
from _protocol import draw_refused, measure
from sklearn.frozen import FrozenEstimator

from skcfq import CFQClassifier, QATClassifier, RecourseSolver, TeacherClassifier
from skcfq.datasets import fetch_adult
from skcfq.estimators import Quantizer, bias_for_validity_drop, with_logit_bias
from skcfq.metrics import (
    counterfactual_recourse_gap,
    validity_drop,
)

PAPER = (
    "Paper, Table 1 (its protocol is not fully stated): LSQ-QAT VD 0.163, CRG 0.218; "
    "CFQ VD 0.061, CRG 0.071."
)


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    adult = fetch_adult()
    tables = []
    for seed in range(options.seeds):
        tables.append(run_seed(adult, seed, options))
        print(f"seed {seed}\n{tables[-1].round(3).to_string()}\n", flush=True)
    every = pd.concat(tables, keys=range(len(tables)), names=["seed", "model"])
    mean, spread = (
        getattr(every.groupby("model", sort=False), how)().round(3) for how in ("mean", "std")
    )
    print(
        f"Adult, official split, {options.seeds} seeds (mean, then sd), {options.people} refused "
        f"test rows a seed, budget {options.budget:g}, activations "
        f"{options.activation_bits} (paper's objective: as weights), inputs "
        f"{Quantizer().input_bits}, gradient search at margin 0"
    )
    print(mean.to_string(), spread.to_string(), PAPER, sep="\n\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=4)
    parser.add_argument(
        "--activation-bits", type=int, default=8, help="of all rows but the paper's"
    )
    parser.add_argument("--people", type=int, default=2000, help="refused rows that are solved")
    return parser.parse_args()


def run_seed(adult: Any, seed: int, options: argparse.Namespace) -> pd.DataFrame:
    train, test = adult.train_indices, adult.test_indices
    X, y = adult.data.iloc[train], adult.target.iloc[train]
    X_test, y_test = adult.data.iloc[test], adult.target.iloc[test]
    teacher = TeacherClassifier(max_iter=30, random_state=seed).fit(X, y)
    shared = {
        "teacher": FrozenEstimator(teacher),
        "action_set": adult.action_set,
        "target": adult.favorable,
        "quantizer": Quantizer(activation_bits=options.activation_bits),
        "random_state": seed,
    }
    models: dict[str, Any] = {
        "LSQ-QAT": QATClassifier(options.budget, **shared).fit(X, y),
        "CFQ": CFQClassifier(options.budget, **shared).fit(X, y),
        "CFQ, paper's objective": CFQClassifier(
            options.budget,
            objective="paper",
            **{**shared, "quantizer": Quantizer(activation_bits=None)},
        ).fit(X, y),
    }
    solver = RecourseSolver(adult.action_set, target=adult.favorable, random_state=seed)
    advice = solver.solve(teacher, draw_refused(teacher, adult.favorable, X, seed, options.people))
    bias = bias_for_validity_drop(
        models["LSQ-QAT"], advice, validity_drop(teacher, models["CFQ"], advice)
    )
    models["LSQ-QAT + bias"] = with_logit_bias(models["LSQ-QAT"], adult.favorable, bias)
    people = draw_refused(teacher, adult.favorable, X_test, seed, options.people)
    rows = {"teacher": measure(teacher, teacher, people, X_test, y_test, solver)}
    rows["teacher"]["noise"] = solver_noise(teacher, people, solver)
    for name, model in models.items():
        rows[name] = measure(teacher, model, people, X_test, y_test, solver)
    return pd.DataFrame(rows).T


def solver_noise(teacher: Any, people: pd.DataFrame, solver: RecourseSolver) -> float:
    """Mean absolute gap between two solves of one model that differ in their seed alone."""
    other = RecourseSolver(solver.action_set, target=solver.target, random_state=10_000)
    return counterfactual_recourse_gap(solver.solve(teacher, people), other.solve(teacher, people))


if __name__ == "__main__":
    main()
