"""Activations with moving thresholds: what they are on average, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch

from skcfq.quantization import QuantizedLinear
from skcfq.quantization._dither import DitheredClipped
from skcfq.quantization._pact import SelectedClipped

LOG_CLIPS = torch.tensor([2.0, 3.0], dtype=torch.float64).log()
LEVELS = (3, 15)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def values(rng):
    return 2 * torch.randn(50, 4, generator=rng, dtype=torch.float64)


@pytest.fixture
def offsets(rng):
    return torch.rand(4, generator=rng, dtype=torch.float64) - 0.5


@pytest.mark.parametrize("index", [0, 1])
def test_on_average_nothing_is_rounded(values, index):
    n = 400
    spread = (torch.arange(n, dtype=torch.float64) + 0.5) / n - 0.5
    drawn = [
        DitheredClipped.apply(values, LOG_CLIPS, None, index, LEVELS, u.expand(4)) for u in spread
    ]
    clip = LOG_CLIPS[index].exp()
    mean = torch.stack(drawn).mean(dim=0)
    torch.testing.assert_close(mean, values.clamp(0, clip), atol=2 / n, rtol=0)
    assert (drawn[0] - values.clamp(0, clip)).abs().max() > 0.3 * clip / LEVELS[index]


def test_without_an_offset_it_is_the_quantizer(values):
    found = DitheredClipped.apply(values, LOG_CLIPS, None, 1, LEVELS, torch.zeros(4))
    wanted = SelectedClipped.apply(values, LOG_CLIPS, None, 1, LEVELS)
    torch.testing.assert_close(found, wanted)


def straight_through(values, log_clips, index, offsets):
    """Return the value with the rounding error as a constant, in steps."""
    top = LEVELS[index]
    step = log_clips[index].exp() / top
    scaled = values / step
    inside = (scaled > 0) & (scaled < top)
    error = ((scaled + offsets).round() - offsets - scaled).detach() * inside
    return step * (scaled.clamp(0, top) + error)


@pytest.mark.parametrize("index", [0, 1])
def test_values_and_gradients(rng, values, offsets, index):
    grad = torch.randn(50, 4, generator=rng, dtype=torch.float64)
    results = []
    for function in (
        lambda a, c: DitheredClipped.apply(a, c, None, index, LEVELS, offsets),
        lambda a, c: straight_through(a, c, index, offsets),
    ):
        a, c = values.clone().requires_grad_(), LOG_CLIPS.clone().requires_grad_()
        out = function(a, c)
        results.append((out.detach(), *torch.autograd.grad(out, (a, c), grad)))
    for found, wanted in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted)
    assert results[0][2][index] != 0


def test_the_bit_logits_see_the_quantizers_themselves(rng, values, offsets):
    selection = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    grad = torch.randn(50, 4, generator=rng, dtype=torch.float64)
    found, wanted = (
        torch.autograd.grad(out, selection, grad)[0]
        for out in (
            DitheredClipped.apply(values, LOG_CLIPS, selection, 1, LEVELS, offsets),
            SelectedClipped.apply(values, LOG_CLIPS, selection, 1, LEVELS),
        )
    )
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(("bits", "moves"), [(2, True), (4, True), (5, False), (8, False)])
def test_only_coarse_codes_move(rng, bits, moves):
    torch.manual_seed(0)
    layer = QuantizedLinear(3, 6, activation_bits=bits)
    x = torch.randn(20, 3, generator=rng)
    weight = layer.quantized_weight(0)

    def uniform(shape):
        assert shape == (6,)
        return torch.rand(shape, generator=rng)

    still = layer.apply_weight(x, weight, 0)
    first, second = (layer.apply_weight(x, weight, 0, None, uniform) for _ in range(2))
    assert torch.equal(first, second) == (not moves)
    assert torch.equal(first, still) == (not moves)
    # Equal rows stay equal.
    twice = layer.apply_weight(torch.cat([x, x]), weight, 0, None, uniform)
    assert torch.equal(twice[:20], twice[20:])


def test_thresholds_of_a_layer_move_evenly_to_both_sides():
    """On average over the draws, what leaves the layer is what entered its quantizer."""
    layer = QuantizedLinear(2, 2, (4,), activation_bits=4).double()
    with torch.no_grad():
        layer.log_clips.fill_(math.log(15.0))
        layer.weight.copy_(torch.eye(2))
        layer.bias.zero_()
    rows = torch.tensor([[3.4, 3.6]], dtype=torch.float64)
    draws = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    with torch.no_grad():
        left = [layer.apply_weight(rows, layer.weight, 0, None, draw.expand) for draw in draws]
    torch.testing.assert_close(torch.stack(left).mean(dim=0), rows, rtol=0, atol=2e-3)
