"""Bit budgets and policies: what is promised about the widths of a trained network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcfq import CFQClassifier, QATClassifier, TeacherClassifier
from skcfq.estimators import BitPolicy, LearnedBits, Quantizer, UniformBits
from skcfq.exceptions import BudgetError
from skcfq.quantization import GumbelBits, average_bits

BUDGETS = [2, 2.5, 3, 3.7, 4, 6, 8, 10]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    return X, (X.sum(axis=1) > 0).astype(int)


@pytest.fixture(scope="module")
def tiny():
    size = {"hidden_layer_sizes": (5, 7), "max_iter": 6, "batch_size": 16, "random_state": 0}
    return {**size, "teacher": TeacherClassifier(**size)}


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

    with pytest.raises(
        TypeError, match=r"bit_policy=Empty\(\) chooses no widths. Override `choose`"
    ):
        QATClassifier(4, bit_policy=Empty(), **tiny).fit(*table)


class Given(BitPolicy):
    """Widths as given."""

    candidates = (2, 4, 8)

    def __init__(self, widths):
        self.widths = widths

    def choose(self, network, budget, sample):
        return self.widths


def test_a_policy_of_ones_own_chooses_the_widths(table, tiny):
    model = QATClassifier(4, bit_policy=Given((8, 2, 4)), **tiny).fit(*table)
    assert model.bit_widths_.tolist() == [8, 2, 4]


@pytest.mark.parametrize("widths", [(4, 4), (4, 4, 3), (4, 4, 4, 4)])
def test_widths_that_are_not_one_candidate_a_layer_are_refused(widths, table, tiny):
    with pytest.raises(ValueError, match="one of the candidates .* for each of the 3 layers"):
        QATClassifier(4, bit_policy=Given(widths), **tiny).fit(*table)


def test_widths_above_the_budget_are_refused(table, tiny):
    with pytest.raises(BudgetError, match="exceed budget=4"):
        QATClassifier(4, bit_policy=Given((8, 8, 8)), **tiny).fit(*table)


def test_who_learns_widths_is_learned_bits(table, tiny):
    class Unsettled(BitPolicy):
        candidates = (2, 4, 8)

        def start(self, network, budget, sample):
            return GumbelBits(network.n_weights, self.candidates, budget)

    with pytest.raises(TypeError, match="subclass of LearnedBits"):
        QATClassifier(4, bit_policy=Unsettled(), **tiny).fit(*table)


@pytest.mark.parametrize("learned", [False, True])
def test_whatever_a_policy_starts_the_budget_holds(learned, table, tiny):
    class Greedy(LearnedBits):
        def start(self, network, budget, sample):
            network.set_bit_widths(8)
            return GumbelBits(network.n_weights, self.candidates, 8) if learned else None

    with pytest.raises(BudgetError, match="budget=4"):
        QATClassifier(4, bit_policy=Greedy(), **tiny).fit(*table)


def test_a_subclass_of_learned_bits_meets_the_budget(table, tiny):
    class Cold(LearnedBits):
        def start(self, network, budget, sample):
            return GumbelBits(network.n_weights, self.candidates, budget, warmth=0.0)

    assert QATClassifier(2.5, bit_policy=Cold(), **tiny).fit(*table).average_bits_ <= 2.5


@pytest.mark.parametrize("activation_bits", [None, 8, (2, 8)])
def test_bit_operations_are_what_a_network_of_one_width_costs(activation_bits, table, tiny):
    model = QATClassifier(4, quantizer=Quantizer(activation_bits), **tiny).fit(*table)
    learned = LearnedBits((2, 4, 8), cost="bops").start(model.network_, 4.5, None)
    widths = torch.eye(3)[[1, 1, 1]]
    assert model.bit_widths_.tolist() == [4, 4, 4]
    assert learned.bit_cost(widths) == 0
    wider = torch.eye(3)[[1, 2, 1]]
    one = model.network_.bops
    model.network_.set_bit_widths([4, 8, 4])
    hidden = model.network_.activation_widths
    model.network_.set_bit_widths([4, 4, 4])
    assert hidden[:2] == model.network_.activation_widths[:2]
    extra = 4 * 5 * 7 * model.network_.activation_widths[1]
    assert 4 * (one + extra) / one - 4.5 == pytest.approx(learned.bit_cost(wider).item(), rel=1e-6)
    assert learned.expected_bits(wider) == pytest.approx(average_bits([4, 8, 4], [15, 35, 14]))


def test_a_penalty_of_bit_operations_keeps_the_budget(table, tiny):
    policy = LearnedBits(cost="bops", penalty=10.0)
    model = QATClassifier(3, bit_policy=policy, quantizer=Quantizer((8, 2)), **tiny).fit(*table)
    assert model.average_bits_ <= 3
    with pytest.raises(ValueError, match="bit_policy.cost is 'macs'"):
        QATClassifier(3, bit_policy=LearnedBits(cost="macs"), **tiny).fit(*table)


def test_widths_are_reported_apart_from_the_network(table, tiny):
    model = QATClassifier(4, **tiny).fit(*table)
    model.bit_widths_[0] = 2
    np.testing.assert_array_equal(model.bit_widths_, 4)


@pytest.mark.parametrize("policy", ["learned", "uniform", LearnedBits(), UniformBits()])
@pytest.mark.parametrize("classifier", [QATClassifier, CFQClassifier])
def test_budget_below_every_candidate(classifier, policy, table, tiny, monkeypatch):
    monkeypatch.setattr(classifier, "_fit_teacher", lambda *_: pytest.fail("trained in vain"))
    message = r"budget=1.5 is below the smallest candidate .*raise it to at least 2"
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
    narrow = QATClassifier(8, quantizer=Quantizer(2), **tiny).fit(*table)
    wide = QATClassifier(8, quantizer=Quantizer(32), **tiny).fit(*table)
    assert all(len(layer.clips) == 1 for layer in list(narrow.network_.layers)[:-1])
    assert all(layer.clips is None for layer in wide.network_.layers)
    learned = QATClassifier(3, bit_policy="learned", quantizer=Quantizer(4), **tiny).fit(*table)
    assert learned.average_bits_ <= 3


def test_logistic_regression_can_be_quantized(table, tiny):
    options = {**tiny, "teacher": None, "objective": "paper", "hidden_layer_sizes": ()}
    model = CFQClassifier(3, **options).fit(*table)
    np.testing.assert_array_equal(model.bit_widths_, [3])
    assert model.score(*table) > 0.8
