"""Limits for people to come: right counts, and as often right as they say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from skcfq.theory import binomial_limit, failure_limits, fixed_sequence

DRAWS = 2000
SIZES, RATES = np.array([15, 80, 900]), np.array([0.3, 0.04, 0.004])


def _least_coverage(confidence):
    """Three standard deviations below what 2,000 draws of an exact limit would cover."""
    return confidence - 3 * np.sqrt(confidence * (1 - confidence) / DRAWS)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 299), (3, 40), (29, 1179), (4, 8)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_limits_and_p_values_are_those_of_scipy(k, n, confidence):
    ours = binomial_limit(k, n, confidence=confidence)
    test = binomtest(k, n, 0.02, alternative="less")
    assert ours == pytest.approx(test.proportion_ci(confidence, method="exact").high, rel=1e-12)
    p_value = fixed_sequence([k], n, 0.02).p_values[0]
    assert p_value == pytest.approx(test.pvalue, rel=1e-10)
    # The test rejects a share exactly where the limit is below it.
    assert fixed_sequence([k], n, ours * 1.001, confidence=confidence).certified[0]
    assert not fixed_sequence([k], n, ours * 0.999, confidence=confidence).certified[0]


def test_who_all_failed_and_nobody():
    assert binomial_limit([8, 0], [8, 0]).tolist() == [1.0, 1.0]
    assert binomial_limit(0, 299) < 0.01 < binomial_limit(0, 298)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_coverage_over_draws_of_skewed_groups(confidence):
    failures = np.random.default_rng(0).binomial(SIZES, RATES, size=(DRAWS, 3))
    each = binomial_limit(failures, SIZES, confidence=confidence) >= RATES
    together = binomial_limit(failures, SIZES, confidence=1 - (1 - confidence) / 3) >= RATES
    assert (each.mean(axis=0) >= _least_coverage(confidence)).all()
    assert together.all(axis=1).mean() >= _least_coverage(confidence)
    # Neither what was observed nor a limit for one failure less would do.
    for wrong in (failures / SIZES, binomial_limit(np.maximum(failures - 1, 0), SIZES)):
        assert (wrong >= RATES).all(axis=1).mean() < _least_coverage(confidence)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_groups_share_the_confidence(confidence):
    groups = np.repeat(["a", "b", "c"], SIZES)
    failed = np.concatenate([np.arange(n) < k for n, k in zip(SIZES, [4, 3, 2], strict=True)])
    found = failure_limits(failed, groups=groups, confidence=confidence)
    expected = binomial_limit([4, 3, 2], SIZES, confidence=1 - (1 - confidence) / 3)
    np.testing.assert_allclose(found.limits, expected)
    assert found.groups.tolist() == ["a", "b", "c"]
    assert found.n_people.tolist() == SIZES.tolist() and found.n_failures.tolist() == [4, 3, 2]


def test_groups_that_are_too_small_have_no_statement():
    groups = np.repeat(["few", "enough", "many"], [80, 81, 400])
    failed = np.zeros(561, dtype=bool)
    failed[200:230] = True
    found = failure_limits(failed, groups=groups, wanted=0.05)
    # ln(3 / 0.05) / -ln(0.95) = 79.8
    assert found.status.tolist() == ["certified", "certified", "not certified"]
    found = failure_limits(failed[1:], groups=groups[1:], wanted=0.05)
    assert found.status[0] == "no statement" and np.isnan(found.limits[0])
    assert found.to_frame().loc["few", "n_people"] == 79
    nobody = failure_limits([], wanted=0.05)
    assert nobody.status.tolist() == ["no statement"] and nobody.n_people.tolist() == [0]


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("rates", [(0.02, 0.15), (0.15, 0.02), (0.0, 0.12)])
def test_coverage_with_weights(confidence, rates):
    """Light and heavy people who fail at different rates; the draws have few distinct counts."""
    sizes, heavy = (60, 25), 6.0
    weights = np.repeat([1.0, heavy], sizes)
    truth = np.average(np.repeat(rates, sizes), weights=weights)
    drawn = np.random.default_rng(0).binomial(sizes, rates, size=(DRAWS, 2))
    kinds, times = np.unique(drawn, axis=0, return_counts=True)
    bound, naive = [], []
    for k in kinds:
        failed = np.concatenate([np.arange(n) < x for n, x in zip(sizes, k, strict=True)])
        found = failure_limits(failed, sample_weight=weights, confidence=confidence)
        assert found.methods.tolist() == ["betting"] and found.limits[0] > found.rates[0]
        bound.append(found.limits[0] >= truth)
        naive.append(found.rates[0] >= truth)
    assert times @ np.array(bound) / DRAWS >= _least_coverage(confidence)
    assert times @ np.array(naive) / DRAWS < _least_coverage(confidence)


def test_the_capital_is_fair_at_the_true_share():
    """By enumeration: the weighted limit is below the truth no more often than it may be."""
    weights, rates = np.array([1.0, 1, 1, 2, 2, 3, 5, 8]), np.linspace(0.9, 0.5, 8)
    truth = np.average(rates, weights=weights)
    missed = sum(
        np.prod(np.where(failed, rates, 1 - rates))
        for failed in itertools.product([False, True], repeat=8)
        if failure_limits(failed, sample_weight=weights, confidence=0.5).limits[0] < truth
    )
    assert 0 < missed <= 0.5


def test_weights_of_one_size_are_counts():
    failed = np.arange(50) < 3
    plain = failure_limits(failed)
    equal = failure_limits(np.append(failed, True), sample_weight=np.append(np.full(50, 0.3), 0))
    assert equal.limits == plain.limits and equal.methods == plain.methods
    assert equal.effective_n[0] == pytest.approx(50)
    nearly = failure_limits(failed, sample_weight=np.full(50, 1.0) + 1e-9 * np.arange(50))
    assert nearly.methods[0] == "betting" and plain.limits[0] < nearly.limits[0] < 0.25


def test_effective_n_and_no_statement_with_weights():
    weights = np.append(np.ones(400), 300.0)
    found = failure_limits(np.zeros(401, dtype=bool), sample_weight=weights, wanted=0.05)
    assert found.effective_n[0] == pytest.approx(700**2 / (400 + 300**2))
    assert found.status.tolist() == ["no statement"]
    assert "5.42" in repr(found)


def test_the_sequence_stops_at_the_first_that_is_not_certified():
    tested = fixed_sequence([0, 1, 9, 0], [300, 300, 300, 300], 0.02)
    assert tested.certified.tolist() == [True, True, False, False]
    assert tested.p_values == pytest.approx(binom.cdf([0, 1, 9, 0], 300, 0.02))
    assert tested.last_certified == tested.last_on_average == 1
    assert fixed_sequence([9, 0], 300, 0.02).last_certified is None
    assert fixed_sequence([0], [0], 0.02).p_values.tolist() == [1.0]


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_sequence_is_wrong_no_more_often_than_it_says(confidence):
    """Shares that neither rise nor fall, and one draw of people for all settings."""
    shares, wanted, n = np.array([0.01, 0.002, 0.021, 0.005, 0.06, 0.0]), 0.02, 400
    fails = np.random.default_rng(0).random((DRAWS, n, 1)) < shares
    wrong = unstopped = 0
    for k in fails.sum(axis=1):
        tested = fixed_sequence(k, n, wanted, confidence=confidence)
        wrong += (tested.certified & (shares > wanted)).any()
        unstopped += ((k + 1) / (n + 1) <= wanted)[shares > wanted].any()
    assert 1 - wrong / DRAWS >= _least_coverage(confidence)
    assert 1 - unstopped / DRAWS < _least_coverage(confidence)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("n_failures", lambda: binomial_limit(-1, 9)),
        ("n_failures", lambda: binomial_limit(1.5, 9)),
        ("n_people", lambda: binomial_limit(10, 9)),
        ("n_people", lambda: binomial_limit(1, "9")),
        ("n_people", lambda: fixed_sequence([0, 1], [1, 2, 3], 0.1)),
        ("n_failures", lambda: fixed_sequence(0, 9, 0.1)),
        ("confidence", lambda: binomial_limit(1, 9, confidence=1.0)),
        ("wanted", lambda: fixed_sequence([0], 9, 0.0)),
        ("wanted", lambda: failure_limits([True], wanted=2)),
        ("failed", lambda: failure_limits([0, 2])),
        ("failed", lambda: failure_limits([[True]])),
        ("groups", lambda: failure_limits([True], groups=["a", "b"])),
        ("groups", lambda: failure_limits([True, False], groups=["a", None])),
        ("sample_weight", lambda: failure_limits([True], sample_weight=[-1])),
    ],
)
def test_what_is_no_count(name, call):
    with pytest.raises(ValueError, match=name):
        call()
