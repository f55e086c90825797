"""Rows of data sets, the same each time."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from names import make, public

TABLES = ("credit", "german", "adult", "compas", "bank", "default")
_LOADERS = {
    "german": "fetch_german_credit",
    "adult": "fetch_adult",
    "large": "fetch_adult",
    "compas": "fetch_compas",
    "bank": "fetch_bank_marketing",
    "default": "fetch_default_credit",
}
_N_ROWS, _N_TRAIN = 800, 600


class Table(NamedTuple):
    """Some rows of a data set: 600 to fit on (6,000 of the large one), and 200 others."""

    name: str
    X: pd.DataFrame
    y: pd.Series
    new: pd.DataFrame
    rules: Any
    target: Any
    groups: pd.DataFrame


@lru_cache
def table(name: str) -> Table:
    """Return a data set, cut to rows that are the same each time."""
    n_train = 6000 if name == "large" else _N_TRAIN
    if name == "credit":
        bunch = public("make_credit")(2 * _N_ROWS, random_state=0)
    else:
        bunch = public(_LOADERS[name])()
    drawn = balanced_rows(bunch.target, n_train + 200)
    data, target, groups = (
        one.iloc[drawn].reset_index(drop=True) for one in (bunch.data, bunch.target, bunch.groups)
    )
    return Table(
        name,
        data[:n_train],
        target[:n_train],
        data[n_train:],
        bunch.action_set,
        bunch.favorable,
        groups[:n_train],
    )


def balanced_rows(target: pd.Series, n: int) -> np.ndarray:
    """Draw as many rows of both labels, as far as there are so many."""
    rng = np.random.RandomState(0)
    order = rng.permutation(len(target))
    rare = (target == target.value_counts().index[-1]).to_numpy()[order]
    few = order[rare][: n // 2]
    return rng.permutation(np.concatenate([few, order[~rare][: n - len(few)]]))


def numeric_columns(X: pd.DataFrame) -> list[str]:
    """Return the names of the columns of numbers."""
    return list(X.select_dtypes("number").columns)


def free_rules(data: Table) -> Any:
    """Return rules without grid and category: numbers move inside their observed range."""
    numbers = numeric_columns(data.X)
    fixed = [name for name in data.X.columns if name not in numbers] + numbers[:1]
    return make("ActionSet", immutable=fixed, steps=dict.fromkeys(numbers[1:], 0))


def three_labels(data: Table) -> pd.Series:
    """Return labels of three classes: the positive half is cut at a column's median."""
    column = data.X[numeric_columns(data.X)[-1]]
    many = (column > column.median()) & (data.y == data.target)
    return data.y.astype(object).where(~many, "z: more of it").rename("three")


def plain_numbers(n: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Return an array of continuous columns and labels that depend on them."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n, 12)) @ (np.eye(12) + 0.2 * rng.standard_normal((12, 12)))
    X = X * np.logspace(-1, 2, 12) + rng.uniform(-5, 5, 12)
    score = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal(12)
    return X, (score + 0.5 * rng.standard_normal(n) > 0.3).astype(int)
