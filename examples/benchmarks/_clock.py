"""Processor time, and a unit of it that scales with the machine: the clock of every `ratios()`.

A benchmark that takes part in `make bench-check` has a function `ratios`, which returns named
figures that no machine changes much: seconds over those of another library that does the same, or
over the yardstick, bytes a column. Lower is better.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier


def least_seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """Return the least processor time of several runs: noise only adds to it."""
    return min(_once(run) for _ in range(repeats))


def _once(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


@cache
def yardstick() -> float:
    """Return the seconds that scikit-learn takes to train a network of two layers of 64 a while."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10_000, 50))
    model = MLPClassifier((64, 64), max_iter=5, batch_size=128, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return least_seconds(lambda: model.fit(X, X[:, 0] > X[:, 1]), 5)
