"""Calibration without training: each rule against its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from skcfq.exceptions import BudgetError
from skcfq.nn import (
    CalibrationSet,
    FullPrecisionMLP,
    QuantizedMLP,
    calibrate_layers,
    margin_losses,
    sensitivities,
)
from skcfq.quantization import allocate_bits, average_bits, greedy_bits, mse_step
from skcfq.quantization._post_training import (
    bias_shift,
    range_clip,
    range_step,
    reconstruction_clip,
    reconstruction_step,
    round_adaptively,
    weighted_percentile,
)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def normal(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def source(generator):
    network = FullPrecisionMLP(6, (7, 5), 3).double()
    for parameter in network.parameters():
        parameter.data = normal(generator, *parameter.shape)
    return network.requires_grad_(False)


def rows(generator, n=60, d=6):
    weights = torch.rand(n, generator=generator, dtype=torch.float64) + 0.1
    return CalibrationSet(normal(generator, n, d), weights)


def test_sensitivity_is_the_mean_norm_of_the_gradients_of_single_rows(source, generator):
    calibration = rows(generator, 12)
    labels = torch.arange(12) % 3
    source.requires_grad_(True)
    expected = torch.zeros(3, dtype=torch.float64)
    shares = calibration.weights / calibration.weights.sum()
    for row, label, share in zip(calibration.rows, labels, shares, strict=True):
        loss = torch.nn.functional.cross_entropy(source(row[None]), label[None])
        grads = torch.autograd.grad(loss, [layer.weight for layer in source.layers])
        expected += share * torch.stack([grad.abs().sum() for grad in grads])
    found = sensitivities(source.requires_grad_(False), calibration, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_adaptive_rounding_never_loses_and_stays_between_neighbors(bits, generator):
    # Correlated inputs: where they are independent, nearest rounding is hard to beat.
    weight, inputs = normal(generator, 5, 6), normal(generator, 80, 6) @ normal(generator, 6, 6)
    weights = torch.rand(80, generator=generator, dtype=torch.float64)
    wanted, step = inputs @ weight.T, mse_step(weight, bits)
    chosen = round_adaptively(weight, step, bits, inputs, wanted, weights)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    codes = (chosen / step).round()
    torch.testing.assert_close(chosen, codes * step)
    assert ((codes >= low) & (codes <= high)).all()
    assert ((codes - (weight / step).clamp(low, high)).abs() < 1 + 1e-9).all()
    nearest = (weight / step).round().clamp(low, high) * step

    def error(quantized):
        return float(weights @ (inputs @ quantized.T - wanted).square().sum(1))

    assert error(chosen) <= error(nearest) * (1 + 1e-12)
    if bits < 8:
        assert error(chosen) < error(nearest)


def test_adaptive_rounding_finds_the_best_codes_of_a_small_layer(generator):
    weight, inputs = normal(generator, 1, 3), normal(generator, 40, 3)
    wanted, step = inputs @ weight.T, mse_step(weight, 3)
    scaled = weight / step

    def error(codes):
        return float((inputs @ (codes * step).T - wanted).square().sum())

    options = [sorted({np.floor(v), np.ceil(v)}) for v in scaled[0].tolist()]
    best = min(
        error(torch.tensor([codes]).double().clamp(-4, 3)) for codes in itertools.product(*options)
    )
    chosen = round_adaptively(weight, step, 3, inputs, wanted) / step
    assert error(chosen) <= best * 1.5


@pytest.mark.parametrize("rectified", [True, False])
def test_reconstruction_is_never_worse_than_the_step_of_the_weights(rectified, generator):
    weight, inputs, bias = (
        normal(generator, 4, 6),
        normal(generator, 50, 6),
        torch.zeros(4).double(),
    )
    wanted = inputs @ weight.T

    def error(step):
        output = inputs @ ((weight / step).round().clamp(-4, 3) * step).T
        goal = torch.relu(wanted) if rectified else wanted
        return float(((torch.relu(output) if rectified else output) - goal).square().sum())

    step = reconstruction_step(weight, 3, inputs, wanted, bias, rectified)
    assert error(step) <= error(mse_step(weight, 3)) * (1 + 1e-12)


def test_reconstruction_clip_of_dead_units():
    dead = torch.full((3, 2), -1.0, dtype=torch.float64)
    assert reconstruction_clip(dead, 4, torch.relu(dead)) == 1


def test_ranges():
    values = torch.tensor([[-8.0, 1.0], [3.0, 7.0]], dtype=torch.float64)
    assert range_step(values, 4, "minmax") == 8 / 7
    assert range_step(values, 4, "percentile", 100.0) == 8 / 7
    assert range_step(values, 4, "percentile", 75.0) == 1
    assert range_step(torch.zeros(2, 2), 4, "minmax") > 0
    assert range_clip(values, 4, "minmax") == 7
    assert range_clip(values, 4, "percentile", 75.0) == 3
    assert range_clip(-values.abs(), 4, "minmax") == 1
    weights = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert range_step(values, 4, "percentile", 100.0, weights) == 1
    assert weighted_percentile(values, 50, weights) == 3


def test_bias_shift_makes_the_means_equal(generator):
    wanted, given = normal(generator, 30, 4), normal(generator, 30, 4)
    weights = torch.rand(30, generator=generator, dtype=torch.float64)
    shift = bias_shift(wanted, given, weights)
    np.testing.assert_allclose(weights @ (given + shift), weights @ wanted)


@pytest.mark.parametrize("seed", range(20))
def test_greedy_meets_the_budget_and_never_beats_the_exact_choice(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 500, rng.integers(1, 6)).tolist()
    found, budget = rng.random(len(sizes)), float(rng.uniform(2, 9))
    greedy = greedy_bits(found, sizes, budget=budget)
    exact = allocate_bits(np.outer(found, (2, 3, 4, 8)), sizes, budget=budget)
    assert average_bits(greedy, sizes) <= budget
    assert found @ greedy <= found @ exact * (1 + 1e-9)
    with pytest.raises(BudgetError, match="raise it to at least 2"):
        greedy_bits(found, sizes, budget=1.9)


@pytest.mark.parametrize("calibrator", ["mse", "minmax", "percentile", "reconstruction"])
@pytest.mark.parametrize("more", [False, True])
def test_many_bits_give_the_logits_of_full_precision(calibrator, more, source, generator):
    calibration = rows(generator, 300)
    network = QuantizedMLP(6, (7, 5), 3, candidates=(12,), input_bits=12).double()
    before = [parameter.clone() for parameter in source.parameters()]
    calibrate_layers(
        network,
        source,
        calibration,
        calibrator=calibrator,
        percentile=100.0,
        adaptive_rounding=more,
        bias_correction=more,
    )
    error = (network(calibration.rows) - source(calibration.rows)).abs().amax()
    assert error < 0.02 * source(calibration.rows).abs().amax()
    for old, new in zip(before, source.parameters(), strict=True):
        assert torch.equal(old, new)


def test_margin_losses_fall_with_the_width(source, generator):
    calibration = rows(generator, 200)
    losses = np.array(
        margin_losses(source, calibration, torch.ones(200, dtype=torch.int64), (2, 4, 8), None)
    )
    assert losses.shape == (3, 3)
    assert (np.diff(losses, axis=1) < 0).all()
    wide = margin_losses(source, calibration, torch.ones(200, dtype=torch.int64), (8,), 32)
    assert np.array(wide).max() < 0.2
