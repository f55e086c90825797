"""Bounds of two networks' difference over boxes, against dense sampling and at points."""

import copy

import numpy as np
import pytest
import torch
from lattice_cases import draw_integers, draw_people, draw_rectifiers
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier

from skcfq import TeacherClassifier, theory
from skcfq.exceptions import UnsupportedModelError
from skcfq.models import as_predictor
from skcfq.theory._row_boxes import RowBoxes

PEOPLE = draw_people(25)


def _nearby(teacher, share):
    """Return a teacher whose weights all differ by up to a share of the largest of their layer."""
    other, rng = copy.deepcopy(teacher), np.random.RandomState(0)
    with torch.no_grad():
        for weight in other.network_.parameters():
            noise = rng.uniform(-share, share, weight.shape) * weight.abs().max().item()
            weight += torch.from_numpy(noise)
    return other


def _unlike(hidden, **parameters):
    """Return two networks of three classes that have nothing but their shape in common."""
    first = draw_rectifiers(PEOPLE, hidden, 3)
    return first, draw_integers(PEOPLE, hidden, 3, seed=1, **parameters), PEOPLE, 2


def _linear():
    X = PEOPLE[["age", "income", "debt"]]
    models = [LogisticRegression(C=c).fit(X, PEOPLE["color"] == "red") for c in (1.0, 1e-3)]
    return *models, X, True


def _with_thresholds(reference, deployed, X):
    models = [
        FixedThresholdClassifier(
            FrozenEstimator(model), threshold=threshold, response_method="predict_proba"
        ).fit(X, reference.predict(X))
        for model, threshold in ((reference, 0.4), (deployed, 0.7))
    ]
    return *models, X


PAIRS = {
    "three": lambda three, lending: (*three, 2),
    "lending": lambda three, lending: (*lending, "granted"),
    "rectifiers": lambda three, lending: (three[0], _nearby(three[0], 0.2), three[2], 1),
    "two bits": lambda three, lending: _unlike((8, 6, 5), bits=2, per_channel=True),
    "eight bits": lambda three, lending: _unlike((6,), bits=8),
    "thresholds": lambda three, lending: (*_with_thresholds(*lending), "granted"),
    "linear": lambda three, lending: _linear(),
}


def _draws(boxes, rng, n):
    """Draw encoded points of boxes: anywhere, and at corners."""
    for draw in range(n):
        share = rng.rand(*boxes.low.shape)
        share = np.rint(share) if draw % 2 else share
        yield torch.from_numpy(boxes.low + share * (boxes.high - boxes.low))


def _logits(predictors, points):
    return [predictor.logits(points).detach().numpy() for predictor in predictors]


def _margins(logits, target):
    own = logits[:, target]
    return own - np.delete(logits, target, axis=1).max(axis=1)


@pytest.mark.parametrize("over", ["numbers", "encoded"])
@pytest.mark.parametrize("name", PAIRS)
def test_bounds_hold_at_every_sample(name, over, three, lending):
    reference, deployed, X, target = PAIRS[name](three, lending)
    predictors = [as_predictor(model, background=X) for model in (reference, deployed)]
    wanted = list(predictors[0].classes).index(target)
    rng = np.random.RandomState(0)
    told = {"target": target, "background": X, "over": over}
    for radius in (1e-3, 0.03, 0.3, 2.0):
        found = theory.certified_difference(reference, deployed, X, radius=radius, **told)
        boxes = RowBoxes.of(predictors, X, radius, over)
        for points in _draws(boxes, rng, 60):
            first, second = _logits(predictors, points)
            assert (second - first <= found.upper + 1e-9).all()
            assert (second - first >= found.lower - 1e-9).all()
            before, after = _margins(first, wanted), _margins(second, wanted)
            assert (before - after <= found.margin_drop + 1e-9).all()
            assert (before >= found.reference_margin - 1e-9).all()
            assert (after >= found.deployed_margin - 1e-9).all()
            assert (second.argmax(axis=1) == wanted)[found.survives].all()
        np.testing.assert_array_equal(
            found.perturbation.values,
            np.maximum(np.abs(found.lower), np.abs(found.upper)).max(axis=1),
        )


