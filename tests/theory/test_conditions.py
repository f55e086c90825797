"""Proposition 5.1, its bound and its risk (Eq. 46, 51, 64), and the one-sided condition."""

import numpy as np
import pytest

from skcfq import theory
from skcfq.exceptions import EmptyPopulationWarning


@pytest.mark.parametrize("centered", [False, True])
def test_proposition_is_its_definition_and_true(pair, centered):
    reference, deployed, X, target = pair
    margin = theory.target_margin(reference, X, target=target)
    given = {"radius": 0.05, "centered": centered}
    for epsilon in (
        theory.exact_perturbation(reference, deployed, X, centered=centered),
        theory.sampled_perturbation(reference, deployed, X, random_state=0, n_samples=5, **given),
        theory.first_order_perturbation(reference, deployed, X, **given),
    ):
        found = theory.margin_condition(margin, epsilon)
        holds = np.array([m > 2 * e for m, e in zip(margin, epsilon.values, strict=True)])
        np.testing.assert_array_equal(found.holds, holds)
        np.testing.assert_array_equal(found.at_risk, ~holds)
        assert found.risk == np.mean(margin <= 2 * epsilon.values) and found.kind == epsilon.kind
        after = theory.target_margin(deployed, X, target=target)
        assert (found.lower_bound <= after + 1e-9).all()
        assert (deployed.predict(X)[holds] == target).all()
        assert holds.any() or epsilon.direction != "exact"


def test_one_side_is_exact_at_the_point(pair):
    reference, deployed, X, target = pair
    found = theory.one_sided_condition(reference, deployed, X, target=target)
    np.testing.assert_array_equal(found.holds, deployed.predict(X) == target)
    margin = theory.target_margin(reference, X, target=target)
    lost = theory.margin_degradation(reference, deployed, X, target=target)
    np.testing.assert_allclose(found.lower_bound, margin - lost, atol=1e-12)
    two_sided = theory.margin_condition(margin, theory.exact_perturbation(reference, deployed, X))
    assert (found.holds >= two_sided.holds).all() and found.kind == "certified"


def test_what_is_not_known_is_at_risk(three):
    reference, deployed, X = three
    epsilon = theory.exact_perturbation(reference, deployed, X[:2])
    found = theory.margin_condition([9.0, np.nan], epsilon)
    assert found.at_risk.tolist() == [False, True] and "1 of 2" in repr(found)


def test_margins_are_of_the_same_points(three):
    reference, deployed, X = three
    epsilon = theory.exact_perturbation(reference, deployed, X)
    with pytest.raises(ValueError, match=r"`margin` has shape \(2,\).*80 points"):
        theory.margin_condition([1.0, 2.0], epsilon)
    nothing = theory.exact_perturbation(reference, deployed, X[:0])
    with pytest.warns(EmptyPopulationWarning):
        assert np.isnan(theory.margin_condition([], nothing).risk)
