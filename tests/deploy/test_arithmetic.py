"""The arithmetic of deployment against Python's own integers, torch, and the trained network."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from skcfq.deploy import LayerParts, integer_network, softmax
from skcfq.exceptions import UnsupportedModelError
from skcfq.nn import DeployedNetwork, QuantizedMLP, integers_of


def trained(bits, activation_bits=None, sizes=(7, 5), n_classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = QuantizedMLP(
            6, sizes, n_classes, candidates=(bits,), activation_bits=activation_bits
        )
    for parameter in network.parameters():
        if parameter.ndim == 2:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    # Columns of different ranges, so that their steps differ.
    spread = torch.tensor([1.0, 0.3, 1.0, 8.0, 1.0, 0.05])
    network.calibrate(torch.randn(200, 6, generator=generator) * spread)
    return network.double()


def rows_of(network, n=300, seed=1):
    """Random rows, and rows that sit exactly on the rounding thresholds of the inputs."""
    rng = np.random.default_rng(seed)
    ties = rng.integers(-200, 200, size=(n, network.n_inputs)) + 0.5
    ties *= network.input_step * network.input_factors
    return np.vstack([rng.normal(size=(n, network.n_inputs)) * 2, ties])


def round_half_even(value: Fraction) -> int:
    return round(value)


def oracle(network, z):
    """Run one row in unbounded integers and fractions."""
    half = 2 ** (network.input_bits - 1)
    codes = [round_half_even(Fraction(v / s)) for v, s in zip(z, network.input_steps, strict=True)]
    centers = [0] * len(codes) if network.input_centers is None else network.input_centers.tolist()
    codes = [
        min(max(code, center - half), center + half - 1) * 2**c
        for code, center, c in zip(codes, centers, network.input_shifts.tolist(), strict=True)
    ]
    for layer in network.layers:
        totals = [
            sum(w * c for w, c in zip(row, codes, strict=True)) * 2**layer.fraction_bits + b
            for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        ]
        if layer.levels:
            scale = Fraction(layer.multiplier) / Fraction(2) ** layer.shift
            codes = [min(max(round_half_even(t * scale), 0), layer.levels) for t in totals]
    return totals


CASES = [(bits, wide) for wide in (None, 8) for bits in (2, 3, 4, 8)]
CASES += [(8, 2), (16, 16), (4, 32), (8, 1)]


@pytest.mark.parametrize(("bits", "activation_bits"), CASES)
def test_float64_carries_the_integers_exactly(bits, activation_bits):
    network = integers_of(trained(bits, activation_bits))
    assert len(set(network.input_shifts.tolist())) > 2
    assert network.input_centers is None or np.abs(network.input_centers).max() <= 128
    Z = rows_of(network, 40)
    expected = [oracle(network, z) for z in Z]
    np.testing.assert_array_equal(network.totals(Z), expected)
    np.testing.assert_array_equal(network.decisions(Z), np.argmax(expected, axis=1))


@pytest.mark.parametrize(("bits", "activation_bits"), CASES)
def test_torch_computes_the_same_bits(bits, activation_bits):
    network = integers_of(trained(bits, activation_bits))
    Z = rows_of(network)
    head = DeployedNetwork(network)
    tracked = head(torch.from_numpy(Z).requires_grad_(True))
    np.testing.assert_array_equal(tracked.detach().numpy(), network.logits(Z))
    np.testing.assert_array_equal(head(torch.from_numpy(Z)).numpy(), network.logits(Z))


@pytest.mark.parametrize(("bits", "activation_bits"), CASES)
def test_values_and_gradients_are_those_of_the_trained_network(bits, activation_bits):
    source = trained(bits, activation_bits)
    network = integers_of(source)
    Z = torch.from_numpy(np.random.default_rng(2).normal(size=(400, 6)))
    deployed, reference = Z.clone().requires_grad_(True), Z.clone().requires_grad_(True)
    logits, expected = DeployedNetwork(network)(deployed), source(reference)
    error = (logits - expected).abs().amax(dim=1).detach()
    # A few rows may sit on a threshold, where the rounded clip decides otherwise.
    assert (error < 1e-4 + 3e-6 * expected.abs().max()).double().mean() > 0.98
    (mine,) = torch.autograd.grad(logits[:, 1].sum(), deployed)
    (theirs,) = torch.autograd.grad(expected[:, 1].sum(), reference)
    agree = (mine - theirs).abs().amax(dim=1) < 1e-9
    assert agree.double().mean() > 0.98


@pytest.mark.parametrize(("bits", "activation_bits"), CASES)
def test_every_number_stays_exact(bits, activation_bits):
    network = integers_of(trained(bits, activation_bits, sizes=(64, 64)))
    highest = 2 ** (network.input_bits - 1)
    for layer in network.layers:
        reach = int(np.abs(layer.weight.astype(np.int64)).sum(axis=1).max()) * highest
        bound = (reach << layer.fraction_bits) + int(np.abs(layer.bias).max())
        assert bound * max(layer.multiplier, 1) < 2**53
        narrow = layer.bits <= 8 and highest <= 255
        assert not narrow or bound < 2**31
        highest = layer.levels
    assert network.layers[0].weight.dtype == (np.int8 if bits <= 8 else np.int16)


def test_of_equal_totals_the_first_class_wins():
    layer = LayerParts(np.zeros((3, 2), int), 4, 1.0, np.array([0.5, 0.5, 0.25]))
    network = integer_network(0.1, 8, [layer])
    assert network.decisions(np.ones((4, 2))).tolist() == [0, 0, 0, 0]
    logits = network.logits(np.ones((1, 2)))
    assert logits[0, 0] == logits[0, 1] == 0.5


def test_halves_go_to_the_even_code():
    network = integer_network(1.0, 8, [LayerParts(np.eye(2, dtype=int), 2, 1.0, np.zeros(2))])
    assert network.codes(np.array([[0.5, 1.5], [2.5, -0.5]])).tolist() == [[0, 2], [2, 0]]
    assert network.codes(np.array([[1e9, -1e9]])).tolist() == [[127, -128]]


def test_huge_biases_are_held():
    layer = LayerParts(np.ones((2, 2), int), 4, 1e-9, np.array([1e9, -1e9]))
    network = integer_network(1e-3, 8, [layer])
    assert network.decisions(np.ones((1, 2))).tolist() == [0]


def test_what_float64_cannot_hold_is_refused():
    wide = LayerParts(np.full((2, 2**16), 2**15 - 1), 16, 1.0, np.zeros(2))
    with pytest.raises(UnsupportedModelError, match="Use fewer bits"):
        integer_network(1.0, 16, [wide])
    with pytest.raises(UnsupportedModelError, match="diverged"):
        integer_network(float("nan"), 8, [LayerParts(np.eye(2, dtype=int), 2, 1.0, np.zeros(2))])
    with pytest.raises(UnsupportedModelError, match="unquantized inputs"):
        integers_of(QuantizedMLP(2, (3,), 2, input_bits=None))


def test_softmax_is_that_of_torch():
    logits = np.random.default_rng(0).normal(size=(50, 4)) * 30
    np.testing.assert_allclose(softmax(logits), torch.from_numpy(logits).softmax(1), rtol=1e-13)
