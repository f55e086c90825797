"""Widths that are learned: from any start, where layers differ, and against all choices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skcfq import QATClassifier, TeacherClassifier
from skcfq.estimators import LearnedBits
from skcfq.nn import FaithfulModule, LossWeights, QuantizedMLP, SampleTable, TrainingRows
from skcfq.quantization import GumbelBits, average_bits
from skcfq.training._bit_search import BitSearch

pytestmark = pytest.mark.usefixtures("short_teachers")

WIDTHS = (2, 3, 4, 8)


@pytest.fixture(scope="module")
def tiny(table):
    size = {"hidden_layer_sizes": (6, 4), "random_state": 0}
    teacher = TeacherClassifier(max_iter=30, **size).fit(*table)
    return {**size, "teacher": teacher, "max_iter": 4, "batch_size": 16}


class Started(LearnedBits):
    """Starts with one width for all layers."""

    def __init__(self, first=None, penalty=1.0):
        super().__init__(penalty=penalty)
        self.first = first

    def start(self, network, budget, sample):
        policy = super().start(network, budget, sample)
        with torch.no_grad():
            policy.logits.zero_()
            policy.logits[:, self.first] = 5.0
        return policy


class Kept(Callback):
    """Keeps the policy."""

    def on_train_end(self, net, **kwargs):
        self.probabilities = net.module_.policy.probabilities().detach()


@pytest.mark.parametrize("budget", [4, 8])
@pytest.mark.parametrize("first", [0, 2])
def test_where_bits_are_free_every_layer_has_the_most_and_the_choice_meets_the_budget(
    budget, first, table, tiny
):
    kept = Kept()
    policy = Started(first, penalty=0.0)
    model = QATClassifier(budget, bit_policy=policy, callbacks=[kept], **tiny).fit(*table)
    assert (kept.probabilities[:, 3] > 0.9).all()
    assert model.average_bits_ <= budget


@pytest.mark.parametrize("budget", [2.5, 6])
def test_two_starts_end_alike(budget, table, tiny):
    models = [QATClassifier(budget, bit_policy=Started(i), **tiny).fit(*table) for i in (0, 3)]
    for model in models[1:]:
        np.testing.assert_array_equal(model.bit_widths_, models[0].bit_widths_)
        first, other = (one.decision_function(table[0]) for one in (models[0], model))
        np.testing.assert_array_equal(first, other)


def constructed(layers, generator, scales=1.0):
    """A network of given weights, and rows that it labels without error."""
    # Nothing but weights is quantized.
    sizes = [len(one) for one in layers[:-1]]
    network = QuantizedMLP(
        len(layers[0][0]), sizes, 2, WIDTHS, activation_bits=32, input_bits=None, start="mse"
    )
    rows = torch.randn(128, len(layers[0][0]), generator=generator) * torch.tensor(scales)
    with torch.no_grad():
        for layer, weights in zip(network.layers, layers, strict=True):
            layer.weight.copy_(torch.tensor(weights))
            layer.bias.zero_()
    network.calibrate(rows)
    labels = network.unquantized(rows).argmax(1)
    return network, TrainingRows(rows, labels, torch.ones(128))


def searched(network, rows, budget, **options):
    policy = GumbelBits(network.n_weights, WIDTHS, budget)
    module = FaithfulModule(
        network, policy, loss=LossWeights(), bit_penalty=1.0, generator=torch.Generator()
    )
    table = SampleTable(rows)
    BitSearch(LearnedBits(**options), module, table, (rows.rows, rows.weights), 1).settle()
    return module, table


# Of the small weights, 4 bits leave nothing; they multiply large numbers. 2 bits hold 5, -5 and 0.
FINE_FIRST = (
    [[10.0, 0.3], [-10.0, -0.3], [10.0, 0.3], [-10.0, -0.3]],
    [[-5.0, 5.0, -5.0, 5.0], [5.0, -5.0, 5.0, -5.0]],
)
FINE_LAST = (
    [[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0], [0.0, -5.0]],
    [[-10.0, 10.0, -0.3, 0.3], [10.0, -10.0, 0.3, -0.3]],
)


@pytest.mark.parametrize(
    ("layers", "widths"), [(FINE_FIRST, [8, 2]), (FINE_LAST, [2, 8])], ids=["first", "last"]
)
def test_the_layer_that_needs_bits_gets_them(layers, widths):
    generator = torch.Generator().manual_seed(0)
    network, rows = constructed(layers, generator, scales=[1.0, 30.0])
    module, _ = searched(network, rows, 5.0)
    assert module.network.bit_widths.tolist() == widths


@pytest.mark.parametrize("budget", [2.5, 3, 4, 6])
@pytest.mark.parametrize("sizes", [(5, 3), (4, 3, 4, 3)], ids=["3 layers", "5 layers"])
@pytest.mark.parametrize("seed", range(2))
def test_the_choice_is_near_the_best_of_all(seed, sizes, budget):
    generator = torch.Generator().manual_seed(seed)
    shapes = [4, *sizes, 2]
    layers = [
        (torch.randn(n_out, n_in, generator=generator) * 2).tolist()
        for n_in, n_out in itertools.pairwise(shapes)
    ]
    module, table = searched(*constructed(layers, generator), budget)
    choices = itertools.product(WIDTHS, repeat=len(layers))
    n_weights = module.network.n_weights
    losses = [
        module.loss_at(choice, table.whole)
        for choice in choices
        if average_bits(choice, n_weights) <= budget
    ]
    found = module.loss_at(module.network.bit_widths.tolist(), table.whole)
    assert found <= 1.05 * min(losses)
