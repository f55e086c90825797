"""Starting steps and clips: the search is exact on its grid, and beats LSQ's rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize_scalar

from skcfq.quantization import (
    mse_clip,
    mse_step,
    quantize_activation,
    quantize_weight,
    signed_range,
)
from skcfq.quantization._calibration import ValueSample, lsq_step, max_clip

WIDTHS = [2, 3, 4, 8]


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def signed_error(w, step, bits):
    return ((quantize_weight(w, step, bits) - w) ** 2).sum().item()


@given(
    values=hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-5, 5)),
    step=st.floats(0.05, 4.0),
    bits=st.sampled_from([2, 3, 4]),
)
def test_the_prefix_sums_give_the_error_of_the_quantizer(values, step, bits):
    values = torch.from_numpy(values)
    step = torch.tensor(step, dtype=torch.float64)
    found = ValueSample(values).error(step.reshape(1), *signed_range(bits))
    assert found.item() == pytest.approx(signed_error(values, step, bits), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("bits", WIDTHS)
def test_lsq_step_is_the_rule_of_its_paper(bits):
    w = normal(500)
    expected = 2 * w.abs().mean().item() / math.sqrt(2 ** (bits - 1) - 1)
    assert lsq_step(w, bits).item() == pytest.approx(expected)


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("shape", ["normal", "laplace", "uniform", "outlier"])
def test_mse_step_is_as_good_as_a_dense_search(bits, shape):
    w = normal(2000)
    if shape == "laplace":
        w = w * w.abs()
    elif shape == "uniform":
        w = torch.special.ndtr(w) - 0.5
    elif shape == "outlier":
        w[0] = 30.0
    top = w.abs().max().item()
    grid = np.linspace(0.002, 2.0, 1500) * top / 2 ** (bits - 1)
    errors = [signed_error(w, step, bits) for step in grid]
    around = grid[int(np.argmin(errors))]
    width = grid[1] - grid[0]
    refined = minimize_scalar(
        lambda s: signed_error(w, s, bits), bounds=(around - width, around + width)
    )
    assert signed_error(w, mse_step(w, bits), bits) <= 1.01 * min(*errors, refined.fun)


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_mse_start_beats_the_lsq_start(bits):
    w = normal(64, 104) / 10
    gain = 10 * math.log10(
        signed_error(w, lsq_step(w, bits), bits) / signed_error(w, mse_step(w, bits), bits)
    )
    assert gain > 0
    if bits == 4:
        assert gain > 3


@pytest.mark.parametrize("bits", WIDTHS)
def test_no_step_nearby_is_better(bits):
    w = normal(3000, seed=bits)
    best = mse_step(w, bits)
    for factor in (0.9, 0.97, 1.03, 1.1):
        assert signed_error(w, best, bits) <= signed_error(w, best * factor, bits)


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_clip_of_least_error_beats_the_largest_activation(bits):
    a = normal(400, 8)

    def error(clip):
        return ((quantize_activation(a, clip, bits) - torch.relu(a)) ** 2).sum().item()

    assert error(mse_clip(a, bits)) <= error(max_clip(a)) * (1 + 1e-9)
    assert mse_clip(a, bits) <= 1.5 * max_clip(a)


@pytest.mark.parametrize("bits", [2, 4])
def test_weights_count_as_repetitions(bits):
    a = normal(30, 3)
    counts = torch.arange(30) % 4
    repeated = a.repeat_interleave(counts, 0)
    weight = counts.double()
    torch.testing.assert_close(mse_clip(a, bits, weight), mse_clip(repeated, bits))
    torch.testing.assert_close(mse_step(a, bits, weight), mse_step(repeated, bits))
    assert max_clip(a, weight) == max_clip(repeated)


def test_values_of_weight_zero_do_not_count():
    a = torch.tensor([[1.0], [2.0], [1e9]])
    weight = torch.tensor([1.0, 1.0, 0.0])
    assert max_clip(a, weight) == 2.0
    assert mse_clip(a, 4, weight) < 10


@pytest.mark.parametrize("values", [torch.zeros(4, 2), -torch.ones(4, 2), torch.zeros(0, 2)])
def test_steps_and_clips_are_positive_where_there_is_nothing_to_fit(values):
    values = torch.relu(values)
    # The step that spans [-1, 1], of codes from -8 to 7.
    assert lsq_step(torch.zeros(3), 4) == mse_step(values, 4) == 1 / 8
    assert mse_clip(values, 4) > 0
    assert max_clip(values) > 0


def test_the_dtype_is_kept_and_no_graph_is_recorded():
    w = torch.randn(10, requires_grad=True)
    for start in (lsq_step(w, 4), mse_step(w, 4), mse_clip(w.reshape(5, 2), 4), max_clip(w)):
        assert start.dtype == torch.float32
        assert not start.requires_grad
