"""What separates the weights of two networks, and Eq. 59, which explains it where it holds."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skcfq import PTQClassifier, theory


def test_changes_are_those_of_loops(pair):
    reference, deployed, *_ = pair
    found = theory.weight_changes(reference, deployed)
    network = deployed.integer_network_
    units = np.zeros(network.n_inputs) if network.input_units is None else network.input_units
    for position, layer in enumerate(network.layers):
        weight = reference.network_.layers[position].weight.numpy().copy()
        bias = reference.network_.layers[position].bias.numpy()
        weight = weight * 2.0**units if position == 0 else weight
        steps = np.broadcast_to(layer.step, len(weight))
        change = np.array(
            [
                codes * step - own
                for codes, step, own in zip(layer.weight, steps, weight, strict=True)
            ]
        )
        own = deployed.network_.quantized_layers[position].bias.numpy()
        assert found.largest[position] == pytest.approx(np.abs(change).max(), rel=1e-6)
        singular = np.sqrt(max(np.linalg.eigvalsh(change @ change.T)))
        assert found.spectral[position] == pytest.approx(singular, rel=1e-6)
        assert found.biases[position] == pytest.approx(np.linalg.norm(own - bias), abs=1e-5)
        assert found.half_steps[position] == max(steps) / 2
    assert found.bits.tolist() == deployed.bit_widths_.tolist()


def test_rounding_explains_what_was_only_rounded(three, lending):
    reference, _, X = three
    rounded = PTQClassifier(
        teacher=FrozenEstimator(reference),
        budget=4,
        calibrator="minmax",
        random_state=0,
    ).fit(X, reference.predict(X))
    found = theory.weight_changes(reference, rounded)
    assert found.is_rounding.all() and found.biases.max() < 1e-6
    units = rounded.integer_network_.input_units
    units = np.zeros(X.shape[1]) if units is None else units
    for position, bits in enumerate(found.bits):
        weight = reference.network_.layers[position].weight.numpy()
        weight = weight * 2.0**units if position == 0 else weight
        bound = theory.rounding_bound(np.abs(weight).max(), bits)
        assert found.largest[position] <= bound * (1 + 1e-6)
    trained = theory.weight_changes(*lending[:2])
    assert not trained.is_rounding.any() and "0 of 3 layers are only rounded" in repr(trained)


def test_what_is_not_quantized_has_no_steps(three):
    reference = three[0]
    found = theory.weight_changes(reference, reference)
    assert not found.spectral.any() and np.isnan(found.half_steps).all()
    assert not found.is_rounding.any() and not found.bits.any()
