"""Products of Lipschitz constants (Eq. 52 to 58): by loops, and above everything that is drawn."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from skcfq import TeacherClassifier, theory
from skcfq.exceptions import UnsupportedModelError
from skcfq.models import as_predictor


def _norm(vector):
    return np.sqrt(sum(value**2 for value in vector))


def _largest_stretch(matrix):
    return np.sqrt(max(np.linalg.eigvalsh(matrix @ matrix.T)))


def _rounded_weights(deployed):
    """Weights and biases of the integers as numbers that act on encoded columns."""
    network, trained = deployed.integer_network_, deployed.network_
    found = []
    for position, layer in enumerate(network.layers):
        weight = layer.weight * np.reshape(layer.step, (-1, 1))
        if position == 0 and network.input_units is not None:
            weight = weight / 2.0**network.input_units
        found.append((weight, trained.quantized_layers[position].bias.detach().numpy()))
    return found


def _terms(reference, deployed, row):
    """Every term of the sum at one encoded row, by loops."""
    network = deployed.integer_network_
    exact = [(one.weight.numpy(), one.bias.numpy()) for one in reference.network_.layers]
    rounded = _rounded_weights(deployed)
    stretch = [_largest_stretch(weight) for weight, _ in exact]
    codes = np.clip(np.rint(row / network.input_steps), *network.input_range)
    read = codes * network.input_steps
    parts = {"inputs": np.prod(stretch) * _norm(read - row)}
    parts |= {"weights": [], "biases": [], "activations": []}
    for position, (layer, own) in enumerate(
        zip(network.layers, deployed.network_.quantized_layers, strict=True)
    ):
        behind = np.prod(stretch[position + 1 :])
        (before, offset), (after, other) = exact[position], rounded[position]
        parts["weights"].append(behind * _largest_stretch(after - before) * _norm(read))
        parts["biases"].append(behind * _norm(other - offset))
        if layer.levels:
            totals = np.maximum(after @ read + other, 0)
            step = float(own.clip_at(own.choice)[0]) / layer.levels
            read = np.minimum(np.rint(totals / step), layer.levels) * step
            parts["activations"].append(behind * _norm(read - totals))
    return parts


def test_terms_at_a_point_are_those_of_loops(pair):
    reference, deployed, X, _ = pair
    X = X[:4]
    found = theory.lipschitz_perturbation(reference, deployed, X)
    for i, row in enumerate(reference.feature_space_.encode(X)):
        wanted = _terms(reference, deployed, row)
        for name, values in wanted.items():
            np.testing.assert_allclose(found.parts[name][i], values, rtol=1e-3, atol=1e-5)
        total = sum(np.sum(values) for values in wanted.values())
        assert found.values[i] == pytest.approx(total, rel=1e-3)
    assert (found.kind, found.direction) == ("certified", "upper bound")


@pytest.mark.parametrize("radius", [0.03, 0.5])
def test_terms_around_a_point_are_the_largest_there(pair, radius):
    """No term of a row in the box is above that of the box, and some come near."""
    reference, deployed, X, _ = pair
    X, rng = X[:2], np.random.default_rng(0)
    found = theory.lipschitz_perturbation(reference, deployed, X, radius=radius, over="encoded")
    largest = {name: np.zeros_like(part) for name, part in found.parts.items()}
    for i, row in enumerate(reference.feature_space_.encode(X)):
        for drawn in row + rng.uniform(-radius, radius, size=(60, len(row))):
            for name, values in _terms(reference, deployed, drawn).items():
                largest[name][i] = np.maximum(largest[name][i], values)
    for name, part in found.parts.items():
        assert (largest[name] <= part * (1 + 1e-3) + 1e-5).all(), name
        assert name == "activations" or (largest[name] >= part / 10 - 1e-6).all(), name


@pytest.mark.parametrize("over", ["numbers", "encoded"])
@pytest.mark.parametrize("radius", [0.0, 0.02, 0.3, 5.0])
def test_nothing_that_is_drawn_lies_above(pair, radius, over):
    reference, deployed, X, _ = pair
    X = X[:10]
    for centered in (False, True):
        given = {"radius": radius, "over": over, "centered": centered}
        bound = theory.lipschitz_perturbation(reference, deployed, X, **given)
        for norm in ("l2", "linf"):
            drawn = theory.sampled_perturbation(
                reference, deployed, X, norm=norm, n_samples=500, random_state=0, **given
            )
            assert (drawn.values <= bound.values).all()


def test_bound_is_reached_by_a_single_weight():
    X = np.random.default_rng(0).normal(size=(60, 1)) * 4
    models = [LogisticRegression(C=c).fit(X, X[:, 0] > 0) for c in (1.0, 0.01)]
    bound = theory.lipschitz_perturbation(*models, X, radius=0.5, background=X)
    change = (models[1].coef_ - models[0].coef_).item()
    shift = (models[1].intercept_ - models[0].intercept_).item()
    reach = np.abs(X[:, 0]) + 0.5 * X.std()
    np.testing.assert_allclose(bound.values, abs(change) * reach + abs(shift), rtol=1e-9)
    np.testing.assert_array_equal(bound.parts["inputs"], 0)


def test_models_that_cannot_be_read_are_refused(three):
    reference, deployed, X = three
    y = reference.predict(X)
    tables = {"background": X}
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    smooth = MLPClassifier((7, 5), activation="tanh", tol=1.0).fit(X, y)
    smaller = TeacherClassifier((3,), max_iter=1, random_state=0).fit(X, y)
    space = reference.feature_space_
    functions = [
        lambda a, b: theory.lipschitz_perturbation(a, b, X, **tables),
        lambda a, b: theory.layerwise_degradation(a, b, X, **tables),
        lambda a, b: theory.weight_changes(a, b, **tables),
    ]
    for function in functions:
        for model in (forest, smooth):
            one = as_predictor(model, space=space)
            with pytest.raises(UnsupportedModelError, match="linear model.*rectifiers"):
                function(reference, one)
            with pytest.raises(UnsupportedModelError, match="linear model.*rectifiers"):
                function(one, deployed)
        with pytest.raises(UnsupportedModelError, match=r"\[7, 5, 3\].*\[3, 3\]"):
            function(reference, as_predictor(smaller, space=space))
        with pytest.raises(UnsupportedModelError, match="is quantized"):
            function(deployed, deployed)
    with pytest.raises(UnsupportedModelError, match="linear model.*rectifiers"):
        theory.estimated_sensitivities(as_predictor(forest, space=space), X)
