"""The problems of the comparison: real and generated rows; linear models, networks and trees."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from protocol import Problem
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skcfq.datasets import fetch_adult, fetch_german_credit

# Generated rows and bounds end here, in standard deviations: tight enough that one feature
# alone seldom suffices.
_REACH = 1.5
_BACKGROUND = 2000


def make_problems(n_rows: int, only: str = "") -> Iterator[tuple[str, Problem]]:
    """Yield name and problem, with at most `n_rows` refused rows, where `only` is in the name."""
    tables = {}
    if "SKCFQ_DATA" in os.environ:
        tables = {"German": real(fetch_german_credit()), "Adult": real(fetch_adult())}
    tables |= {f"generated, {d} features": generated(d, 2 * n_rows) for d in (20, 60)}
    models = [(name, "linear model", linear_weights) for name in tables]
    networks = [name for name in ("German", "generated, 20 features") if name in tables]
    models += [(name, "network 2x64", network_weights) for name in networks]
    for name, model, weights in models:
        if only in f"{name}, {model}":
            yield f"{name}, {model}", problem(*tables[name], weights, n_rows)
    if "Adult" in tables:
        yield from tree_problems(n_rows, only)


def tree_problems(n_rows: int, only: str) -> Iterator[tuple[str, Problem]]:
    """Trees on codes of Adult's columns, with the columns of its action set or all of them free."""
    boosted = HistGradientBoostingClassifier(early_stopping=False, random_state=0)
    forest = RandomForestClassifier(100, max_depth=8, random_state=0)
    twice = clone(boosted).set_params(max_iter=200)
    for name, model, free in (
        ("Adult, boosted trees, 100 x 31", boosted, False),
        ("Adult, forest, 100 of depth 8", forest, False),
        ("Adult, boosted trees, 200 x 31, all 12 columns free", twice, True),
    ):
        if only in name:
            Z, y, low, high, mutable, train = coded(fetch_adult(), free=free)
            model.fit(Z[train], y[train].astype(int))
            yield name, problem(Z, y, low, high, mutable, train, model, n_rows)


def coded(table: Any, *, free: bool) -> tuple[np.ndarray, ...]:
    """Write every category as a number, in the order of the alphabet."""
    data = table.data.apply(
        lambda column: column if column.dtype.kind in "if" else column.astype("category").cat.codes
    )
    train = np.zeros(len(data), dtype=bool)
    train[table.train_indices] = True
    Z = StandardScaler().fit(data[train]).transform(data)
    mutable = np.ones(Z.shape[1], dtype=bool)
    if not free:
        mutable = ~data.columns.isin(table.action_set.immutable)
    y = (table.target == table.favorable).to_numpy()
    return Z, y, Z[train].min(axis=0), Z[train].max(axis=0), mutable, train


def problem(Z, y, low, high, mutable, train, weights, n_rows) -> Problem:
    # Bounds and statistics that libraries read from data must come out as those that are asked.
    inside = ((low <= Z) & (high >= Z))[:, mutable].all(axis=1)
    pool = Z[train & inside]
    ends = np.array([pool.mean(axis=0)] * 2)
    ends[:, mutable] = np.array([low, high])[:, mutable]
    background = np.vstack([ends, pool[:_BACKGROUND]])
    posed = Problem(Z, low, high, mutable, background, [])
    if callable(weights):
        posed.weights = weights(Z[train], y[train])
    else:
        posed.model = weights
    posed.X = Z[inside & (posed.score(Z) < 0)][:n_rows]
    return posed


def real(table: Any) -> tuple[np.ndarray, ...]:
    """Encode a table; numbers that its action set lets people change may move in its bounds."""
    data, rules = table.data, table.action_set
    numbers = data.select_dtypes("number")
    categories = data.drop(columns=numbers.columns)
    scaler = StandardScaler().fit(numbers.iloc[table.train_indices])
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    encoder.fit(categories.iloc[table.train_indices])
    Z = np.hstack([scaler.transform(numbers), encoder.transform(categories)])
    mutable = np.zeros(Z.shape[1], dtype=bool)
    mutable[: numbers.shape[1]] = ~numbers.columns.isin(rules.immutable)
    limits = [(rules.bounds or {}).get(name, (None, None)) for name in numbers]
    ends = [numbers.min().to_numpy(float), numbers.max().to_numpy(float)]
    for side, values in enumerate(ends):
        for j, pair in enumerate(limits):
            values[j] = values[j] if pair[side] is None else pair[side]
    low, high = Z.min(axis=0), Z.max(axis=0)
    for bound, values in ((low, ends[0]), (high, ends[1])):
        bound[: len(values)] = (values - scaler.mean_) / scaler.scale_
    train = np.zeros(len(Z), dtype=bool)
    train[table.train_indices] = True
    return Z, (table.target == table.favorable).to_numpy(), low, high, mutable, train


def generated(d: int, n: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(d)
    Z = np.clip(rng.standard_normal((n, d)), -_REACH, _REACH)
    direction = rng.standard_normal(d)
    bend = np.tanh(2 * Z[:, :5]).sum(axis=1) - 0.5 * (Z[:, 5:10] ** 2).sum(axis=1) + 1.5
    y = Z @ direction + bend + rng.standard_normal(n) > 0.5 * np.sqrt(d)
    ends = np.full(d, _REACH)
    return Z, y, -ends, ends, np.ones(d, dtype=bool), np.arange(n) < n // 2


def linear_weights(Z: np.ndarray, y: np.ndarray) -> list:
    model = LogisticRegression(max_iter=2000).fit(Z, y)
    return [(model.coef_.T, model.intercept_)]


def network_weights(Z: np.ndarray, y: np.ndarray) -> list:
    model = MLPClassifier((64, 64), alpha=1e-2, max_iter=30, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(Z[:10_000], y[:10_000])
    return list(zip(model.coefs_, model.intercepts_, strict=True))
