"""Four models and what became of them on their way to production: one report each.

A network and its ONNX files (float32, int8), a logistic regression and a scorecard of whole
points, a gradient boosting and a pruned one, a CFQ file and its teacher; audited on people who
were in no training, and written as pages for who decides.

    python examples/audit_four_pairs.py                             # a generated lending table
    python examples/audit_four_pairs.py --data german --out audits  # or adult, compas, bank

It needs the extras `report` and `onnx`, and skl2onnx. What the findings mean is in
docs/user_guide/four_pairs.md.
"""

from __future__ import annotations

import argparse
import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skcfq import CFQClassifier
from skcfq.audit import AuditReport, audit_recourse
from skcfq.datasets import (
    fetch_adult,
    fetch_bank_marketing,
    fetch_compas,
    fetch_german_credit,
    make_credit,
)

DATASETS: dict[str, Callable[[], Any]] = {
    "generated": lambda: make_credit(4000, random_state=0),
    "german": fetch_german_credit,
    "adult": fetch_adult,
    "compas": fetch_compas,
    "bank": fetch_bank_marketing,
}
# Logits that one point of the scorecard stands for.
POINT = 0.25
Pair = tuple[Any, Any]


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    data = DATASETS[options.data]()
    rows = []
    for name, pair in four_pairs(data, folder).items():
        report = audit(data, pair, options.people)
        report.to_html(folder / f"{name}.html")
        report.to_json(folder / f"{name}.json")
        rows.append(row_of(report, name))
    table = pd.DataFrame(rows).set_index("pair").astype(object)
    print(table.to_string(float_format=lambda value: f"{value:.3f}"))


def four_pairs(data: Any, folder: Path, *, max_iter: int | None = None) -> dict[str, Pair]:
    """Return reference and deployed model of each pair, trained on the training rows."""
    X, y = data.data.iloc[data.train_indices], data.target.iloc[data.train_indices]
    model, exported, quantized = network(X, y, folder)
    return {
        "float32": (model, exported),
        "int8": (model, quantized),
        "scorecard": scorecard(X, y),
        "pruned": pruned_boosting(X, y),
        "cfq": cfq_file(X, y, data, folder, max_iter),
    }


def audit(data: Any, pair: Pair, n_people: int) -> AuditReport:
    """Audit a pair on the first test rows; prices are those of the training rows."""
    rows = data.test_indices[:n_people]
    return audit_recourse(
        *pair,
        data.data.iloc[rows],
        data.target.iloc[rows],
        action_set=data.action_set,
        target=data.favorable,
        sensitive_features=data.groups.iloc[rows][["sex"]],
        background=data.data.iloc[data.train_indices],
    )


def row_of(report: AuditReport, name: str) -> dict[str, Any]:
    """Return the figures that the guide speaks of."""
    values, limit = report.figures["value"], report.limits["limit"].iloc[0]
    controls = report.bias_controls
    alike = ("same_acceptance", "other_half")
    known = alike in controls.index
    return {
        "pair": name,
        "advice": int(report.people["advised"].sum()),
        "lost": len(report.lost),
        "drop": values["validity_drop"],
        "limit": limit,
        "float32": values["float32_drop"],
        "price": values["recourse_gap_signed"],
        "accepted": values["acceptance"],
        "accepted_deployed": values["acceptance_deployed"],
        "drop_alike": controls.loc[alike, "validity_drop"] if known else np.nan,
    }


def encoded(X: pd.DataFrame, classifier: Any) -> Pipeline:
    """Put scikit-learn's own preprocessing before a classifier."""
    numbers = X.select_dtypes("number").columns.tolist()
    texts = [name for name in X.columns if name not in numbers]
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(
        ColumnTransformer([("numbers", scaled, numbers), ("texts", hot, texts)]), classifier
    )


def network(X: pd.DataFrame, y: pd.Series, folder: Path) -> tuple[Pipeline, str, str]:
    """Train a network, export it, and quantize its weights and activations to int8."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    model = encoded(X, MLPClassifier((32, 16), max_iter=100, early_stopping=True, random_state=0))
    model.fit(X, y)
    is_number = {name: pd.api.types.is_numeric_dtype(X[name]) for name in X.columns}
    inputs = [
        (name, (FloatTensorType if number else StringTensorType)([None, 1]))
        for name, number in is_number.items()
    ]
    exported, quantized = folder / "network.onnx", folder / "network_int8.onnx"
    exported.write_bytes(to_onnx(model, initial_types=inputs).SerializeToString())
    logging.getLogger().setLevel(logging.ERROR)  # it advises a step that such graphs cannot take
    quantize_dynamic(str(exported), str(quantized), weight_type=QuantType.QInt8)
    return model, str(exported), str(quantized)


def scorecard(X: pd.DataFrame, y: pd.Series) -> Pair:
    """Train a logistic regression, and round its weights to whole points."""
    model = encoded(X, LogisticRegression(max_iter=1000)).fit(X, y)
    card = copy.deepcopy(model)
    for name in ("coef_", "intercept_"):
        setattr(card[-1], name, POINT * np.round(getattr(card[-1], name) / POINT))
    return model, card


def pruned_boosting(X: pd.DataFrame, y: pd.Series) -> Pair:
    """Train a gradient boosting, and the same one with branches cut that gain little."""
    model = encoded(X, GradientBoostingClassifier(random_state=0))
    pruned = encoded(X, GradientBoostingClassifier(ccp_alpha=0.002, random_state=0))
    return model.fit(X, y), pruned.fit(X, y)


def cfq_file(X: pd.DataFrame, y: pd.Series, data: Any, folder: Path, max_iter: int | None) -> Pair:
    """Train at 4 bits a weight, and export; the teacher is what it was trained from."""
    model = CFQClassifier(
        budget=4,
        max_iter=max_iter,
        action_set=data.action_set,
        target=data.favorable,
        random_state=0,
    )
    model.fit(X, y).export(folder / "model.skcfq")
    return model.teacher_, str(folder / "model.skcfq")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", choices=DATASETS, default="generated")
    parser.add_argument("--people", type=int, default=1000, help="test rows, at most")
    parser.add_argument("--out", default="audits", help="folder of the reports")
    return parser.parse_args()


if __name__ == "__main__":
    main()
