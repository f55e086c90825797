"""Weighted statistics against the plain ones on repeated rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skcfq.encoding import FeatureSpace
from skcfq.encoding._statistics import weighted_mad, weighted_mean_std, weighted_quantiles

rows = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 4)), min_size=1, max_size=20)


@given(rows)
def test_whole_weights_count_as_repeated_rows(pairs):
    values = np.array([v for v, _ in pairs], dtype=float)
    weights = np.array([w for _, w in pairs], dtype=float)
    repeated = np.repeat(values, weights.astype(int))
    levels = np.linspace(0, 1, 101)
    expected = np.quantile(repeated, levels, method="averaged_inverted_cdf")
    # numpy's own rule stumbles over k / 100 · n that is whole but for rounding.
    exact = np.abs(levels * len(repeated) - np.rint(levels * len(repeated))) > 1e-9
    found = weighted_quantiles(values, weights, levels)
    np.testing.assert_allclose(found[exact], expected[exact])
    np.testing.assert_array_equal(
        found, weighted_quantiles(repeated, np.ones(len(repeated)), levels)
    )
    assert found[50] == np.median(repeated)
    assert (found[0], found[-1]) == (values.min(), values.max())
    mean, std = weighted_mean_std(values, weights)
    assert mean == pytest.approx(repeated.mean(), abs=1e-9)
    assert std == pytest.approx(repeated.std(), abs=1e-9)
    mad = np.median(np.abs(repeated - np.median(repeated)))
    assert weighted_mad(values, weights) == pytest.approx(mad)


@pytest.mark.parametrize("factor", [0.1, 1 / 3, 7e-5, 1e9])
def test_quantiles_do_not_know_the_unit_of_the_weights(factor):
    rng = np.random.RandomState(0)
    levels = np.linspace(0, 1, 101)
    for n in (3, 10, 40, 100):
        values = rng.standard_normal(n)
        for weights in (np.ones(n), rng.randint(1, 4, n).astype(float)):
            found = weighted_quantiles(values, weights * factor, levels)
            np.testing.assert_array_equal(found, weighted_quantiles(values, weights, levels))


def test_statistics_of_a_space():
    X = np.array([[1.0, 5.0], [2.0, np.nan], [4.0, 7.0], [100.0, np.nan]])
    space = FeatureSpace.from_frame(X, sample_weight=[1, 2, 1, 0])
    first, second = (block.statistics for block in space.blocks)
    assert (first.n, first.missing, first.minimum, first.maximum) == (4, 0, 1, 4)
    assert first.mean == pytest.approx(9 / 4)
    assert first.std == pytest.approx(np.std([1, 2, 2, 4]))
    assert first.mad == pytest.approx(0.5)
    assert (first.encoded_std, first.encoded_mad) == (first.std, first.mad)
    assert first.quantiles.shape == (101,)
    assert (second.n, second.missing) == (2, 0.5)
    assert second.frequencies is None


def test_bad_weights_are_refused():
    X = np.eye(2)
    for weights in ([1.0], [1.0, -1.0], [np.nan, 1.0], [1.0, 1e308], [1.0, 1e-300]):
        with pytest.raises(ValueError, match="`sample_weight` (has shape|holds)"):
            FeatureSpace.from_frame(X, sample_weight=weights)
    with pytest.raises(ValueError, match="zero for all rows"):
        FeatureSpace.from_frame(X, sample_weight=[0, 0])
