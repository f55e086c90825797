"""Bit budgets and policies: what is promised about the widths of a trained network."""

from __future__ import annotations

import numpy as np
import pytest

from skcfq import CFQClassifier, QATClassifier
from skcfq.estimators import BitPolicy, LearnedBits, UniformBits
from skcfq.exceptions import BudgetError

BUDGETS = [2, 2.5, 3, 3.7, 4, 6, 8, 10]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    return X, (X.sum(axis=1) > 0).astype(int)


@pytest.fixture(scope="module")
def tiny():
    return {"hidden_layer_sizes": (5, 7), "max_iter": 6, "batch_size": 16, "random_state": 0}


def average(model):
    sizes = [layer.weight.numel() for layer in model.network_.layers]
    return np.dot(model.bit_widths_, sizes) / sum(sizes)


@pytest.mark.parametrize("candidates", [(2, 3, 4, 8), (2, 8), (2, 5, 6)])
@pytest.mark.parametrize("policy", [LearnedBits, UniformBits])
@pytest.mark.parametrize("budget", BUDGETS)
def test_average_is_never_above_the_budget(budget, policy, candidates, table, tiny):
    model = QATClassifier(budget, bit_policy=policy(candidates), **tiny).fit(*table)
    assert model.average_bits_ <= budget
    assert model.average_bits_ == pytest.approx(average(model))
    assert set(model.bit_widths_) <= set(candidates)
    if policy is UniformBits:
        affordable = max(bits for bits in candidates if bits <= budget)
        np.testing.assert_array_equal(model.bit_widths_, affordable)


def test_a_policy_that_chooses_nothing_says_so(table, tiny):
    class Empty(BitPolicy):
        candidates = (2, 4)

    with pytest.raises(TypeError, match="Empty chooses no widths. Override `choose`"):
        QATClassifier(4, bit_policy=Empty(), **tiny).fit(*table)


def test_widths_are_reported_apart_from_the_network(table, tiny):
    model = QATClassifier(4, **tiny).fit(*table)
    model.bit_widths_[0] = 2
    np.testing.assert_array_equal(model.bit_widths_, 4)


@pytest.mark.parametrize("policy", ["learned", "uniform", LearnedBits(), UniformBits()])
@pytest.mark.parametrize("classifier", [QATClassifier, CFQClassifier])
def test_budget_below_every_candidate(classifier, policy, table, tiny, monkeypatch):
    monkeypatch.setattr(classifier, "_fit_teacher", lambda *_: pytest.fail("trained in vain"))
    message = r"budget=1.5 is below the smallest candidate .*Raise it to at least 2"
    with pytest.raises(BudgetError, match=message):
        classifier(1.5, bit_policy=policy, **tiny).fit(*table)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (LearnedBits(()), "candidates"),
        (LearnedBits((4, 2)), "candidates"),
        (UniformBits((2.5,)), "candidates"),
        (LearnedBits(penalty=-1), "penalty is -1"),
        (LearnedBits(temperatures=(1.0, 0.0)), "temperatures is"),
        (LearnedBits(temperatures=(1.0,)), "temperatures is"),
        (LearnedBits(search_fraction=0), "search_fraction is 0"),
        (LearnedBits(search_fraction=1.5), "search_fraction is 1.5"),
    ],
)
def test_impossible_policies(policy, message, table, tiny, monkeypatch):
    monkeypatch.setattr(QATClassifier, "_fit_teacher", lambda *_: pytest.fail("trained in vain"))
    with pytest.raises(ValueError, match=message):
        QATClassifier(bit_policy=policy, **tiny).fit(*table)


def test_widths_settle_where_the_search_takes_the_whole_training(table, tiny):
    policy = LearnedBits(search_fraction=1.0)
    model = QATClassifier(3.1, bit_policy=policy, **tiny).fit(*table)
    assert model.average_bits_ <= 3.1
    single = QATClassifier(3.1, bit_policy="learned", **{**tiny, "max_iter": 1}).fit(*table)
    assert single.average_bits_ <= 3.1


def test_activation_widths(table, tiny):
    narrow = QATClassifier(8, activation_bits=2, **tiny).fit(*table)
    wide = QATClassifier(8, activation_bits=32, **tiny).fit(*table)
    assert all(len(layer.clips) == 1 for layer in list(narrow.network_.layers)[:-1])
    assert all(layer.clips is None for layer in wide.network_.layers)
    learned = QATClassifier(3, bit_policy="learned", activation_bits=4, **tiny).fit(*table)
    assert learned.average_bits_ <= 3


def test_logistic_regression_can_be_quantized(table, tiny):
    options = {**tiny, "objective": "paper", "hidden_layer_sizes": (), "max_iter": 20}
    model = CFQClassifier(3, **options).fit(*table)
    np.testing.assert_array_equal(model.bit_widths_, [3])
    assert model.score(*table) > 0.8
