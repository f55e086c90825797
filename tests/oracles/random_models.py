"""Models of random tables: linear ones whose decision is monotone in every number, and others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from random_tables import GRADES, NUMBERS, Table
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcfq import ActionSet, PTQClassifier, TableEncoder, TeacherClassifier

# Of two classes, along one number: once yes, always yes.
MONOTONE = ("logistic", "threshold outside", "threshold inside")
LINEAR = (*MONOTONE, "three classes")
TREES = ("tree", "forest", "forest, threshold", "extra trees", "bagged", "boosted", "histograms")
OTHERS = (*TREES, "network", "network, threshold", "teacher", "quantized")


def draw_model(rng: np.random.RandomState, table: Table, kind: str) -> tuple[Any, bool]:
    """Fit a model of a random score; return it, and whether it scales numbers."""
    scaled = bool(rng.rand() < 0.7)
    y = _labels(rng, table, 3 if kind == "three classes" else 2)
    if kind in ("teacher", "quantized"):
        return _network(table, y, kind), True
    own = bool(scaled and rng.rand() < 0.5)
    encoder = TableEncoder() if own else _composed(table, scaled=scaled)
    head = _head(rng, kind)
    if kind in ("threshold outside", "network, threshold", "forest, threshold"):
        model = _with_threshold(rng, make_pipeline(encoder, head))
    elif kind == "threshold inside":
        model = make_pipeline(encoder, _with_threshold(rng, head))
    else:
        model = make_pipeline(encoder, head)
    return model.fit(table.background, y), scaled


def _head(rng: np.random.RandomState, kind: str) -> Any:
    if kind in TREES:
        return {
            "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
            "forest": RandomForestClassifier(7, max_depth=4, random_state=0),
            "forest, threshold": RandomForestClassifier(10, max_depth=1, random_state=0),
            "extra trees": ExtraTreesClassifier(6, random_state=0),
            "bagged": BaggingClassifier(n_estimators=5, max_features=0.7, random_state=0),
            "boosted": GradientBoostingClassifier(n_estimators=8, random_state=0),
            "histograms": HistGradientBoostingClassifier(
                max_iter=8, max_leaf_nodes=6, min_samples_leaf=2, random_state=0
            ),
        }[kind]
    if kind.startswith("network"):
        return MLPClassifier((5,), max_iter=60, learning_rate_init=0.05, random_state=0)
    return LogisticRegression(C=float(10.0 ** rng.randint(-1, 3)), max_iter=500)


def _with_threshold(rng: np.random.RandomState, model: Any) -> FixedThresholdClassifier:
    return FixedThresholdClassifier(
        model,
        threshold=float(rng.choice([0.25, 0.4, 0.65, 0.85])),
        pos_label="yes",
        response_method="predict_proba",
    )


def _network(table: Table, y: np.ndarray, kind: str) -> Any:
    teacher = TeacherClassifier((5,), max_iter=15, batch_size=16, random_state=0)
    teacher.fit(table.background, y)
    if kind == "teacher":
        return teacher
    free = ActionSet(immutable=["age"])
    quantized = PTQClassifier(
        teacher=teacher, budget=4, action_set=free, target="yes", random_state=0
    )
    return quantized.fit(table.background, y)


def _composed(table: Table, *, scaled: bool) -> Any:
    numbers = [name for name, kind in table.kinds.items() if kind in NUMBERS]
    indicators = [column for columns in table.members.values() for column in columns]
    texts = [name for name, kind in table.kinds.items() if kind in ("category", "grade")]
    fill = SimpleImputer(strategy="median")
    return make_column_transformer(
        (make_pipeline(fill, StandardScaler()) if scaled else fill, numbers),
        ("passthrough", indicators),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
    )


def _labels(rng: np.random.RandomState, table: Table, n_classes: int) -> np.ndarray:
    """Return labels by a random linear score of the background, some of them flipped."""
    X = table.background
    score = 0.7 * rng.normal(size=len(X))
    for name in X:
        if table.kinds.get(name) == "category":
            values = X[name].map({level: rng.normal() for level in sorted(set(X[name]))})
        elif table.kinds.get(name) == "grade":
            values = X[name].map(GRADES.index)
        else:
            values = X[name].astype(float).fillna(0)
        values = values.astype(float)
        score += rng.choice([-1.0, 0.5, 1.0]) * (values - values.mean()) / (values.std() + 1e-9)
    share = [0.6] if n_classes == 2 else [0.4, 0.7]
    names = np.array(["no", "yes"] if n_classes == 2 else ["maybe", "no", "yes"])
    return names[np.searchsorted(np.quantile(score, share), score)]


def is_yes(model: Any, rows: pd.DataFrame) -> np.ndarray:
    """Return which rows get the target; all that is asked of a model."""
    return np.asarray(model.predict(rows)) == "yes"
