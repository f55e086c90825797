"""How fast a model decides: one raw row, batches of all sizes, encoded rows, and a million rows.

One network of two hidden layers of 64, quantized to 4 bits after training on Adult (without the
data: on the generated lending table). The model file read by numpy alone beside the estimator,
onnxruntime at its default optimization, scikit-learn's `MLPClassifier` and torch. Times are the
best of several, of the processor, on one thread, all engines in turns (of 20 calls below 1,000
rows).

    SKCFQ_DATA=../shared/data python examples/benchmarks/serving.py
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _clock import yardstick
from deployment import load_data, open_session, random_rows
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier

import skcfq
from skcfq import PTQClassifier, TeacherClassifier
from skcfq.deploy import encode_rows, onnx_inputs

# Calls about one row that are told as one figure.
SINGLE = 10_000
BATCHES = (1, 10, 100, 1000, 10_000, 100_000)


def main() -> None:
    options = read_options()
    for name, figures in measure(options.rows, options.many, options.passes).items():
        print(name)
        print(figures.to_string(na_rep="") if hasattr(figures, "to_string") else figures, "\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="rows that are compared")
    parser.add_argument("--many", type=int, default=1_000_000, help="rows of the longest batch")
    parser.add_argument("--passes", type=int, default=8, help="passes that train the teacher")
    return parser.parse_args()


def ratios() -> dict[str, float]:
    """Return the times of the file and of the estimator, those of many rows over onnxruntime's.

    What onnxruntime takes for one row is mostly pandas', and differs from run to run.
    """
    found = measure(rows=1000, many=100_000, passes=3)
    alone, batched = found["one raw row, µs"], found["µs a row, by number of rows"]
    one = {f"one row, {form}": alone.loc["from file", form] for form in ("list", "DataFrame")}
    one["one row, estimator"] = alone.loc["estimator", "DataFrame"]
    many = {
        f"{size} {kind} rows / onnxruntime": batched.loc[(kind, "from file"), size]
        / batched.loc[(kind, "onnxruntime"), size]
        for kind in ("raw", "encoded")
        for size in (100, 10_000)
    }
    unit = yardstick() * 1e6 / SINGLE
    return {f"{SINGLE:,} times {name} / yardstick": µs / unit for name, µs in one.items()} | many


def measure(rows: int, many: int, passes: int) -> dict[str, Any]:
    """Return all figures, by what they are."""
    torch.set_num_threads(1)
    data, train, test = load_data()
    X, y = data.data.iloc[train], data.target.iloc[train]
    teacher = TeacherClassifier(max_iter=passes, random_state=0).fit(X, y)
    model = PTQClassifier(
        4,
        teacher=FrozenEstimator(teacher),
        allocation="uniform",
        target=data.favorable,
        random_state=0,
    ).fit(X, y)
    held_out = data.data.iloc[test]
    with tempfile.TemporaryDirectory() as folder:
        path, raw, encoded = (Path(folder) / name for name in ("model", "raw.onnx", "encoded.onnx"))
        model.export(path)
        model.to_onnx(raw)
        model.to_onnx(encoded, preprocessing=False)
        loaded, sessions = skcfq.load(path), (open_session(raw), open_session(encoded))
        mlp = peer(loaded, X.iloc[:4000], y.iloc[:4000])
        times = batches(model, loaded, sessions, mlp, held_out)
        return {
            "served otherwise than defined": unequal(loaded, held_out, rows),
            "one raw row, µs": one_row(model, loaded, sessions[0], held_out.dropna()).round(1),
            "µs a row, by number of rows": times.round(2),
            "times as long as the file": times_as_long(times).round(2),
            "many rows": million(loaded, held_out, many),
        }


def peer(loaded: Any, X: pd.DataFrame, y: pd.Series) -> MLPClassifier:
    """Return scikit-learn's network of the same size, on encoded rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp = MLPClassifier((64, 64), max_iter=2, random_state=0)
        return mlp.fit(loaded.feature_space_.encode(X), y)


