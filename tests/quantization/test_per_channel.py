"""Steps per unit, and steps per input column: against the definitions, one row at a time."""

from __future__ import annotations

import pytest
import torch

from skcfq.nn import QuantizedMLP
from skcfq.quantization import QuantizedLinear, mse_step, quantize_weight
from skcfq.quantization._bits import signed_range
from skcfq.quantization._calibration import (
    ValueSample,
    column_steps,
    lsq_step,
    lsq_steps,
    mse_steps,
)


@pytest.fixture
def layer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = QuantizedLinear(7, 5, (2, 4), start="mse", per_channel=True).double()
        with torch.no_grad():
            layer.weight.mul_(torch.tensor([[0.1], [1.0], [5.0], [0.3], [2.0]]))
    layer.reset_steps()
    return layer


@pytest.mark.parametrize("index", [0, 1])
def test_every_row_has_its_own_step(layer, index):
    quantized = layer.quantized_weight(index)
    for row, weight, step in zip(quantized, layer.weight, layer.steps[index], strict=True):
        torch.testing.assert_close(row, quantize_weight(weight, step, layer.candidates[index]))


@pytest.mark.parametrize("index", [0, 1])
def test_gradients_are_those_of_the_rows(layer, index):
    weights = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(
        (layer.quantized_weight(index) * weights).sum(), [layer.weight, layer.log_steps]
    )
    weight = layer.weight.detach().clone().requires_grad_()
    steps = layer.steps[index].detach().clone().requires_grad_()
    total = sum(
        (quantize_weight(weight[row], steps[row], layer.candidates[index]) * weights[row]).sum()
        for row in range(5)
    )
    expected = torch.autograd.grad(total, [weight, steps])
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1][index], expected[1] * steps.detach())
    assert found[1][1 - index].abs().max() == 0


def test_gradient_of_the_selection(layer):
    selection = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss = (layer.quantized_weight(1, selection) * weights).sum()
    (found,) = torch.autograd.grad(loss, selection)
    expected = [(layer.quantized_weight(index) * weights).sum() for index in (0, 1)]
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("bits", [2, 4])
def test_starting_steps(layer, bits):
    torch.testing.assert_close(
        lsq_steps(layer.weight, bits), torch.stack([lsq_step(row, bits) for row in layer.weight])
    )
    low, high = signed_range(bits)
    for row, step in zip(layer.weight, mse_steps(layer.weight, bits), strict=True):
        sample = ValueSample(row)
        found, best = sample.error(torch.stack([step, mse_step(row, bits)]), low, high)
        assert found <= 1.1 * best + 1e-12
    for rule in (lsq_steps, mse_steps):
        assert (rule(torch.zeros(2, 3), bits) == 2.0 ** (1 - bits)).all()


def test_a_network_with_steps_per_unit_is_closer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        one, many = (QuantizedMLP(6, (12,), 2, start="mse", per_channel=p) for p in (False, True))
    many.load_state_dict(
        {
            **many.state_dict(),
            **{key: value for key, value in one.state_dict().items() if "log_steps" not in key},
        }
    )
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    errors = []
    for network in (one, many):
        network.calibrate(x)
        network.set_bit_widths(3)
        layer = network.layers[0]
        errors.append((layer.quantized_weight(1) - layer.weight).square().sum())
    assert errors[1] < errors[0]


def test_columns_have_power_of_two_steps_that_no_other_beats():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(400, 4, generator=generator, dtype=torch.float64)
    values *= torch.tensor([1.0, 9.0, 0.0, 100.0])
    step, factors = column_steps(values, 4)
    assert factors[2] == 1
    assert factors[[0, 1, 3]].log2().frac().abs().max() == 0
    for j in (0, 1, 3):
        sample = ValueSample(values[:, j])
        tried = step * 2.0 ** torch.arange(11, dtype=torch.float64)
        errors = sample.error(tried, *signed_range(4))
        assert sample.error((step * factors[j]).reshape(1), *signed_range(4)) == errors.min()


def test_a_heavy_tail_does_not_coarsen_the_other_columns():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 3, generator=generator)
    x[:3, 2] = 300.0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = QuantizedMLP(3, (8,), 2, start="mse")
    network.calibrate(x)
    errors = (network.quantized_inputs(x) - x).abs()
    assert errors[:, :2].mean() < 0.02
    # One step for all would be 300 / 127 in every column.
    assert network.input_factors[2] > network.input_factors[:2].max()
