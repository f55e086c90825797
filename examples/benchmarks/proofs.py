"""Speed of proofs on networks beside the gradient search, on one thread.

Refused test people of each table are solved in batch by both, and a few of them again one by one.
Students are trained here. Real tables are read where `SKCFQ_DATA` is set.

    python examples/benchmarks/proofs.py --tables generated --models teacher 4 --people 300

With `--continuous`, so many columns of the generated table may move, all of them without a grid.

    python examples/benchmarks/proofs.py --continuous 2 4 6 8 --models teacher 4 --people 20
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch

from skcfq import (
    ActionSet,
    CFQClassifier,
    PTQClassifier,
    RecourseSolver,
    TeacherClassifier,
)
from skcfq.datasets import (
    fetch_adult,
    fetch_bank_marketing,
    fetch_compas,
    fetch_default_credit,
    fetch_german_credit,
    make_credit,
)

TABLES = {
    "generated": lambda: make_credit(4000, random_state=0),
    "german": fetch_german_credit,
    "compas": fetch_compas,
    "adult": fetch_adult,
    "bank": fetch_bank_marketing,
    "default": fetch_default_credit,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = list(TABLES) if "SKCFQ_DATA" in os.environ else ["generated"]
    parser.add_argument("--tables", nargs="+", default=known, choices=TABLES)
    parser.add_argument("--models", nargs="+", default=["teacher", "4"], help="teacher, or bits")
    parser.add_argument("--people", type=int, default=300, help="refused people, at most")
    parser.add_argument("--alone", type=int, default=40, help="of them one by one")
    parser.add_argument("--continuous", nargs="+", type=int, help="columns without a grid")
    parser.add_argument("--norm", default="l1", choices=["l1", "l2"], help="of --continuous")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.continuous:
        print_continuous(given.continuous, given.models, given.people, given.norm)
        return
    head = ("table", "model", "people", "proved", "people/s", "gradient", "dearer", "<=1s", "max s")
    print("".join(f"{word:>11}" for word in head))
    for name in given.tables:
        table = TABLES[name]()
        X, y = (part.iloc[table.train_indices] for part in (table.data, table.target))
        teacher = TeacherClassifier(random_state=0).fit(X, y)
        for kind in given.models:
            model = teacher if kind == "teacher" else fit_student(table, teacher, X, y, int(kind))
            print_row(name, kind, table, model, given.people, given.alone)


# In this order they are let loose.
FREE = ["income", "loan_amount", "savings", "loan_duration"]
FREE += ["years_employed", "open_loans", "missed_payments", "age"]


def print_continuous(counts: list[int], models: list[str], people: int, norm: str) -> None:
    table = make_credit(4000, random_state=0)
    X = table.data.copy()
    rng = np.random.RandomState(0)
    for name in FREE:
        # No whole numbers are left.
        X[name] = X[name] + rng.uniform(-0.4, 0.4, len(X))
    train, test = X.iloc[table.train_indices], X.iloc[table.test_indices]
    y = table.target.iloc[table.train_indices]
    teacher = TeacherClassifier(random_state=0).fit(train, y)
    head = ("model", "columns", "people", "proved", "median s", "p90 s", "max s", "other gaps")
    print("".join(f"{word:>11}" for word in head))
    for kind in models:
        model = teacher
        if kind != "teacher":
            model = PTQClassifier(
                int(kind), teacher=FrozenEstimator(teacher), target=table.favorable, random_state=0
            ).fit(train, y)
        refused = test[model.predict(test) != table.favorable].head(people)
        for count in counts:
            rules = ActionSet(immutable=[name for name in X if name not in FREE[:count]])
            given = Bunch(action_set=rules, favorable=table.favorable)
            each = [
                timed_solve(
                    "exact",
                    given,
                    model,
                    refused.iloc[[i]],
                    cost=norm,
                    margin=0.0,
                )
                for i in range(len(refused))
            ]
            seconds = np.array([second for _, second in each])
            status = np.array([result.status[0] for result, _ in each])
            gaps = np.array([result.gap[0] for result, _ in each])
            proved = np.isin(status, ["optimal", "infeasible"])
            cells = [f"{kind:>11}{count:>11}{len(refused):>11}{proved.mean():>11.3f}"]
            cells += [f"{np.quantile(seconds, share):>11.2f}" for share in (0.5, 0.9, 1.0)]
            cells += ["  ", ", ".join(f"{gap:.2g}" for gap in gaps[~proved])]
            print("".join(cells), flush=True)


def fit_student(table: Any, teacher: Any, X: Any, y: Any, bits: int) -> CFQClassifier:
    return CFQClassifier(
        budget=bits,
        teacher=FrozenEstimator(teacher),
        action_set=table.action_set,
        target=table.favorable,
        random_state=0,
    ).fit(X, y)


def print_row(name: str, kind: str, table: Any, model: Any, people: int, alone: int) -> None:
    tested = table.data.iloc[table.test_indices]
    refused = tested[model.predict(tested) != table.favorable].head(people)
    # One person more first: what is loaded once is not counted.
    timed_solve("exact", table, model, refused.head(1))
    exact, seconds = timed_solve("exact", table, model, refused)
    search, longer = timed_solve("gradient", table, model, refused)
    proved = np.isin(exact.status, ["optimal", "infeasible"]).mean()
    least = np.where(exact.reachable, exact.cost, np.inf)
    found = np.where(search.reachable, search.cost, np.inf)
    dearer = (found > least * (1 + 1e-9)).mean()
    each = [timed_solve("exact", table, model, refused.iloc[[i]])[1] for i in range(alone)]
    cells = [f"{name:>11}{kind:>11}{len(refused):>11}{proved:>11.3f}"]
    cells += [f"{len(refused) / seconds:>11.0f}{len(refused) / longer:>11.0f}{dearer:>11.3f}"]
    cells += [f"{np.mean(np.array(each) <= 1):>11.3f}{max(each):>11.2f}"]
    print("".join(cells), flush=True)


def timed_solve(method: str, table: Any, model: Any, people: Any, **more: Any) -> tuple[Any, float]:
    solver = RecourseSolver(
        table.action_set,
        target=table.favorable,
        method=method,
        perturbation_radius=0.0,
        random_state=0,
        **more,
    )
    start = time.process_time()
    result = solver.solve(model, people)
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
