"""The split-conformal quantile, against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcfq.training._conformal import (
    bias_above,
    calibration_people,
    conformal_quantile,
    conformal_quantile_of_shares,
    quantile,
    share_for_others,
)


def ones(n):
    return torch.ones(n, dtype=torch.float64)


def of_group(n, code=0):
    return torch.full((n,), code, dtype=torch.int64)


@pytest.fixture
def slack():
    return torch.from_numpy(np.random.default_rng(0).normal(size=99))


@pytest.mark.parametrize("share", [0.0, 0.005, 0.01, 0.02, 0.1, 0.5, 0.985])
def test_the_threshold_is_an_order_statistic(slack, share):
    """The k-th lowest of 99, k the whole part of 100 shares: k of 100 others are below it."""
    wanted = slack.sort().values[max(int(share * 100 + 1e-9), 1) - 1].item()
    assert conformal_quantile(slack, ones(99), of_group(99), share) == wanted


@pytest.mark.parametrize(("share", "n", "allowed"), [(0.1, 99, 9 / 99), (0.02, 400, 7.02 / 400)])
def test_the_share_of_the_people_themselves_is_below_that_of_others(share, n, allowed):
    assert share_for_others(share, ones(n)) == pytest.approx(allowed)
    # With fewer than 1 / share people, nobody of them may lose it.
    assert share_for_others(share, ones(int(1 / share) - 1)) == 0


def test_quantile_counts_weight():
    values = torch.tensor([3.0, 1.0, 2.0])
    weights = torch.tensor([1.0, 1.0, 2.0])
    found = [quantile(values, weights, share) for share in (0.0, 0.24, 0.25, 0.74, 0.75, 1.0)]
    assert found == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]


def test_each_group_keeps_the_promise(slack):
    """The threshold of the worst group holds for the other too."""
    codes = torch.arange(99) % 3
    found = conformal_quantile(slack, ones(99), codes, 0.1)
    each = [
        conformal_quantile(slack[codes == code], ones(33), of_group(33), 0.1) for code in range(3)
    ]
    assert len(set(each)) == 3
    assert found == min(each)


def test_shares_of_groups_decide_whose_slack_counts(slack):
    codes = torch.arange(99) % 2
    values = torch.where(codes == 0, slack, slack + 100.0)

    def found(first):
        shares = torch.where(codes == 0, first, 1.0 - first).double()
        return conformal_quantile_of_shares(values, ones(99), codes, shares, 0.4)

    # Of two groups far apart, 0.4 of others are below 50 only if the first is more than that.
    assert found(0.9) < 50 < found(0.2)
    alone = conformal_quantile(values[codes == 0], ones(50), of_group(50), 0.4)
    assert found(1.0) == alone


def test_whoever_has_the_threshold_keeps_the_advice():
    for threshold in (-2.0, 0.0, 3.0):
        assert 0 < threshold + bias_above(threshold) < 1e-5


@pytest.mark.parametrize(("n", "share"), [(300, 0.5), (1000, 0.4), (4000, 0.2)])
def test_so_many_people_are_held(n, share):
    """Half of few people, a fifth of many, and 400 in between."""
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(n, 3)))
    held = calibration_people(rows, ones(n).bool(), ones(n), np.random.RandomState(0))
    assert held.double().mean().item() == pytest.approx(share, abs=4 * (0.25 / n) ** 0.5)


def test_who_is_held_follows_the_row_and_has_an_action():
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 3)))
    acted = torch.arange(200) % 4 > 0
    held = calibration_people(rows, acted, ones(200), np.random.RandomState(0))
    assert not held[~acted].any()
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    again = calibration_people(rows[order], acted[order], ones(200), np.random.RandomState(0))
    assert torch.equal(again, held[order])
    other = calibration_people(rows, acted, ones(200), np.random.RandomState(1))
    assert not torch.equal(other, held)


def test_nobody_is_held_where_nobody_would_be_left():
    rows, one = torch.zeros(3, 2, dtype=torch.float64), torch.tensor([True, False, False])
    for seed in range(5):
        assert not calibration_people(rows, one, ones(3), np.random.RandomState(seed)).any()
