"""ε by the bits alone (Eq. 60): by loops, and above whatever rounding does."""

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from skcfq import theory
from skcfq.exceptions import UnsupportedModelError


def _layers(teacher):
    return [(one.weight.numpy(), one.bias.numpy()) for one in teacher.network_.layers]


def _rounded(teacher, bits):
    """Return a network whose weights, and nothing else, are multiples of a step."""
    model = copy.deepcopy(teacher)
    with torch.no_grad():
        for layer, b in zip(model.network_.layers, bits, strict=True):
            step = layer.weight.abs().max() / (2 ** (b - 1) - 1)
            layer.weight.copy_(torch.round(layer.weight / step) * step)
    return model


def test_terms_are_those_of_loops(pair):
    teacher, _, X, _ = pair
    X, bits = X[:3], [2, 3, 8]
    found = theory.rounding_perturbation(teacher, X, bits)
    layers = _layers(teacher)
    norms = [np.sqrt(max(np.linalg.eigvalsh(w @ w.T))) for w, _ in layers]
    deltas = [
        np.sqrt(w.size) * np.abs(w).max() / (2 ** (b - 1) - 1) / 2
        for (w, _), b in zip(layers, bits, strict=True)
    ]
    for i, read in enumerate(teacher.feature_space_.encode(X)):
        for position, (weight, bias) in enumerate(layers):
            behind = 1.0
            for j in range(position + 1, len(layers)):
                behind *= norms[j] + deltas[j]
            wanted = behind * deltas[position] * np.sqrt(np.sum(read**2))
            assert found.parts["weights"][i, position] == pytest.approx(wanted, rel=1e-4)
            read = np.maximum(weight @ read + bias, 0.0)
        assert found.values[i] == pytest.approx(found.parts["weights"][i].sum())
    assert (found.kind, found.direction) == ("certified", "upper bound")


@pytest.mark.parametrize("bits", [[2, 2, 2], [4, 2, 3], [8, 8, 8]])
@pytest.mark.parametrize("radius", [0.0, 0.3])
def test_no_rounded_network_is_further_away(pair, bits, radius):
    teacher, _, X, _ = pair
    given = {"radius": radius, "over": "encoded"}
    bound = theory.rounding_perturbation(teacher, X[:10], bits, **given)
    drawn = theory.sampled_perturbation(
        teacher, _rounded(teacher, bits), X[:10], norm="linf", random_state=0, **given
    )
    assert (drawn.values <= bound.values).all()
    # Neither is one whose layers moved by half a step in the worst direction.
    shifted = copy.deepcopy(teacher)
    with torch.no_grad():
        for layer, b in zip(shifted.network_.layers, bits, strict=True):
            layer.weight += theory.rounding_bound(layer.weight.abs().max().item(), b)
    moved = theory.sampled_perturbation(teacher, shifted, X[:10], random_state=0, **given)
    assert (moved.values <= bound.values).all()


def test_a_single_weight_reaches_it():
    X = np.random.default_rng(0).normal(size=(30, 1))
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    found = theory.rounding_perturbation(model, X, 2, radius=0.5, background=X)
    # Of the two rows of weights the first is 0, and so counts in the norm alone.
    move = np.sqrt(2) * theory.rounding_bound(abs(model.coef_.item()), 2)
    np.testing.assert_allclose(found.values, move * (np.abs(X[:, 0]) + 0.5 * X.std()), rtol=1e-9)


def test_bits_are_one_a_layer_and_the_reference_is_not_quantized(three):
    teacher, deployed, X = three
    one = theory.rounding_perturbation(teacher, X, 4)
    np.testing.assert_array_equal(
        one.values, theory.rounding_perturbation(teacher, X, [4] * 3).values
    )
    with pytest.raises(ValueError, match=r"bits=\[4, 4\] are 2 numbers.*3 layers"):
        theory.rounding_perturbation(teacher, X, [4, 4])
    with pytest.raises(UnsupportedModelError, match="is quantized already"):
        theory.rounding_perturbation(deployed, X, 4)
