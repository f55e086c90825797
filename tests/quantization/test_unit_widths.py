"""A width for each unit of a layer: against the quantizer of single rows, one at a time."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
import torch

from skcfq.quantization import QuantizedLinear, UnitChoice, quantize_weight

WIDTHS, OF_UNITS = (2, 3, 4, 8), [8, 2, 4, 2, 3]


def layer_of(*, activation_bits=8, per_channel=True, rectified=True):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = QuantizedLinear(
            7, 5, WIDTHS, rectified=rectified, activation_bits=activation_bits, start="mse",
            per_channel=per_channel,
        ).double()  # fmt: skip
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([[0.1], [1.0], [5.0], [0.3], [2.0]]))
        layer.reset_steps()
        # So that some weights are out of range.
        layer.log_steps -= 0.3
    return layer


@pytest.fixture
def layer():
    layer = layer_of()
    layer.unit_bits.copy_(layer.checked_widths(OF_UNITS))
    return layer


def by_rows(layer, weight, steps):
    """Return the quantized matrix, row by row, from weights and each unit's own step."""
    rows = zip(weight, steps, OF_UNITS, strict=True)
    return torch.stack([quantize_weight(row, step, bits) for row, step, bits in rows])


def own_steps(layer):
    return torch.stack([layer.steps[WIDTHS.index(b), unit] for unit, b in enumerate(OF_UNITS)])


def test_every_row_has_the_codes_of_its_width(layer):
    assert isinstance(layer.choice, UnitChoice)
    steps = own_steps(layer)
    torch.testing.assert_close(layer.steps_at(layer.choice), steps)
    found = layer.quantized_weight(layer.choice)
    torch.testing.assert_close(found, by_rows(layer, layer.weight, steps))
    codes = (found / steps.unsqueeze(1)).round()
    low, high = layer.codes_at(layer.choice)
    assert (low.tolist(), high.tolist()) == ([-128, -2, -8, -2, -4], [127, 1, 7, 1, 3])
    assert (codes >= low.unsqueeze(1)).all() and (codes <= high.unsqueeze(1)).all()
    assert (codes[1] == -2).any() or (codes[1] == 1).any(), "some are clipped"


def test_gradients_are_those_of_the_rows(layer):
    weights = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(
        (layer.quantized_weight(layer.choice) * weights).sum(), [layer.weight, layer.log_steps]
    )
    weight = layer.weight.detach().clone().requires_grad_()
    steps = own_steps(layer).detach().requires_grad_()
    expected = torch.autograd.grad((by_rows(layer, weight, steps) * weights).sum(), [weight, steps])
    torch.testing.assert_close(found[0], expected[0])
    for unit, bits in enumerate(OF_UNITS):
        for index, width in enumerate(WIDTHS):
            wanted = expected[1][unit] * steps[unit].detach() if width == bits else 0.0
            assert found[1][index, unit].item() == pytest.approx(float(wanted), abs=1e-6)


def test_second_derivatives_are_those_of_the_rows(layer):
    """What the matching term needs: the gradient of the weights, differentiated again."""
    x = torch.randn(6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def slopes(matrix, weight):
        loss = torch.nn.functional.linear(x, matrix).square().sum()
        (slope,) = torch.autograd.grad(loss, weight, create_graph=True)
        return slope.square().sum()

    found = torch.autograd.grad(
        slopes(layer.quantized_weight(layer.choice), layer.weight), [layer.weight, layer.log_steps]
    )
    weight = layer.weight.detach().clone().requires_grad_()
    logs = own_steps(layer).log().detach().requires_grad_()
    total = slopes(by_rows(layer, weight, logs.exp()), weight)
    expected = torch.autograd.grad(total, [weight, logs])
    torch.testing.assert_close(found[0], expected[0])
    at = [WIDTHS.index(bits) for bits in OF_UNITS], list(range(5))
    torch.testing.assert_close(found[1][at], expected[1])
    assert found[1].count_nonzero() <= 5


def test_units_of_one_width_are_a_layer_of_one(layer):
    uniform = layer_of()
    uniform.unit_bits.copy_(uniform.checked_widths([4] * 5))
    assert uniform.choice == 2
    layer.unit_bits.copy_(layer.checked_widths(4))
    assert layer.choice == 2 and (layer.widest, layer.sum_of_bits) == (4, 20)
    torch.testing.assert_close(layer.quantized_weight(2), uniform.quantized_weight(2))


def test_the_choice_is_that_of_the_stored_widths(layer):
    wanted = layer.quantized_weight(layer.choice)
    for other in (deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other.quantized_weight(other.choice), wanted)
    fresh = layer_of()
    assert fresh.choice == 3
    fresh.load_state_dict(layer.state_dict())
    torch.testing.assert_close(fresh.quantized_weight(fresh.choice), wanted)
    with torch.no_grad():
        fresh.unit_bits[0] = 2
    assert fresh.choice.indices.tolist() == [0, 0, 2, 0, 1]
    single = fresh.float()
    assert single.quantized_weight(single.choice).dtype == torch.float32


def test_steps_of_chosen_widths_are_kept_where_others_are_refitted(layer):
    before = layer.log_steps.detach().clone()
    layer.refit_steps(unselected_only=True)
    fresh = layer_of()
    fresh.reset_steps("mse")
    for unit, bits in enumerate(OF_UNITS):
        for index, width in enumerate(WIDTHS):
            source = before if width == bits else fresh.log_steps
            assert layer.log_steps[index, unit] == source[index, unit]
    layer.refit_steps(unselected_only=False)
    assert torch.equal(layer.log_steps, fresh.log_steps)


@pytest.mark.parametrize(
    ("options", "widths", "says"),
    [
        ({}, [2, 2, 2], "5 widths out of the candidates"),
        ({}, [2, 2, 2, 2, 5], "out of the candidates"),
        ({}, 5, "out of the candidates"),
        ({"per_channel": False}, OF_UNITS, "granularity='per_channel'"),
        ({"activation_bits": None}, OF_UNITS, "activation_bits=8"),
    ],
)
def test_widths_that_a_layer_cannot_have(options, widths, says):
    with pytest.raises(ValueError, match=says):
        layer_of(**options).checked_widths(widths)


def test_a_last_layer_has_no_activation_that_could_follow():
    layer = layer_of(activation_bits=None, rectified=False)
    assert layer.checked_widths(OF_UNITS).tolist() == OF_UNITS
    assert layer_of(per_channel=False).checked_widths([3] * 5).tolist() == [3] * 5
