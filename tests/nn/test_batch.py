"""Batches of rows and recourse points: against indexing row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from skcfq.nn import FaithfulModule, LossWeights, QuantizedMLP, SampleTable, TrainingRows


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def given(rng):
    rows = torch.randn(30, 4, generator=rng)
    return TrainingRows(
        rows,
        torch.randint(0, 3, (30,), generator=rng),
        torch.rand(30, generator=rng),
        rows + 10,
        torch.randint(0, 3, (30,), generator=rng),
        torch.rand(30, generator=rng) < 0.4,
        torch.randint(0, 5, (30,), generator=rng),
        torch.randn(30, 2, 3, generator=rng),
    )


@pytest.mark.parametrize("everybody", [False, True])
@pytest.mark.parametrize("with_points", [True, False])
def test_batch_row_by_row(rng, given, everybody, with_points):
    if everybody:
        given = replace(given, acted=torch.ones(30, dtype=torch.bool))
    order = torch.randperm(30, generator=rng)[:11]
    batch = SampleTable(given, with_points).take(order)
    moved = [i for i in order.tolist() if given.acted[i]]
    assert 0 < len(moved) == len(batch.positions)
    assert len(batch) == 11
    for of_rows, whole in (
        (batch.rows, given.rows),
        (batch.labels, given.labels),
        (batch.row_weights, given.weights),
        (batch.known[:11], given.known[:, 0]),
    ):
        assert torch.equal(of_rows, torch.stack([whole[i] for i in order]))
    for of_people, whole in (
        (batch.targets, given.targets),
        (batch.point_weights, given.weights),
        (batch.groups, given.groups),
        (batch.moved_rows, given.rows),
    ):
        assert torch.equal(of_people, torch.stack([whole[i] for i in moved]))
    assert batch.positions.tolist() == moved
    assert batch.points.shape == (len(moved), 4)
    if with_points:
        assert torch.equal(batch.points, given.points[moved])
    assert torch.equal(batch.known[11:], given.known[moved if with_points else [], 1])


def test_rows_without_recourse(given):
    batch = SampleTable(TrainingRows(given.rows, given.labels, given.weights)).whole
    assert torch.equal(batch.samples, given.rows)
    assert torch.equal(batch.classes, given.labels)
    assert batch.positions is batch.acted is batch.groups is batch.known is None


@pytest.mark.parametrize("everybody", [False, True])
def test_points_that_are_computed_now(given, everybody):
    if everybody:
        given = replace(given, acted=torch.ones(30, dtype=torch.bool))
    batch = SampleTable(given, with_points=False).whole
    people = given.acted.nonzero().squeeze(1)

    def online(positions, targets):
        assert torch.equal(targets, given.targets[positions])
        return given.rows[positions].double() - 3, positions % 2 == 0

    moved = batch.moved_by(online)
    kept = people[people % 2 == 0]
    assert moved.positions.tolist() == kept.tolist()
    assert torch.equal(moved.points, given.rows[kept] - 3)
    assert torch.equal(moved.moved_rows, given.rows[kept])
    assert torch.equal(moved.targets, given.targets[kept])
    assert torch.equal(moved.point_weights, given.weights[kept])
    assert torch.equal(moved.groups, given.groups[kept])
    assert torch.equal(moved.known, given.known[:, 0])
    assert torch.equal(moved.rows, given.rows)
    assert moved.samples.dtype == torch.float32


def test_quantized_once_or_in_every_batch(given):
    """Same terms, and same gradients, bit for bit; inputs have units of their own here."""
    terms, gradients = [], []
    for once in (False, True):
        torch.manual_seed(0)
        network = QuantizedMLP(4, (6,), 3, start="mse", input_units=[1.0, 2.0, 0.5, 1.0])
        network.calibrate(torch.cat([given.rows, given.points]))
        module = FaithfulModule(
            network,
            None,
            loss=LossWeights(validity=1.0, hinge=0.5),
            bit_penalty=0.0,
            generator=torch.Generator().manual_seed(0),
            quantized_samples=once,
        )
        rows = given.mapped(network.first_inputs) if once else given
        found = module.loss_terms(SampleTable(rows, module.needs_points).whole)
        found["loss"].backward()
        terms.append({name: value.item() for name, value in found.items()})
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert not torch.equal(network.first_inputs(given.rows), given.rows)
    assert terms[0] == terms[1]
    assert len(gradients[0]) > 3
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
