"""Lines by sums of squares, against all corners of boxes."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from skcfq.models import as_predictor
from skcfq.theory import _difference_bounds
from skcfq.theory._difference_bounds import difference_spans
from skcfq.theory._network_pairs import LayerPair, NetworkPair, pair_of
from skcfq.theory._row_boxes import RowBoxes
from skcfq.theory._squared_differences import squared_differences

INPUTS, UNITS, BOXES = 6, 5, 40


def _drawn(seed):
    """Return boxes of totals, factors of units, and the totals at all corners, (2^m, N, H)."""
    rng = np.random.RandomState(seed)
    center, matrix = rng.randn(BOXES, UNITS), rng.randn(INPUTS, UNITS)
    matrix[0] = 0.0
    halves = rng.rand(BOXES, INPUTS) * rng.choice([0.0, 1.0], (BOXES, INPUTS))
    counts = rng.rand(BOXES, UNITS) < 0.8
    behind = rng.randn(UNITS, 3) * np.array([1.0, 1.0, 10.0, 0.1, 0.0])[:, None]
    squares = squared_differences(center, halves, matrix, counts, behind)
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=INPUTS)))
    corners = center + np.einsum("ck,nk,kh->cnh", signs, halves, matrix)
    factor = rng.randn(BOXES, UNITS) * (rng.rand(BOXES, UNITS) < 0.9)
    return squares, factor, corners


@pytest.mark.parametrize("seed", range(5))
def test_lines_are_above_at_every_corner(seed):
    squares, factor, corners = _drawn(seed)
    unlimited = np.full_like(factor, np.inf)
    slope, intercept, used, rest = squares.lines(factor, unlimited, squares.center)
    np.testing.assert_array_equal(used, squares.counts & (factor != 0))
    # What is passed on is convex, and largest at a corner.
    passed = np.where(used, np.maximum(factor * corners, 0.0), 0.0).sum(axis=2)
    above = np.where(used, slope * corners + intercept, 0.0).sum(axis=2) + rest
    assert (above >= passed - 1e-12).all()


@pytest.mark.parametrize("seed", range(5))
def test_squares_add_up_to_no_more_than_the_spread(seed):
    squares, _, corners = _drawn(seed)
    shares = squares.weights * squares.counts * (corners - squares.center) ** 2
    largest = shares.sum(axis=2).max(axis=0)
    assert (squares.spread >= largest).all()
    # Bounds unit by unit add up to more.
    singly = shares.max(axis=0).sum(axis=1)
    assert (squares.spread <= singly * (1 + 1e-8)).all()
    assert (squares.spread < singly * 0.9).any()


def test_spread_is_exact_where_one_input_moves():
    rng = np.random.RandomState(0)
    matrix, halves = rng.randn(3, UNITS), np.diag([0.5, 2.0, 0.0])
    counts = np.ones((3, UNITS), dtype=bool)
    squares = squared_differences(counts * 0.0, halves, matrix, counts, rng.randn(UNITS, 2))
    exact = (squares.weights * (halves @ matrix) ** 2).sum(axis=1)
    np.testing.assert_allclose(squares.spread, exact, rtol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_lines_are_used_where_they_are_lower(seed):
    squares, factor, _ = _drawn(seed)
    apart = squares.center + 0.1
    height = np.random.RandomState(seed).rand(*factor.shape)
    slope, intercept, used, rest = squares.lines(factor, height, apart)
    mine = np.where(used, slope * apart + intercept, height).sum(axis=1) + rest
    chosen = used.any(axis=1)
    assert 0 < chosen.sum() < BOXES
    assert (mine < height.sum(axis=1))[chosen].all()
    assert (rest[~chosen] == 0).all()


def test_units_that_nothing_follows_are_no_trouble():
    nothing = np.zeros((2, UNITS))
    counts = np.ones((2, UNITS), dtype=bool)
    squares = squared_differences(
        nothing, nothing[:, :3], nothing[:1].repeat(3, 0), counts, nothing.T
    )
    slope, intercept, used, rest = squares.lines(nothing, nothing + 1.0, nothing)
    assert not used.any() and (rest == 0).all() and np.isfinite([slope, intercept]).all()


def _wide_pair(share):
    """Return two random networks of 60 inputs whose weights differ by a share."""
    rng, layers = np.random.RandomState(0), []
    for n_in, n_out in ((60, 30), (30, 20), (20, 2)):
        matrix, offset = rng.randn(n_in, n_out) / np.sqrt(n_in), rng.randn(n_out) / 4
        noise = share * rng.uniform(-1, 1, matrix.shape) / np.sqrt(n_in)
        layers.append(LayerPair(matrix, offset, matrix + noise, offset))
    unrounded = SimpleNamespace(integers=None)
    return NetworkPair(tuple(layers), unrounded, unrounded), rng


def _difference(pair, points):
    own, added = pair.hidden_totals(points)[-1]
    last = pair.layers[-1]
    after = [np.maximum(totals, 0.0) for totals in (own, own + added)]
    return after[1] @ last.other_matrix - after[0] @ last.matrix


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
def test_bounds_of_wide_networks_hold_and_are_closer(share, monkeypatch):
    pair, rng = _wide_pair(share)
    points = 0.3 * rng.randn(20, 60)
    low, high = points - 0.3, points + 0.3
    row = np.tile([1.0, 0.0], (len(points), 1))
    found = difference_spans(pair, low, high).most(row)
    for draw in range(200):
        shares = rng.rand(*points.shape)
        shares = np.rint(shares) if draw % 2 else shares
        assert (_difference(pair, low + shares * 0.6)[:, 0] <= found + 1e-9).all()
    monkeypatch.setattr(_difference_bounds, "_squares", lambda *_: None)
    without = difference_spans(pair, low, high).most(row)
    assert np.median(found / without) < 0.9 and (found < without * 1.01).all()


def test_lines_are_chosen_twice(three):
    reference, deployed, X = three
    predictors = [as_predictor(model) for model in (reference, deployed)]
    boxes = RowBoxes.of(predictors, X, 0.1, "encoded")
    spans = difference_spans(pair_of(*predictors), boxes.low, boxes.high)
    row = np.tile([1.0, 0.0, -1.0], (len(X), 1))
    once, _ = spans._most(row, 0 * row, [hidden.middle for hidden in spans.hidden])
    twice = spans.most(row)
    assert (twice <= once).all() and (twice < once - 1e-6).any()
