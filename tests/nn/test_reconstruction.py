"""Integer weights that are chosen by the logits, and columns in units of their weights."""

from __future__ import annotations

import itertools
from copy import deepcopy

import numpy as np
import pytest
import torch

from skcfq.nn import FullPrecisionMLP, QuantizedMLP, integers_of
from skcfq.nn._column_units import network_in_units, weight_units
from skcfq.nn._losses import logit_distance
from skcfq.nn._reconstruction import reconstruct_logits
from skcfq.nn._samples import Samples
from skcfq.nn._straight_through import Tuning, tune


def teacher_of(sizes, n_classes=2, spread=1.0, seed=0):
    """A random network, some of whose input columns have larger weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FullPrecisionMLP(6, sizes, n_classes).double()
    with torch.no_grad():
        network.layers[0].weight[:, :2] *= spread
    return network


def student_of(teacher, rows, bits=4, **options):
    options = {"start": "mse", "activation_bits": 8, "candidates": (2, 3, 4, 8), **options}
    network = QuantizedMLP(**teacher._settings(), **options).double()
    network.load_from(teacher)
    network.calibrate(rows)
    network.set_bit_widths(bits)
    return network


def rows_of(n, seed=0):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def error(network, teacher, rows):
    gap = network(rows) - teacher(rows)
    return float((gap - gap.mean(1, keepdim=True)).square().mean().sqrt())


def samples_at(teacher, rows, **options):
    with torch.no_grad():
        weights = torch.ones(len(rows), dtype=torch.float64)
        return Samples(rows, teacher(rows), weights, **options)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("sizes", [(), (12,), (12, 8)], ids=str)
def test_logits_come_nearer_on_rows_that_were_not_seen(sizes, per_channel, n_classes):
    teacher, rows, unseen = teacher_of(sizes, n_classes), rows_of(600), rows_of(600, seed=1)
    network = student_of(teacher, rows, per_channel=per_channel, bits=3)
    before = error(network, teacher, unseen)
    losses = list(reconstruct_logits(network, samples_at(teacher, rows)))
    assert losses == sorted(losses, reverse=True)
    assert error(network, teacher, unseen) < 0.8 * before
    with torch.no_grad():
        distance = logit_distance(network(rows), teacher(rows))
    assert float(distance.mean()) == pytest.approx(losses[-1], rel=1e-9)


def test_codes_of_a_small_layer_beside_every_choice():
    """Beside all 2^12 choices of neighbors, at fixed steps and biases."""
    ratios = []
    for seed in range(6):
        teacher, rows = teacher_of((), seed=seed), rows_of(200, seed=seed)
        network = student_of(teacher, rows, per_channel=True, bits=2, input_bits=None)
        layer = network.layers[0]
        exact = layer.weight / layer.steps[0].unsqueeze(1)
        floor, ceil = exact.floor().clamp(-2, 1), exact.ceil().clamp(-2, 1)
        wanted = teacher(rows).detach()
        best = np.inf
        with torch.no_grad():
            for up in itertools.product([0.0, 1.0], repeat=12):
                choice = torch.tensor(up).reshape(2, 6).double()
                weight = (floor + choice * (ceil - floor)) * layer.steps[0].unsqueeze(1)
                logits = rows @ weight.T + layer.bias
                best = min(best, float(logit_distance(logits, wanted).mean()))
        *_, found = reconstruct_logits(network, samples_at(teacher, rows))
        ratios.append(found / best)
    # Steps and biases are free, which the enumeration does not have; single problems end in a
    # local minimum.
    assert np.mean(ratios) < 1


def test_codes_stay_neighbors_of_the_trained_weights():
    teacher, rows = teacher_of((12, 8)), rows_of(400)
    network = student_of(teacher, rows)
    index = network.candidates.index(4)
    exact = [(layer.weight / layer.steps[index]).detach().clone() for layer in network.layers]
    list(reconstruct_logits(network, samples_at(teacher, rows)))
    moved = 0
    for layer, before in zip(network.layers, exact, strict=True):
        codes = (layer.weight / layer.steps[index]).round()
        assert codes.min() >= -8 and codes.max() <= 7
        inside = (before > -8) & (before < 7)
        assert ((codes - before).abs()[inside] < 1 + 1e-6).all()
        moved += int((codes != before.round().clamp(-8, 7)).sum())
    assert moved > 0


def test_weights_of_rows_count():
    teacher, rows = teacher_of((12,)), rows_of(400)
    first = torch.arange(400) < 200
    errors = []
    for kept in (first, ~first):
        network = student_of(teacher, rows, bits=2)
        with torch.no_grad():
            samples = Samples(rows, teacher(rows), kept.double() + 1e-9)
        list(reconstruct_logits(network, samples))
        errors.append([error(network, teacher, rows[half]) for half in (first, ~first)])
    assert errors[0][0] < errors[1][0] and errors[1][1] < errors[0][1]


def test_a_unit_that_nothing_depends_on_is_left_alone():
    teacher, rows = teacher_of((12,)), rows_of(200)
    with torch.no_grad():
        teacher.layers[1].weight[:, 3] = 0.0
        teacher.layers[0].weight[5] = 0.0
    network = student_of(teacher, rows, per_channel=True)
    before = network.layers[0].quantized_weight(2)[3].clone()
    losses = list(reconstruct_logits(network, samples_at(teacher, rows)))
    assert np.isfinite(losses).all()
    assert torch.isfinite(network.layers[0].log_steps).all()
    torch.testing.assert_close(network.layers[0].quantized_weight(2)[3], before)


@pytest.mark.parametrize("transition", [0.0, 0.05, 10.0])
def test_every_transition_has_a_loss_that_falls(transition):
    teacher, rows = teacher_of((12,)), rows_of(300)
    network = student_of(teacher, rows, bits=3)
    losses = list(reconstruct_logits(network, samples_at(teacher, rows, transition=transition)))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("activation_bits", [None, 32])
def test_activations_of_every_kind(activation_bits):
    teacher, rows = teacher_of((12, 8)), rows_of(400)
    network = student_of(teacher, rows, activation_bits=activation_bits)
    before = error(network, teacher, rows)
    list(reconstruct_logits(network, samples_at(teacher, rows)))
    assert error(network, teacher, rows) < before


def test_units_bring_columns_to_one_step():
    teacher, rows = teacher_of((12,), spread=16.0), rows_of(400)
    units = weight_units(teacher.layers[0].weight)
    assert set(units[:2].tolist()) <= {1 / 32, 1 / 16, 1 / 8}
    assert set(units[2:].tolist()) <= {0.5, 1.0, 2.0}
    errors = []
    for chosen in (None, units):
        source = teacher if chosen is None else network_in_units(teacher, chosen)
        options = {} if chosen is None else {"input_units": chosen.tolist()}
        network = QuantizedMLP(**teacher._settings(), start="mse", activation_bits=8, **options)
        network.double().load_from(source)
        torch.testing.assert_close(network.unquantized(rows), teacher(rows))
        network.calibrate(rows)
        network.set_bit_widths(4)
        errors.append(error(network, teacher, rows))
        logits = torch.from_numpy(integers_of(network).logits(rows.numpy()))
        torch.testing.assert_close(logits, network(rows).detach(), rtol=0, atol=2e-3)
    assert errors[1] < 0.5 * errors[0]


def test_columns_of_one_size_need_no_units():
    assert weight_units(torch.ones(3, 4)) is None
    assert weight_units(torch.zeros(3, 4)) is None
    # What is not used has no size.
    units = weight_units(torch.tensor([[1.0, 0.0, 8.0], [1.0, 0.0, -8.0]]))
    assert units[1] == 1.0 and units[0] > units[2]


def test_clips_leave_the_tail_to_the_tail():
    """A few rows far from the boundary must not cost all others their codes."""
    teacher, rows = teacher_of((12,)), rows_of(500)
    rows[:5] *= 200.0
    near = rows[5:]
    network = student_of(teacher, rows, bits=8, input_bits=None)
    by_error = student_of(teacher, rows, bits=8, input_bits=None)
    for layer in by_error.quantized_layers[:1]:
        values = torch.nn.functional.linear(rows, layer.weight, layer.bias)
        layer.reset_clips(values, None, "mse")
    assert error(network, teacher, near) < 0.5 * error(by_error, teacher, near)


def test_what_is_overfitted_is_taken_back():
    """Three thousand codes fit forty samples, and lose everywhere else."""
    teacher, many, few, unseen = (
        teacher_of((40, 40)),
        rows_of(3000),
        rows_of(40, 1),
        rows_of(3000, 2),
    )
    trained = student_of(teacher, many, activation_bits=4)
    order = torch.Generator().manual_seed(0)
    tune(trained, Tuning(samples_at(teacher, many), 200, 128, order, learning_rate=1e-3))
    before = error(trained, teacher, unseen)
    after = {}
    for validation in (None, samples_at(teacher, many[:1000])):
        network = deepcopy(trained)
        losses = list(reconstruct_logits(network, samples_at(teacher, few), None, validation))
        assert losses == sorted(losses, reverse=True)
        after[validation is not None] = error(network, teacher, unseen)
    assert after[True] <= before < 0.9 * after[False]


@pytest.mark.parametrize(("bits", "matters"), [(4, True), (8, False)])
def test_thresholds_move_in_the_rounds(bits, matters):
    teacher, rows = teacher_of((12,)), rows_of(300)
    weights = []
    for dither in (False, True):
        network = student_of(teacher, rows, activation_bits=bits)
        generator = torch.Generator().manual_seed(0)
        tune(network, Tuning(samples_at(teacher, rows), 20, 50, generator, dither))
        weights.append(network.layers[0].weight.clone())
    assert torch.equal(*weights) == (not matters)