def one_row(model: Any, loaded: Any, session: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """Return microseconds of one raw row, by what it comes in."""
    frame = rows.iloc[:1]
    values = [column.tolist()[0] for _, column in frame.items()]
    forms = {
        "dict": dict(zip(rows.columns, values, strict=True)),
        "list": [values],
        "array": np.array([values], dtype=object),
        "DataFrame": frame,
    }
    inputs = onnx_inputs(loaded, frame)
    calls = {("from file", form): partial(loaded.predict, row) for form, row in forms.items()}
    calls |= {
        ("estimator", form): partial(model.predict, forms[form])
        for form in ("list", "array", "DataFrame")
    }
    calls["onnxruntime", "DataFrame"] = lambda: session.run(["label"], onnx_inputs(loaded, frame))
    calls["onnxruntime", "inputs ready"] = partial(session.run, ["label"], inputs)
    with warnings.catch_warnings():
        # An array instead of a DataFrame is told each time.
        warnings.simplefilter("ignore", UserWarning)
        times = best_times(calls, 50, in_a_row=20)
    return (pd.Series(times).unstack() * 1e6)[[*forms, "inputs ready"]]


def batches(
    model: Any, loaded: Any, sessions: tuple, mlp: MLPClassifier, rows: pd.DataFrame
) -> pd.DataFrame:
    """Return microseconds a row of one thread, by engine and number of rows."""
    space, (raw, matrix) = loaded.feature_space_, sessions
    # A copy: the change of type would be the estimator's too.
    network = copy.deepcopy(model.teacher_.network_).float()

    def torch_rows(Z: np.ndarray) -> Any:
        with torch.no_grad():
            return network(torch.from_numpy(Z).float()).argmax(dim=1)

    def onnx_rows(part: pd.DataFrame) -> Any:
        return raw.run(["label"], onnx_inputs(loaded, part))

    def mlp_rows(part: pd.DataFrame) -> Any:
        return mlp.predict(space.encode(part))

    table = {}
    for size in BATCHES:
        part = rows.sample(size, replace=True, random_state=0)
        Z, inputs = space.encode(part), onnx_inputs(loaded, part)
        calls = {
            ("raw", "from file"): partial(loaded.predict, part),
            ("raw", "estimator"): partial(model.predict, part),
            ("raw", "onnxruntime"): partial(onnx_rows, part),
            ("raw", "onnxruntime, inputs ready"): partial(raw.run, ["label"], inputs),
            ("raw", "MLPClassifier"): partial(mlp_rows, part),
            ("encoded", "from file"): partial(loaded.integer_network_.decisions, Z),
            ("encoded", "onnxruntime"): partial(matrix.run, ["label"], {"encoded": Z}),
            ("encoded", "MLPClassifier"): partial(mlp.predict, Z),
            ("encoded", "torch, full precision"): partial(torch_rows, Z),
        }
        times = best_times(calls, 20, in_a_row=20) if size < 1000 else best_times(calls, 7)
        table[size] = {engine: seconds / size * 1e6 for engine, seconds in times.items()}
    return pd.DataFrame(table).rename_axis(["rows", "engine"])


def times_as_long(times: pd.DataFrame) -> pd.DataFrame:
    """Return how many times as long an engine takes as the file does in numpy."""
    own = times.xs("from file", level=1)
    return times.div(own.loc[times.index.get_level_values(0)].to_numpy()).drop(
        index="from file", level=1
    )


def million(loaded: Any, rows: pd.DataFrame, count: int) -> dict[str, float]:
    """Return microseconds a row of many rows, and the most memory that deciding takes."""
    many = rows.sample(count, replace=True, random_state=0)
    # What is encoded takes as much memory as the rows, so these are fewer.
    Z = loaded.feature_space_.encode(many.iloc[: count // 5])
    network = loaded.integer_network_
    times = best_times(
        {"raw": partial(loaded.predict, many), "encoded": partial(network.decisions, Z)}, 3
    )
    tracemalloc.start()
    loaded.predict(many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "rows": count,
        "raw, µs a row": times["raw"] / len(many) * 1e6,
        "encoded, µs a row": times["encoded"] / len(Z) * 1e6,
        "peak MB": peak / 1e6,
    }


def unequal(loaded: Any, rows: pd.DataFrame, count: int) -> dict[str, int]:
    """Count what is served otherwise than the arithmetic is defined, with gaps and new levels."""
    rng, drawn = np.random.default_rng(0), random_rows(rows, count)
    for name in drawn.columns:
        chosen = rng.random(count) < 0.03
        is_text = drawn[name].dtype.kind not in "if"
        drawn[name] = drawn[name].mask(chosen, "never seen" if is_text else np.nan)
    network = loaded.integer_network_
    Z = encode_rows(loaded.feature_space_, drawn)
    expected = network.defined_totals(Z) * network.logit_scale
    scores, decided = expected[:, 1] - expected[:, 0], loaded.classes_[expected.argmax(axis=1)]
    alone = np.concatenate([loaded.decision_function(drawn.iloc[i : i + 1]) for i in range(1000)])
    return {
        "rows": count,
        "decisions": int(np.sum(loaded.predict(drawn) != decided)),
        "scores": int(np.sum(loaded.decision_function(drawn) != scores)),
        "of 1,000 alone": int(np.sum(alone != scores[:1000])),
    }


def best_times(
    calls: dict[Any, Callable[[], Any]], repeats: int, in_a_row: int = 1
) -> dict[Any, float]:
    """Return the best processor time of each call, in turns: others slow down all of them."""
    for call in calls.values():
        call()
    times = dict.fromkeys(calls, np.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(in_a_row):
                call()
            times[name] = min(times[name], (time.process_time() - start) / in_a_row)
    return times


if __name__ == "__main__":
    main()
