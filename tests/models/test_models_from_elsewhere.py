"""Models that were made elsewhere: ONNX files, torch modules, model files by their path."""

from __future__ import annotations

import pickle

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from skcfq import ActionSet, PTQClassifier, RecourseSolver, TableEncoder
from skcfq.exceptions import (
    BackgroundRequiredError,
    FeatureSpaceError,
    SpaceMismatchError,
    UnsupportedModelError,
)
from skcfq.metrics import counterfactual_recourse_gap, validity_drop
from skcfq.models import as_predictor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NUMBERS = ["income", "debt"]


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    n = 300
    frame = pd.DataFrame(
        {
            "income": rng.normal(30.0, 8.0, n).round(1),
            "debt": rng.exponential(5.0, n),
            "job": rng.choice(["clerk", "nurse", "welder"], n),
        }
    )
    score = frame["income"] / 10 - frame["debt"] / 4 + (frame["job"] == "nurse")
    return frame, np.where(score > score.median(), "grant", "refuse")


@pytest.fixture(scope="module")
def network(people):
    steps = ColumnTransformer(
        [("numbers", StandardScaler(), NUMBERS), ("job", OneHotEncoder(), ["job"])]
    )
    return make_pipeline(steps, MLPClassifier((8,), random_state=0, max_iter=80)).fit(*people)


@pytest.fixture(scope="module")
def files(network, people, tmp_path_factory):
    """One model in float64, float32 and int8; with label maps, arrays or labels alone."""
    folder = tmp_path_factory.mktemp("onnx")

    def export(name, number, **options):
        types = [(column, number([None, 1])) for column in NUMBERS]
        types.append(("job", StringTensorType([None, 1])))
        proto = to_onnx(network, initial_types=types, target_opset=17, **options)
        path = folder / f"{name}.onnx"
        path.write_bytes(proto.SerializeToString())
        return path

    made = {
        "maps": export("maps", FloatTensorType),
        "float32": export("float32", FloatTensorType, options={"zipmap": False}),
        "float64": export("float64", DoubleTensorType, options={"zipmap": False}),
        "int8": folder / "int8.onnx",
        "labels": folder / "labels.onnx",
    }
    quantize_dynamic(made["float32"], made["int8"], weight_type=QuantType.QInt8)
    proto = onnx.load(made["float32"])
    del proto.graph.output[1]
    onnx.save(proto, made["labels"])
    return made


@pytest.mark.parametrize("name", ["maps", "float32", "float64", "int8", "labels"])
def test_an_onnx_file_is_a_model(name, files, people, network):
    X, _ = people
    predictor = as_predictor(files[name], background=X)
    assert predictor.classes.tolist() == ["grant", "refuse"]
    assert not predictor.differentiable
    agree = predictor.predict(X) == network.predict(X)
    assert agree.all() if name == "float64" else agree.mean() > 0.95
    if name != "labels":
        logits = predictor.row_scores(X)
        wanted = np.log(network.predict_proba(X))
        assert np.allclose(logits, wanted, atol={"int8": 0.5}.get(name, 1e-4))
    copy = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(copy.predict(X), predictor.predict(X))


@pytest.mark.parametrize("name", ["float32", "int8", "labels"])
def test_the_network_is_compared_with_its_own_export(name, files, people, network):
    X, _ = people
    asked = X.iloc[:40]
    solver = RecourseSolver(ActionSet(steps={"income": 0.5}), target="grant", random_state=0)
    first, second = solver.compare(network, files[name], asked, background=X)
    deployed = as_predictor(files[name], background=X)
    np.testing.assert_array_equal(second.denied, deployed.predict(asked) != "grant")
    assert second.reachable.sum() == second.denied.sum()
    assert (deployed.predict(second.points) == "grant").all()
    drop = validity_drop(network, deployed, first)
    assert drop == np.mean(deployed.predict(first.points[first.reachable]) != "grant")
    assert np.isfinite(counterfactual_recourse_gap(first, second))


def test_dynamic_quantization_is_asked_about_one_row_at_a_time(files, people):
    """Its scale is that of all rows of a call: together they have other answers than alone."""
    X, _ = people
    predictor = as_predictor(files["int8"], background=X)
    together = predictor.row_scores(X)
    alone = np.concatenate([predictor.row_scores(X.iloc[i : i + 1]) for i in range(len(X))])
    np.testing.assert_array_equal(together, alone)
    session = predictor.model._session
    feeds = {column: X[[column]].to_numpy(np.float32) for column in NUMBERS}
    raw = session.run(None, {**feeds, "job": X[["job"]].to_numpy(object)})[1]
    assert not np.allclose(np.log(raw), alone, atol=1e-3)


def test_a_missing_text_is_what_the_exporter_calls_it(people, tmp_path):
    X, y = people
    gaps = X.copy()
    gaps.loc[::5, "job"] = np.nan
    steps = ColumnTransformer(
        [("numbers", StandardScaler(), NUMBERS), ("job", OneHotEncoder(), ["job"])]
    )
    model = make_pipeline(steps, LogisticRegression()).fit(gaps, y)
    types = [(column, DoubleTensorType([None, 1])) for column in NUMBERS]
    types.append(("job", StringTensorType([None, 1])))
    path = tmp_path / "gaps.onnx"
    proto = to_onnx(model, initial_types=types, target_opset=17, options={"zipmap": False})
    path.write_bytes(proto.SerializeToString())
    predictor = as_predictor(path, background=gaps)
    shares = np.exp(predictor.row_scores(gaps))
    np.testing.assert_allclose(shares, model.predict_proba(gaps), atol=1e-5)


