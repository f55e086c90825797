"""ε at points, sampled around them and to first order (Eq. 47, 61, 62, 65, 66), by loops."""

import pickle
from functools import partial
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from skcfq import FeatureSpace, theory
from skcfq.exceptions import EmptyPopulationWarning, UnsupportedModelError
from skcfq.models import as_predictor
from skcfq.theory._neighborhoods import neighborhood


def _differences(reference, deployed, Z):
    rows = torch.from_numpy(Z)
    first, second = as_predictor(reference), as_predictor(deployed)
    return (second.logits(rows) - first.logits(rows)).detach().numpy()


def _spreads(space):
    found = np.zeros(space.n_encoded)
    for block in space.blocks:
        if block.kind == "affine":
            found[block.columns] = block.statistics.encoded_std
    return found


def _best_shift(difference):
    """Half the range, found as the least largest distance over many shifts."""
    shifts = np.linspace(difference.min(), difference.max(), 2001)
    return min(np.abs(difference - shift).max() for shift in shifts)


def test_exact_is_the_largest_difference_of_any_class(pair):
    reference, deployed, X, _ = pair
    differences = _differences(reference, deployed, reference.feature_space_.encode(X))
    found = theory.exact_perturbation(reference, deployed, X)
    wanted = [max(abs(one) for one in row) for row in differences]
    np.testing.assert_allclose(found.values, wanted, rtol=0, atol=1e-12)
    assert (found.kind, found.direction, found.radius) == ("certified", "exact", 0.0)
    centered = theory.exact_perturbation(reference, deployed, X, centered=True)
    wanted = [_best_shift(row) for row in differences]
    np.testing.assert_allclose(centered.values, wanted, rtol=2e-3)


def test_of_two_classes_centered_is_half_of_what_margins_lose(lending):
    reference, deployed, X = lending
    found = theory.exact_perturbation(reference, deployed, X, centered=True)
    lost = theory.margin_degradation(reference, deployed, X, target="granted")
    np.testing.assert_allclose(2 * found.values, np.abs(lost), atol=1e-12)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_sampled_is_the_largest_of_points_that_lie_in_the_neighborhood(pair, norm, monkeypatch):
    reference, deployed, X, _ = pair
    X, space, asked = X[:5], reference.feature_space_, []
    seen = as_predictor(reference)
    inner = type(seen).logits

    def logits(self, Z):
        if self is seen and len(Z) == 40:
            asked.append(Z.numpy().copy())
        return inner(self, Z)

    monkeypatch.setattr(type(seen), "logits", logits)
    found = theory.sampled_perturbation(
        seen, deployed, X, radius=0.3, norm=norm, n_samples=40, random_state=0
    )
    monkeypatch.undo()
    Z, spreads = space.encode(X), _spreads(space)
    assert len(asked) == 5 and (found.kind, found.direction) == ("sampled", "lower bound")
    moving = spreads > 0
    for point, drawn, value in zip(Z, asked, found.values, strict=True):
        steps = (drawn - point)[:, moving] / spreads[moving]
        assert np.linalg.norm(steps, ord=2 if norm == "l2" else np.inf, axis=1).max() <= 0.3 + 1e-9
        assert np.abs(steps).max() > 0.1
        assert (drawn[:, ~moving] == point[~moving]).all()
        rows = np.vstack([point, drawn])
        wanted = max(np.abs(row).max() for row in _differences(reference, deployed, rows))
        assert value == pytest.approx(wanted, abs=1e-12)


def test_samples_hold_the_point_and_are_those_of_the_seed(pair):
    reference, deployed, X, _ = pair
    exact = theory.exact_perturbation(reference, deployed, X)
    drawn = [
        theory.sampled_perturbation(
            reference, deployed, X, radius=0.2, n_samples=8, random_state=seed
        )
        for seed in (3, 3, 4)
    ]
    assert (drawn[0].values >= exact.values - 1e-12).all()
    np.testing.assert_array_equal(drawn[0].values, drawn[1].values)
    assert (drawn[0].values != drawn[2].values).any()
    still = theory.sampled_perturbation(reference, deployed, X, radius=0.0, n_samples=1)
    np.testing.assert_allclose(still.values, exact.values, atol=1e-12)
    assert drawn[0].maximum == max(drawn[0].values)
    assert drawn[0].quantile_95 == np.quantile(drawn[0].values, 0.95)


def test_ball_is_filled_evenly():
    """The share of draws within half the radius is one half to the power of the dimension."""
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    around = neighborhood([as_predictor(model, background=X)], 2.0, "l2", "numbers")
    (drawn,) = around.draws(4000, np.random.RandomState(0))
    lengths = np.linalg.norm(drawn / X.std(axis=0), axis=1)
    assert lengths.max() <= 2 and np.mean(lengths <= 1) == pytest.approx(1 / 8, abs=0.02)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("centered", [False, True])
