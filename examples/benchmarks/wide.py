"""What a wide table costs: processor seconds and peak memory of a fit and of advice, one thread.

Each line is a process of its own, whose peak memory has the imports in it. The fit is
`CFQClassifier(budget=4)`, teacher included; its advice is for 9 refused people, with at most three
changes. One table in two has a category in every fifth column.

    python examples/benchmarks/wide.py --columns 500
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _clock import yardstick

# Rows and columns of each table, and whether some of its columns are categories.
TABLES = {
    "600 x 500": (600, 500, False),
    "600 x 500, categories": (600, 500, True),
    "400 x 2000": (400, 2000, False),
}
PEOPLE, CHANGES = 9, 3
_PER_GB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, nargs="*", help="only tables of so many columns")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        rows, columns, categories = map(int, options.one)
        print(json.dumps(measured(rows, columns, bool(categories))))
        return
    print(pd.DataFrame(figures(options.columns)).T.round(2).to_string())


def figures(columns: list[int] | None = None) -> dict[str, dict[str, float]]:
    """Print and return what each table takes, measured in a process of its own."""
    found = {}
    for name, table in TABLES.items():
        if columns is None or table[1] in columns:
            found[name] = in_a_process(*table)
            print(name, found[name], flush=True)
    return found


def ratios() -> dict[str, float]:
    """Return what a table of 300 columns takes beside the yardstick, and its peak memory."""
    found = in_a_process(300, 300, True)
    name = "300 columns, categories, "
    return {
        name + "fit / yardstick": found["fit, s"] / yardstick(),
        name + f"{PEOPLE} people / yardstick": found[f"{PEOPLE} people, s"] / yardstick(),
        name + "peak GB": found["peak, GB"],
    }


def in_a_process(rows: int, columns: int, categories: bool) -> dict[str, float]:
    """Return what one fit and its advice take, alone in a process."""
    table = [str(int(number)) for number in (rows, columns, categories)]
    done = subprocess.run(
        [sys.executable, __file__, "--one", *table], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measured(rows: int, columns: int, categories: bool) -> dict[str, float]:
    """Fit and advise here; return processor seconds, peak memory, and who was advised."""
    import torch

    from skcfq import ActionSet, CFQClassifier, RecourseSolver

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    X, y = table_of(rows, columns, categories)
    began = time.process_time()
    clf = CFQClassifier(budget=4, random_state=0).fit(X, y)
    fitted = time.process_time()
    refused = X[clf.predict(X) == 0][:PEOPLE]
    solver = RecourseSolver(ActionSet(), target=1, random_state=0)
    found = solver.solve(clf, refused)
    solved = time.process_time()
    few = solver.set_params(action_set=ActionSet(max_changes=CHANGES)).solve(clf, refused)
    return {
        "fit, s": fitted - began,
        f"{PEOPLE} people, s": solved - fitted,
        "advised": float(found.reachable.sum()),
        f"at most {CHANGES} changes, s": time.process_time() - solved,
        f"advised with {CHANGES}": float(few.reachable.sum()),
        "peak, GB": peak_kilobytes() / _PER_GB,
    }


def peak_kilobytes() -> int:
    """Return the most memory that this process has had."""
    told = Path("/proc/self/status")
    if told.exists():
        # The other figure is at least what the parent had when it started this process.
        return int(re.search(r"VmHWM:\s*(\d+)", told.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def table_of(rows: int, columns: int, categories: bool) -> tuple[Any, np.ndarray]:
    """Return a table of which five columns decide, and labels."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((rows, columns))
    y = (X[:, :5] @ np.array([1.0, -0.9, 0.8, 0.7, -0.6]) > 0).astype(int)
    if not categories:
        return X, y
    table = pd.DataFrame(X, columns=[f"n{j}" for j in range(columns)])
    for name in table.columns[5::5]:
        table[name] = pd.qcut(table[name], 6, labels=list("abcdef")).astype(str)
    return table, y


if __name__ == "__main__":
    main()
