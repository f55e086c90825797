"""What every library of the comparison is given, and what it hands back.

Imported in environments that know nothing but numpy. A problem is an npz file: rows in standard
units, a box, the features that may move, and the weights of one model. An answer is an npz file:
one point for each row, NaN where nothing was found, and the processor seconds of every batch.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

_SAVE_EVERY = 5.0  # seconds: what a killed process leaves behind is at most this old
_LONG_ENOUGH = 2.0  # seconds: a shorter run is repeated for as long, and its median counts


@dataclass
class Problem:
    """Refused rows, the rules for changing them, and the model that refused them.

    `X` (n, d) and `background` (N, d) are in units of one standard deviation; a point is
    favorable where `score` is positive. Feature j may move inside [low_j, high_j] where
    `mutable_j`, else it stays. `weights` are (coef (d_l, d_l+1), intercept) of each layer, with
    ReLU between layers; a single layer is a linear model. Trees are a fitted `model` of
    scikit-learn instead, with more than half of its probability on the favorable class, 1.
    """

    X: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mutable: np.ndarray
    background: np.ndarray
    weights: list[tuple[np.ndarray, np.ndarray]]
    model: Any = None

    @property
    def linear(self) -> bool:
        return len(self.weights) == 1

    def score(self, Z: np.ndarray) -> np.ndarray:
        """Return the logit of the favorable class, (n,); the probability above half of trees."""
        if self.model is not None:
            return self.model.predict_proba(Z)[:, 1] - 0.5
        for position, (coef, intercept) in enumerate(self.weights):
            Z = Z @ coef + intercept
            if position < len(self.weights) - 1:
                Z = np.maximum(Z, 0.0)
        return Z[:, 0]

    def restricted(self) -> tuple[list[tuple[np.ndarray, np.ndarray]], Callable]:
        """Return the weights on the mutable features alone, and each row's first intercept.

        For libraries that cannot hold a feature: what stays is part of the intercept.
        """
        (coef, intercept), *rest = self.weights
        held = coef[~self.mutable]
        weights = [(coef[self.mutable], intercept), *rest]
        return weights, lambda x: intercept + x[~self.mutable] @ held

    def save(self, path: Path) -> None:
        arrays = {"X": self.X, "low": self.low, "high": self.high, "mutable": self.mutable}
        for position, (coef, intercept) in enumerate(self.weights):
            arrays |= {f"coef_{position}": coef, f"intercept_{position}": intercept}
        if self.model is not None:
            arrays["model"] = np.frombuffer(pickle.dumps(self.model), dtype=np.uint8)
        np.savez(path, background=self.background, **arrays)

    @classmethod
    def load(cls, path: Path) -> Problem:
        with np.load(path) as file:
            arrays = dict(file)
        model = arrays.pop("model", None)
        if model is not None:
            model = pickle.loads(model.tobytes())
        depth = sum(name.startswith("coef_") for name in arrays)
        weights = [(arrays.pop(f"coef_{i}"), arrays.pop(f"intercept_{i}")) for i in range(depth)]
        return cls(**arrays, weights=weights, model=model)


def serve(prepare: Callable, *, packages: list[str], batch: int = 1, warm_up: bool = True) -> None:
    """Run one library on the problem that the command line names.

    ``prepare(problem, variant)`` returns ``solve(rows) -> points`` and is not timed; the first
    batch is solved once before the clock starts, unless one batch alone takes minutes.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--variant", default="")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    problem = Problem.load(arguments.problem)
    solve = prepare(problem, arguments.variant)
    X = problem.X[: arguments.rows]
    versions = json.dumps({name: version(name) for name in packages})
    points, seconds, saved = np.full_like(X, np.nan), 0.0, -np.inf
    if warm_up:
        solve(X[:batch])
    for start in range(0, len(X), batch):
        rows = X[start : start + batch]
        points[start : start + len(rows)], spent = timed(solve, rows)
        seconds += spent
        done = start + len(rows)
        over = done == len(X) or seconds > arguments.seconds
        if over and seconds < _LONG_ENOUGH and batch >= len(X):
            repeats = max(int(_LONG_ENOUGH / seconds), 5)
            seconds = np.median([timed(solve, X)[1] for _ in range(repeats)])
        if over or seconds > saved + _SAVE_EVERY:
            saved = seconds
            np.savez(arguments.answer, points=points[:done], seconds=seconds, versions=versions)
        if over:
            break


def timed(solve: Callable, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the points and the processor seconds, which other processes do not lengthen."""
    before = time.process_time()
    points = solve(rows)
    return points, time.process_time() - before


def one_by_one(answer: Callable, *, expected: tuple[type[Exception], ...]) -> Callable:
    """Return ``solve(rows)`` from ``answer(row) -> point or None`` for one person.

    `expected` are the exceptions by which a library says that it found nothing.
    """

    def solve(rows: np.ndarray) -> np.ndarray:
        points = np.full_like(rows, np.nan)
        for position, row in enumerate(rows):
            try:
                point = answer(row)
            except expected:
                continue
            if point is not None:
                points[position] = point
        return points

    return solve
