"""The numbers next to thresholds of trees."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from skcfq import RecourseSolver
from skcfq.proofs._tree_cells import _single_beside


@pytest.mark.parametrize("closed", [True, False])
def test_neighbors_of_a_threshold_are_the_nearest_in_single_precision(closed):
    rng = np.random.default_rng(0)
    edges = rng.normal(size=60) * 10.0 ** rng.integers(-3, 6, 60)
    edges[::2] = edges[::2].astype(np.float32)
    first, last = (side.astype(np.float32) for side in _single_beside(edges, closed))
    for edge, above, below in zip(edges, first, last, strict=True):
        assert not (below > edge if closed else below >= edge)
        assert above > edge if closed else above >= edge
        assert np.nextafter(below, np.float32(np.inf)) == above


def test_a_threshold_that_a_tree_allows_is_taken():
    X = np.repeat([[-0.5], [0.0], [1.0]], 30, axis=0)
    model = DecisionTreeClassifier().fit(X, X[:, 0] < 0.5)
    result = RecourseSolver(method="exact", target=True).solve(model, X[-2:], background=X)
    assert result.status.tolist() == ["optimal"] * 2
    assert np.asarray(result.points).tolist() == [[0.5]] * 2
