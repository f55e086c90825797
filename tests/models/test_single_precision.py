"""Advice that a plain float32 copy of the model accepts, and what that costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skcfq import ActionSet, CFQClassifier, RecourseSolver, TeacherClassifier
from skcfq.models import as_predictor

pytestmark = pytest.mark.usefixtures("short_teachers")

DEEP = {"hidden_layer_sizes": (32, 16), "max_iter": 400, "random_state": 0}
ACTIVATIONS = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "identity": lambda z: z}
ACTIVATIONS["logistic"] = lambda z: 1 / (1 + np.exp(-z))


def table(n_classes: int = 2, seed: int = 0, scale: float = 1.0):
    X, y = make_classification(
        600, 8, n_informative=6, n_classes=n_classes, random_state=seed, class_sep=0.7
    )
    # Columns that lie far from zero lose the most in a cast.
    shift = np.linspace(0, 50, 8) * scale
    return (X * scale + shift).astype(np.float32).astype(np.float64), y


def single_logits(model, X: np.ndarray) -> np.ndarray:
    """Compute the logits of a pipeline of scikit-learn in float32, from the cast on."""
    scaler, head = model[0], model[-1]
    f = np.float32
    if isinstance(scaler, MinMaxScaler):
        z = X.astype(f) * scaler.scale_.astype(f) + scaler.min_.astype(f)
    else:
        z = (X.astype(f) - scaler.mean_.astype(f)) / scaler.scale_.astype(f)
    if not hasattr(head, "coefs_"):
        return two(z @ head.coef_.T.astype(f) + head.intercept_.astype(f))
    activate = ACTIVATIONS[head.activation]
    for k, (w, b) in enumerate(zip(head.coefs_, head.intercepts_, strict=True)):
        z = z @ w.astype(f) + b.astype(f)
        z = activate(z).astype(f) if k < len(head.coefs_) - 1 else z
    return two(z)


def two(scores: np.ndarray) -> np.ndarray:
    return scores if scores.shape[1] > 1 else np.column_stack([np.zeros(len(scores)), scores])


def margins(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    return logits[:, :1] - logits[:, 1:]


MODELS = {
    "linear": lambda: LogisticRegression(),
    "relu": lambda: MLPClassifier(**DEEP),
    "tanh": lambda: MLPClassifier(activation="tanh", **DEEP),
    "logistic": lambda: MLPClassifier(activation="logistic", **DEEP),
}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("scaler", [StandardScaler, MinMaxScaler])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", MODELS)
def test_the_noise_bounds_the_error_and_not_much_more(kind, n_classes, scaler):
    X, y = table(n_classes)
    model = make_pipeline(scaler(), MODELS[kind]()).fit(X, y)
    predictor = as_predictor(model, background=X)
    logits = predictor.row_scores(X)
    noise = predictor.noise(predictor.space.encode(X), logits)
    error = np.abs(margins(single_logits(model, X)) - margins(logits)).max(axis=1)
    assert (error <= noise).all()
    assert np.median(noise) < 60 * np.median(error) and noise.max() < 1e-3
    assert np.median(noise) <= predictor.typical_noise < 100 * np.median(noise)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("method", ["exact", "milp", "gradient"])
def test_a_float32_copy_accepts_all_advice(method):
    X, y = table(seed=1)
    head = MLPClassifier((16,), max_iter=400, random_state=0)
    model = make_pipeline(StandardScaler(), head if method == "gradient" else LogisticRegression())
    model.fit(X, y)
    rules = ActionSet(max_changes=2) if method == "milp" else None
    costs = []
    for margin in ("auto", 0.0):
        solver = RecourseSolver(rules, method=method, target=1, margin=margin, random_state=0)
        result = solver.solve(model, X[:150], background=X)
        assert f"margin={margin if margin == 'auto' else '0'}," in result.protocol
        costs.append(result.cost[result.reachable].sum())
        if margin == "auto":
            points = np.asarray(result.points)[result.reachable]
            assert (single_logits(model, points).argmax(axis=1) == 1).all() and len(points) > 40
            if method != "gradient":
                assert (result.status[result.reachable] == "optimal").all()
    assert abs(costs[0] / costs[1] - 1) < 1e-4


def test_so_does_one_of_torch():
    X, y = table(seed=2)
    model = TeacherClassifier(hidden_layer_sizes=(32,), max_iter=20, random_state=0).fit(X, y)
    result = RecourseSolver(target=1, random_state=0).solve(model, X[:150])
    points = np.asarray(result.points)[result.reachable]
    encoded = model.feature_space_.encode(points).astype(np.float32)
    with torch.no_grad():
        network = model.network_
        layers = list(network.layers)
        z = torch.from_numpy(encoded)
        for k, layer in enumerate(layers):
            z = torch.nn.functional.linear(z, layer.weight.float(), layer.bias.float())
            z = torch.relu(z) if k < len(layers) - 1 else z
    assert (two(z.numpy()).argmax(axis=1) == 1).all() and len(points) > 40


def test_the_margin_follows_the_destination_and_is_not_asked_of_whom_it_would_lose():
    X, y = table(seed=3)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    # Immutable and a billion away: the float32 margin of such a row is anybody's guess.
    people = X[:60].copy()
    weight = model[-1].coef_[0] / model[0].scale_
    people[:, 0] = -np.sign(weight[0]) * 1e6
    bare = RecourseSolver(ActionSet(immutable=[0]), target=1, margin=0.0, method="exact")
    # Whatever is reachable at all stays so.
    bounds = dict.fromkeys(range(1, 8), (None, None))
    for rules in (ActionSet(immutable=[0]), ActionSet(immutable=[0], bounds=bounds)):
        bare.set_params(action_set=rules)
        auto = RecourseSolver(rules, target=1, method="exact").solve(model, people, background=X)
        nothing = bare.solve(model, people, background=X)
        assert auto.status.tolist() == nothing.status.tolist()
    assert "optimal" in auto.status


def test_a_best_point_within_the_noise_is_still_advised():
    X, y = table(seed=4)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    person = X[model.predict(X) == 0][:1]
    w, b = model[-1].coef_[0] / model[0].scale_, model.decision_function(person)[0]
    # The limit lets the margin just reach 1e-8, a hundredth of the noise.
    best = person[0, 3] + (1e-8 - b) / w[3]
    limits = (None, best) if w[3] > 0 else (best, None)
    for table_of in (np.asarray, lambda rows: rows.astype(object)):
        rules = ActionSet(immutable=[0, 1, 2, 4, 5, 6, 7], bounds={3: limits})
        result = RecourseSolver(rules, target=1).solve(model, table_of(person), background=X)
        assert result.status.tolist() == ["optimal"] and 0 < result.margin[0] < 1e-7


def test_models_of_integers_and_functions_have_no_noise_and_comparisons_ask_for_none():
    X, y = table(seed=5)
    clf = CFQClassifier(budget=4, max_iter=2, random_state=0, target=1, objective="paper").fit(X, y)
    predictor = as_predictor(clf)
    assert predictor.typical_noise == 0 and not predictor.noise(np.zeros((2, 8)), None).any()
    first, second = RecourseSolver(target=1, random_state=0).compare(clf.teacher_, clf, X[:20])
    assert "margin=0," in first.protocol and "margin=0," in second.protocol
    literal = RecourseSolver(target=1, method="pgd").solve(clf.teacher_, X[:20])
    assert "margin=0," in literal.protocol


def test_functions_of_columns_are_followed_by_their_slope():
    X, y = table(seed=6)
    X = np.exp(X / 20)
    log = FunctionTransformer(np.log, np.exp)
    model = make_pipeline(log, StandardScaler(), LogisticRegression()).fit(X, y)
    predictor = as_predictor(model, background=X)
    logits = predictor.row_scores(X)
    z = (np.log(X.astype(np.float32)) - model[1].mean_.astype(np.float32)) / model[1].scale_.astype(
        np.float32
    )
    head = model[-1]
    scores = z @ head.coef_[0].astype(np.float32) + head.intercept_[0].astype(np.float32)
    noise = predictor.noise(predictor.space.encode(X), logits)
    assert (np.abs(scores - logits[:, 1]) <= noise).all() and noise.max() < 1e-3
