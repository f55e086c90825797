"""First and second derivatives of the layers' quantizers against a surrogate in plain torch.

The surrogate replaces each rounding by its error, held constant; torch then differentiates it
itself, as often as asked.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from skcfq.nn import QuantizedMLP
from skcfq.quantization import quantize_activation, quantize_weight, signed_range

CANDIDATES = (2, 3, 4, 8)


def surrogate_signed(values, step, bits, n):
    low, high = signed_range(bits)
    scale = 1 / math.sqrt(n * high)
    step = step * scale + (step * (1 - scale)).detach()
    code = torch.round(values / step).detach()
    error = (code - values / step).detach()
    inside = (code >= low) & (code <= high)
    return torch.where(inside, values + error * step, code.clamp(low, high) * step)


def surrogate_clipped(values, clip, bits):
    step = clip.detach() / (2**bits - 1)
    error = (torch.round(values / step) * step - values).detach()
    inside = torch.where(values > 0, values + error, torch.zeros_like(values))
    return torch.where(values >= clip, clip, inside)


def surrogate_network(network, x, selection):
    if network.log_input_step is not None:
        factors = network.input_factors
        x = surrogate_signed(x / factors, network.log_input_step.exp()[0], 8, x.shape[1]) * factors
    for layer, row in zip(network.layers, selection, strict=True):
        steps = layer.log_steps.exp()
        weight = sum(
            z * surrogate_signed(layer.weight, steps[r], bits, layer.weight.numel())
            for r, (z, bits) in enumerate(zip(row, CANDIDATES, strict=True))
        )
        x = nn.functional.linear(x, weight, layer.bias)
        if layer.rectified:
            clips = layer.log_clips.exp()
            x = sum(
                z * surrogate_clipped(x, clips[r], bits)
                for r, (z, bits) in enumerate(zip(row, CANDIDATES, strict=True))
            )
    return x


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = QuantizedMLP(6, (5, 4), 3, CANDIDATES).double()
        x = torch.randn(20, 6, dtype=torch.float64)
    network.calibrate(x)
    with torch.no_grad():
        # What they do to gradients is looked at in test_columns.
        network.input_centers.zero_()
        for layer in network.layers:
            layer.log_steps -= 0.3  # so that some weights are clipped
            if layer.log_clips is not None:
                layer.log_clips -= 0.4
    return network, x


def parameters(network):
    return [parameter for _, parameter in sorted(network.named_parameters())]


@pytest.mark.parametrize("chosen", [(0, 1, 2), (3, 3, 3), (2, 0, 3)])
def test_first_derivatives(network, chosen):
    network, x = network
    selection = nn.functional.one_hot(torch.tensor(chosen), 4).double().requires_grad_()
    inputs = [*parameters(network), selection]
    logits = network(x, selection)
    expected_logits = surrogate_network(network, x, selection)
    torch.testing.assert_close(logits, expected_logits)
    found = torch.autograd.grad((logits**2).sum(), inputs)
    expected = torch.autograd.grad((expected_logits**2).sum(), inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("chosen", [(0, 1, 2), (2, 0, 3)])
def test_derivatives_of_the_input_gradient(network, chosen):
    """What the matching term needs: the input gradient, differentiated in every parameter."""
    network, x = network
    selection = nn.functional.one_hot(torch.tensor(chosen), 4).double().requires_grad_()
    inputs = [*parameters(network), selection]

    def second(function):
        rows = x.clone().requires_grad_()
        logits = function(rows)
        (slope,) = torch.autograd.grad((logits**2).sum(), rows, create_graph=True)
        return torch.autograd.grad((slope**2).sum(), inputs, allow_unused=True)

    found = second(lambda rows: network(rows, selection))
    expected = second(lambda rows: surrogate_network(network, rows, selection))
    for one, other in zip(found, expected, strict=True):
        one = torch.zeros_like(other) if one is None else one
        torch.testing.assert_close(one, other)
    assert any(one is not None and one.abs().max() > 0 for one in found)


def test_derivatives_of_the_parameter_gradients(network):
    """All second derivatives, those of steps and clips included, at a fixed selection."""
    network, x = network
    selection = nn.functional.one_hot(torch.tensor((1, 2, 3)), 4).double().requires_grad_()
    inputs = [*parameters(network), selection]

    def second(logits):
        slopes = torch.autograd.grad((logits**2).sum(), inputs, create_graph=True)
        norm = sum((slope**2).sum() for slope in slopes)
        return torch.autograd.grad(norm, inputs)

    found = second(network(x, selection))
    expected = second(surrogate_network(network, x, selection))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_fixed_widths_have_the_same_second_derivatives(network):
    network, x = network
    network.set_bit_widths([4, 2, 8])
    selection = nn.functional.one_hot(torch.tensor((2, 0, 3)), 4).double()
    inputs = parameters(network)
    results = []
    for given_selection in (None, selection):
        slopes = torch.autograd.grad(
            (network(x, given_selection) ** 2).sum(), inputs, create_graph=True
        )
        norm = sum((slope**2).sum() for slope in slopes)
        results.append((*slopes, *torch.autograd.grad(norm, inputs)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_pure_quantizers_can_be_differentiated_twice():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(12, dtype=torch.float64, generator=generator).requires_grad_()
    scale = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    for quantize, surrogate in (
        (
            lambda v, s: quantize_weight(v, s, 3),
            lambda v, s: surrogate_signed(v, s, 3, 12),
        ),
        (
            lambda v, s: quantize_activation(v, s, 3),
            lambda v, s: surrogate_clipped(v, s, 3),
        ),
    ):
        results = []
        for function in (quantize, surrogate):
            out = (function(values, scale) ** 2).sum()
            slopes = torch.autograd.grad(out, (values, scale), create_graph=True)
            norm = sum((slope**2).sum() for slope in slopes)
            results.append((*slopes, *torch.autograd.grad(norm, (values, scale))))
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other)
