"""Matching through the unrolled student recursion (Appendix B)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from skcfq.actions import ActionSet, compile_cost
from skcfq.encoding import TableEncoder
from skcfq.nn import FullPrecisionMLP, Matching, QuantizedMLP, unrolled_steps

STEPS = {"n_steps": 2, "step_size": 0.4}


@pytest.fixture
def people():
    """Region of 30 people with an immutable column, and the compiled rules."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(30, 4)), columns=list("abcd"))
    space = TableEncoder().fit(X).feature_space_
    rules = ActionSet(immutable=["d"], bounds=dict.fromkeys("abc", (-100, 100)))
    compiled = rules.compile(space)
    return compiled.at(X), compiled


def smooth_network():
    """Softplus instead of ReLU: finite differences are right everywhere."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(6, 4, generator=generator, dtype=torch.float64).requires_grad_()
    second = torch.randn(2, 6, generator=generator, dtype=torch.float64).requires_grad_()

    def logits(points):
        return torch.nn.functional.softplus(points @ first.T) @ second.T

    return logits, (first, second)


def matching_of(region, compiled, direction=0.5, cost=0.7):
    teacher = FullPrecisionMLP(4, (5,), 2).double()
    target = torch.ones(region.n_people, dtype=torch.int64)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in teacher.parameters():
            torch.nn.init.normal_(parameter)
    points = unrolled_steps(teacher, region, target, **STEPS).detach()
    return Matching(direction, cost, region, points, compile_cost(compiled), **STEPS), target


def quantized():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = QuantizedMLP(4, (6,), 2, start="mse").double()
        rows = torch.randn(60, 4, dtype=torch.float64)
    network.calibrate(rows)
    network.set_bit_widths([4, 3])
    return network


def test_the_points_are_those_of_the_plain_recursion(people):
    region, _ = people
    logits, _ = smooth_network()
    target = torch.ones(30, dtype=torch.int64)
    points = region.origin.clone()
    for _ in range(STEPS["n_steps"]):
        points = points.detach().requires_grad_()
        loss = cross_entropy(logits(points), target, reduction="sum")
        (slope,) = torch.autograd.grad(loss, points)
        points = region.project(points.detach() - STEPS["step_size"] * slope)
    reached = unrolled_steps(logits, region, target, **STEPS)
    torch.testing.assert_close(reached.detach(), points)
    assert region.contains(reached.detach()).all()


def test_gradient_is_right_where_everything_is_smooth(people):
    matching, target = matching_of(*people)
    logits, parameters = smooth_network()
    rows = torch.arange(30)

    def loss():
        return matching.losses(logits, rows, target).sum()

    found = torch.autograd.grad(loss(), parameters)
    for parameter, gradient in zip(parameters, found, strict=True):
        for place in [(0, 0), (1, 2)]:
            with torch.no_grad():
                values = []
                for change in (1e-6, -2e-6):
                    parameter[place] += change
                    with torch.enable_grad():
                        values.append(loss().item())
                parameter[place] += 1e-6
            difference = (values[0] - values[1]) / 2e-6
            assert gradient[place].item() == pytest.approx(difference, rel=1e-4, abs=1e-6)


def test_gradient_reaches_every_kind_of_parameter(people):
    matching, target = matching_of(*people)
    network = quantized()
    selection = torch.nn.functional.one_hot(torch.tensor([2, 1]), 4).double().requires_grad_()
    loss = matching.losses(lambda x: network(x, selection), torch.arange(30), target).sum()
    found = torch.autograd.grad(
        loss,
        [network.layers[0].weight, network.layers[1].log_steps, network.layers[0].bias, selection],
        allow_unused=True,
    )
    for gradient in found:
        assert gradient is not None
        assert gradient.abs().max() > 0


def test_with_stop_gradient_nothing_is_learned(people):
    matching, target = matching_of(*people)
    network = quantized()
    loss = matching.losses(network, torch.arange(30), target, stop_gradient=True)
    assert not loss.requires_grad
    assert loss.sum() > 0


def test_immutable_columns_pass_no_gradient(people):
    region, _ = people
    logits, _ = smooth_network()
    target = torch.ones(30, dtype=torch.int64)
    reached = unrolled_steps(logits, region, target, **STEPS)
    moved = (reached != region.origin).any(dim=0)
    assert moved.tolist() == [True, True, True, False]


def test_the_teacher_matches_itself(people):
    region, compiled = people
    logits, _ = smooth_network()
    target = torch.ones(30, dtype=torch.int64)
    points = unrolled_steps(logits, region, target, **STEPS).detach()
    matching = Matching(1.0, 1.0, region, points, compile_cost(compiled), **STEPS)
    assert matching.losses(logits, torch.arange(30), target).abs().max() == 0
