"""Defaults alone, on every table of the library and on generated ones: one line a table and seed.

SKCFQ_DATA=../shared/data python examples/paper/unseen.py
SKCFQ_DATA=../shared/data python examples/paper/unseen.py --tables german "heavy tails" --seeds 1
python examples/paper/unseen.py --quick

No setting is that of a table: no width, budget, objective, teacher or seed is chosen on any. Beside
what the fit itself expects (``margin_error_`` and ``expected_recourse_gap_``, read off held-out
training people) stands what is measured on refused test people, at margin 0. The *control* is
LSQ-QAT with the same teacher and the one bias that loses exactly as many of these very test people
as CFQ does, which nobody knows beforehand. The columns behind ``advice`` are those of the same
network without its bias, where advice with a margin keeps the promise instead.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _generated import GENERATED, make_scores
from _protocol import DATASETS, draw_refused, split
from sklearn.frozen import FrozenEstimator

from skcfq import CFQClassifier, QATClassifier, RecourseSolver
from skcfq.datasets import fetch_bank_marketing, fetch_default_credit, make_credit
from skcfq.estimators import bias_for_validity_drop, with_logit_bias
from skcfq.exceptions import RecourseGapWarning
from skcfq.metrics import counterfactual_recourse_gap, validity_drop

TABLES = {
    **{name: DATASETS[name] for name in ("adult", "compas", "german")},
    "bank": fetch_bank_marketing,
    "default": fetch_default_credit,
    **{f"credit {n}": lambda n=n: make_credit(n, random_state=0) for n in (500, 2000, 8000)},
    **GENERATED,
}
QUICK = {"quick": lambda: make_scores(300, 5, 0, steps=0.25)}
GAPS = {"|CRG|": "absolute", "signed": "signed", "ratio": "ratio"}


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    # What it says stands in the table.
    warnings.simplefilter("ignore", RecourseGapWarning)
    rows = []
    for name in options.tables:
        data = {**TABLES, **QUICK}[name]()
        for seed in range(options.seeds):
            rows.append({"table": name, "seed": seed, **row_of(data, seed, options)})
            print(pd.DataFrame(rows[-1:]).round(3).to_string(index=False, header=len(rows) == 1))
            if options.out:
                pd.DataFrame(rows).to_csv(options.out, index=False)
    print(
        f"\nMean ± sd over seeds; up to {options.people} refused test people, margin 0; "
        f"CFQClassifier({options.budget:g}, action_set=..., target=..., random_state=seed), "
        "nothing else\n"
    )
    print(markdown(pd.DataFrame(rows)))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--people", type=int, default=400, help="refused test rows that are solved")
    parser.add_argument("--budget", type=float, default=4, help="8 shows what bits cannot mend")
    parser.add_argument("--quick", action="store_true", help="one small table, one short fit")
    parser.add_argument("--out", type=Path, help="write every line into this CSV file")
    options = parser.parse_args()
    if options.quick:
        options.tables, options.seeds, options.people = list(QUICK), 1, 30
    return options


def row_of(data: Any, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Fit the defaults on the training rows of a table, and measure on its test rows."""
    X, y, X_test, y_test = split(data, seed)
    given: dict[str, Any] = {
        "action_set": data.action_set,
        "target": data.favorable,
        "random_state": seed,
        "budget": options.budget,
    }
    if options.quick:
        given |= {"hidden_layer_sizes": (4,), "max_iter": 2}
    began = time.process_time()
    cfq = CFQClassifier(**given).fit(X, y)
    seconds = time.process_time() - began
    teacher, wanted = cfq.teacher_, data.favorable
    control = QATClassifier(teacher=FrozenEstimator(teacher), **given).fit(X, y)
    solver = RecourseSolver(data.action_set, target=wanted, margin=0.0, random_state=seed)
    people = draw_refused(teacher, wanted, X_test, seed, options.people)
    advice, own = solver.compare(teacher, cfq, people)
    drop = validity_drop(teacher, cfq, advice)
    found = {
        "accuracy": cfq.score(X_test, y_test),
        "- teacher's": cfq.score(X_test, y_test) - teacher.score(X_test, y_test),
        "accepted": np.mean(cfq.predict(X_test) == wanted),
        "by teacher": np.mean(teacher.predict(X_test) == wanted),
    }
    if np.isnan(drop):
        # The teacher advises nobody: a label that is rare may be one that it never gives.
        return {**found, "fit s": seconds}
    control = with_logit_bias(control, wanted, bias_for_validity_drop(control, advice, drop))
    unbiased = with_logit_bias(cfq, wanted, -cfq.logit_bias_)
    costs = cfq.promise_costs_.loc["advice"]
    return {
        **found,
        "VD": drop,
        **{name: counterfactual_recourse_gap(advice, own, kind=how) for name, how in GAPS.items()},
        "sigma": cfq.margin_error_,
        "expected": cfq.expected_recourse_gap_,
        "control": gap_of(solver, teacher, control, people),
        "control accepts": np.mean(control.predict(X_test) == wanted),
        "advice: |CRG|": gap_of(solver, teacher, unbiased, people),
        "VD at margin": drop_at(solver, teacher, unbiased, people, costs["recourse_margin"]),
        "dearer by": costs["extra_cost"],
        "proved": np.mean(np.isin(advice.status, ["optimal", "infeasible"])),
        "fit s": seconds,
    }


def markdown(lines: pd.DataFrame) -> str:
    """Return the mean and the standard deviation of every column, one row a table."""
    columns = [name for name in lines.columns if name not in ("table", "seed")]
    rows = ["| table | seeds | " + " | ".join(name.replace("|", "\\|") for name in columns) + " |"]
    rows.append("|" + "---|" * (len(columns) + 2))
    for name, part in lines.groupby("table", sort=False):
        spread = part[columns].std().fillna(0.0)
        cells = [f"{part[one].mean():.3f} ± {spread[one]:.3f}" for one in columns]
        rows.append(f"| {name} | {len(part)} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def gap_of(solver: RecourseSolver, teacher: Any, model: Any, people: pd.DataFrame) -> float:
    return counterfactual_recourse_gap(*solver.compare(teacher, model, people))


def drop_at(
    solver: RecourseSolver, teacher: Any, model: Any, people: pd.DataFrame, margin: float
) -> float:
    """Return the validity drop of advice that has a margin; NaN where none was found."""
    if np.isnan(margin):
        return float("nan")
    safe = RecourseSolver(**{**solver.get_params(deep=False), "margin": margin})
    return validity_drop(teacher, model, safe.solve(teacher, people))


if __name__ == "__main__":
    main()
