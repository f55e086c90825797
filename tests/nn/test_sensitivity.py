"""Sensitivities of layers against autograd on single rows, exact traces and single quantizers."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from skcfq.nn import (
    QuantizedMLP,
    gradient_sensitivity,
    hessian_trace,
    quantization_errors,
)
from skcfq.nn._losses import logit_distance
from skcfq.nn._sensitivity import _trace


@pytest.fixture
def setting():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = QuantizedMLP(4, (5,), 3, (2, 4, 8), start="mse").double()
        x = torch.randn(12, 4, dtype=torch.float64)
        labels = torch.randint(0, 3, (12,))
    network.calibrate(x)
    return network, x, labels, torch.rand(12, dtype=torch.float64)


def test_gradients_of_single_rows(setting):
    network, x, labels, weights = setting
    norms = torch.zeros(12, 2, dtype=torch.float64)
    for row in range(12):
        logits = _trace(network, x[row : row + 1])[1][-1]
        slopes = torch.autograd.grad(
            cross_entropy(logits, labels[row : row + 1]), [one.weight for one in network.layers]
        )
        norms[row] = torch.stack([slope.abs().sum() for slope in slopes])
    found = gradient_sensitivity(network, x, labels, weights)
    torch.testing.assert_close(found, (norms * weights[:, None]).sum(0) / weights.sum())


def test_trace(setting):
    network, x, labels, _ = setting
    generator = torch.Generator().manual_seed(0)
    found = hessian_trace(network, x, labels, n_probes=4000, generator=generator)
    for position, layer in enumerate(network.layers):
        logits = _trace(network, x)[1][-1]
        (slope,) = torch.autograd.grad(
            cross_entropy(logits, labels), layer.weight, create_graph=True
        )
        diagonal = [
            torch.autograd.grad(value, layer.weight, retain_graph=True)[0].reshape(-1)[place]
            for place, value in enumerate(slope.reshape(-1))
        ]
        exact = torch.stack(diagonal).mean().item()
        assert found[position].item() == pytest.approx(exact, rel=0.15, abs=1e-4)


def test_traces_have_no_noise_of_other_layers(setting):
    """Of a layer with one weight, a probe is exact: its sign squared is 1."""
    network = QuantizedMLP(1, (1, 1), 3).double()
    x, labels = setting[1][:, :1].abs(), setting[2]
    with torch.no_grad():
        for layer in network.layers:
            layer.weight.abs_()
            layer.bias.fill_(0.5)
    one, many = (
        hessian_trace(network, x, labels, n_probes=n, generator=torch.Generator().manual_seed(0))
        for n in (1, 50)
    )
    torch.testing.assert_close(one[:2], many[:2])
    assert (one[:2] > 0).all()


def test_errors_of_one_layer_at_a_time(setting):
    network, x, _, weights = setting
    errors = quantization_errors(network, x, weights)
    assert errors.shape == (2, 3)
    first, last = network.layers
    hidden = torch.relu(x @ first.weight.T + first.bias)
    exact = hidden @ last.weight.T + last.bias
    rough = hidden @ last.quantized_weight(0).T + last.bias
    distance = logit_distance(rough, exact)
    expected = (distance * weights).sum() / weights.sum()
    torch.testing.assert_close(errors[1, 0], expected.detach())
    assert (errors[:, 2] < errors[:, 0]).all()
