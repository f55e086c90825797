"""onnxruntime at its default optimization against the estimator, on every row that may matter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import skcfq
from skcfq import QATClassifier, RecourseSolver, TableEncoder
from skcfq.deploy import onnx_inputs
from skcfq.estimators import Quantizer, UniformBits
from skcfq.exceptions import FeatureSpaceError, UnsupportedModelError

pytestmark = pytest.mark.usefixtures("short_teachers")

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

WIDTHS = (2, 3, 4, 8)


def session(path):
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def graphs(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    for bits, model in models.items():
        model.to_onnx(folder / f"{bits}.onnx")
    return {bits: session(folder / f"{bits}.onnx") for bits in models}


def thresholds(model, X, seed=0):
    """Encoded rows whose inputs sit on rounding thresholds of the codes."""
    network = model.integer_network_
    Z = network.codes(model.feature_space_.encode(X))
    return (Z + np.random.default_rng(seed).choice([-0.5, 0.5], Z.shape)) * (
        network.input_step * network.input_factors
    )


@pytest.mark.parametrize("bits", WIDTHS)
def test_graph_decides_as_the_estimator(bits, models, graphs, credit, many_rows):
    model = models[bits]
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    points = solver.solve(model, credit.data.iloc[:80]).points
    for X in (credit.data, many_rows, points):
        inputs = onnx_inputs(model.deployed(), X)
        labels, shares, logits = graphs[bits].run(None, inputs)
        np.testing.assert_array_equal(labels, model.predict(X))
        np.testing.assert_array_equal(logits[:, 1] - logits[:, 0], model.decision_function(X))
        np.testing.assert_allclose(shares, model.predict_proba(X), atol=1e-14)


@pytest.mark.parametrize("bits", WIDTHS)
def test_encoded_rows_on_the_thresholds(bits, models, credit, tmp_path):
    model = models[bits]
    model.to_onnx(tmp_path / "m.onnx", preprocessing=False)
    Z = thresholds(model, credit.data)
    labels, _, logits = session(tmp_path / "m.onnx").run(None, {"encoded": Z})
    np.testing.assert_array_equal(logits, model.integer_network_.logits(Z))
    best = model.integer_network_.decisions(Z)
    np.testing.assert_array_equal(labels, model.classes_[best])


def test_stored_types(models, tmp_path):
    stored = {2: onnx.TensorProto.INT2, 3: onnx.TensorProto.INT4, 4: onnx.TensorProto.INT4}
    stored[8] = onnx.TensorProto.INT8
    for bits, model in models.items():
        sizes = model.to_onnx(tmp_path / "m.onnx")
        proto = onnx.load(tmp_path / "m.onnx")
        weights = [one for one in proto.graph.initializer if one.name.startswith("weight")]
        assert {one.data_type for one in weights} == {stored[bits]}
        assert sum(len(one.raw_data) for one in weights) == sizes["weights"]
        assert sizes["total"] == (tmp_path / "m.onnx").stat().st_size
    models[2].to_onnx(tmp_path / "m.onnx", opset=21)
    proto = onnx.load(tmp_path / "m.onnx")
    types = {one.data_type for one in proto.graph.initializer if one.name.startswith("weight")}
    assert types == {onnx.TensorProto.INT4}
    with pytest.raises(ValueError, match="give 21 or 25"):
        models[2].to_onnx(tmp_path / "m.onnx", opset=13)


@pytest.mark.parametrize("activation_bits", [1, 32])
def test_wide_weights_and_activations(activation_bits, credit, models, tmp_path):
    model = QATClassifier(
        12,
        bit_policy=UniformBits((12,)),
        quantizer=Quantizer(activation_bits),
        hidden_layer_sizes=(8, 8),
        max_iter=2,
        teacher=models[8].teacher_,
        random_state=0,
    ).fit(credit.data, credit.target)
    model.to_onnx(tmp_path / "m.onnx")
    model.export(tmp_path / "m.skcfq")
    inputs = onnx_inputs(model.deployed(), credit.data)
    logits = session(tmp_path / "m.onnx").run(["logits"], inputs)[0]
    np.testing.assert_array_equal(logits[:, 1] - logits[:, 0], model.decision_function(credit.data))
    loaded = skcfq.load(tmp_path / "m.skcfq")
    np.testing.assert_array_equal(
        loaded.decision_function(credit.data), model.decision_function(credit.data)
    )


def test_ties_go_to_the_first_class(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = QATClassifier(
        2,
        quantizer=Quantizer(granularity="per_tensor"),
        hidden_layer_sizes=(),
        max_iter=2,
        random_state=0,
    )
    model.fit(X, np.arange(60) % 3 + 5)
    layer = model.network_.layers[0]
    layer.weight[:] = layer.weight[:1].clone()
    layer.bias[:] = 0.25
    model.to_onnx(tmp_path / "m.onnx")
    labels = session(tmp_path / "m.onnx").run(["label"], onnx_inputs(model.deployed(), X))[0]
    assert labels.tolist() == model.predict(X).tolist() == [5] * 60


@pytest.mark.parametrize("labels", [[False, True], [1.0, 2.0], ["a", "b"], [-3, 4]], ids=str)
def test_columns_and_labels_of_every_type(labels, tmp_path):
    rng = np.random.default_rng(0)
    n = 80
    frame = pd.DataFrame(
        {
            "whole": rng.integers(0, 9, n),
            "gap": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "flag": rng.random(n) < 0.5,
            "text": pd.array(rng.choice(["x", "y"], n), dtype="string"),
            "kind": pd.Categorical(rng.choice(["p", "q", "r"], n)),
        }
    )
    frame.loc[::7, "text"] = pd.NA
    frame.loc[::9, "kind"] = np.nan
    y = np.asarray(labels)[(frame["whole"] > 4).astype(int)]
    model = QATClassifier(4, encoder=TableEncoder(), hidden_layer_sizes=(5,), max_iter=3)
    model.set_params(random_state=0).fit(frame, y).to_onnx(tmp_path / "m.onnx")
    inputs = onnx_inputs(model.deployed(), frame)
    answer, _, logits = session(tmp_path / "m.onnx").run(None, inputs)
    np.testing.assert_array_equal(answer, model.predict(frame))
    assert answer.dtype == model.classes_.dtype or answer.dtype == object
    np.testing.assert_array_equal(logits[:, 1] - logits[:, 0], model.decision_function(frame))


def test_what_onnx_cannot_read_is_said(tmp_path):
    from sklearn.preprocessing import PowerTransformer

    X = np.random.default_rng(0).gamma(2.0, size=(60, 2))
    model = QATClassifier(
        4, encoder=PowerTransformer(), hidden_layer_sizes=(), max_iter=2, random_state=0
    ).fit(X, X[:, 0] > 2)
    with pytest.raises(UnsupportedModelError, match="preprocessing=False"):
        model.to_onnx(tmp_path / "m.onnx")
    model.to_onnx(tmp_path / "m.onnx", preprocessing=False)
    Z = model.feature_space_.encode(X)
    labels = session(tmp_path / "m.onnx").run(["label"], {"encoded": Z})[0]
    np.testing.assert_array_equal(labels, model.predict(X))
    mixed = pd.DataFrame({"a": ["x", 1] * 30, "b": X[:, 0]})
    model = QATClassifier(4, hidden_layer_sizes=(), max_iter=2, random_state=0)
    with pytest.raises(UnsupportedModelError, match="text and numbers"):
        model.fit(mixed, X[:, 0] > 2).to_onnx(tmp_path / "m.onnx")


def test_inputs_that_the_estimator_refuses_are_refused(models, credit):
    deployed, X = models[4].deployed(), credit.data.iloc[:4]
    number = next(name for name in X.columns if X[name].dtype.kind == "f")
    for values, says in (("text", "must hold numbers"), (np.inf, "infinite numbers")):
        with pytest.raises(FeatureSpaceError, match=f"'{number}'.*{says}"):
            onnx_inputs(deployed, X.assign(**{number: values}))
        with pytest.raises(ValueError, match=f"{number}|infinity"):
            models[4].predict(X.assign(**{number: values}))


def test_missing_package_is_said(models, tmp_path):
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from skcfq.deploy import write_onnx, load\n"
        "from skcfq.exceptions import OptionalDependencyError\n"
        "try:\n    write_onnx(load(sys.argv[1]), 'x')\n"
        "except OptionalDependencyError as error:\n    print(error)"
    )
    models[4].export(tmp_path / "m")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(skcfq.__file__).parents[1],
    )
    assert "pip install 'skcfq[onnx]'" in done.stdout