def test_first_order_is_value_and_operator_norm(pair, norm, centered):
    reference, deployed, X, _ = pair
    X, space = X[:6], reference.feature_space_
    found = theory.first_order_perturbation(
        reference, deployed, X, radius=0.2, norm=norm, centered=centered
    )
    exact = theory.exact_perturbation(reference, deployed, X, centered=centered)
    first, second = as_predictor(reference), as_predictor(deployed)
    order, spreads = 2 if norm == "l2" else 1, _spreads(space)
    for i, point in enumerate(torch.from_numpy(space.encode(X))):
        slopes = [
            torch.autograd.functional.jacobian(lambda z, m=m: m.logits(z[None])[0], point).numpy()
            for m in (first, second)
        ]
        change = (slopes[1] - slopes[0]) * spreads
        if centered:
            pairs = [(a - b) / 2 for a, b in combinations(change, 2)]
        else:
            pairs = list(change)
        around = 0.2 * max(np.linalg.norm(row, ord=order) for row in pairs)
        assert found.parts["around"][i] == pytest.approx(around, rel=1e-9)
        assert found.values[i] == pytest.approx(exact.values[i] + around, rel=1e-9)
    assert (found.kind, found.direction) == ("estimated", "estimate")


def test_first_order_is_exact_where_both_models_are_linear():
    X = np.random.default_rng(0).normal(size=(60, 3))
    models = [LogisticRegression(C=c).fit(X, X[:, 0] > X[:, 1]) for c in (1.0, 0.01)]
    given = {"radius": 0.5, "norm": "linf", "background": X}
    estimated = theory.first_order_perturbation(*models, X, **given)
    sampled = theory.sampled_perturbation(*models, X, n_samples=2000, random_state=0, **given)
    slopes = np.abs(models[1].coef_ - models[0].coef_) * X.std(axis=0)
    at_point = np.abs(np.subtract(*(model.decision_function(X) for model in models)))
    np.testing.assert_allclose(estimated.values, at_point + 0.5 * slopes.sum())
    assert (sampled.values <= estimated.values).all()
    assert (sampled.values > 0.9 * estimated.values).all()


def test_one_bad_row_stays_alone():
    X = np.random.default_rng(0).normal(size=(60, 3))
    models = [LogisticRegression(C=c).fit(X, X[:, 0] > X[:, 1]) for c in (1.0, 0.01)]
    models = [as_predictor(model, background=X) for model in models]
    gap = X[:3].copy()
    gap[1, 0] = np.nan
    given = {"radius": 0.1, "n_samples": 9, "random_state": 0}
    found = theory.sampled_perturbation(*models, gap, **given)
    assert np.isnan(found.values).tolist() == [False, True, False]
    np.testing.assert_array_equal(
        found.values[[0, 2]], theory.sampled_perturbation(*models, X[:3], **given).values[[0, 2]]
    )


def test_no_point_has_no_figures(three):
    reference, deployed, X = three
    functions = [
        theory.exact_perturbation,
        partial(theory.sampled_perturbation, radius=0.1),
        partial(theory.first_order_perturbation, radius=0.1, centered=True),
        theory.lipschitz_perturbation,
    ]
    for function in functions:
        found = function(reference, deployed, X[:0])
        assert found.values.shape == (0,) and "0 points" in repr(found)
        with pytest.warns(EmptyPopulationWarning):
            assert np.isnan(found.maximum)
    found = theory.layerwise_degradation(reference, deployed, X[:0])
    assert found.logits.shape == (0, 4, 3) and "0 points" in repr(found)
    assert theory.estimated_sensitivities(deployed, X[:0]).shape == (0, 3)


def test_results_travel(three):
    reference, deployed, X = three
    found = theory.lipschitz_perturbation(reference, deployed, X[:3])
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.values, found.values)
    exact = theory.exact_perturbation(reference, deployed, X[:3])
    assert repr(pickle.loads(pickle.dumps(exact))) == repr(exact)


def test_a_function_of_raw_rows_has_no_neighborhood(three):
    _, _, X = three
    space = FeatureSpace.from_frame(X)
    closed = [
        as_predictor(lambda X, c=c: c * X[:, :2], classes=[0, 1], space=space, output="logits")
        for c in (1.0, 2.0)
    ]
    found = theory.exact_perturbation(*closed, X)
    np.testing.assert_allclose(found.values, np.abs(X[:, :2]).max(axis=1))
    with pytest.raises(UnsupportedModelError, match="only a function"):
        theory.sampled_perturbation(*closed, X, radius=0.1)