@pytest.mark.parametrize("name", PAIRS)
def test_points_are_exact(name, three, lending):
    reference, deployed, X, target = PAIRS[name](three, lending)
    predictors = [as_predictor(model, background=X) for model in (reference, deployed)]
    points = torch.from_numpy(predictors[0].space.encode(X))
    first, second = _logits(predictors, points)
    told = {"target": target, "background": X}
    exact = theory.certified_difference(reference, deployed, X, **told)
    # Rows are scored by other products than encoded points, which round as they like.
    np.testing.assert_allclose(exact.lower, second - first, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(exact.upper, exact.lower)
    np.testing.assert_array_equal(exact.survives, predictors[1].predict(X) == target)
    # A box in which hardly any unit can switch and no code changes says nearly the same.
    near = theory.certified_difference(reference, deployed, X, radius=1e-10, **told)
    close = np.abs(near.upper - near.lower).max(axis=1) < 1e-6
    assert close.mean() > 0.9
    np.testing.assert_allclose(near.upper[close], exact.upper[close], rtol=0, atol=1e-6)
    np.testing.assert_allclose(near.margin_drop[close], exact.margin_drop[close], atol=1e-6)


def test_difference_is_followed_and_not_two_networks_apart(three):
    _, deployed, X = three
    reference = TeacherClassifier((16, 12), max_iter=15, batch_size=16, random_state=0)
    reference = reference.fit(X, deployed.predict(X))
    asked = {"radius": 0.1, "over": "encoded"}
    near = _nearby(reference, 0.01)
    found = theory.certified_difference(reference, near, X, target=1, **asked).perturbation
    product = theory.lipschitz_perturbation(reference, near, X, **asked)
    assert np.median(product.values / found.values) > 8
    assert found.direction == product.direction == "upper bound"


def test_one_sided_condition_holds_where_the_two_sided_one_cannot(lending):
    reference, deployed, X = lending
    found = theory.certified_difference(reference, deployed, X, radius=0.01)
    one_sided = found.reference_margin > found.margin_drop
    two_sided = found.reference_margin > 2 * found.perturbation.values
    assert found.survives[one_sided].all() and one_sided[two_sided].all()
    assert found.survives.sum() > one_sided.sum() > two_sided.sum()
    assert f"{found.survives.sum()} of {len(X)} survive" in repr(found)


def test_answers_do_not_depend_on_who_else_is_asked(lending):
    reference, deployed, X = lending
    all_of_them = theory.certified_difference(reference, deployed, X, radius=0.05)
    for rows in (slice(3, 4), slice(0, 17)):
        some = theory.certified_difference(reference, deployed, X.iloc[rows], radius=0.05)
        for name in ("lower", "upper", "margin_drop", "deployed_margin"):
            np.testing.assert_array_equal(getattr(some, name), getattr(all_of_them, name)[rows])


def test_nobody_is_asked_about(three):
    reference, deployed, X = three
    for radius in (0.0, 0.1):
        found = theory.certified_difference(reference, deployed, X[:0], radius=radius, target=1)
        assert found.lower.shape == (0, 3) and found.survives.shape == (0,)


def test_networks_that_cannot_be_compared_say_why(three):
    reference, deployed, X = three
    with pytest.raises(UnsupportedModelError, match="PTQClassifier is quantized.*exchange"):
        theory.certified_difference(deployed, reference, X, target=1)
    y = reference.predict(X)
    wider = TeacherClassifier((4,), max_iter=1, encoder=reference.encoder_).fit(X, y)
    with pytest.raises(UnsupportedModelError, match=r"\[7, 5, 3\] units and .* of \[4, 3\]"):
        theory.certified_difference(reference, wider, X, target=1)
    trees = RandomForestClassifier(3, random_state=0).fit(X, y)
    with pytest.raises(UnsupportedModelError, match="RandomForestClassifier cannot be bounded"):
        theory.certified_difference(trees, trees, X, target=1, background=X)
