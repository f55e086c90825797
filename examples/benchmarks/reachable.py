"""Share of the refused who can reach the target under each table's own action set.

Rules under which hardly anybody has recourse measure nothing. A logistic regression is solved
exactly, a network with two hidden layers of 64 by the gradient search, for refused test rows drawn
at random. Real tables are read where `SKCFQ_DATA` is set.

    python examples/benchmarks/reachable.py --people 300
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import RecourseSolver, TableEncoder, TeacherClassifier, datasets

TABLES = {
    "fetch_adult": {},
    "fetch_german_credit": {},
    "fetch_compas": {},
    "fetch_bank_marketing": {},
    "fetch_default_credit": {},
    "make_credit": {"n_samples": 4000, "random_state": 0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=300, help="refused test rows a table")
    options = parser.parse_args()
    print("| table | logistic regression | network |\n|---|---|---|")
    for name, settings in TABLES.items():
        table = getattr(datasets, name)(**settings)
        linear = make_pipeline(TableEncoder(), LogisticRegression(max_iter=2000))
        shares = [
            f"{share_of(model, table, options.people):.3f}"
            for model in (linear, TeacherClassifier(max_iter=30, random_state=0))
        ]
        print(f"| `{name}` | {' | '.join(shares)} |", flush=True)


def share_of(model: Any, table: Any, n_people: int) -> float:
    """Fit a model, and return the share of the people whom it refuses that has recourse."""
    train, test = table.data.iloc[table.train_indices], table.data.iloc[table.test_indices]
    model.fit(train, table.target.iloc[table.train_indices])
    refused = np.flatnonzero(model.predict(test) != table.favorable)
    people = np.sort(np.random.RandomState(0).permutation(refused)[:n_people])
    solver = RecourseSolver(table.action_set, target=table.favorable, random_state=0)
    return float(solver.solve(model, test.iloc[people]).reachable.mean())


if __name__ == "__main__":
    main()
