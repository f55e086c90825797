"""A width for each unit in integers, file, ONNX and numpy: equal decisions, bits that are there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import skcfq
from skcfq import CFQClassifier, QATClassifier
from skcfq.deploy import (
    DeployedClassifier,
    LayerParts,
    integer_network,
    onnx_inputs,
    read_header,
    save,
    write_onnx,
)
from skcfq.deploy._packing import pack_rows, packed_rows_size, unpack_rows
from skcfq.encoding import FeatureSpace
from skcfq.exceptions import ArtefactDamagedError
from skcfq.nn import DeployedNetwork, QuantizedMLP, integers_of

pytestmark = pytest.mark.usefixtures("short_teachers")

MIXED = [[8, 2, 3, 4, 2, 2, 8], [4, 2, 2, 8, 3], [2, 8, 4]]
# Some layers with one width, and with more than 8 bits.
CASES = [MIXED, [[2] * 7, MIXED[1], [4] * 3], [[16, 2, 3, 4, 2, 2, 8], [4] * 5, [2, 16, 2]]]


def trained(widths):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = QuantizedMLP(
            4, (7, 5), 3, (2, 3, 4, 8, 16), activation_bits=8, start="mse", per_channel=True
        )
        for layer in network.layers:
            layer.weight.data *= torch.rand(len(layer.weight), 1) * 3 + 0.1
        network.calibrate(torch.randn(200, 4))
    network.set_bit_widths(widths)
    return network.double()


def bit_string(codes, bits):
    """Return the bits of packed rows, one code after the other, in plain Python."""
    out = b""
    for width in sorted(set(bits)):
        rows = [row for row, own in zip(codes, bits, strict=True) if own == width]
        text = "".join(format(code % 2**width, f"0{width}b")[::-1] for row in rows for code in row)
        text += "0" * (-len(text) % 8)
        out += bytes(int(text[i : i + 8][::-1], 2) for i in range(0, len(text), 8))
    return out


@pytest.mark.parametrize("n_columns", [1, 3, 8])
def test_rows_are_packed_at_their_width(n_columns):
    rng = np.random.default_rng(n_columns)
    bits = np.array([3, 8, 2, 3, 5, 1, 16, 3])
    codes = np.array([rng.integers(-(2 ** (b - 1)), 2 ** (b - 1), n_columns) for b in bits])
    data = pack_rows(codes, bits)
    assert data == bit_string(codes.tolist(), bits.tolist())
    assert len(data) == packed_rows_size(n_columns, bits, len(bits))
    np.testing.assert_array_equal(unpack_rows(memoryview(data), codes.shape, bits), codes)


@pytest.mark.parametrize("widths", CASES, ids=["mixed", "some", "wide"])
def test_every_engine_decides_alike(widths, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    network = integers_of(trained(widths))
    Z = np.random.default_rng(2).normal(size=(500, 4))
    Z = np.vstack([Z, (np.round(Z / network.input_steps) + 0.5) * network.input_steps])
    scores = network.logits(Z)
    np.testing.assert_array_equal(DeployedNetwork(network)(torch.from_numpy(Z)).numpy(), scores)
    space = FeatureSpace.from_frame(pd.DataFrame(Z[:50], columns=list("abcd")))
    model = DeployedClassifier(network, space, np.array(["x", "y", "z"]))
    sizes = save(tmp_path / "m", model)
    loaded = skcfq.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.integer_network_.logits(Z), scores)
    assert [one.tolist() for one in loaded.unit_bit_widths_] == widths
    np.testing.assert_array_equal(loaded.bit_widths_, [np.mean(one) for one in widths])
    n_in, total = [4, 7, 5], 4 * 7 + 7 * 5 + 5 * 3
    bits = sum(n * sum(own) for n, own in zip(n_in, widths, strict=True))
    assert loaded.average_bits_ == bits / total
    # A byte at most for each width of each layer: the file has the bits that are counted.
    assert bits / 8 <= sizes["weights"] <= bits / 8 + 3 * 5
    write_onnx(loaded, tmp_path / "m.onnx", preprocessing=False)
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    labels, _, logits = session.run(None, {"encoded": Z})
    np.testing.assert_array_equal(logits, scores)
    np.testing.assert_array_equal(labels, model.classes_[network.decisions(Z)])


def test_integers_of_mixed_rows_are_the_sums(tmp_path):
    weight, steps = np.array([[100, -100], [1, -2]]), np.array([0.01, 0.5])
    parts = LayerParts(weight, np.array([8, 2]), steps, np.array([0.3, -0.1]))
    network = integer_network(0.25, 8, [parts])
    wanted = np.array([100 * 0.01 - 0.5 + 0.3, 0.5 - 2 * 0.5 * 0.5 - 0.1])
    np.testing.assert_allclose(network.logits(np.array([[1.0, 0.5]])), [wanted], atol=1e-5)


@pytest.mark.parametrize("estimator", [CFQClassifier, QATClassifier])
def test_an_estimator_is_shipped(estimator, credit, many_rows, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    model = estimator(3, bit_policy="units", hidden_layer_sizes=(12, 10), max_iter=2)
    model.set_params(action_set=credit.action_set, target=credit.favorable, random_state=0)
    model.fit(credit.data, credit.target)
    sizes = model.export(tmp_path / "m")
    assert model.bit_cost_ / 8 <= sizes["weights"] <= model.bit_cost_ / 8 + 3 * 4
    stored = model.to_onnx(tmp_path / "m.onnx")
    n_in = [model.feature_space_.n_encoded, 12, 10]
    widest = [{2: 2, 3: 4, 4: 4, 8: 8}[one.max()] for one in model.unit_bit_widths_]
    n_out = [12, 10, 2]
    # Each layer at its widest unit's width; two bits are INT4 unless all opsets allow INT2.
    upper = sum(-(-a * b * max(c, 4) // 8) for a, b, c in zip(n_in, n_out, widest, strict=True))
    assert stored["weights"] <= upper
    loaded = skcfq.load(tmp_path / "m")
    assert loaded.average_bits_ == model.average_bits_ <= 3
    np.testing.assert_array_equal(loaded.bit_widths_, model.bit_widths_)
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for X in (credit.data, many_rows):
        scores = model.decision_function(X)
        np.testing.assert_array_equal(loaded.decision_function(X), scores)
        labels, _, logits = session.run(None, onnx_inputs(loaded, X))
        np.testing.assert_array_equal(logits[:, 1] - logits[:, 0], scores)
        np.testing.assert_array_equal(labels, model.predict(X))


def test_widths_that_do_not_fit_are_refused(credit, forge, tmp_path):
    model = QATClassifier(3, bit_policy="units", hidden_layer_sizes=(6,), max_iter=2)
    model.set_params(random_state=0).fit(credit.data, credit.target).export(tmp_path / "m")

    def refused(widths, says):
        layers = read_header(tmp_path / "m")["layers"]
        layers[0]["bits"] = widths
        with pytest.raises(ArtefactDamagedError, match=says):
            skcfq.load(forge(tmp_path / "m", layers=layers))

    widths = read_header(tmp_path / "m")["layers"][0]["bits"]
    assert len(widths) == 6
    refused(widths[:-1], "widths or scales for another number of units")
    refused([], "widths or scales for another number of units")
    refused([*widths[:-1], 17], r"layers\[0\].bits is")
    refused([*widths[:-1], 0], r"layers\[0\].bits is")
    refused([*widths[:-1], 2.5], r"layers\[0\].bits is")
    refused([*widths[:-1], widths[-1] + 8 - 2 * (widths[-1] == 8)], "another size|bits is")
    refused("3", r"layers\[0\].bits is")
