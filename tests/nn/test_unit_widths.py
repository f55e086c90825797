"""Networks whose units have widths of their own: costs, outputs and integers, unit by unit."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
import torch
from torch import nn

from skcfq.nn import (
    QuantizedMLP,
    QuantizedModule,
    Samples,
    integers_of,
    logit_distance,
    reconstruct_logits,
    unit_errors,
)
from skcfq.nn._straight_through import Tuning
from skcfq.quantization import (
    compensated_rounding,
    quantize_activation,
    quantize_weight,
    signed_range,
)

WIDTHS = [[8, 2, 4, 3, 2], [3, 3, 8, 2], [2, 8, 4]]


def rows_of(n, seed=0):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = QuantizedMLP(
            6, (5, 4), 3, activation_bits=8, start="mse", per_channel=True
        ).double()
    network.calibrate(rows_of(200))
    network.set_bit_widths(WIDTHS)
    return network


@pytest.fixture
def convolutions():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
        ).double()
        network = QuantizedModule(module, 6, 2, activation_bits=8, start="mse", per_channel=True)
    network.calibrate(rows_of(200))
    network.set_bit_widths([[8, 2, 4, 3], [2, 8]])
    return network


def row_by_row(layer, widths):
    """Return the quantized matrix of a layer, one unit after the other."""
    rows = []
    for unit, bits in enumerate(widths):
        step = layer.steps[layer.candidates.index(bits), unit]
        rows.append(quantize_weight(layer.weight_matrix[unit], step, bits))
    return torch.stack(rows)


def test_outputs_are_those_of_the_rows(network):
    x = rows_of(50, 1)
    values = network.first_inputs(x)
    for layer, widths in zip(network.layers, WIDTHS, strict=True):
        values = nn.functional.linear(values, row_by_row(layer, widths), layer.bias)
        if layer.rectified:
            values = quantize_activation(values, layer.log_clips.exp()[0], 8)
    torch.testing.assert_close(network(x), values)


def test_outputs_of_a_module(convolutions):
    x = rows_of(50, 1)
    exact = deepcopy(convolutions)
    with torch.no_grad():
        for layer, widths in zip(exact.quantized_layers, [[8, 2, 4, 3], [2, 8]], strict=True):
            layer.weight.copy_(row_by_row(layer, widths).reshape(layer.weight.shape))
    exact.set_bit_widths(8)
    with torch.no_grad():
        for layer in exact.quantized_layers:
            # A step at which the quantized weights of every row are multiples, and fit.
            layer.log_steps[-1] = layer.weight_matrix.abs().amax(1).div(2**20).log()
            layer.grids = (*layer.grids[:-1], (-(2**21), 2**21, 1.0))
    torch.testing.assert_close(convolutions(x), exact(x), atol=1e-5, rtol=1e-5)


def test_costs_are_sums_over_weights(network, convolutions):
    n_in = [6, 5, 4]
    bits = sum(n * sum(widths) for n, widths in zip(n_in, WIDTHS, strict=True))
    assert network.bit_cost == bits
    assert network.average_bits == bits / (6 * 5 + 5 * 4 + 4 * 3)
    assert network.bops == 8 * bits
    assert network.bit_widths.tolist() == [3.8, 4.0, 14 / 3]
    assert [one.tolist() for one in network.unit_bit_widths] == WIDTHS
    assert convolutions.bit_cost == 3 * 17 + 16 * 10
    # Each of the 4 kernels is applied at 4 places.
    assert convolutions.bops == 8 * (4 * 3 * 17 + 16 * 10)
    network.set_bit_widths([4, [2] * 4, 8])
    assert network.bit_widths.dtype == torch.int64 and network.bit_widths.tolist() == [4, 2, 8]


def test_nothing_changes_where_a_layer_is_wrong(network):
    with pytest.raises(ValueError, match=r"bit_widths\[2\].*3 widths out of the candidates"):
        network.set_bit_widths([2, 2, [2, 2]])
    with pytest.raises(ValueError, match="each of the 3 layers"):
        network.set_bit_widths([2, 2])
    assert [one.tolist() for one in network.unit_bit_widths] == WIDTHS


def test_a_copy_has_the_widths(network):
    x = rows_of(20, 2)
    for other in (deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert [one.tolist() for one in other.unit_bit_widths] == WIDTHS
        assert torch.equal(other(x), network(x))


@pytest.mark.parametrize("kind", ["network", "convolutions"])
def test_errors_of_single_units(kind, request):
    network = request.getfixturevalue(kind)
    x, weights = rows_of(30, 3), torch.rand(30, generator=torch.Generator().manual_seed(0)).double()
    exact = network.unquantized(x)
    found = unit_errors(network, x, weights)
    for position, layer in enumerate(network.quantized_layers):
        assert found[position].shape == (len(layer.unit_bits), 4)
        for unit in range(len(layer.unit_bits)):
            for index, bits in enumerate(network.candidates):
                other = deepcopy(network)
                own = other.quantized_layers[position]
                with torch.no_grad():
                    matrix = own.weight_matrix.clone()
                    matrix[unit] = quantize_weight(matrix[unit], own.steps[index, unit], bits)
                    own.weight.copy_(matrix.reshape(own.weight.shape))
                gap = other.unquantized(x) - exact
                if gap.shape[1] == 2:
                    squares = (gap[:, 1] - gap[:, 0]).square()
                else:
                    squares = 2 * gap.var(1, correction=0) * gap.shape[1]
                expected = (squares * weights).sum() / weights.sum()
                torch.testing.assert_close(found[position][unit, index], expected.detach())


def test_errors_of_units_that_make_up_for_them(network):
    x, rows, given = rows_of(30, 3), rows_of(40, 4), torch.arange(1.0, 41.0).double()
    exact, entering = network.unquantized(x), rows
    found = unit_errors(network, x, fitted_to=(rows, given))
    for position, layer in enumerate(network.layers):
        for index, bits in enumerate(network.candidates):
            matrix, shift = compensated_rounding(
                layer.weight, layer.steps[index], bits, entering, given
            )
            for unit in range(len(matrix)):
                other = deepcopy(network)
                with torch.no_grad():
                    other.layers[position].weight[unit] = matrix[unit]
                    other.layers[position].bias[unit] += shift[unit]
                gap = other.unquantized(x) - exact
                gap = gap - gap.mean(1, keepdim=True)
                expected = 2 * gap.square().sum(1).mean()
                torch.testing.assert_close(found[position][unit, index], expected.detach())
        entering = torch.relu(entering @ layer.weight.T + layer.bias)


def test_integers_are_those_of_the_rows(network):
    integers = integers_of(network)
    for stored, layer, widths in zip(integers.layers, network.layers, WIDTHS, strict=True):
        assert stored.unit_bits.tolist() == widths and stored.widest == max(widths)
        weights = row_by_row(layer, widths).detach().numpy()
        assert abs(stored.weight * stored.step[:, None] - weights).max() < 1e-12
    assert integers.bit_widths.tolist() == network.bit_widths.tolist()
    assert integers.average_bits == network.average_bits
    x = rows_of(300, 4)
    error = abs(integers.logits(x.numpy()) - network(x).detach().numpy()).max(axis=1)
    # A few rows may sit on a threshold, where the rounded clip decides otherwise.
    assert (error < 1e-4).mean() > 0.97


@pytest.mark.parametrize("tuned", [False, True])
def test_codes_that_are_chosen_stay_within_their_unit(network, tuned):
    rows = rows_of(400, 5)
    with torch.no_grad():
        wanted = network.unquantized(rows)
        samples = Samples(rows, wanted, torch.ones(len(rows), dtype=torch.float64))
        before = float(logit_distance(network(rows), wanted).mean())
    generator = torch.Generator().manual_seed(0)
    tuning = Tuning(samples, 20, 64, generator, False, n_rounds=1, dtype=torch.float64)
    losses = list(reconstruct_logits(network, samples, tuning if tuned else None))
    assert losses == sorted(losses, reverse=True)
    assert [one.tolist() for one in network.unit_bit_widths] == WIDTHS
    with torch.no_grad():
        assert float(logit_distance(network(rows), wanted).mean()) < 0.8 * before
        for layer, widths in zip(network.layers, WIDTHS, strict=True):
            codes = layer.weight / layer.steps_at(layer.choice).unsqueeze(1)
            torch.testing.assert_close(codes, codes.round(), atol=1e-6, rtol=0)
            for row, bits in zip(codes.round(), widths, strict=True):
                low, high = signed_range(bits)
                assert low <= row.min() and row.max() <= high
