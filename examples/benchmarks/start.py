"""Processor time of a start: a fresh Python process that solves once, its imports included.

Exact recourse on a table of plain numbers needs torch only where somebody's answer may not be the
same in single precision, and is looked for again. The same call after `import torch`, and a start
of scikit-learn alone, are shown beside it.

    python examples/benchmarks/start.py --repeats 5
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

FIT = """
import numpy as np
from sklearn.linear_model import LogisticRegression
X = np.random.default_rng(0).normal(size=(500, 8))
model = LogisticRegression().fit(X, X[:, 0] + X[:, 1] > 0)
"""
SOLVE = """
from skcfq import RecourseSolver
result = RecourseSolver().solve(model, X, background=X)
assert result.method == "exact" and result.reachable.any()
"""
REPORT = """
import sys, time
print(time.process_time(), "torch" in sys.modules)
"""
STARTS = {
    "scikit-learn alone": FIT,
    "exact recourse": FIT + SOLVE,
    "the same, torch imported": "import torch\n" + FIT + SOLVE,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="fresh processes for each line")
    repeats = parser.parse_args().repeats
    print(f"{'start':<26}{'seconds (median)':>17}{'least':>7}{'torch':>7}")
    for name, code in STARTS.items():
        seconds, has_torch = measure(code, repeats)
        print(
            f"{name:<26}{statistics.median(seconds):>17.2f}{min(seconds):>7.2f}"
            f"{'yes' if has_torch else 'no':>7}",
            flush=True,
        )


def ratios() -> dict[str, float]:
    """Return the seconds of a start over those of scikit-learn's."""
    least = {name: min(measure(code, 2)[0]) for name, code in STARTS.items()}
    alone = least.pop("scikit-learn alone")
    return {f"{name} / scikit-learn alone": taken / alone for name, taken in least.items()}


def measure(code: str, repeats: int) -> tuple[list[float], bool]:
    """Return the seconds of one core that each process took, and whether it loaded torch."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    seconds, has_torch = [], False
    # The first process writes the compiled files, and is not counted.
    for run in range(repeats + 1):
        done = subprocess.run(
            [sys.executable, "-c", code + REPORT],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        taken, loaded = done.stdout.split()
        if run > 0:
            seconds.append(float(taken))
        has_torch = loaded == "True"
    return seconds, has_torch


if __name__ == "__main__":
    main()
