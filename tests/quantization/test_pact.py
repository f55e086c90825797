"""Rectified activations: values, and the paper's gradient of the clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skcfq.quantization import quantize_activation
from skcfq.quantization._pact import SelectedClipped

arrays = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.floats(-20, 20, allow_nan=False, allow_subnormal=False),
)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@given(a=arrays, clip=st.floats(0.1, 10.0))
def test_values_and_gradients_equal_the_definition(bits, a, clip):
    values = torch.from_numpy(a).requires_grad_()
    alpha = torch.tensor(clip, dtype=torch.float64, requires_grad=True)
    grad = torch.linspace(-1.0, 2.0, a.size, dtype=torch.float64).reshape(a.shape)
    quantized = quantize_activation(values, alpha, bits)
    of_values, of_clip = torch.autograd.grad(quantized, (values, alpha), grad)
    step = clip / (2**bits - 1)
    expected = np.clip(np.round(a / step), 0, 2**bits - 1) * step
    np.testing.assert_array_equal(quantized.detach().numpy(), expected)
    np.testing.assert_array_equal(of_values.numpy(), grad.numpy() * ((a > 0) & (a < clip)))
    assert of_clip.item() == pytest.approx((grad.numpy() * (a >= clip)).sum(), abs=1e-12)


def test_the_clip_itself_counts_as_saturated():
    values = torch.tensor([[0.0, 0.7, 1.3]], requires_grad=True)
    alpha = torch.tensor(0.7, requires_grad=True)
    out = quantize_activation(values, alpha, 4)
    of_values, of_clip = torch.autograd.grad(out, (values, alpha), torch.ones(1, 3))
    assert of_values.tolist() == [[0.0, 0.0, 0.0]]
    assert of_clip.item() == 2.0


def test_gradients_of_the_smooth_part_pass_gradcheck():
    """The clipped rectifier that the gradients belong to, away from its two kinks."""
    values = torch.tensor([[-1.0, 0.3, 0.6, 2.0]], dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)

    def clipped(a, c):
        return torch.minimum(torch.relu(a), c)

    assert torch.autograd.gradcheck(clipped, (values, alpha))
    grad = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)
    expected = torch.autograd.grad(clipped(values, alpha), (values, alpha), grad)
    found = torch.autograd.grad(quantize_activation(values, alpha, 8), (values, alpha), grad)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("bits", [None, 32])
def test_full_precision_rectifies_only(bits):
    values = torch.tensor([[-1.0, 9.0]])
    assert quantize_activation(values, 1.0, bits).tolist() == [[0.0, 9.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_largest_code_is_the_clip(dtype):
    clip = torch.tensor(0.7, dtype=dtype)
    top = quantize_activation(torch.full((1, 3), 5.0, dtype=dtype), clip, 3)
    torch.testing.assert_close(top, clip.expand(1, 3), rtol=1e-6, atol=0)


@pytest.mark.parametrize("n", [1, 256, 257, 600, 1024])
def test_gradient_of_the_widths_from_rows_at_equal_distances(n):
    """Exact up to 256 rows; beyond, rows at equal distances stand for all."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    outer = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    clips = torch.tensor([0.8, 1.5], dtype=torch.float64)
    selection = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    out = SelectedClipped.apply(values, clips.log(), selection, 1, (3, 15))
    (found,) = torch.autograd.grad((out * outer).sum(), selection)

    every = -(-n // 256)
    rows = slice(None, None, every)
    each = [(outer * quantize_activation(values, clips[r], bits)) for r, bits in ((0, 2), (1, 4))]
    assert len(values[rows]) <= 256
    expected = torch.stack([one[rows].mean(dim=0).sum() * n for one in each])
    torch.testing.assert_close(found, expected)
