"""Weights of rows and classes: what counts, and what is refused by name before a fit."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skcfq import (
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseTransformer,
    TableEncoder,
    TeacherClassifier,
)
from skcfq.estimators import CounterfactualSampler

X = np.random.default_rng(0).normal(size=(40, 2))
Y = (X[:, 0] > 0).astype(int)
WEIGHTED = [
    TableEncoder(),
    TeacherClassifier(),
    QATClassifier(),
    CFQClassifier(),
    PTQClassifier(),
    RecourseTransformer(LogisticRegression()),
]
WRONG_VALUES = [-1.0, np.nan, np.inf, -np.inf, 1e308, 1e-300]


@pytest.mark.parametrize("estimator", WEIGHTED, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("value", WRONG_VALUES)
def test_sample_weights_that_are_none(estimator, value):
    weights = np.ones(40)
    weights[3] = value
    with pytest.raises(ValueError, match="sample_weight"):
        estimator.fit(X, Y, sample_weight=weights)


@pytest.mark.parametrize("estimator", WEIGHTED, ids=lambda one: type(one).__name__)
def test_sample_weights_of_nobody_and_by_word(estimator):
    with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
        estimator.fit(X, Y, sample_weight=np.zeros(40))
    with pytest.raises(ValueError, match="sample_weight='balanced': give one number a row"):
        estimator.fit(X, Y, sample_weight="balanced")


@pytest.mark.parametrize("estimator", WEIGHTED, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("shape", [(), (39,), (40, 1), (40, 2), (1, 40), (40, 1, 1)], ids=str)
def test_sample_weights_are_one_a_row(estimator, shape):
    says = re.escape(f"`sample_weight` has shape {shape}; give one number for each of the 40 rows")
    with pytest.raises(ValueError, match=says):
        estimator.fit(X, Y, sample_weight=np.ones(shape))
    with pytest.raises(ValueError, match="`sample_weight` is .*complex"):
        estimator.fit(X, Y, sample_weight=np.full(40, 1 + 1j))


@pytest.mark.parametrize("classifier", [TeacherClassifier, QATClassifier, CFQClassifier])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        *(({0: 1.0, 1: value}, "`class_weight` holds") for value in WRONG_VALUES),
        ({0: 0.0, 1: 0.0}, "`class_weight` is .* no class counts"),
        ({0: "much", 1: 1.0}, "`class_weight` is .*give a number a label"),
        ({0: None}, "`class_weight` holds nan"),
        (
            {"bad": 1.0, "good": 2.0},
            r"names \['bad', 'good'\].* leaves out \[0, 1\].*tool around .* encoded",
        ),
    ],
)
def test_class_weights_that_are_none(classifier, weights, message):
    with pytest.raises(ValueError, match=message):
        classifier(class_weight=weights).fit(X, Y)


def test_the_size_of_weights_does_not_matter_where_it_is_allowed():
    settings = {"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0}
    own = 1.0 + np.arange(40) % 2
    plain, large, small = (
        TeacherClassifier(**settings).fit(X, Y, own * size).predict_proba(X)
        for size in (1.0, 2.0**40, 2.0**-40)
    )
    np.testing.assert_allclose(large, plain, atol=1e-6)
    np.testing.assert_allclose(small, plain, atol=1e-6)


def test_labels_without_a_class_weight_count_once():
    model = TeacherClassifier((4,), class_weight={1: 3.0}, max_iter=5, random_state=0)
    same = TeacherClassifier((4,), class_weight={0: 1.0, 1: 3.0}, max_iter=5, random_state=0)
    # A label that this share of the rows does not have is no mistake either.
    third = TeacherClassifier((4,), class_weight={0: 1.0, 1: 3.0, 2: 9.0}, max_iter=5)
    first = model.fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(first, same.fit(X, Y).predict_proba(X))
    third.set_params(random_state=0).fit(X, Y)
    np.testing.assert_array_equal(first, third.predict_proba(X))


def test_a_sampler_has_the_same_weights_as_its_estimator():
    sampler = CounterfactualSampler(TeacherClassifier(class_weight={0: -1.0}))
    with pytest.raises(ValueError, match="`class_weight` holds -1.0"):
        sampler.fit_resample(X, Y)
