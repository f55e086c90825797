"""Who is reached: no search gives up where another one, at the same effort, finds a point."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skcfq import ActionSet, RecourseSolver
from skcfq.models import as_predictor


def refused_people(seed):
    """Return a small bent network, its population and people who may change a little."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(250, 4))
    score = X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3] + 0.3 * rng.normal(size=250)
    network = MLPClassifier((8,), max_iter=150, learning_rate_init=0.02, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(X, (score > 1.2).astype(int))
    return network, X, X[network.predict(X) == 0][:60]


@pytest.mark.parametrize("seed", [2, 6, 12])
def test_whom_a_search_without_gradients_reaches_the_other_one_and_auto_reach_too(seed):
    network, X, people = refused_people(seed)
    rules = ActionSet(max_changes=2, max_change=dict.fromkeys(range(4), 1.2))
    found = {}
    for method in ("auto", "gradient", "black_box"):
        solver = RecourseSolver(rules, target=1, method=method, random_state=0)
        found[method] = solver.solve(network, people, background=X)
    blind, other = found["black_box"].reachable, found["gradient"].reachable
    assert other[blind].all()
    assert found["auto"].reachable[other].all()
    # Nearly all that gradients lead to is found without them.
    assert (other & ~blind).sum() <= 2


def test_an_open_side_is_searched_at_random_too():
    X = np.random.default_rng(0).normal(size=(200, 2))

    def corner(rows):
        # Both must move, and nothing says which way.
        return ((rows[:, 0] > 1.5) & (rows[:, 1] > 1.5)).astype(int)

    rules = ActionSet(bounds={0: (None, None), 1: (None, None)})
    solver = RecourseSolver(rules, target=1, method="black_box", random_state=0)
    model = as_predictor(corner, classes=[0, 1], background=X)
    assert solver.solve(model, X[:20], background=X[:50] * 0.5).reachable.all()
