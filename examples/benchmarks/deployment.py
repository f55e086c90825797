"""What is shipped: agreement of every engine, and bytes on disk. How fast: `serving.py`.

One network of two hidden layers a width, quantized after training from one teacher on Adult
(without the data: on the generated lending table). Engines: the estimator, the model file read by
numpy alone, and onnxruntime at its default optimization.

    SKCFQ_DATA=../shared/data python examples/benchmarks/deployment.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

import skcfq
from skcfq import PTQClassifier, RecourseSolver, TeacherClassifier
from skcfq.datasets import fetch_adult, make_credit
from skcfq.deploy import onnx_inputs

WIDTHS = (8, 4, 3, 2)
N_JITTERS = 50


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    data, train, test = load_data()
    X, y = data.data.iloc[train], data.target.iloc[train]
    teacher = TeacherClassifier(max_iter=options.passes, random_state=0).fit(X, y)
    models = {
        bits: PTQClassifier(
            bits,
            teacher=FrozenEstimator(teacher),
            allocation="uniform",
            action_set=data.action_set,
            target=data.favorable,
            random_state=0,
        ).fit(X, y)
        for bits in WIDTHS
    }
    rows = data.data.iloc[test]
    with tempfile.TemporaryDirectory() as folder:
        print(f"two hidden layers {teacher.hidden_layer_sizes}, {len(train)} training rows\n")
        print(sizes(models, Path(folder)).to_string(), "\n")
        print(agreement(models, rows, data, options, Path(folder)).to_string(), "\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="random rows")
    parser.add_argument("--people", type=int, default=300, help="people whose recourse is solved")
    parser.add_argument("--passes", type=int, default=8, help="passes that train the teacher")
    return parser.parse_args()


def load_data() -> tuple[Any, np.ndarray, np.ndarray]:
    if os.environ.get("SKCFQ_DATA"):
        adult = fetch_adult()
        return adult, adult.train_indices, adult.test_indices
    credit = make_credit(6000, random_state=0)
    return credit, np.arange(4000), np.arange(4000, 6000)


def sizes(models: dict, folder: Path) -> pd.DataFrame:
    """Return bytes on disk; the arithmetic minimum is the number of weights times the width."""
    table = {}
    for bits, model in models.items():
        written = model.export(folder / f"{bits}.skcfq")
        graph = model.to_onnx(folder / f"{bits}.onnx")
        n_weights = sum(layer.n_weights for layer in model.integer_network_.layers)
        minimum = int(np.ceil(n_weights * bits / 8))
        table[bits] = {
            "minimum": minimum,
            **written,
            "over minimum": f"{written['weights'] / minimum - 1:.2%}",
            "onnx weights": graph["weights"],
            "onnx total": graph["total"],
        }
    return pd.DataFrame(table).T.rename_axis("bits")


def agreement(
    models: dict, rows: pd.DataFrame, data: Any, options: argparse.Namespace, folder: Path
) -> pd.DataFrame:
    """Count rows on which an engine decides, or scores, otherwise than the estimator."""
    drawn = random_rows(rows, options.rows)
    table = {}
    for bits, model in models.items():
        refused = rows[model.predict(rows) != data.favorable].iloc[: options.people]
        # On the thresholds themselves, then as advice is given; then where no number is whole.
        rules, free = data.action_set, clone(data.action_set)
        numbers = [feature.name for feature in rules.compile(model.feature_space_).numeric]
        free.set_params(steps=dict.fromkeys(numbers, 0))
        solve = partial(solved, model, refused, data)
        points, advice = solve(rules, perturbation_radius=0.0), solve(rules)
        told = {
            "no radius": points,
            "advice": advice,
            "no radius, no whole numbers": solve(free, perturbation_radius=0.0),
            "advice, no whole numbers": solve(free),
        }
        loaded = skcfq.load(folder / f"{bits}.skcfq")
        session = open_session(folder / f"{bits}.onnx")
        line = {}
        for name, part in {
            "random": drawn,
            "test": rows,
            "recourse": points,
            "advice": advice,
        }.items():
            expected, scores = model.predict(part), model.decision_function(part)
            labels, _, logits = session.run(None, onnx_inputs(loaded, part))
            line[f"{name} rows"] = len(part)
            line[f"{name}: numpy"] = int(np.sum(loaded.predict(part) != expected))
            line[f"{name}: onnx"] = int(np.sum(labels != expected))
            line[f"{name}: scores"] = int(np.sum(logits[:, 1] - logits[:, 0] != scores))
        for name, part in told.items():
            jittered = jitter(model.feature_space_, part)
            line[f"{name}, jittered: rows"] = len(jittered)
            labels = session.run(["label"], onnx_inputs(loaded, jittered))[0]
            decided = {"estimator": model.predict(jittered), "numpy": loaded.predict(jittered)}
            for engine, given in {**decided, "onnx": labels}.items():
                failed = (given != data.favorable).reshape(N_JITTERS, -1).any(axis=0)
                line[f"{name}, jittered: people it fails, {engine}"] = int(failed.sum())
        # Encoded rows on the rounding thresholds of the inputs, and equal logits.
        network = model.integer_network_
        rng = np.random.default_rng(0)
        Z = rng.integers(-129, 128, (20_000, network.n_inputs)) + 0.5
        Z = Z * network.input_steps
        model.to_onnx(folder / "encoded.onnx", preprocessing=False)
        logits = open_session(folder / "encoded.onnx").run(["logits"], {"encoded": Z})[0]
        line["thresholds: onnx"] = int(np.sum((logits != network.logits(Z)).any(axis=1)))
        table[bits] = line
    return pd.DataFrame(table).T.rename_axis("bits").T


def solved(
    model: Any, refused: pd.DataFrame, data: Any, rules: Any, **settings: Any
) -> pd.DataFrame:
    """Return the recourse points of refused people."""
    solver = RecourseSolver(rules, target=data.favorable, random_state=0, **settings)
    result = solver.solve(model, refused)
    return result.points[result.reachable].reset_index(drop=True)


def jitter(space: Any, points: pd.DataFrame) -> pd.DataFrame:
    """Move all numeric columns, whole numbers too, by up to 1e-4 of their spread, many times."""
    rng = np.random.default_rng(0)
    jittered = []
    for draw in range(N_JITTERS):
        Z = space.encode(points)
        for block in space.blocks:
            if block.width == 1:
                # Half of the draws are corners of the box.
                sides = rng.uniform(-1, 1, len(Z))
                sides = np.sign(sides) if draw % 2 else sides
                Z[:, block.columns[0]] += 1e-4 * block.statistics.encoded_std * sides
        jittered.append(space.decode(Z, points))
    return pd.concat(jittered, ignore_index=True)


def random_rows(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Draw every column on its own, and stretch the numbers."""
    rng = np.random.default_rng(0)
    drawn = {}
    for name in rows.columns:
        column = rows[name].sample(count, replace=True, random_state=rng.integers(2**31))
        values = column.reset_index(drop=True)
        if values.dtype.kind in "if":
            values = values * rng.choice([0.5, 1.0, 1.7], count)
        drawn[name] = values
    return pd.DataFrame(drawn)


def open_session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
