"""Widths by sensitivity: every kind and every rule against its definition, on tiny networks."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from skcfq.estimators import BitSample, SensitivityBits
from skcfq.nn import QuantizedMLP
from skcfq.nn._losses import logit_distance
from skcfq.quantization import average_bits, closed_form_bits, greedy_bits

pytestmark = pytest.mark.usefixtures("short_teachers")

BUDGETS = [2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0]
KINDS = ["counterfactual", "factual"]
ALLOCATIONS = ["exact", "greedy", "closed_form"]


def scene(hidden, scales, seed):
    """Return a calibrated network, with rows near zero and recourse points far from it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = QuantizedMLP(3, hidden, 2).double()
        rows, points = (size * torch.randn(n, 3) for size, n in ((0.3, 40), (3.0, 25)))
        labels, targets = (torch.randint(0, 2, (n,)) for n in (40, 25))
        weights, point_weights = (torch.rand(n).double() for n in (40, 25))
        with torch.no_grad():
            for layer, scale in zip(network.layers, scales, strict=True):
                layer.weight.mul_(scale)
                layer.bias.normal_()
    rows, points = rows.double(), points.double()
    network.calibrate(torch.cat([rows, points]))
    return network, BitSample(rows, labels, weights, points, targets, point_weights)


@pytest.fixture(scope="module")
def three_layers():
    return scene((5, 4), (1, 1, 4), seed=4)


@pytest.fixture(scope="module")
def gradients(three_layers):
    """Weighted means of the l1 norms of the gradients of single rows, a dict of kinds."""
    network, sample = three_layers
    given = {
        "counterfactual": (sample.points, sample.targets, sample.point_weights),
        "factual": (sample.rows, sample.labels, sample.weights),
    }
    found = {}
    for kind, (x, labels, weights) in given.items():
        total = torch.zeros(3, dtype=torch.float64)
        for row, label, weight in zip(x, labels, weights, strict=True):
            loss = cross_entropy(network.unquantized(row[None]), label[None])
            slopes = torch.autograd.grad(loss, network.weight_tensors)
            total += weight * torch.stack([slope.abs().sum() for slope in slopes])
        found[kind] = (total / weights.sum()).numpy()
    return found


def best_of_all(losses, network, budget):
    """Return the affordable widths of the least total loss, by trying all."""
    columns = range(len(network.candidates))
    affordable = [
        choice
        for choice in product(columns, repeat=len(losses))
        if average_bits([network.candidates[one] for one in choice], network.n_weights) <= budget
    ]
    best = min(affordable, key=lambda choice: losses[range(len(losses)), choice].sum())
    return [network.candidates[one] for one in best]


def wanted(allocation, found, network, budget):
    """Return the widths of one rule (Eq. 24 by trying all, its greedy rule, Eq. 75)."""
    if allocation == "exact":
        return best_of_all(-np.outer(found, network.candidates), network, budget)
    if allocation == "greedy":
        return greedy_bits(found, network.n_weights, network.candidates, budget)
    # The step of LSQ is a multiple of the mean absolute weight, the same one in every layer.
    scales = [weight.abs().mean().item() for weight in network.weight_tensors]
    return closed_form_bits(found * scales, network.n_weights, network.candidates, budget)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_gradients_become_widths_by_the_rule(kind, allocation, three_layers, gradients):
    network, sample = three_layers
    policy = SensitivityBits(kind, allocation=allocation)
    for budget in BUDGETS:
        expected = wanted(allocation, gradients[kind], network, budget)
        assert policy.choose(network, budget, sample) == expected


def test_kinds_and_rules_can_be_told_apart_here(three_layers, gradients):
    network, _ = three_layers
    found = {
        tuple(tuple(wanted(rule, gradients[kind], network, budget)) for budget in BUDGETS)
        for kind in KINDS
        for rule in ALLOCATIONS
    }
    assert len(found) == 6


@pytest.mark.parametrize("budget", [3.0, 4.5])
def test_curvature_weighs_the_errors_of_the_weights(budget):
    network, sample = scene((6,), (1, 3), seed=5)
    first, last = network.layers

    def loss(*weights):
        hidden = torch.relu(sample.rows @ weights[0].T + first.bias.detach())
        logits = hidden @ weights[1].T + last.bias.detach()
        losses = cross_entropy(logits, sample.labels, reduction="none")
        return (losses * sample.weights).sum() / sample.weights.sum()

    given = tuple(layer.weight.detach() for layer in network.layers)
    blocks = torch.autograd.functional.hessian(loss, given)
    losses, errors = np.zeros((2, 4)), np.zeros((2, 4))
    for position, index in np.ndindex(errors.shape):
        rough = network.layers[position].quantized_weight(index)
        errors[position, index] = (rough - given[position]).square().sum().item()
        size = given[position].numel()
        trace = blocks[position][position].reshape(size, size).trace().item()
        losses[position, index] = trace / size * errors[position, index]
    expected = best_of_all(losses, network, budget)
    assert expected != best_of_all(errors, network, budget)
    assert SensitivityBits("hessian").choose(network, budget, sample) == expected


def test_errors_are_those_at_rows_and_points(three_layers):
    network, sample = three_layers
    losses = np.zeros((2, 3, 4))
    groups = [(sample.rows, sample.weights), (sample.points, sample.point_weights)]
    with torch.no_grad():
        for group, position, index in np.ndindex(losses.shape):
            x, weights = groups[group]
            rough = network.partly_quantized(x, position, index)
            distance = logit_distance(rough, network.unquantized(x))
            losses[group, position, index] = (distance * weights).sum().item()
    both, rows, points = (
        [best_of_all(one, network, budget) for budget in BUDGETS]
        for one in (losses.sum(axis=0), *losses)
    )
    assert both not in (rows, points)
    policy = SensitivityBits("error")
    assert [policy.choose(network, budget, sample) for budget in BUDGETS] == both
