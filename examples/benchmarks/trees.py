"""Speed of proofs on ensembles of trees beside the black-box search, on one thread.

Refused test people of Adult, or of the generated table, are solved in batch by both, with the
table's own rules, and a few of them again one by one. Adult is read where `SKCFQ_DATA` is set.

    python examples/benchmarks/trees.py --models boosted forest --people 200
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from _clock import least_seconds, yardstick
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline

from skcfq import RecourseSolver, TableEncoder
from skcfq.datasets import fetch_adult, make_credit
from skcfq.models import as_predictor

MODELS = {
    "boosted": HistGradientBoostingClassifier(early_stopping=False, random_state=0),
    "boosted, 200": HistGradientBoostingClassifier(
        max_iter=200, early_stopping=False, random_state=0
    ),
    "forest": RandomForestClassifier(100, max_depth=8, random_state=0),
    "full forest": RandomForestClassifier(100, random_state=0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["boosted", "forest"], choices=MODELS)
    parser.add_argument("--people", type=int, default=200, help="refused people, at most")
    parser.add_argument("--alone", type=int, default=20, help="of them one by one")
    given = parser.parse_args()
    torch.set_num_threads(1)
    real = "SKCFQ_DATA" in os.environ
    table = fetch_adult() if real else make_credit(4000, random_state=0)
    X, y = (part.iloc[table.train_indices] for part in (table.data, table.target))
    tested = table.data.iloc[table.test_indices]
    head = ("model", "people", "proved", "ms", "alone", "predict", "search", "dearer", "lost")
    print("".join(f"{word:>13}" for word in head))
    for name in given.models:
        model = make_pipeline(TableEncoder(), MODELS[name]).fit(X, y)
        refused = tested[model.predict(tested) != table.favorable].head(given.people)
        print_row(name, table, as_predictor(model, background=X), refused, given.alone)


def ratios() -> dict[str, float]:
    """Return the seconds of proofs in batch over the yardstick."""
    table = make_credit(2000, random_state=0)
    X, found = table.data, {}
    for name in ("boosted", "forest"):
        model = make_pipeline(TableEncoder(), MODELS[name]).fit(X, table.target)
        refused = X[model.predict(X) != table.favorable].head(60)
        predictor = as_predictor(model, background=X)
        run = partial(timed_solve, "auto", table, predictor, refused)
        found[f"{name}, 60 people / yardstick"] = least_seconds(run, 2) / yardstick()
    return found


def print_row(name: str, table: Any, model: Any, refused: Any, alone: int) -> None:
    # One person more first: what is loaded and read once is not counted.
    timed_solve("auto", table, model, refused.head(1))
    exact, seconds = timed_solve("auto", table, model, refused)
    search, longer = timed_solve("black_box", table, model, refused)
    proved = np.isin(exact.status, ["optimal", "infeasible"]).mean()
    both = exact.reachable & search.reachable
    dearer = (search.cost[both] > exact.cost[both] * 1.01).mean()
    lost = (exact.reachable & ~search.reachable).sum()
    each = [timed_solve("auto", table, model, refused.iloc[[i]])[1] for i in range(alone)]
    begin = time.process_time()
    model.model.predict_proba(refused.head(1))
    predict = time.process_time() - begin
    numbers = [1e3 * seconds / len(refused), 1e3 * np.median(each), 1e3 * predict]
    cells = [f"{name:>13}{len(refused):>13}{proved:>13.3f}"]
    cells += [f"{number:>13.1f}" for number in (*numbers, 1e3 * longer / len(refused))]
    print("".join([*cells, f"{dearer:>13.3f}{lost:>13}"]), flush=True)


def timed_solve(method: str, table: Any, model: Any, people: Any) -> tuple[Any, float]:
    solver = RecourseSolver(table.action_set, target=table.favorable, method=method, random_state=0)
    start = time.process_time()
    result = solver.solve(model, people)
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
