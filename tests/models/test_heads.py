"""Heads: their argmax is the estimator's own ``predict``, and their gradients are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC

from skcfq.exceptions import UnsupportedModelError
from skcfq.models import MLPHead
from skcfq.models._heads import LinearHead, head_digest, read_head

LABELS = np.array(["grant", "maybe", "refuse"])


def table(n_classes):
    X, y = make_classification(200, 5, n_informative=4, n_redundant=0, n_classes=n_classes,
                               random_state=0)  # fmt: skip
    return X, LABELS[y]


def perceptron(**options):
    # lbfgs with a handful of steps: fitted enough, and silent about convergence below
    return MLPClassifier(solver="lbfgs", max_iter=20, random_state=0, **options)


CLASSIFIERS = [
    LogisticRegression(),
    LogisticRegression(fit_intercept=False),
    LinearSVC(),
    LinearDiscriminantAnalysis(),
    SGDClassifier(random_state=0),
    RidgeClassifier(),
    Perceptron(),
    perceptron(hidden_layer_sizes=()),
    perceptron(hidden_layer_sizes=(4,)),
    perceptron(hidden_layer_sizes=(6, 3), activation="tanh"),
    perceptron(hidden_layer_sizes=(4,), activation="logistic"),
    perceptron(hidden_layer_sizes=(4,), activation="identity"),
]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=repr)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_argmax_is_predict(classifier, n_classes):
    classifier.fit(*table(n_classes))
    head = read_head(classifier)
    rows = np.random.default_rng(1).normal(scale=3, size=(2000, 5))
    logits = head(torch.from_numpy(rows))
    assert logits.shape == (2000, n_classes)
    assert logits.dtype == torch.float64
    expected = classifier.predict(rows)
    np.testing.assert_array_equal(classifier.classes_[logits.argmax(dim=1)], expected)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_linear_logits_are_scores(n_classes):
    X, y = table(n_classes)
    model = LogisticRegression().fit(X, y)
    logits = read_head(model)(torch.from_numpy(X)).numpy()
    scores = model.decision_function(X)
    if n_classes == 2:
        scores = np.column_stack([np.zeros_like(scores), scores])
    np.testing.assert_allclose(logits, scores, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_softmax_of_perceptron_logits_is_predict_proba(n_classes):
    X, y = table(n_classes)
    model = perceptron(hidden_layer_sizes=(4, 4)).fit(X, y)
    probabilities = read_head(model)(torch.from_numpy(X)).softmax(dim=1).numpy()
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_gradients(activation):
    rng = np.random.default_rng(0)
    coefs = [rng.normal(size=(3, 4)), rng.normal(size=(4, 2))]
    head = MLPHead(coefs, [rng.normal(size=4), rng.normal(size=2)], activation)
    Z = torch.from_numpy(rng.normal(size=(5, 3))).requires_grad_(True)
    assert torch.autograd.gradcheck(head, (Z,))
    assert not list(head.parameters())


def test_one_against_one_machine_is_refused():
    X, y = table(3)
    model = SVC(kernel="linear").fit(X, y)  # three rows of coef_, one per *pair* of classes
    with pytest.raises(UnsupportedModelError, match="SVC"):
        read_head(model)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_labels_at_once_are_refused():
    X, y = table(3)
    many = np.column_stack([y == label for label in LABELS]).astype(int)
    with pytest.raises(UnsupportedModelError, match="single-label"):
        read_head(perceptron(hidden_layer_sizes=(3,)).fit(X, many))
    with pytest.raises(UnsupportedModelError, match="MultiOutputClassifier"):
        read_head(MultiOutputClassifier(LogisticRegression()).fit(X, many))


def test_digest_depends_on_parameters_and_architecture():
    one = LinearHead(np.array([[1.0, 2.0]]), np.array([0.0]))
    assert head_digest(one) == head_digest(LinearHead(np.array([[1.0, 2.0]]), np.array([0.0])))
    other = LinearHead(np.array([[1.0, 2.0]]), np.array([1e-12]))
    layers = [np.eye(2), np.ones((2, 2))], [np.zeros(2), np.zeros(2)]
    digests = {head_digest(h) for h in (one, other, MLPHead(*layers, "relu"))}
    assert len(digests | {head_digest(MLPHead(*layers, "tanh"))}) == 4