def test_a_matrix_is_one_input(people, tmp_path):
    X, y = people
    numbers = X[NUMBERS].to_numpy()
    labels = (y == "grant").astype(int)
    model = LogisticRegression().fit(numbers, labels)
    path = tmp_path / "matrix.onnx"
    path.write_bytes(to_onnx(model, numbers[:1].astype(np.float32)).SerializeToString())
    predictor = as_predictor(str(path), background=numbers)
    assert predictor.classes.tolist() == [0, 1]
    assert np.mean(predictor.predict(numbers) == model.predict(numbers)) > 0.99
    with pytest.raises(FeatureSpaceError, match="2 columns|3 columns"):
        as_predictor(path, background=np.column_stack([numbers, numbers[:, 0]]))


def test_a_graph_of_one_row_at_a_time(tmp_path):
    """Exports of torch often have a batch of one and a single score, and tell no labels."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = onnx.numpy_helper.from_array(np.array([[1.0], [-1.0], [0.5]], np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["score"])],
        "one",
        [helper.make_tensor_value_info("x", kind, [1, 3])],
        [helper.make_tensor_value_info("score", kind, [1, 1])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "one.onnx"
    onnx.save(model, path)
    with pytest.raises(UnsupportedModelError, match="classes="):
        as_predictor(path, background=X)
    predictor = as_predictor(path, background=X, classes=["no", "yes"])
    score = X @ [1.0, -1.0, 0.5]
    np.testing.assert_array_equal(predictor.predict(X) == "yes", score > 0)
    result = RecourseSolver(target="yes", random_state=0).solve(predictor, X[:10])
    assert result.reachable.sum() == result.denied.sum()


def test_our_own_export_tells_its_labels(people, tmp_path):
    X, y = people
    model = PTQClassifier(budget=4, target="grant", random_state=0).fit(X, y)
    path, packed = tmp_path / "ours.onnx", tmp_path / "ours.skcfq"
    model.to_onnx(path)
    model.export(packed)
    for one in (path, packed):
        predictor = as_predictor(one, background=X)
        assert predictor.classes.tolist() == model.classes_.tolist()
        np.testing.assert_array_equal(predictor.predict(X), model.predict(X))


def test_what_is_no_onnx_file(tmp_path, people):
    path = tmp_path / "noise.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(UnsupportedModelError, match=r"noise\.onnx is no ONNX file"):
        as_predictor(path, background=people[0])
    with pytest.raises(BackgroundRequiredError, match="background="):
        as_predictor(path)
    with pytest.raises(UnsupportedModelError, match="no file of that name"):
        as_predictor(tmp_path / "missing.onnx", background=people[0])


def test_columns_that_the_graph_does_not_find(files, people):
    X, _ = people
    with pytest.raises(FeatureSpaceError, match="'job'"):
        as_predictor(files["float32"], background=X.rename(columns={"job": "work"}))
    with pytest.raises(FeatureSpaceError, match="'income' as numbers"):
        as_predictor(files["float32"], background=X.assign(income="high"))


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("shares", [False, True])
def test_a_torch_module_keeps_gradients_and_precision(outputs, shares, people):
    X, _ = people
    space = TableEncoder().fit(X).feature_space_
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Linear(space.n_encoded, 6), nn.Tanh(), nn.Linear(6, outputs))
    for one in module.parameters():
        one.data = torch.randn(one.shape, generator=generator)
    if shares:
        module.append(nn.Sigmoid() if outputs == 1 else nn.Softmax(dim=1))
    predictor = as_predictor(module, classes=["refuse", "grant"], background=X, space=space)
    assert predictor.differentiable
    with torch.no_grad():
        scores = module(torch.from_numpy(space.encode(X)).float())
    second = scores[:, 0] > (0.5 if shares else 0) if outputs == 1 else scores.argmax(dim=1) == 1
    np.testing.assert_array_equal(predictor.predict(X) == "grant", second.numpy())
    result = RecourseSolver(target="grant", random_state=0).solve(predictor, X.iloc[:30])
    assert result.method == "gradient"
    assert result.reachable.sum() == result.denied.sum()
    assert (predictor.predict(result.points) == "grant").all()
    alone = RecourseSolver(target="grant", random_state=0).solve(predictor, X.iloc[3:4])
    assert alone.cost[0] == result.cost[3]


def test_a_module_is_compared_with_a_pipeline(people, network):
    X, _ = people
    space = TableEncoder().fit(X).feature_space_
    module = nn.Linear(space.n_encoded, 2)
    predictor = as_predictor(module, classes=["grant", "refuse"], background=X, space=space)
    solver = RecourseSolver(target="grant", random_state=0)
    first, second = solver.compare(network, predictor, X.iloc[:20], background=X)
    assert first.space_fingerprint == second.space_fingerprint
    other = as_predictor(module, classes=[0, 1], background=X, space=space)
    with pytest.raises(SpaceMismatchError, match="classes"):
        solver.compare(network, other, X.iloc[:20], background=X)


def test_modules_that_do_not_fit(people):
    X, _ = people
    numbers = X[NUMBERS].to_numpy()
    labels = ["refuse", "grant"]
    with pytest.raises(UnsupportedModelError, match="classes="):
        as_predictor(nn.Linear(2, 2), background=numbers)
    with pytest.raises(UnsupportedModelError, match="space="):
        as_predictor(nn.Linear(5, 2), classes=labels, background=numbers)
    with pytest.raises(UnsupportedModelError, match="3\\) for 300 rows"):
        as_predictor(nn.Linear(2, 3), classes=labels, background=numbers)
    with pytest.raises(BackgroundRequiredError, match="background="):
        as_predictor(nn.Linear(2, 2), classes=labels)
    with pytest.raises(UnsupportedModelError, match="'labels'"):
        as_predictor(nn.Linear(2, 2), classes=labels, background=numbers, output="labels")
