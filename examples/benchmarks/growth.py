"""How the time of a fit and of advice grows with rows, columns, width of the network and people.

Each is doubled while the others stay; the exponent is the slope of processor seconds over size on
logarithmic scales: 1 where twice as much takes twice as long. One thread, the default methods.

    python examples/benchmarks/growth.py --only people columns
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch

from skcfq import CFQClassifier, RecourseSolver, TeacherClassifier

# What is held while another grows.
HELD = {"rows": 600, "columns": 32, "width": 64, "people": 128}
SIZES = {
    "rows": (300, 600, 1200, 2400),
    "columns": (32, 64, 128, 256),
    "width": (32, 64, 128, 256),
    "people": (64, 128, 256, 512),
}
# Passes of a training, which otherwise depend on the number of rows.
PASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=SIZES, default=list(SIZES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(exponents(measured(options.only)).round(2).to_string())


def measured(kinds: list[str]) -> pd.DataFrame:
    """Print and return processor seconds of a solve and of a fit at each size."""
    seconds_of(**HELD)  # imports, and what is made once
    lines = []
    for kind in kinds:
        for size in SIZES[kind]:
            taken = seconds_of(**{**HELD, kind: size})
            print(
                kind, size, {work: round(seconds, 3) for work, seconds in taken.items()}, flush=True
            )
            lines.append({"grows": kind, "size": size, **taken})
    return pd.DataFrame(lines)


def exponents(seconds: pd.DataFrame) -> pd.DataFrame:
    """Return the slope of time over size on logarithmic scales, for what grows."""
    slopes = {
        kind: {
            work: np.polyfit(np.log(part["size"]), np.log(part[work]), 1)[0]
            for work in ("solve, s", "fit, s")
        }
        for kind, part in seconds.groupby("grows", sort=False)
    }
    return pd.DataFrame(slopes).T


def seconds_of(rows: int, columns: int, width: int, people: int) -> dict[str, float]:
    """Return processor seconds of advice for refused people, and of a fit."""
    X, y = table_of(max(rows, 4 * people), columns)
    layers = {"hidden_layer_sizes": (width, width), "max_iter": PASSES, "random_state": 0}
    teacher = TeacherClassifier(**layers).fit(X[:rows], y[:rows])
    refused = X[teacher.predict(X) == 0][:people]
    began = time.process_time()
    RecourseSolver(target=1, random_state=0).solve(teacher, refused)
    solved = time.process_time()
    CFQClassifier(budget=4, **layers).fit(X[:rows], y[:rows])
    return {"solve, s": solved - began, "fit, s": time.process_time() - solved}


def table_of(rows: int, columns: int) -> tuple[Any, np.ndarray]:
    """Return a table of which five columns decide, and labels."""
    X = np.random.RandomState(0).standard_normal((rows, columns))
    return X, (X[:, :5] @ np.array([1.0, -0.9, 0.8, 0.7, -0.6]) > 0).astype(int)


if __name__ == "__main__":
    main()
