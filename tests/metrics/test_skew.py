"""Diagnostics of skew against loops, automatic derivatives and whole Hessians."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, recall_score
from sklearn.neural_network import MLPClassifier

from skcfq import ActionSet, PTQClassifier
from skcfq.exceptions import UnsupportedModelError
from skcfq.metrics import (
    fairness_violation,
    forgotten_people,
    group_curvature,
    group_figures,
    group_gradients,
    layer_changes,
    logit_figures,
    paired_changes,
)
from skcfq.models import as_predictor
from skcfq.proofs import real_network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 240


@pytest.fixture(scope="module")
def people():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(N, 4))
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int) + (X[:, 3] > 1)
    return X, y, np.where(X[:, 2] > 0.5, "few", "many")


@pytest.fixture(scope="module")
def network(people):
    X, y, _ = people
    return MLPClassifier((6, 5), max_iter=60, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def quantized(people, network):
    X, y, _ = people
    model = PTQClassifier(3, teacher=network, action_set=ActionSet(), target=1, random_state=0)
    return model.fit(X, y)


def test_figures_of_decisions_are_those_of_scikit_learn(people, network):
    X, y, groups = people
    told, logits = network.predict(X), as_predictor(network, background=X).row_scores(X)
    figures = group_figures(y, told, groups, logits=logits, target=1)
    for name in ("few", "many"):
        own = groups == name
        expected = [
            accuracy_score(y[own], told[own]),
            log_loss(y[own], network.predict_proba(X[own]), labels=[0, 1, 2]),
            1 - recall_score(y[own] == 1, told[own] == 1),
        ]
        found = figures.loc[name, ["accuracy", "loss", "false_refusals"]]
        np.testing.assert_allclose(found.astype(float), expected, rtol=1e-9)
    accuracies = figures["accuracy"].drop("everybody")
    assert fairness_violation(y, told, groups) == abs(accuracies.iloc[0] - accuracies.iloc[1])
    assert np.isnan(fairness_violation(y, told, ["one"] * N))


def test_figures_of_logits_are_those_of_a_loop(people, network):
    X, _, groups = people
    logits = as_predictor(network, background=X).row_scores(X)
    figures = logit_figures(logits, groups, near=0.7)
    assert figures.equals(logit_figures(logits, groups, near=0.7))
    shifted = logit_figures(logits + np.arange(N)[:, None], groups, near=0.7)
    np.testing.assert_allclose(figures, shifted, rtol=1e-9)
    own = [row - sum(row) / 3 for row, group in zip(logits, groups, strict=True) if group == "few"]
    variance = np.mean([np.var([row[k] for row in own], ddof=1) for k in range(3)])
    near = np.mean([np.diff(sorted(row))[-1] < 0.7 for row in own])
    top = network.predict_proba(X[groups == "few"]).max(axis=1)
    found = figures.loc["few"]
    assert found["logit_variance"] == pytest.approx(variance, rel=1e-9)
    assert found["near_boundary"] == near
    assert found["probability_q0.5"] == pytest.approx(np.median(top), rel=1e-9)


def _torch_loss(network, X, y):
    """Return the loss of a network of scikit-learn as a function of all its weights."""
    parts = [
        torch.tensor(part)
        for pair in zip(network.coefs_, network.intercepts_, strict=True)
        for part in pair
    ]
    sizes = [part.numel() for part in parts]

    def loss(flat):
        values = torch.tensor(X)
        pieces = [p.reshape(q.shape) for p, q in zip(flat.split(sizes), parts, strict=True)]
        for i in range(0, len(pieces), 2):
            values = values @ pieces[i] + pieces[i + 1]
            if i + 2 < len(pieces):
                values = values.relu()
        return torch.nn.functional.cross_entropy(values, torch.tensor(y))

    return loss, torch.cat([part.ravel() for part in parts])


def test_gradients_and_curvature_are_those_of_the_whole_hessian(people, network):
    X, y, groups = people
    gradients = group_gradients(network, X, y, groups)
    curvature = group_curvature(network, X, y, groups, n_eigenvalues=4, n_probes=400)
    for name in ("few", "many"):
        own = groups == name
        loss, at = _torch_loss(network, X[own], y[own])
        gradient = torch.autograd.functional.jacobian(loss, at)
        values = np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, at).numpy())
        assert gradients.loc[name, "gradient_norm"] == pytest.approx(gradient.norm().item())
        assert gradients.loc[name, "loss"] == pytest.approx(loss(at).item())
        found = curvature.loc[name]
        top = found[[f"eigenvalue_{i}" for i in (1, 2, 3, 4)]].to_numpy(float)
        np.testing.assert_allclose(top, values[::-1][:4], rtol=1e-4)
        assert found["residual"] < 1e-3 * top[0]
        assert abs(found["trace"] - values.sum()) < 4 * found["trace_error"] < values.sum()


def _straight_through_loss(quantized, X, y):
    """Return the loss of integers as a function of weights in real units, by torch alone."""
    network = real_network(as_predictor(quantized))
    parts = [torch.tensor(p) for layer in network.layers for p in (layer.matrix, layer.offset)]
    sizes = [part.numel() for part in parts]
    integers = quantized.deployed().integer_network_
    encoded = quantized.feature_space_.encode(X)
    read = integers.codes(encoded) * (integers.input_steps / integers.input_factors)

    def loss(flat):
        values = torch.tensor(read)
        pieces = [p.reshape(q.shape) for p, q in zip(flat.split(sizes), parts, strict=True)]
        for i, layer in enumerate(network.layers):
            values = values @ pieces[2 * i] + pieces[2 * i + 1]
            if i + 1 < len(network.layers):
                step = torch.tensor(layer.step)
                values = values.clamp(min=0).minimum(step * layer.top)
                values = values + ((values / step).round() * step - values).detach()
        return torch.nn.functional.cross_entropy(values, torch.tensor(y))

    return loss, torch.cat([part.ravel() for part in parts]), integers.logits(encoded)


def test_of_integers_derivatives_are_those_of_the_straight_through_network(people, quantized):
    X, y, groups = people
    gradients = group_gradients(quantized, X, y, groups)
    curvature = group_curvature(quantized, X, y, groups, n_eigenvalues=2)
    for name in ("few", "many"):
        own = groups == name
        loss, at, logits = _straight_through_loss(quantized, X[own], y[own])
        odds = np.exp(logits)
        assert gradients.loc[name, "loss"] == pytest.approx(
            log_loss(y[own], odds / odds.sum(axis=1, keepdims=True))
        )
        gradient = torch.autograd.functional.jacobian(loss, at)
        values = np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, at).numpy())
        assert gradients.loc[name, "gradient_norm"] == pytest.approx(gradient.norm().item())
        top = curvature.loc[name, ["eigenvalue_1", "eigenvalue_2"]].to_numpy(float)
        np.testing.assert_allclose(top, values[::-1][:2], rtol=1e-4)


def test_layers_of_a_network_and_of_its_integers(people, network, quantized):
    X, _, groups = people
    same = layer_changes(network, network, X, groups)
    assert (same["change"] == 0).all()
    assert same.index.get_level_values("layer").unique().tolist() == [
        *("inputs", "layer 1", "layer 2", "layer 3")
    ]
    first = np.maximum(X @ network.coefs_[0] + network.intercepts_[0], 0)[groups == "few"]
    assert same.loc[("layer 1", "few"), "silent"] == (first == 0).mean()
    teacher = quantized.teacher_
    changes = layer_changes(teacher, quantized, X, groups)
    codes = quantized.deployed().integer_network_.layers[0].matrix
    layer = changes.loc[("layer 1", "everybody")]
    assert layer["zero_weights_deployed"] == (codes == 0).mean() > layer["zero_weights"]
    ours, theirs = (as_predictor(m, background=X).row_scores(X) for m in (teacher, quantized))
    ours, theirs = (one - one.mean(axis=1, keepdims=True) for one in (ours, theirs))
    expected = np.linalg.norm(theirs - ours) / np.linalg.norm(ours)
    assert changes.loc[("layer 3", "everybody"), "change"] == pytest.approx(expected, rel=1e-6)
    assert 0 <= layer["saturated"] < 0.2


def test_people_whom_compression_forgets():
    models = [[1, 0, 0, 0], [1, 0, 1, 1], [1, 0, 1, 1]]
    shares = forgotten_people([1, 1, 0, 1], models, ["a", "a", "b", "b"])
    assert shares.loc["b", ["any", "most", "all", "each"]].tolist() == [1.0, 0.5, 0.0, 0.5]
    assert shares.loc["everybody", "all"] == 0.25


def test_intervals_of_changes_hold_as_often_as_they_say():
    rng, held = np.random.RandomState(0), np.zeros(2)
    groups = np.array(["a"] * 150 + ["b"] * 60)
    lost = np.where(groups == "a", 0.02, 0.15)
    for seed in range(200):
        old = rng.rand(210) < np.where(groups == "a", 0.9, 0.75)
        new = old & (rng.rand(210) >= lost)
        found = paired_changes(old, new, groups, n_resamples=150, random_state=seed)
        true = [-0.75 * 0.15, (0.9 * 0.98 - 0.75 * 0.85) - 0.15]
        for i, one in enumerate((found.by_group.loc["b"], found.gap)):
            held[i] += one["lower"] <= true[i] <= one["upper"]
    # Two-sided intervals of 95 %; three standard errors of 200 trials are 4.6 points.
    assert (held / 200 > 0.90).all()


def test_seeds_are_blocks_and_certainty_needs_people():
    rng = np.random.RandomState(0)
    old = rng.rand(400) < 0.8
    alike = np.array([old & (rng.rand(400) < 0.9)] * 5)
    apart = np.array([old & (rng.rand(400) < share) for share in (0.99, 0.6, 0.95, 0.7, 0.99)])
    widths = [
        (lambda row: row["upper"] - row["lower"])(paired_changes(old, new).by_group.iloc[0])
        for new in (alike, apart)
    ]
    assert widths[1] > 2 * widths[0]
    nobody = paired_changes([1.0] * 10, [1.0] * 10).by_group.iloc[0]
    assert nobody["lower"] < 0 < nobody["upper"]
    assert nobody["detectable"] > 0.1


def test_power_is_what_is_said(monkeypatch):
    rng, n = np.random.RandomState(0), 300
    old = rng.normal(size=n)
    size = paired_changes(old, old + rng.normal(size=n)).by_group["detectable"].iloc[0]
    found = 0
    for seed in range(100):
        new = old + size + rng.normal(size=n)
        row = paired_changes(old, new, n_resamples=100, random_state=seed).by_group.iloc[0]
        found += row["lower"] > 0
    assert 65 <= found <= 95


def test_groups_of_one_of_nobody_counted_and_without_positives():
    y, told = [1, 0, 0, 1], [1, 0, 1, 0]
    figures = group_figures(y, told, ["a", None, "c", "c"], target=1)
    assert figures.index.tolist() == ["everybody", "(missing)", "a", "c"]
    assert np.isnan(figures.loc["(missing)", "false_refusals"])
    changes = paired_changes([1.0, np.nan, 0.0], [0.0, np.nan, 0.0], ["a", "b", "c"])
    assert np.isnan(changes.by_group.loc["b", "change"])
    assert changes.by_group.loc["b", "n"] == 0
    assert np.isnan(changes.by_group.loc["a", "lower"])
    assert changes.gap[["before", "after"]].tolist() == [1.0, 0.0]
    alone = logit_figures([[0.0, 1.0]], ["a"])
    assert np.isnan(alone.loc["a", "logit_variance"])


def test_models_that_are_no_networks_are_refused(people, network):
    X, y, _ = people
    linear = LogisticRegression().fit(X, y)
    with pytest.raises(UnsupportedModelError, match="one shape"):
        layer_changes(linear, network, X)

    class Asked:
        classes_ = np.array([0, 1, 2])

        def predict(self, X):
            return np.zeros(len(X), dtype=int)

    with pytest.raises(UnsupportedModelError):
        group_gradients(Asked(), X, y)
    with pytest.raises(ValueError, match="none of the `classes`"):
        group_gradients(network, X, y + 5)
