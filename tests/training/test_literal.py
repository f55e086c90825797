"""The paper's Algorithm 2, line by line, against the preset that promises it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.nn.functional import cross_entropy, linear

from skcfq import CFQClassifier
from skcfq.estimators import CFQObjective, LearnedBits, Quantizer, TeacherActions

pytestmark = pytest.mark.usefixtures("short_teachers")

WIDTHS, BUDGET, PENALTY, ETA, K, ALPHA = (2, 3, 4, 8), 3.0, 0.7, 0.4, 3, 0.5


class First(Callback):
    """Keeps the module and the rows before the first update, and the policy after the last."""

    def on_train_begin(self, net, X=None, **kwargs):
        self.module, self.batch = copy.deepcopy(net.module_), X.whole

    def on_train_end(self, net, **kwargs):
        self.probabilities = net.module_.policy.probabilities().detach()


@pytest.fixture(scope="module")
def fitted(table):
    first = First()
    model = CFQClassifier(
        BUDGET,
        objective=CFQObjective.preset("literal").set_params(eta=ETA),
        bit_policy=LearnedBits.preset("literal").set_params(penalty=PENALTY),
        quantizer=Quantizer(None, granularity="per_tensor", initialization="lsq"),
        hidden_layer_sizes=(6, 5),
        max_iter=12,
        alpha=0.0,
        random_state=0,
        target=1,
        callbacks=[first],
    )
    return model.fit(*table), first


def quantized(network, x, widths):
    """Lines 12 and 13: LSQ weights and PACT activations, at one width a layer."""
    for position, (layer, bits) in enumerate(zip(network.layers, widths, strict=True)):
        index = WIDTHS.index(bits)
        step = layer.log_steps[index].exp()
        codes = (layer.weight / step).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        x = linear(x, step * codes, layer.bias)
        if position < len(network.layers) - 1:
            clip = layer.log_clips[index].exp()
            x = (x.clamp(min=0).minimum(clip) / (clip / (2**bits - 1))).round()
            x = x * (clip / (2**bits - 1))
    return x


def recourse(model, x):
    """Lines 6 to 10: K projected steps of every row, whoever it is."""
    low, high = x.min(0).values, x.max(0).values
    delta, wanted = torch.zeros_like(x), torch.ones(len(x), dtype=torch.int64)
    network = model.teacher_.network_
    for _ in range(K):
        delta = delta.requires_grad_()
        loss = cross_entropy(network(x + delta), wanted, reduction="sum")
        (slope,) = torch.autograd.grad(loss, delta)
        delta = ((x + delta - ALPHA * slope).clamp(low, high) - x).detach()
    return delta


def test_the_loss_is_that_of_algorithm_2_term_by_term(fitted, table):
    model, first = fitted
    module, batch = first.module, first.batch
    network, policy = module.network, module.policy
    x = torch.from_numpy(model.encoder_.transform(table[0])).to(network.layers[0].weight.dtype)
    labels = torch.from_numpy(table[1]).long()
    points = x + recourse(model, x).to(x.dtype)
    state = module.generator.get_state()
    z = policy.sample(module.temperature, module.generator)
    widths = [WIDTHS[index] for index in z.argmax(1).tolist()]
    with torch.no_grad():
        task = cross_entropy(quantized(network, network.first_inputs(x), widths), labels)
        at_points = quantized(network, network.first_inputs(points), widths)
        valid = cross_entropy(at_points, torch.ones_like(labels))
    sizes = [layer.weight.numel() for layer in network.layers]
    cost = sum(n * bits for n, bits in zip(sizes, widths, strict=True))
    # Counted in bits a weight, so that the weight of the paper's is that divided by all weights.
    excess = max(0.0, cost - BUDGET * sum(sizes)) / sum(sizes)

    module.generator.set_state(state)
    terms = module.loss_terms(batch)
    assert len(batch) == len(batch.points) == len(x)
    for name, expected in [("task_loss", task), ("validity_loss", valid)]:
        torch.testing.assert_close(terms[name], expected, rtol=1e-5, atol=1e-6)
    assert terms["average_bits"].item() == pytest.approx(cost / sum(sizes))
    whole = task + ETA * valid + PENALTY * excess
    torch.testing.assert_close(terms["loss"], whole, rtol=1e-5, atol=1e-6)


def test_the_policy_learns_from_the_relaxed_sample(fitted):
    """The gradient of BitCost goes through the soft vector, where the hard one is too dear."""
    _, first = fitted
    policy = copy.deepcopy(first.module.policy)
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        state = generator.get_state()
        z = policy.sample(1.0, generator)
        cost = policy.bit_cost(z)
        (found,) = torch.autograd.grad(cost, policy.logits)
        noise = torch.empty_like(policy.logits)
        noise.exponential_(generator=torch.Generator().set_state(state)).log_().neg_()
        logits = policy.logits.detach().requires_grad_()
        soft = ((logits + noise) / 1.0).softmax(1)
        sizes = torch.tensor(policy.n_weights) / sum(policy.n_weights)
        spent = (soft @ torch.tensor(WIDTHS, dtype=soft.dtype)) @ sizes.to(soft)
        (expected,) = torch.autograd.grad(spent, logits)
        torch.testing.assert_close(found, expected * (cost > 0))


def test_steps_start_by_the_rule_of_lsq_and_are_one_a_layer(fitted):
    for layer in fitted[1].module.network.layers:
        assert layer.log_steps.shape == (4,)
        highest = torch.tensor([2.0 ** (bits - 1) - 1 for bits in WIDTHS])
        start = 2 * layer.weight.abs().mean() / highest.sqrt()
        torch.testing.assert_close(layer.log_steps.exp(), start.to(layer.log_steps))


def test_the_most_probable_widths_are_kept_and_their_cost_is_told(fitted):
    model, first = fitted
    assert first.module.policy.probabilities().unique().tolist() == [0.25]
    assert (first.probabilities - 0.25).abs().max() > 0.01
    widths = [WIDTHS[index] for index in first.probabilities.argmax(1).tolist()]
    assert model.bit_widths_.tolist() == widths
    assert model.bit_cost_ == np.dot(model.network_.n_weights, widths)


def test_what_the_budget_does_not_bound_is_above_it_where_bits_are_free(table):
    policy = LearnedBits.preset("literal").set_params(penalty=0.0, gradient="measured")
    options = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0, "target": 1}
    model = CFQClassifier(2.5, objective="literal", bit_policy=policy, **options).fit(*table)
    assert model.average_bits_ == 8 > model.budget


def test_online_steps_count_every_row_too(table):
    actions = TeacherActions(online=True)
    first = First()
    options = {"hidden_layer_sizes": (6,), "max_iter": 2, "random_state": 0, "target": 1}
    CFQClassifier(
        4, objective="literal", teacher_actions=actions, callbacks=[first], **options
    ).fit(*table)
    moved = first.module.with_points(first.batch)
    assert len(moved.points) == len(table[0])


@pytest.mark.parametrize("name", ["paper", None, np.array([]), np.array(["literal", "x"])])
def test_a_preset_that_there_is_not(name):
    with pytest.raises(ValueError, match="is no bit policy; give 'literal'"):
        LearnedBits.preset(name)
