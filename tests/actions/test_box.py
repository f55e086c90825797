"""Action sets that are boxes: the quick projection is the general one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcfq.actions import ActionSet, region_of
from skcfq.actions._box import box_of
from skcfq.encoding import FeatureSpace

X = np.random.default_rng(0).normal(size=(40, 4))
SPACE = FeatureSpace.from_frame(X)
BOXES = [
    {},
    {"immutable": [1]},
    {"increasing": [0], "decreasing": [2]},
    {"bounds": {3: (-0.5, 0.2)}},
]


def region_with(rules):
    return region_of(ActionSet(**rules).compile(SPACE), X)


@pytest.mark.parametrize("rules", BOXES)
def test_a_box_projects_as_its_region_does(rules):
    region = region_with(rules)
    box = box_of(region, torch.float64)
    noise = torch.randn(region.origin.shape, generator=torch.Generator().manual_seed(1)).double()
    for size in (0.0, 0.1, 3.0):
        points = region.origin + size * noise
        assert torch.equal(box.project(points), region.project(points))


def test_a_box_of_some_people_in_single_precision():
    rows = torch.tensor([3, 1, 3])
    region = region_with({})
    box = box_of(region, torch.float32).take(rows)
    points = region.origin[rows] + 0.5
    found = box.project(points.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), region.take(rows).project(points), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "rules", [{"steps": {0: 0.5}}, {"max_changes": 2}, {"min_change": {0: 0.5}}]
)
def test_other_rules_are_no_box(rules):
    assert box_of(region_with(rules), torch.float64) is None


def test_gaps_are_no_box():
    with_gap = X.copy()
    with_gap[3, 1] = np.nan
    region = region_of(ActionSet().compile(FeatureSpace.from_frame(with_gap)), with_gap)
    assert bool(region.origin.isnan().any()) == (box_of(region, torch.float64) is None)


def test_without_raw_rows_the_projection_is_the_same():
    region = region_with({"steps": {0: 0.5}, "max_changes": 2})
    points = region.origin + 0.7
    rows = torch.tensor([5, 2])
    lean = region.without_raw().take(rows)
    assert torch.equal(lean.project(points[rows]), region.project(points)[rows])
