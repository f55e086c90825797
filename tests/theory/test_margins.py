"""Target margins (Eq. 42, 43), and what the deployed model takes from them (Eq. 67)."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skcfq import theory
from skcfq.exceptions import SpaceMismatchError, TargetError
from skcfq.models import as_predictor


def _by_loops(model, X, target):
    scores = as_predictor(model).row_scores(X)
    wanted = list(model.classes_).index(target)
    return [row[wanted] - max(np.delete(row, wanted)) for row in scores]


def test_margins_are_those_of_the_definition(pair):
    reference, deployed, X, target = pair
    for model in (reference, deployed):
        found = theory.target_margin(model, X, target=target)
        np.testing.assert_array_equal(found, _by_loops(model, X, target))
        assert ((found > 0) == (model.predict(X) == target)).all()
    lost = theory.margin_degradation(reference, deployed, X, target=target)
    wanted = np.subtract(_by_loops(reference, X, target), _by_loops(deployed, X, target))
    np.testing.assert_array_equal(lost, wanted)
    assert np.abs(lost).max() > 0


def test_target_is_one_a_row_or_what_the_models_were_told(three, lending):
    model, _, X = three
    labels = model.classes_[np.arange(len(X)) % 3]
    found = theory.target_margin(model, X, target=labels)
    for label in model.classes_:
        rows = labels == label
        own = theory.target_margin(model, X[rows], target=label)
        np.testing.assert_allclose(found[rows], own, rtol=0, atol=1e-14)
    reference, deployed, X = lending
    told = theory.margin_degradation(reference, deployed, X)
    np.testing.assert_array_equal(
        told, theory.margin_degradation(reference, deployed, X, target="granted")
    )


def test_points_have_no_opposite(lending):
    with pytest.raises(TargetError, match="opposite.*result.target"):
        theory.target_margin(lending[0], lending[2], target="opposite")


def test_models_share_a_space(three):
    reference, _, X = three
    other = LogisticRegression().fit(X[:, :2], X[:, 0] > 0)
    with pytest.raises(SpaceMismatchError):
        theory.margin_degradation(reference, other, X, background=X[:, :2])
