"""Signed quantizer: values and gradients against torch's own, and against a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skcfq.quantization import quantize_input, quantize_weight, signed_range

WIDTHS = [2, 3, 4, 8]

arrays = hnp.arrays(
    np.float64,
    st.integers(1, 40),
    elements=st.floats(-20, 20, allow_nan=False, allow_subnormal=False),
)


def closed_form(w, s, bits):
    """Value, in-range mask and unscaled step coefficient; numpy too rounds half to even."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    code = np.round(w / s)
    inside = (low <= code) & (code <= high)
    clipped = np.clip(code, low, high)
    return clipped * s, inside, np.where(inside, code - w / s, clipped)


def gradients(values, step, bits, grad, quantize=quantize_weight):
    values = values.clone().requires_grad_()
    step = torch.as_tensor(step, dtype=values.dtype).requires_grad_()
    quantized = quantize(values, step, bits)
    of_values, of_step = torch.autograd.grad(quantized, (values, step), grad)
    return quantized.detach(), of_values, of_step


@pytest.mark.parametrize("bits", WIDTHS)
@given(w=arrays, step=st.floats(0.01, 3.0))
def test_values_and_gradients_equal_the_closed_form(bits, w, step):
    grad = torch.linspace(-1.0, 2.0, len(w), dtype=torch.float64)
    quantized, of_values, of_step = gradients(torch.from_numpy(w), step, bits, grad)
    value, inside, coefficient = closed_form(w, step, bits)
    np.testing.assert_array_equal(quantized.numpy(), value)
    np.testing.assert_array_equal(of_values.numpy(), grad.numpy() * inside)
    scale = 1 / math.sqrt(len(w) * (2 ** (bits - 1) - 1))
    np.testing.assert_allclose(
        of_step.item(), scale * (grad.numpy() * coefficient).sum(), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("step", [0.03, 0.25, 1.0])
def test_torch_fake_quantize_agrees(bits, step):
    """The same rounded convention; torch multiplies by 1/s, so exact ties are left out.

    Its backward exists in float32 only. The step of 0.03 clips most values, that of 1 none.
    """
    low, high = signed_range(bits)
    w = torch.randn(2000, generator=torch.Generator().manual_seed(bits))
    grad = torch.randn(2000, generator=torch.Generator().manual_seed(7))
    scale = 1 / math.sqrt(2000 * high)
    reference = w.clone().requires_grad_()
    reference_step = torch.tensor([step], requires_grad=True)
    value = torch._fake_quantize_learnable_per_tensor_affine(
        reference, reference_step, torch.zeros(1), low, high, scale
    )
    of_reference, of_reference_step = torch.autograd.grad(value, (reference, reference_step), grad)
    quantized, of_values, of_step = gradients(w, step, bits, grad)
    torch.testing.assert_close(quantized, value.detach())
    torch.testing.assert_close(of_values, of_reference)
    torch.testing.assert_close(of_step, of_reference_step[0], rtol=1e-4, atol=1e-5)


def test_the_boundary_is_that_of_the_rounded_code():
    """At 2 bits: -2.5 rounds to -2, in range; 1.5 rounds to 2, out of range."""
    w = torch.tensor([-2.51, -2.5, -2.4, 1.49, 1.5, 5.0], dtype=torch.float64)
    for position, inside in enumerate([False, True, True, True, False, False]):
        grad = torch.zeros(6, dtype=torch.float64)
        grad[position] = 1.0
        _, of_values, _ = gradients(w, 1.0, 2, grad)
        assert of_values.tolist() == (grad * inside).tolist()


def test_halves_round_to_even():
    w = torch.tensor([-1.5, -0.5, 0.5, 1.5, 2.5])
    assert quantize_weight(w, 1.0, 4).tolist() == [-2.0, 0.0, 0.0, 2.0, 2.0]


@pytest.mark.parametrize("bits", WIDTHS)
def test_finite_differences_of_the_step_agree_where_the_codes_stay(bits):
    """Outside the range the value is q·s: its slope in s is q, the gradient unscaled."""
    low, high = signed_range(bits)
    w = torch.tensor([low - 5.3, high + 4.2], dtype=torch.float64)
    weights = torch.tensor([1.0, -2.0], dtype=torch.float64)
    _, _, of_step = gradients(w, 1.0, bits, weights)

    def loss(step):
        return (quantize_weight(w, step, bits) * weights).sum().item()

    slope = (loss(1.0 + 1e-6) - loss(1.0 - 1e-6)) / 2e-6
    scale = 1 / math.sqrt(2 * high)
    assert of_step.item() == pytest.approx(scale * slope, rel=1e-6)


def test_finite_differences_of_the_straight_through_surrogate():
    """In range, the surrogate w + c·s with the rounding error c held has the stated slopes."""
    w = torch.randn(30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    error = torch.round(w / 0.5) - w / 0.5

    def surrogate(values, step):
        return values + error * step

    step = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(surrogate, (w.clone().requires_grad_(), step))
    grad = torch.ones(30, dtype=torch.float64)
    _, of_values, of_step = gradients(w, 0.5, 8, grad)
    assert of_values.tolist() == grad.tolist()
    assert of_step.item() == pytest.approx(error.sum().item() / math.sqrt(30 * 127))


@given(w=arrays, step=st.floats(0.01, 3.0), bits=st.sampled_from(WIDTHS))
def test_quantizing_twice_changes_nothing(w, step, bits):
    once = quantize_weight(torch.from_numpy(w), step, bits)
    assert torch.equal(quantize_weight(once, step, bits), once)


@given(w=arrays, step=st.floats(0.01, 3.0), bits=st.sampled_from(WIDTHS))
def test_error_is_at_most_half_a_step_in_range(w, step, bits):
    low, high = signed_range(bits)
    w = torch.from_numpy(w).clamp(low * step, high * step)
    assert (quantize_weight(w, step, bits) - w).abs().max() <= step / 2 * (1 + 1e-12)


@pytest.mark.parametrize("bits", [None, 32])
def test_full_precision_is_the_identity(bits):
    w = torch.randn(5)
    assert quantize_weight(w, 0.1, bits) is w
    assert quantize_input(w, 0.1, bits) is w


def test_the_input_scale_counts_features_only():
    x = torch.full((10, 4), 0.3, dtype=torch.float64)
    grad = torch.ones_like(x)
    _, _, of_step = gradients(x, 1.0, 8, grad, quantize_input)
    assert of_step.item() == pytest.approx(-0.3 * 40 / math.sqrt(4 * 127))


@pytest.mark.parametrize("bits", [1, 17, 2.5, "4", True])
def test_a_width_that_no_quantizer_has_is_refused(bits):
    with pytest.raises((ValueError, TypeError)):
        quantize_weight(torch.zeros(3), 1.0, bits)
