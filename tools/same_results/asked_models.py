"""The models that are asked for recourse."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
from names import make, public
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tables import Table, numeric_columns, table, three_labels


@lru_cache
def encoder(name: str) -> Any:
    """Return an encoder that is fitted on the rows of a table."""
    return make("TableEncoder").fit(table(name).X, table(name).y)


@lru_cache
def linear(name: str, seed: int = 0, labels: str = "two") -> Pipeline:
    """Return a logistic regression on a bootstrap sample, behind the table's one encoder."""
    data = table(name)
    y = data.y if labels == "two" else three_labels(data)
    rows = np.random.RandomState(seed).randint(len(data.X), size=len(data.X))
    coded = np.asarray(encoder(name).transform(data.X))
    model = LogisticRegression(max_iter=2000).fit(coded[rows], y.iloc[rows])
    return Pipeline([("encoder", encoder(name)), ("model", model)])


@lru_cache
def teacher(name: str) -> Any:
    """Return a small network."""
    data = table(name)
    model = make("TeacherClassifier", (16,), max_iter=20, batch_size=32, random_state=0)
    return model.fit(data.X, data.y)


@lru_cache
def quantized(name: str, bits: int = 3) -> Any:
    """Return a quantized form of that network."""
    data = table(name)
    model = make(
        "QATClassifier",
        bits,
        teacher=FrozenEstimator(teacher(name)),
        action_set=data.rules,
        target=data.target,
        hidden_layer_sizes=(16,),
        max_iter=10,
        batch_size=64,
        random_state=0,
    )
    return model.fit(data.X, data.y)


@lru_cache
def closed(name: str, kind: str) -> Any:
    """Return a model without gradients: a tree, a forest, or a function."""
    data = table(name)
    if kind == "function":
        return public("as_predictor")(
            partial(_rule_book, numeric_columns(data.X), *_signs(data)),
            classes=_labels(data),
            output="probabilities",
            background=data.X,
        )
    tree = DecisionTreeClassifier(max_depth=6, random_state=0)
    forest = RandomForestClassifier(8, max_depth=8, random_state=0)
    chosen = tree if kind == "tree" else forest
    return make_pipeline(make("TableEncoder"), chosen).fit(data.X, data.y)


@lru_cache
def of_sklearn(name: str, kind: str) -> Any:
    """Return a model of scikit-learn behind encoders of scikit-learn."""
    data = table(name)
    numbers = numeric_columns(data.X)
    others = [one for one in data.X.columns if one not in numbers]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), others),
    )
    network = MLPClassifier((10,), max_iter=30, random_state=0)
    final = network if kind == "mlp" else LogisticRegression(max_iter=2000)
    return make_pipeline(columns, final).fit(data.X, data.y)


def _labels(data: Table) -> list[Any]:
    other = [one for one in np.unique(data.y) if one != data.target]
    return [*other, data.target]


def _signs(data: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the median of each number, and a weight with the sign of what favors people."""
    numbers = data.X[numeric_columns(data.X)].astype(float)
    favored = (data.y == data.target).to_numpy()
    signs = np.sign(numbers[favored].mean() - numbers[~favored].mean())
    weights = np.nan_to_num(signs / (numbers.std() + 1e-9))
    return numbers.median().to_numpy(), np.asarray(weights)


def _rule_book(
    names: list[str], medians: np.ndarray, weights: np.ndarray, people: pd.DataFrame
) -> np.ndarray:
    """Return the target's probability, by what is above and below the medians."""
    score = np.tanh((people[names].to_numpy(float) - medians) * weights)
    return 0.5 + 0.45 * np.tanh(2 * np.nan_to_num(score).mean(axis=1))


@lru_cache
def model_of(name: str, kind: str) -> Any:
    """Return the model of a table by a word."""
    makers = {"linear": linear, "teacher": teacher, "quantized": quantized}
    if kind in ("columns", "mlp"):
        return of_sklearn(name, kind)
    return makers[kind](name) if kind in makers else closed(name, kind)


def people_of(name: str, model: Any, n: int, target: Any = None) -> pd.DataFrame:
    """Return rows that a model refuses, and three that it does not."""
    data = table(name)
    X = pd.concat([data.new, data.X])
    refused = np.asarray(model.predict(X)) != (data.target if target is None else target)
    return pd.concat([X[refused][:n], X[~refused][:3]])
