"""The choice of eta and lambda on validation rows (§4.2), by two rules, and what each gives.

SKCFQ_DATA=../shared/data python examples/paper/select_eta.py --data german
python examples/paper/select_eta.py --quick

The search sees training rows only: a share of them validates. The paper takes the most accurate
pair; the other rule takes the smallest validity drop among those within a tolerance of it, which is
the same pair where the tolerance is less than one validation row. The budget is met by every
candidate, because the widths are allocated under it.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from _protocol import DATASETS, draw_refused, measure, split
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from skcfq import CFQClassifier, RecourseSolver, TeacherClassifier
from skcfq.estimators import CFQObjective, LearnedBits, Quantizer
from skcfq.metrics import RecourseScorer, select_faithful

ETAS = [0.25, 0.5, 1.0, 2.0]
LAMBDAS = [1e-4, 1e-3, 1e-2, 1e-1]
SHOWN = ["accuracy", "validity_drop", "recourse_gap", "signed_recourse_gap"]
COLUMNS = ["accuracy", "accuracy - teacher", "VD", "|CRG|", "CRG", "average bits"]


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    data = DATASETS[options.data]()
    X, y, X_test, y_test = split(data, options.seed)
    solver = RecourseSolver(data.action_set, target=data.favorable, random_state=options.seed)
    scorer = RecourseScorer(SHOWN[1:], solver=solver, max_people=options.people)

    def scores(model, X, y):
        return {"accuracy": model.score(X, y), **scorer(model, X)}

    model = CFQClassifier(
        options.budget,
        objective=CFQObjective.preset("paper"),
        action_set=data.action_set,
        target=data.favorable,
        teacher=TeacherClassifier(max_iter=options.passes),
        bit_policy=LearnedBits(),
        quantizer=Quantizer(activation_bits=None),
        max_iter=options.passes,
        random_state=options.seed,
    )
    search = GridSearchCV(
        model,
        {"objective__eta": options.etas, "bit_policy__penalty": options.lambdas},
        scoring=scores,
        refit=partial(select_faithful, tolerance=options.tolerance),
        cv=StratifiedShuffleSplit(options.splits, test_size=0.25, random_state=options.seed),
        error_score="raise",
    ).fit(X, y)
    table = pd.DataFrame(search.cv_results_).rename(columns=lambda name: name.split("__")[-1])
    table = table.rename(columns={f"mean_test_{name}": name for name in SHOWN})
    table = table.rename(columns={"penalty": "lambda"})
    table[SHOWN[1:]] *= -1
    print(f"{options.data}, validation, budget {options.budget:g}, {options.splits} splits")
    table[SHOWN] = table[SHOWN].round(3)
    print(table[["eta", "lambda", *SHOWN]].to_string(index=False))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table[["eta", "lambda", *SHOWN]].to_csv(options.out, index=False)

    most_accurate = int(search.cv_results_["rank_test_accuracy"].argmin())
    chosen = {
        "largest accuracy (paper)": clone(model).set_params(
            **search.cv_results_["params"][most_accurate]
        ),
        f"smallest VD within {options.tolerance:g}": search.best_estimator_,
        "eta = 1, default lambda": clone(model),
    }
    people = None
    rows = []
    for rule, one in chosen.items():
        fitted = one if one is search.best_estimator_ else one.fit(X, y)
        if people is None:
            teacher = fitted.teacher_
            people = draw_refused(teacher, data.favorable, X_test, options.seed, options.people)
        figures = measure(teacher, fitted, people, X_test, y_test, solver)
        pair = {"eta": fitted.objective.eta, "lambda": fitted.bit_policy.penalty}
        rows.append({"rule": rule, **pair, **{name: figures[name] for name in COLUMNS}})
    print(f"\ntest, {len(people)} refused rows, fitted on all training rows")
    print(pd.DataFrame(rows).round(dict.fromkeys(COLUMNS, 3)).to_string(index=False))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATASETS, default="german")
    parser.add_argument("--budget", type=float, default=4)
    parser.add_argument("--splits", type=int, default=1, help="validation splits that are averaged")
    parser.add_argument("--tolerance", type=float, default=0.005, help="of the accuracy")
    parser.add_argument("--etas", type=float, nargs="+", default=ETAS)
    parser.add_argument("--lambdas", type=float, nargs="+", default=LAMBDAS)
    parser.add_argument("--passes", type=int, help="over the data; enough by default")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="generated table, four pairs")
    parser.add_argument("--out", type=Path, default=Path("build/select_eta.csv"))
    options = parser.parse_args()
    if options.quick:
        options.data, options.people, options.passes = "generated", 60, 10
        options.etas, options.lambdas = ETAS[::3], LAMBDAS[::3]
    return options


if __name__ == "__main__":
    main()
