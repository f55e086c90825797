"""What a first fit costs: processor seconds of the defaults by the size of the table, one thread.

Each line fits, on the same rows and with the same seeds, teachers included: `CFQClassifier()`, the
same without rounding again (quick) and with three rounds of it (thorough), and `QATClassifier()`.
sigma is the `margin_error_` of held-out people. Adult is read where `SKCFQ_DATA` is set.

    python examples/benchmarks/fits.py --rows 150 600 2000
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from functools import partial
from typing import Any

import pandas as pd
import torch
from _clock import least_seconds, yardstick
from sklearn.utils import Bunch

from skcfq import CFQClassifier, QATClassifier
from skcfq.datasets import fetch_adult, make_credit

# Knobs of the rounding that follows the training: 0 rounds for quick, 3 for thorough.
# Tables of more rows are fitted once.
MANY = 10_000
ROUNDS = {"CFQ": True, "quick": False, "thorough": 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=int, default=[150, 600, 2000])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    tables = {f"credit, {n} rows": make_credit(n, random_state=0) for n in options.rows}
    if "SKCFQ_DATA" in os.environ:
        tables["adult"] = training_rows(fetch_adult())
    fits = [
        {"table": name, "rows": len(table.data), **seconds_of(table, seed)}
        for name, table in tables.items()
        for seed in range(options.seeds if len(table.data) < MANY else 1)
    ]
    means = pd.DataFrame(fits).groupby("table", sort=False).mean()
    print(means.round(3).to_string())


def ratios() -> dict[str, float]:
    """Return the seconds of the default fits of small tables over the yardstick."""
    found = {}
    for n_rows in (150, 600):
        table = make_credit(n_rows, random_state=0)
        rules = {"action_set": table.action_set, "target": table.favorable, "random_state": 0}
        for kind in (CFQClassifier, QATClassifier):
            taken = least_seconds(partial(kind(**rules).fit, table.data, table.target))
            found[f"{kind.__name__}, {n_rows} rows / yardstick"] = taken / yardstick()
    return found


def training_rows(table: Any) -> Any:
    """Return a table without its official test rows."""
    rows = table.train_indices
    return Bunch(**{**table, "data": table.data.iloc[rows], "target": table.target.iloc[rows]})


def seconds_of(table: Any, seed: int) -> dict[str, float]:
    """Return the processor seconds of each fit, and the errors that are left."""
    rules = {"action_set": table.action_set, "target": table.favorable, "random_state": seed}
    models = {
        name: CFQClassifier(**rules).set_params(objective__finish__rounding=rounds)
        for name, rounds in ROUNDS.items()
    }
    models["QAT"] = QATClassifier(**rules)
    found = {}
    for name, model in models.items():
        began = time.process_time()
        model.fit(table.data, table.target)
        found[f"{name}, s"] = time.process_time() - began
        if name in ROUNDS:
            found[f"{name}, sigma"] = model.margin_error_
    return found


if __name__ == "__main__":
    main()
