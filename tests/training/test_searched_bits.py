"""Widths of least measured loss, against all of them, before training."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch.nn.functional import cross_entropy

from skcfq import QATClassifier, TeacherClassifier
from skcfq.estimators import BitSample, SearchedBits
from skcfq.nn import QuantizedMLP, logit_distance
from skcfq.quantization import average_bits

pytestmark = pytest.mark.usefixtures("short_teachers")

WIDTHS = (2, 3, 4, 8)


@pytest.fixture(scope="module")
def scene():
    """A calibrated network of three layers, and rows that it labels, with three points."""
    generator = torch.Generator().manual_seed(0)
    network = QuantizedMLP(4, (6, 5), 2, start="mse").double()
    rows = torch.randn(60, 4, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        labels = network.unquantized(rows).argmax(1)
    network.calibrate(rows)
    network.set_bit_widths([4, 2, 3])
    weights = torch.rand(60, generator=generator, dtype=torch.float64)
    sample = BitSample(rows, labels, weights, rows[:3] + 2, labels[:3], weights[:3])
    return network, sample


def loss_at(network, sample, kind, widths):
    network.set_bit_widths(widths)
    with torch.no_grad():
        if kind == "task":
            losses = cross_entropy(network(sample.rows), sample.labels, reduction="none")
            return ((losses * sample.weights).sum() / sample.weights.sum()).item()
        x = torch.cat([sample.rows, sample.points])
        weights = torch.cat([sample.weights, sample.point_weights])
        losses = logit_distance(network(x), network.unquantized(x))
        return ((losses * weights).sum() / weights.sum()).item()


@pytest.mark.parametrize("budget", [2.5, 3, 4, 6])
@pytest.mark.parametrize("kind", ["task", "error"])
@pytest.mark.parametrize("max_choices", [256, 0])
def test_no_choice_within_the_budget_loses_much_less(max_choices, kind, budget, scene):
    network, sample = scene
    policy = SearchedBits(kind, max_choices=max_choices)
    found = policy.choose(network, budget, sample)
    assert network.bit_widths.tolist() == [4, 2, 3], "the network is as it was"
    choices = [w for w in product(WIDTHS, repeat=3) if average_bits(w, network.n_weights) <= budget]
    best = min(loss_at(network, sample, kind, widths) for widths in choices)
    network.set_bit_widths([4, 2, 3])
    assert tuple(found) in choices
    loss = loss_at(network, sample, kind, found)
    network.set_bit_widths([4, 2, 3])
    assert loss <= 1.02 * best + 1e-12


def test_a_fit_takes_the_widths_that_are_searched(table):
    size = {"hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 0}
    teacher = TeacherClassifier(**size)
    named, given = (
        QATClassifier(3, bit_policy=policy, teacher=teacher, **size).fit(*table)
        for policy in ("searched", SearchedBits())
    )
    assert named.average_bits_ <= 3
    assert named.bit_widths_.tolist() == given.bit_widths_.tolist()
    with pytest.raises(ValueError, match="bit_policy.kind is 'hessian'"):
        QATClassifier(3, bit_policy=SearchedBits("hessian"), teacher=teacher, **size).fit(*table)
