"""Intervals hold what they promise: over simulated populations, as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from skcfq.utils.intervals import mean_interval, median_interval, share_interval


@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 40), (12, 12), (500, 1000)])
def test_shares_are_those_of_clopper_and_pearson(k, n):
    wanted = binomtest(k, n).proportion_ci(0.9, method="exact")
    assert share_interval(k, n, 0.9) == pytest.approx((wanted.low, wanted.high))


def test_nobody_has_no_interval():
    empty = np.zeros(0)
    for ends in (
        share_interval(0, 0, 0.95),
        mean_interval(empty, 0.95),
        median_interval(empty, 0.95),
        mean_interval(np.ones(1), 0.95),
        median_interval(np.arange(4.0), 0.95),
    ):
        assert np.isnan(ends).all()
    assert mean_interval(np.ones(9), 0.95) == (1.0, 1.0)


def _simulated(kind, random):
    """Gaps of recourse look like these: a lump at -1, many near 0, a tail to the right."""
    if kind == "normal":
        return random.normal(0.3, 1.0, 60), 0.3
    if kind == "skewed":
        return random.exponential(1.0, 60), 1.0
    lump = random.random_sample(80) < 0.2
    return np.where(lump, -1.0, random.lognormal(-2, 0.7, 80)), (
        -0.2 + 0.8 * np.exp(-2 + 0.7**2 / 2)
    )


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("kind", ["normal", "skewed", "gaps"])
def test_means_are_covered(kind, confidence):
    random = np.random.RandomState(0)
    held = 0
    n = 300
    for _ in range(n):
        values, mean = _simulated(kind, random)
        low, high = mean_interval(values, confidence)
        held += low <= mean <= high
    # Four standard errors of a share below, and never sure of nothing.
    assert held / n >= confidence - 4 * np.sqrt(confidence * (1 - confidence) / n)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_shares_and_medians_are_covered(confidence):
    random = np.random.RandomState(0)
    n = 1000
    shares = medians = 0
    for _ in range(n):
        k = random.binomial(45, 0.08)
        low, high = share_interval(k, 45, confidence)
        shares += low <= 0.08 <= high
        low, high = median_interval(random.exponential(1.0, 45), confidence)
        medians += low <= np.log(2) <= high
    slack = 3 * np.sqrt(confidence * (1 - confidence) / n)
    assert shares / n >= confidence - slack
    assert medians / n >= confidence - slack


def test_a_ratio_of_sums():
    random = np.random.RandomState(0)
    prices, changes = random.exponential(1.0, 120), random.normal(0.1, 0.3, 120)
    low, high = mean_interval(changes, 0.95, weights=prices)

    def ratio(change, price):
        return np.average(change, weights=price)

    other = bootstrap(
        (changes, prices), ratio, paired=True, vectorized=False, n_resamples=2000, random_state=0
    ).confidence_interval
    assert (low, high) == pytest.approx((other.low, other.high), abs=0.02)
    # From many rows on nothing is drawn, and little changes.
    many = np.tile(changes, 200), np.tile(prices, 200)
    low, high = mean_interval(many[0], 0.95, weights=many[1])
    assert high - low == pytest.approx((other.high - other.low) / np.sqrt(200), rel=0.1)


def test_resamples_of_one_value_leave_no_number_that_is_rounding():
    for values in ([0.1, 0.2, 0.3], [1.1, 2.3], [0.1, 0.1, 0.1, 0.7, 0.7]):
        ends = np.array(mean_interval(np.array(values), 0.95))
        assert (np.isnan(ends) | (np.abs(ends) < 10)).all(), values
