"""Bytes a column, time to load and peak memory of model files, for each level of statistics.

One network of 4 bits with one hidden layer of 64 units is trained for one pass on 60 generated rows
of lognormal floats, half of whose columns have a gap, and exported three times. Bytes a column are
those of the header, where the statistics lie. The time is the best of the repeated loads, of the
processor, on one thread; the memory is the peak that Python's `tracemalloc` sees during one more
load. The last line is the ONNX graph of the same network, without the encoder.

    python examples/benchmarks/file_sizes.py --columns 2000 --repeats 5
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _clock import yardstick
from deployment import open_session

import skcfq
from skcfq import QATClassifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=15, help="loads, of which the best counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(measure(options.columns, options.repeats).round(1).to_string(na_rep=""))


def ratios() -> dict[str, float]:
    """Return the bytes a column, and the times to load over the yardstick."""
    table, found = measure(2000, 15), {}
    for level in ("none", "bounds"):
        found[f"bytes a column, {level}"] = table.loc[level, "bytes a column"]
        found[f"load, {level} / yardstick"] = table.loc[level, "load ms"] / 1e3 / yardstick()
    return found


def measure(n: int, repeats: int) -> pd.DataFrame:
    """Return bytes, time and memory, a line for each level of statistics."""
    X = pd.DataFrame(
        np.random.default_rng(0).lognormal(size=(60, n)),
        columns=[f"measurement {i}" for i in range(n)],
    )
    X.iloc[0, ::2] = np.nan
    model = QATClassifier(4, hidden_layer_sizes=(64,), max_iter=1, target=True, random_state=0)
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
                "load ms": min(milliseconds(path) for _ in range(repeats)),
                "peak MB": peak(path),
            }
        total = model.to_onnx(path, preprocessing=False)["total"]
        times = [milliseconds(path, open_session) for _ in range(repeats)]
        table["onnx, encoded rows"] = {"total": total, "load ms": min(times)}
    return pd.DataFrame(table).T.rename_axis("statistics")


def milliseconds(path: Path, load: Callable[[Path], Any] = skcfq.load) -> float:
    start = time.process_time()
    load(path)
    return 1e3 * (time.process_time() - start)


def peak(path: Path) -> float:
    tracemalloc.start()
    skcfq.load(path)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used / 1e6


if __name__ == "__main__":
    main()
