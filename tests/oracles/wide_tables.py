"""Wide tables on which few columns count, and a guard against large arrays."""

from __future__ import annotations

import functools
import tracemalloc
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from torch.utils._python_dispatch import TorchDispatchMode

from skcfq.utils import _blocks

# No array is larger than this where blocks and batches have their full size.
MOST = 256 * 2**20
SCALE = 16


class LargestTensor(TorchDispatchMode):
    """Note how many bytes the largest tensor has that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(one, torch.Tensor):
                self.bytes = max(self.bytes, one.untyped_storage().nbytes())
        return out


def make_blocks_small(monkeypatch) -> None:
    """Give blocks a share of their size: a few rows then show what a large table does."""
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", _blocks.BLOCK_BYTES // SCALE)
    monkeypatch.setattr(_blocks, "MOST_BYTES", _blocks.MOST_BYTES // SCALE)


def assert_small(work, before, together: int = 1, numpy: bool = True) -> None:
    """Fail where a tensor is larger than the most, or all of numpy than `together` times that.

    To watch numpy doubles the time; it is left out where mostly torch works.
    """
    # What is imported is not measured.
    with LargestTensor():
        before()
    if not numpy:
        with LargestTensor() as seen:
            work()
        assert seen.bytes < MOST / SCALE
        return
    tracemalloc.start()
    try:
        with LargestTensor() as seen:
            work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen.bytes < MOST / SCALE
    # All of numpy at once; arrays that are larger alone would be in it.
    assert peak < together * MOST / SCALE


@functools.cache
def planted(n_columns: int = 2000):
    """Return a network whose margin is linear on the table, that linear model, and the rows.

    Five columns count; all others hardly.
    """
    rng = np.random.RandomState(0)
    X = rng.randn(120, n_columns).clip(-2.5, 2.5)
    weights = 0.002 * rng.randn(n_columns)
    at = rng.permutation(n_columns)[:5]
    weights[at] = [1.0, -0.9, 0.8, 0.7, -0.6]
    score = X @ weights - 1.5
    linear = LogisticRegression().fit(X, score > 0)
    linear.coef_, linear.intercept_ = weights[None], np.array([-1.5])
    network = MLPClassifier((2,), max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(X, score > 0)
    # Both units are open everywhere on the table.
    network.coefs_ = [np.column_stack([weights, -weights]), np.array([[0.5], [-0.5]])]
    network.intercepts_ = [np.array([50.0, 50.0]), np.array([-1.5])]
    return network, linear, X


def refused(model, X, count: int = 6):
    return X[model.predict(X) == 0][:count]
