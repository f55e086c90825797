"""The promise: the bias, the margin, and what is expected of either, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skcfq.training import AdvisedPeople, promised_margin


def people_of(n, *, depth=0.0, refused_by=-1.0, targets=None):
    ones = torch.ones(n, dtype=torch.float64)
    targets = torch.ones(n, dtype=torch.int64) if targets is None else targets
    return AdvisedPeople(None, ones[:, None], targets, ones, refused_by * ones, depth * ones)


def test_the_bias_keeps_all_but_a_share():
    slack = torch.linspace(-1, 0, 99, dtype=torch.float64)
    # The tenth of 99 is at -1 + 9 / 98.
    assert people_of(99).bias(slack, 0.1) == pytest.approx(1 - 9 / 98, abs=1e-5)


def test_a_lenient_student_gets_no_stricter_than_its_teacher():
    slack = torch.linspace(10, 11, 99, dtype=torch.float64)
    # The teacher is stricter by 1 everywhere, and half of the people may lose their advice.
    people = people_of(99)
    people.depth.copy_(slack - 1)
    assert people.bias(slack, 0.5) == pytest.approx(-1)


def test_targets_that_differ_are_not_one():
    assert people_of(4).one_target == 1
    assert people_of(4, targets=torch.arange(4) % 2).one_target is None


def test_figures_are_their_definitions():
    """Two people at 2 and 0.5 below the boundary; the student is lenient by 1, and by 3."""
    people = people_of(2, depth=0.5)
    people.refused_by.copy_(torch.tensor([-2.0, -0.5]))
    people.weights.copy_(torch.tensor([3.0, 1.0]))
    slack = torch.tensor([1.5, 3.5], dtype=torch.float64)
    assert people.expected_gap(slack) == pytest.approx((3 * 0.5 + 1 * 1.0) / 4)
    # Of errors 1, 1, 1 and 3.
    assert people.error_spread(slack) == pytest.approx(np.std([1, 1, 1, 3]))
    assert people.error_spread(slack + 7) == pytest.approx(np.std([1, 1, 1, 3]))


class Advice:
    """Advice whose points are margins, under a student that lags behind its teacher."""

    def __init__(self, lags, slope=1.0, reach=math.inf):
        self.lags, self.slope, self.reach = lags, slope, reach
        self.asked = []

    def points(self, margin):
        self.asked.append(margin)
        n = len(self.lags)
        return torch.full((n, 1), float(margin)), torch.full((n,), margin <= self.reach)

    def slack(self, points):
        return self.slope * (points[:, 0].double() - 1) - self.lags

    def found(self, share):
        people = people_of(len(self.lags))
        cost = lambda points: 10 + points[:, 0].double()  # noqa: E731
        # The advice without a margin is at 1 on the line, so that it has a cost and a slack.
        return promised_margin(
            people,
            share,
            self.slack,
            lambda margin: self.points(1 + margin),
            cost,
        )


@pytest.mark.parametrize("slope", [0.5, 0.9, 1.0, 1.5])
def test_the_margin_is_verified_and_not_much_more_than_is_needed(slope):
    lags = torch.linspace(-1, 1, 99, dtype=torch.float64)
    advice = Advice(lags, slope)
    found = advice.found(0.1)
    # Nine of 99 may lose it, as the bias has it.
    needed = float(lags.sort().values[-10]) / slope
    assert needed <= found.margin < 1.15 * needed
    assert len(advice.asked) <= 8 and 1 + found.margin in advice.asked
    assert found.extra_cost == pytest.approx(found.margin / 11)


def test_nothing_is_asked_where_the_advice_holds():
    advice = Advice(torch.full((50,), -1.0, dtype=torch.float64))
    found = advice.found(0.1)
    assert (found.margin, found.extra_cost, advice.asked) == (0.0, 0.0, [])


@pytest.mark.parametrize("wrong", [{"slope": 0.0}, {"reach": 1.5}])
def test_a_margin_that_does_not_help_is_none(wrong):
    found = Advice(torch.ones(50, dtype=torch.float64), **wrong).found(0.1)
    assert math.isnan(found.margin) and math.isnan(found.extra_cost)
