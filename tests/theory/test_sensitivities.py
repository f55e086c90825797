"""Sensitivities at the deployed network (Eq. 76 to 79) and the widths of Eq. 75."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from skcfq import theory
from skcfq.exceptions import BudgetError
from skcfq.quantization import closed_form_bits


def _gradients(deployed, row, wanted):
    """Gradients of the loss at one row by the weights of the clipped network without rounding."""
    network, trained = deployed.integer_network_, deployed.network_
    values = torch.from_numpy(network.codes(row[None])[0] * network.input_step)
    weights = []
    for layer, own in zip(network.layers, trained.quantized_layers, strict=True):
        weight = torch.from_numpy(layer.weight * np.reshape(layer.step, (-1, 1)))
        weights.append(weight.requires_grad_(True))
        totals = weights[-1] @ values + own.bias
        if layer.levels:
            clip = float(own.clip_at(own.choice)[0])
            step = clip / layer.levels
            clipped = totals.clamp(0, clip)
            values = clipped + ((clipped / step).round() * step - clipped).detach()
    loss = cross_entropy(totals[None], torch.tensor([wanted]))
    return torch.autograd.grad(loss, weights)


def test_sensitivities_are_norms_of_gradients(pair):
    _, deployed, X, target = pair
    X = X[:12]
    found = theory.estimated_sensitivities(deployed, X, target=target)
    wanted = list(deployed.classes_).index(target)
    for i, row in enumerate(deployed.feature_space_.encode(X)):
        norms = [float(one.abs().sum()) for one in _gradients(deployed, row, wanted)]
        np.testing.assert_allclose(found[i], norms, rtol=1e-4, atol=1e-8)
    assert (found > 0).any(axis=0).all()


def test_sensitivities_are_what_small_steps_of_the_weights_cost():
    """Eq. 77 and 78 where weights can be moved: all of them, each in its worst direction."""
    X = np.random.default_rng(0).normal(size=(90, 2))
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    model = LogisticRegression().fit(X, y)
    found = theory.estimated_sensitivities(model, X, target=1, background=X)

    def loss(coef, row):
        scores = coef @ row + model.intercept_
        return np.log(np.exp(scores - scores[1]).sum())

    for i, row in enumerate(X[:10]):
        rise = 0.0
        for index in np.ndindex(model.coef_.shape):
            moved = np.zeros_like(model.coef_)
            moved[index] = 1e-6
            change = loss(model.coef_ + moved, row) - loss(model.coef_ - moved, row)
            rise += abs(change) / 2e-6
        assert found[i, 0] == pytest.approx(rise, rel=1e-5)


def test_widths_spend_the_budget_where_every_bit_gains_alike():
    sensitivities, sizes = [3.0, 0.2, 40.0], [50, 10, 400]
    bits = theory.sensitivity_bits(sensitivities, sizes, budget=5.0)
    assert np.dot(bits, sizes) == pytest.approx(5.0 * sum(sizes))
    gains = np.log(2) * np.array(sensitivities) * 2.0**-bits / sizes
    np.testing.assert_allclose(gains, gains[0])
    least = theory.sensitivity_bits([1e-9, 1.0], [10, 10], budget=2.0)
    assert least.tolist() == [0.0, 4.0]
    assert theory.sensitivity_bits([0.0, 0.0], [10, 30], budget=2.0).min() >= 0


def test_widths_among_candidates_are_those_of_the_training():
    given = ([3.0, 0.2, 40.0], [50, 10, 400])
    bits = theory.sensitivity_bits(*given, budget=5.0, candidates=[2, 3, 4, 8])
    assert bits.tolist() == closed_form_bits(*given, (2, 3, 4, 8), 5.0)
    with pytest.raises(BudgetError):
        theory.sensitivity_bits(*given, budget=1.0, candidates=[2, 4])
    with pytest.raises(ValueError, match="`sensitivities` has 1.*`n_weights` has 2"):
        theory.sensitivity_bits([1.0], [2, 3])
