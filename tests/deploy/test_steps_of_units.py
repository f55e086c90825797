"""A weight step for each unit, and columns in units of their own: integers, file and ONNX."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

import skcfq
from skcfq import QATClassifier
from skcfq.deploy import (
    DeployedClassifier,
    LayerParts,
    integer_network,
    onnx_inputs,
    read_header,
    save,
    write_onnx,
)
from skcfq.encoding import FeatureSpace
from skcfq.exceptions import ArtefactDamagedError
from skcfq.nn import DeployedNetwork, QuantizedMLP, integers_of

pytestmark = pytest.mark.usefixtures("short_teachers")

CASES = [(bits, wide) for wide in (None, 8) for bits in (2, 3, 4, 8)]
CASES += [(16, 16), (4, 32), (8, 1)]
# Spreads of the columns: with units of their own, of very different scales.
SPREAD = {False: np.array([1.0, 0.3, 1.0, 8.0]), True: np.array([1.0, 4000.0, 0.02, 8.0])}


def trained(bits, activation_bits=None, *, units=False, sizes=(7, 5), n_classes=3):
    generator = torch.Generator().manual_seed(bits)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = QuantizedMLP(
            4,
            sizes,
            n_classes,
            candidates=(bits,),
            activation_bits=activation_bits,
            start="mse",
            per_channel=not units,
            input_units=2.0 ** np.round(np.log2(SPREAD[True])) if units else None,
        )
    for parameter in network.parameters():
        if parameter.ndim == 2:
            scale = torch.rand(len(parameter), 1, generator=generator) * 3 + 0.1
            parameter.data = torch.randn(parameter.shape, generator=generator) * scale
    network.calibrate(torch.from_numpy(rows(200, units)).float())
    return network.double()


def rows(n, units, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 4)) * SPREAD[units]


def rows_of(network, units, n=60):
    """Random rows, and rows on the rounding thresholds of the inputs."""
    ties = np.random.default_rng(1).integers(-200, 200, size=(n, 4)) + 0.5
    return np.vstack([rows(n, units, 2), ties * network.input_steps])


def oracle(network, z):
    """Run one row in unbounded integers and fractions."""
    half = 2 ** (network.input_bits - 1)
    codes = [round(Fraction(v / step)) for v, step in zip(z, network.input_steps, strict=True)]
    centers = [0] * len(codes) if network.input_centers is None else network.input_centers.tolist()
    codes = [
        min(max(code, center - half), center + half - 1) * 2**c
        for code, center, c in zip(codes, centers, network.input_shifts.tolist(), strict=True)
    ]
    for layer in network.layers:
        n_out = len(layer.bias)
        f, m, k = (
            np.broadcast_to(one, n_out).tolist()
            for one in (layer.fraction_bits, layer.multiplier, layer.shift)
        )
        totals = [
            sum(w * c for w, c in zip(row, codes, strict=True)) * 2**own + b
            for row, b, own in zip(layer.weight.tolist(), layer.bias.tolist(), f, strict=True)
        ]
        if any(m):
            totals = [
                t * Fraction(a) / Fraction(2) ** b for t, a, b in zip(totals, m, k, strict=True)
            ]
        if layer.levels:
            codes = [min(max(round(t), 0), layer.levels) for t in totals]
    return totals


@pytest.mark.parametrize("units", [False, True])
@pytest.mark.parametrize(("bits", "activation_bits"), CASES)
def test_every_engine_computes_the_integers(bits, activation_bits, units, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    source = trained(bits, activation_bits, units=units)
    network = integers_of(source)
    Z = rows_of(network, units)
    expected = np.array([oracle(network, z) for z in Z], dtype=object)
    np.testing.assert_array_equal(network.totals(Z), expected.astype(np.float64))
    assert all(abs(int(total)) < 2**53 for total in expected.ravel())
    np.testing.assert_array_equal(network.decisions(Z), np.argmax(expected, axis=1))
    tracked = DeployedNetwork(network)(torch.from_numpy(Z).requires_grad_())
    np.testing.assert_array_equal(tracked.detach().numpy(), network.logits(Z))
    space = FeatureSpace.from_frame(pd.DataFrame(rows(50, units), columns=list("abcd")))
    model = DeployedClassifier(network, space, np.array(["x", "y", "z"]))
    save(tmp_path / "m", model)
    loaded = skcfq.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.integer_network_.logits(Z), network.logits(Z))
    write_onnx(loaded, tmp_path / "m.onnx", preprocessing=False)
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    labels, _, logits = session.run(None, {"encoded": Z})
    np.testing.assert_array_equal(logits, network.logits(Z))
    np.testing.assert_array_equal(labels, model.classes_[network.decisions(Z)])


@pytest.mark.parametrize("units", [False, True])
@pytest.mark.parametrize(("bits", "activation_bits"), [(3, None), (4, 8), (8, None)])
def test_values_and_gradients_are_those_of_the_trained_network(bits, activation_bits, units):
    source = trained(bits, activation_bits, units=units)
    deployed = torch.from_numpy(rows(300, units, 3)).requires_grad_()
    reference = deployed.detach().clone().requires_grad_()
    logits, expected = DeployedNetwork(integers_of(source))(deployed), source(reference)
    scale = expected.detach().abs().mean()
    error = (logits - expected).abs().amax(dim=1).detach() / scale
    # A few rows may sit on a threshold, where the rounded clip decides otherwise.
    assert (error < 1e-4).double().mean() > 0.97
    (mine,) = torch.autograd.grad(logits[:, 1].sum(), deployed)
    (theirs,) = torch.autograd.grad(expected[:, 1].sum(), reference)
    spread = torch.from_numpy(SPREAD[units])
    agree = ((mine - theirs) * spread).abs().amax(dim=1) < 1e-6 * (theirs * spread).abs().max()
    assert agree.double().mean() > 0.97


def test_units_without_weights_keep_the_others_exact():
    weight = np.array([[0, 0], [3, -2]])
    steps = np.array([1e-30, 0.5])
    network = integer_network(0.25, 8, [LayerParts(weight, 4, steps, np.array([0.7, -0.1]))])
    logits = network.logits(np.array([[1.0, 0.5]]))
    np.testing.assert_allclose(logits, [[0.7, 3 * 0.5 - 2 * 0.5 * 0.5 - 0.1]], atol=1e-5)


def test_classes_of_equal_logits_tie():
    weight, steps = np.array([[2], [1]]), np.array([0.5, 1.0])
    network = integer_network(0.5, 8, [LayerParts(weight, 4, steps, np.array([0.5, 0.5]))])
    Z = np.arange(-3.0, 3.0)[:, None]
    assert network.decisions(Z).tolist() == [0] * len(Z)
    np.testing.assert_array_equal(network.logits(Z)[:, 0], network.logits(Z)[:, 1])


@pytest.fixture(scope="module")
def by_channel(credit):
    model = QATClassifier(4, hidden_layer_sizes=(8, 6), max_iter=4)
    model.set_params(batch_size=32, target=credit.favorable, random_state=0)
    return model.fit(credit.data, credit.target)


def test_estimator_with_a_step_a_unit_is_shipped(by_channel, credit, many_rows, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    by_channel.export(tmp_path / "m")
    by_channel.to_onnx(tmp_path / "m.onnx")
    loaded = skcfq.load(tmp_path / "m")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for X in (credit.data, many_rows):
        scores = by_channel.decision_function(X)
        np.testing.assert_array_equal(loaded.decision_function(X), scores)
        labels, _, logits = session.run(None, onnx_inputs(loaded, X))
        np.testing.assert_array_equal(logits[:, 1] - logits[:, 0], scores)
        np.testing.assert_array_equal(labels, by_channel.predict(X))
    assert all(layer.is_per_channel for layer in loaded.integer_network_.layers)


def test_scales_and_units_of_another_number_are_refused(by_channel, forge, tmp_path):
    by_channel.export(tmp_path / "m")
    layers = read_header(tmp_path / "m")["layers"]
    layers[0]["step"].pop()
    with pytest.raises(ArtefactDamagedError, match="another number of units"):
        skcfq.load(forge(tmp_path / "m", layers=layers))
    inputs = read_header(tmp_path / "m")["input"]
    with pytest.raises(ArtefactDamagedError, match="units do not fit"):
        skcfq.load(forge(tmp_path / "m", input={**inputs, "units": [0]}))
