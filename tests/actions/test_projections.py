"""The pure projections: ties, extremes, and why sparsity counts features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skcfq.actions import ActionSet, raw_rows, region_of
from skcfq.actions._projections import (
    Grids,
    project_box,
    project_grids,
    project_immutable,
    project_min_change,
    project_one_hot,
    project_sparse,
)
from skcfq.encoding import FeatureSpace, TableEncoder


def project_grid(values, grid, lower, upper, own):
    """Project one column on one grid."""
    grids = Grids.of([torch.from_numpy(grid)])
    columns = [torch.from_numpy(part)[:, None] for part in (values, lower, upper, own)]
    return project_grids(columns[0], grids, *columns[1:])[:, 0].numpy()


def test_immutable_and_box_return_points_not_steps():
    rng = np.random.default_rng(0)
    u, origin = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    mutable = np.array([True, False, True])
    held = project_immutable(u, origin, mutable)
    np.testing.assert_array_equal(held[:, 1], origin[:, 1])
    np.testing.assert_array_equal(held[:, [0, 2]], u[:, [0, 2]])
    lower, upper = origin - 0.1, origin + 0.3
    boxed = project_box(u, lower, upper)
    assert (boxed >= lower).all()
    assert (boxed <= upper).all()


def test_arithmetic_on_the_step_leaves_the_box_where_the_point_does_not():
    # For comparison: Eq. 9 read literally, clip(x + delta) - x, then added to x again.
    rng = np.random.default_rng(1)
    x, upper = rng.normal(size=20_000), rng.normal(size=20_000) + 5
    delta = np.minimum(x + 100.0, upper) - x
    assert ((x + delta) > upper).mean() > 0.005
    assert not (project_box(x + 100.0, np.minimum(x, upper), upper) > upper).any()


def test_grid_matches_an_exhaustive_search():
    rng = np.random.default_rng(2)
    grid = np.sort(rng.normal(size=7))
    own = rng.normal(size=300)
    lower, upper = own - rng.uniform(0, 2, 300), own + rng.uniform(0, 2, 300)
    values = rng.normal(size=300) * 3
    result = project_grid(values, grid, lower, upper, own)
    for i in range(300):
        inside = [g for g in grid if lower[i] <= g <= upper[i]]
        best = min(abs(values[i] - candidate) for candidate in [*inside, own[i]])
        assert abs(values[i] - result[i]) == pytest.approx(best, abs=1e-12)


def test_grids_of_several_columns_do_not_mix():
    rng = np.random.default_rng(3)
    grids = [np.sort(rng.normal(size=size)) for size in (4, 0, 9)]
    own, values = rng.normal(size=(50, 3)), 3 * rng.normal(size=(50, 3))
    lower, upper = own - rng.uniform(0, 2, (50, 3)), own + rng.uniform(0, 2, (50, 3))
    columns = [torch.from_numpy(part) for part in (values, lower, upper, own)]
    table = Grids.of([torch.from_numpy(grid) for grid in grids])
    together = project_grids(columns[0], table, *columns[1:]).numpy()
    for j, grid in enumerate(grids):
        alone = project_grid(values[:, j], grid, lower[:, j], upper[:, j], own[:, j])
        np.testing.assert_array_equal(together[:, j], alone)


def test_grid_ties_go_to_the_own_value_then_to_the_lower_one():
    grid, wide = np.array([0.0, 1.0, 2.0]), np.full(3, 9.0)
    values, own = np.array([0.5, 1.5, 1.5]), np.array([7.0, 7.0, 2.0])
    np.testing.assert_array_equal(project_grid(values, grid, -wide, wide, own), [0.0, 1.0, 2.0])
    empty = np.empty(0)
    np.testing.assert_array_equal(project_grid(values, empty, -wide, wide, own), own)


def test_one_hot_ties_go_to_the_own_level_then_to_the_lowest():
    codes, free = np.eye(3), np.ones((2, 3), dtype=bool)
    block = np.full((2, 3), 0.4)
    own = np.array([[0.0, 1.0, 0.0], [9.0, 9.0, 9.0]])
    expected = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    np.testing.assert_array_equal(project_one_hot(block, codes, free, own), expected)


def test_one_hot_is_the_arg_max_of_the_paper_on_plain_codes():
    rng = np.random.default_rng(3)
    block, codes = rng.normal(size=(200, 5)), np.eye(5)
    free, own = np.ones((200, 5), dtype=bool), codes[rng.integers(0, 5, 200)]
    result = project_one_hot(block, codes, free, own)
    np.testing.assert_array_equal(result, codes[block.argmax(axis=1)])


def test_sparse_keeps_the_largest_features_and_breaks_ties_by_order():
    origin = np.zeros((1, 4))
    u = np.array([[2.0, 1.0, -2.0, 2.0]])
    features = [np.array([0]), np.array([1, 2]), np.array([3])]
    kept = [project_sparse(u, origin, features, k).tolist()[0] for k in (1, 2, 3, None)]
    assert kept == [
        [2.0, 0.0, 0.0, 0.0],
        [2.0, 1.0, -2.0, 0.0],
        [2.0, 1.0, -2.0, 2.0],
        [2.0, 1.0, -2.0, 2.0],
    ]


def test_top_k_over_columns_tears_one_hot_groups_apart_and_ours_does_not():
    rng = np.random.default_rng(4)
    X = pd.DataFrame(
        {
            "income": rng.normal(size=200),
            "debt": rng.normal(size=200),
            "job": rng.choice(["clerk", "cook", "pilot"], 200),
        }
    )
    region = region_of(ActionSet(max_changes=2).compile(TableEncoder().fit(X).feature_space_), X)
    proposal = region.origin + torch.from_numpy(rng.normal(size=tuple(region.origin.shape)) * 3)
    # For comparison: Algorithm 1 as printed, with k counting encoded columns.
    free = region.assemble(region.snap(proposal[:, :2]), region.nearest_levels(proposal))
    delta = free - region.origin
    mask = torch.zeros_like(delta).scatter_(1, delta.abs().topk(2, dim=1).indices, 1.0)
    naive = region.origin + mask * delta
    torn = (naive[:, 2:].sum(dim=1) - 1).abs() > 1e-9
    assert torn.float().mean() > 0.1
    assert not region.contains(naive)[torn].any()
    ours = region.project(proposal)
    assert region.contains(ours).all()
    assert torch.equal(ours[:, 2:].sum(dim=1), torch.ones(200, dtype=torch.float64))
    assert (region.changed(ours).sum(dim=1) == 2).any()


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_never_leaves_the_admissible_set(strange):
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0], "job": ["x", "y"]})
    space = TableEncoder().fit(X).feature_space_
    rules = ActionSet(bounds={"a": (None, None)}, steps={"b": 0.5})
    region = region_of(rules.compile(space), X)
    u = region.project(torch.full_like(region.origin, strange))
    assert torch.isfinite(u).all()
    assert region.contains(u).all()
    if np.isnan(strange):
        assert torch.equal(u, region.origin)


def test_too_small_a_change_goes_to_the_nearer_of_none_and_the_smallest():
    values = np.linspace(-2, 2, 81)[:, None]
    own, least = np.zeros_like(values), np.full_like(values, 0.8)
    lower, upper = np.full_like(values, -2.0), np.full_like(values, 0.5)
    found = project_min_change(np.minimum(values, upper), lower, upper, own, least)
    grid = np.linspace(-2, 0.5, 51)
    allowed = grid[(grid == 0) | (np.abs(grid) > 0.8 - 1e-9)]
    for value, point in zip(np.minimum(values, upper)[:, 0], found[:, 0], strict=True):
        gap = np.abs(allowed - value)
        assert np.abs(allowed - point).min() < 1e-12
        assert abs(point - value) <= gap.min() + 1e-12


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (project_immutable, lambda u, x: (u, x, np.arange(4) % 2 == 0)),
        (project_box, lambda u, x: (u, x - 0.7, x + 0.4)),
        (project_min_change, lambda u, x: (u, x - 2.0, x + 2.0, x, np.full_like(x, 0.5))),
        (project_one_hot, lambda u, x: (u, np.eye(4), x > -0.5, np.eye(4)[x.argmax(axis=1)])),
        (project_sparse, lambda u, x: (u, x, [np.array([0]), np.array([1, 2, 3])], 1)),
    ],
)
def test_arrays_get_arrays_with_the_numbers_that_tensors_get(function, arguments):
    u, x = np.random.RandomState(0).standard_normal((2, 30, 4))
    given = arguments(u, x)
    found = function(*given)
    assert isinstance(found, np.ndarray)
    tensors = [torch.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in given]
    np.testing.assert_array_equal(found, function(*tensors).numpy())
    assert (found != u).any()


def test_gradients_flow_through_assemble_and_values():
    X = pd.DataFrame({"a": [1.0, 2.0], "job": ["x", "y"]})
    region = region_of(ActionSet().compile(TableEncoder().fit(X).feature_space_), X)
    values = region.values.clone().requires_grad_()
    region.assemble(values, region.levels).square().sum().backward()
    assert torch.equal(values.grad, 2 * region.values)


def test_no_feature_and_no_people_are_no_special_case():
    X = np.array([[0.0, 1.0], [2.0, 3.0]])
    space = FeatureSpace.from_frame(X)
    fixed = region_of(ActionSet(immutable=[0, 1], max_changes=1).compile(space), X)
    assert fixed.n_features == 0
    assert torch.equal(fixed.project(fixed.origin + 1.0), fixed.origin)
    nobody = region_of(ActionSet(steps={0: 1}, max_changes=1).compile(space), X[:0])
    assert nobody.n_people == 0
    assert nobody.project(nobody.origin).shape == (0, 2)
    assert raw_rows(nobody, nobody.origin).shape == (0, 2)


@pytest.mark.parametrize("kind", ["anywhere", "nowhere", "at a code", "ties", "far"])
def test_the_nearest_of_thousands_of_levels_is_the_nearest(kind):
    rng = np.random.default_rng(0)
    codes = 3.3 * np.eye(150)
    block = {
        "anywhere": rng.random((40, 150)),
        "nowhere": np.zeros((40, 150)),
        "at a code": codes[rng.integers(0, 150, 40)],
        "ties": rng.random((40, 150)).round(),
        "far": 1e9 * rng.random((40, 150)),
    }[kind]
    allowed = rng.random((40, 150)) < 0.5
    allowed[0] = False
    own = np.full((40, 150), 1e12)
    found = project_one_hot(block, codes, allowed, own)
    distance = np.linalg.norm(block[:, None] - codes, axis=2)
    expected = codes[np.where(allowed, distance, np.inf).argmin(axis=1)]
    assert np.array_equal(found[1:], expected[1:])
    assert np.array_equal(found[0], own[0])
