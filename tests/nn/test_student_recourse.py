"""Matching through the unrolled student recursion (Appendix B)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from skcfq.actions import ActionSet, compile_cost, region_of
from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.nn import FullPrecisionMLP, Matching, QuantizedMLP
from skcfq.nn._student_recourse import unrolled_steps

STEPS = {"n_steps": 2, "step_size": 0.4}


@pytest.fixture
def people():
    """Region of 30 people with an immutable column, and the compiled rules."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(30, 4)), columns=list("abcd"))
    space = TableEncoder().fit(X).feature_space_
    rules = ActionSet(immutable=["d"], bounds=dict.fromkeys("abc", (-100, 100)))
    compiled = rules.compile(space)
    return region_of(compiled, X), compiled


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


def one_step(table, rules, slopes):
    """Return where one step takes the first person, and its Jacobian by the slopes of the score.

    A step of size 2 from a score of zero goes as far as the slopes: without any rule the Jacobian
    is the identity.
    """
    X = pd.DataFrame(table)
    region = region_of(ActionSet(**rules).compile(FeatureSpace.from_frame(X)), X[:1])

    def move(slopes):
        def logits(points):
            score = (points - region.origin) @ slopes
            return torch.stack([torch.zeros_like(score), score], dim=1)

        reached = unrolled_steps(logits, region, torch.tensor([1]), n_steps=1, step_size=2.0)
        return (reached - region.origin)[0]

    given = torch.tensor(slopes, dtype=torch.float64)
    return move(given).tolist(), torch.autograd.functional.jacobian(move, given)


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


@pytest.mark.parametrize(
    ("rules", "slopes", "reached", "passed"),
    [
        ({}, [1.0, -2.0], [1.0, -2.0], [1.0, 1.0]),
        ({}, [0.0, -2.0], [0.0, -2.0], [1.0, 1.0]),
        ({"max_change": {"a": 0.5}}, [1.0, -2.0], [0.5, -2.0], [1.0, 1.0]),
        ({"steps": {"a": 0.75}}, [1.0, -2.0], [0.75, -2.0], [1.0, 1.0]),
        ({"steps": {"a": 5.0}}, [1.0, -2.0], [0.0, -2.0], [0.0, 1.0]),
        ({"relative_bounds": {"a": (-9, 0)}}, [1.0, -2.0], [0.0, -2.0], [0.0, 1.0]),
        ({"relative_bounds": {"a": (-9, 0)}}, [-1.0, -2.0], [-1.0, -2.0], [1.0, 1.0]),
        ({"max_changes": 1}, [1.0, -2.0], [0.0, -2.0], [0.0, 1.0]),
        ({"immutable": ["a"]}, [1.0, -2.0], [0.0, -2.0], [0.0, 1.0]),
        ({"immutable": ["a"]}, [0.0, -2.0], [0.0, -2.0], [0.0, 1.0]),
    ],
    ids=[
        "free",
        "not moved",
        "clipped but changed",
        "on the grid",
        "back from the grid",
        "back at its bound",
        "away from its bound",
        "sparsity",
        "immutable",
        "immutable and not moved",
    ],
)
def test_gradient_passes_what_is_changed_or_left_alone(rules, slopes, reached, passed):
    wide = {"a": (-9, 9), "b": (-9, 9)}
    found, jacobian = one_step({"a": [0.0], "b": [0.0]}, {"bounds": wide, **rules}, slopes)
    assert found == reached
    torch.testing.assert_close(jacobian, torch.tensor(passed, dtype=torch.float64).diag())


@pytest.mark.parametrize(
    ("slopes", "reached", "passed"),
    [
        # To "clerk": the column of "pilot" is put back to the 0 that it was.
        ([-0.5, 0.75, 0.25], [-1.0, 1.0, 0.0], [1.0, 1.0, 0.0]),
        ([-0.25, 0.0, 0.5], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
    ],
    ids=["to another level", "back to the own one"],
)
def test_gradient_passes_the_columns_that_a_vertex_changes(slopes, reached, passed):
    table = {"cook": [1.0, 0.0, 0.0], "clerk": [0.0, 1.0, 0.0], "pilot": [0.0, 0.0, 1.0]}
    found, jacobian = one_step(table, {"one_hot": {"job": list(table)}}, slopes)
    assert found == reached
    torch.testing.assert_close(jacobian, torch.tensor(passed, dtype=torch.float64).diag())


def test_gradient_through_several_steps_is_that_of_the_rules_written_out(people):
    """Column a is clipped straight through, c may not rise, d stays; plain torch differentiates."""
    compiled = people[1]
    X, near = people[0].X, {"a": (-0.1, 0.1)}
    rules = ActionSet(
        immutable=["d"],
        decreasing=["c"],
        relative_bounds=near,
        bounds=dict.fromkeys("abc", (-100, 100)),
    )
    region = region_of(rules.compile(compiled.space), X)
    logits, parameters = smooth_network()
    target = torch.ones(30, dtype=torch.int64)
    low, high = region.lower[:, 0], region.upper[:, 0]
    points = region.origin.clone().requires_grad_()
    for _ in range(3):
        loss = cross_entropy(logits(points), target, reduction="sum")
        (slope,) = torch.autograd.grad(loss, points, create_graph=True)
        a, b, c, _ = (points - 0.4 * slope).unbind(dim=1)
        clipped = a + (a.clamp(low, high) - a).detach()
        own = region.origin.unbind(dim=1)
        points = torch.stack([clipped, b, torch.where(c < own[2], c, own[2]), own[3]], dim=1)
    reached = unrolled_steps(logits, region, target, n_steps=3, step_size=0.4)
    torch.testing.assert_close(reached, points)
    at_limit = ((reached[:, 0] - low).abs() < 1e-9) | ((reached[:, 0] - high).abs() < 1e-9)
    assert 0 < at_limit.sum() < 30
    assert 0 < (reached[:, 2] == region.origin[:, 2]).sum() < 30
    weights = torch.linspace(-1, 2, 120, dtype=torch.float64).reshape(30, 4)
    found = torch.autograd.grad((reached * weights).sum(), parameters)
    wanted = torch.autograd.grad((points * weights).sum(), parameters)
    torch.testing.assert_close(found, wanted)


def test_immutable_columns_stay(people):
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
