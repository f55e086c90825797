"""Layers one after the other (Eq. 53, 67 to 69), against networks written out in loops."""

from itertools import pairwise

import numpy as np
import pytest

from skcfq import theory

# Clips are rounded to a millionth or so where they become integers.
CLIP = 1e-5


def _reference_layers(reference):
    layers = reference.network_.layers
    return [(one.weight.detach().numpy(), one.bias.detach().numpy()) for one in layers]


def _steps(deployed):
    """What a code is worth that each layer reads: of inputs, then the clips over their levels."""
    network, trained = deployed.integer_network_, deployed.network_
    units = np.zeros(network.n_inputs) if network.input_units is None else network.input_units
    found = [network.input_step * 2.0**units]
    for layer, own in zip(network.layers[:-1], trained.quantized_layers, strict=False):
        clip, _ = own.clip_at(own.choice)
        found.append(float(clip) / layer.levels)
    return found


def _hybrid(reference, deployed, row, done):
    """Logits of one encoded row: `done` deployed layers on integers, then the reference."""
    network, layers = deployed.integer_network_, _reference_layers(reference)
    values = network.codes(row[None])[0]
    for layer in network.layers[:done]:
        totals = []
        for unit in range(len(layer.bias)):
            products = [int(w) * v for w, v in zip(layer.weight[unit], values, strict=True)]
            factor = np.broadcast_to(2.0**layer.fraction_bits, layer.bias.shape)[unit]
            totals.append(sum(products) * factor + layer.bias[unit])
        totals = np.array(totals) * (1 if layer.rescale is None else layer.rescale)
        if not layer.levels:
            return totals * network.logit_scale
        values = np.clip(np.rint(totals), 0, layer.levels)
    values = values * _steps(deployed)[done]
    for position in range(done, len(layers)):
        weight, bias = layers[position]
        values = [sum(w * v for w, v in zip(ws, values, strict=True)) for ws in weight] + bias
        values = np.maximum(values, 0) if position < len(layers) - 1 else values
    return values


def _margin(logits, position):
    return logits[position] - max(np.delete(logits, position))


def test_hybrids_are_those_of_loops_and_telescope(pair):
    reference, deployed, X, target = pair
    X, space = X[:8], reference.feature_space_
    found = theory.layerwise_degradation(reference, deployed, X, target=target)
    assert found.names == ("inputs", "layer 1", "layer 2", "layer 3")
    wanted = list(reference.classes_).index(target)
    for i, row in enumerate(space.encode(X)):
        exact = row
        for weight, bias in _reference_layers(reference)[:-1]:
            exact = np.maximum(weight @ exact + bias, 0)
        weight, bias = _reference_layers(reference)[-1]
        stages = [weight @ exact + bias]
        stages += [_hybrid(reference, deployed, row, done) for done in range(4)]
        for part, (old, new) in enumerate(pairwise(stages)):
            np.testing.assert_allclose(found.logits[i, part], new - old, atol=CLIP)
            lost = _margin(old, wanted) - _margin(new, wanted)
            assert found.degradations[i, part] == pytest.approx(lost, abs=2 * CLIP)
    lost = theory.margin_degradation(reference, deployed, X, target=target)
    np.testing.assert_allclose(found.degradations.sum(axis=1), lost, rtol=0, atol=1e-13)
    assert (np.abs(lost) <= found.bound + 1e-12).all() and found.kind == "certified"
    np.testing.assert_allclose(found.bound, 2 * np.abs(found.logits).max(axis=2).sum(axis=1))


def test_logits_add_up_to_their_difference(pair):
    reference, deployed, X, target = pair
    found = theory.layerwise_degradation(reference, deployed, X, target=target)
    exact = theory.exact_perturbation(reference, deployed, X)
    total = np.abs(found.logits.sum(axis=1)).max(axis=1)
    np.testing.assert_allclose(total, exact.values, rtol=0, atol=1e-13)


def test_alone_is_exact_where_only_one_layer_counts(pair):
    """Inputs alone are the first hybrid; the last layer alone reads what the reference gives it."""
    reference, deployed, X, target = pair
    given = {"target": target}
    alone = theory.layerwise_degradation(reference, deployed, X, attribution="alone", **given)
    hybrid = theory.layerwise_degradation(reference, deployed, X, **given)
    np.testing.assert_allclose(alone.logits[:, 0], hybrid.logits[:, 0], atol=1e-12)
    assert alone.kind == "estimated" and (alone.logits[:, 1] != hybrid.logits[:, 1]).any()
    network, layers = deployed.integer_network_, _reference_layers(reference)
    values = reference.feature_space_.encode(X)
    for weight, bias in layers[:-1]:
        values = np.maximum(values @ weight.T + bias, 0)
    last = network.layers[-1]
    scale = network.logit_scale * (1 if last.rescale is None else last.rescale)
    weight, offset = last.weight * np.reshape(last.step, (-1, 1)), last.bias * scale
    wanted = values @ weight.T + offset - (values @ layers[-1][0].T + layers[-1][1])
    np.testing.assert_allclose(alone.logits[:, -1], wanted, atol=CLIP)


def test_layers_that_are_not_changed_take_nothing(three):
    reference, _, X = three
    found = theory.layerwise_degradation(reference, reference, X)
    # Logits and layers are two orders of the same sums.
    assert np.abs(found.logits).max() < 1e-13 and "layer 1 0, layer 2 0, " in repr(found)
