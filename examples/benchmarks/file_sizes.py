"""Bytes a column, time to load and peak memory of model files, for each level of statistics.

One quantized network with one hidden layer of 8 units is trained for one pass on 60 generated rows
of lognormal floats, half of whose columns have a gap, and exported three times. Bytes a column are
those of the header, where the statistics lie. The time is the best of the repeated loads, on one
thread; the memory is the peak that Python's `tracemalloc` sees during one more load.

    python examples/benchmarks/file_sizes.py --columns 2000 --repeats 5
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import skcfq
from skcfq import QATClassifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5, help="loads, of which the best counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    n = options.columns
    X = pd.DataFrame(
        np.random.default_rng(0).lognormal(size=(60, n)),
        columns=[f"measurement {i}" for i in range(n)],
    )
    X.iloc[0, ::2] = np.nan
    model = QATClassifier(4, hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    model.fit(X, X.iloc[:, 1] > 1)
    table = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skcfq"
        for level in ("none", "bounds", "full"):
            sizes = model.export(path, statistics=level)
            table[level] = {
                "header": sizes["header"],
                "bytes a column": sizes["header"] / n,
                "total": sizes["total"],
                "load ms": min(milliseconds(path) for _ in range(options.repeats)),
                "peak MB": peak(path),
            }
    print(pd.DataFrame(table).T.rename_axis("statistics").round(1).to_string())


def milliseconds(path: Path) -> float:
    start = time.perf_counter()
    skcfq.load(path)
    return 1e3 * (time.perf_counter() - start)


def peak(path: Path) -> float:
    tracemalloc.start()
    skcfq.load(path)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used / 1e6


if __name__ == "__main__":
    main()
