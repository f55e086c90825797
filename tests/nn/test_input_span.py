"""Inputs of many bits have codes for all that is known, and a half of it beyond."""

from __future__ import annotations

import pytest
import torch

from skcfq.nn import QuantizedMLP
from skcfq.quantization import covering_steps


def columns(n=300, seed=0, tail=0.5):
    """Return columns of unlike spans: a flag, one with tails, one above 0, a constant."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 4, generator=generator)
    return torch.stack(
        [(z[:, 0] > 0).float(), torch.sinh(tail * z[:, 1]), 5 + z[:, 2].abs(), 0 * z[:, 3]], dim=1
    )


@pytest.mark.parametrize("bits", [2, 3, 4, 8, 12, 16])
@pytest.mark.parametrize("seed", range(20))
def test_every_value_of_the_range_is_met_within_half_a_step(bits, seed):
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randn(2, 6, generator=generator, dtype=torch.float64) * 10.0 ** torch.arange(-2, 4)
    low, high = ends.amin(0), ends.amax(0)
    step, factors, centers = covering_steps(low, high, bits)
    assert step > 0 and (factors.log2() == factors.log2().round()).all() and (factors >= 1).all()
    assert (centers == centers.round()).all()
    first, last = -(2 ** (bits - 1)) + centers, 2 ** (bits - 1) - 1 + centers
    assert (first <= 0).all() and (last >= 0).all()
    for share in torch.linspace(0, 1, 50, dtype=torch.float64):
        values = low + share * (high - low)
        codes = (values / (step * factors)).round().clamp(first, last)
        assert ((codes * step * factors - values).abs() <= 0.5 * step * factors * (1 + 1e-9)).all()


def test_factors_are_the_least_that_cover():
    low, high = torch.tensor([-1.0, -7.3, 0.0]), torch.tensor([1.0, 2.0, 90.0])
    step, factors, _ = covering_steps(low, high, 8)
    for j, factor in enumerate(factors.tolist()):
        if factor > 1:
            assert high[j] - low[j] > 255 * step * factor / 2


@pytest.mark.parametrize("bits", [12, 14, 16])
def test_what_nobody_in_the_training_had_is_met(bits):
    network = QuantizedMLP(4, (5,), 2, input_bits=bits)
    x = columns()
    network.calibrate(x)
    span = x.amax(0) - x.amin(0)
    for beyond in (x.amin(0) - 0.49 * span, x.amax(0) + 0.49 * span):
        seen = network.quantized_inputs(beyond[None])[0]
        step = network.log_input_step.exp() * network.input_factors
        assert ((seen - beyond).abs() <= 0.501 * step).all()


def test_the_span_may_be_told():
    network = QuantizedMLP(4, (5,), 2, input_bits=12)
    x = columns()
    low, high = x.amin(0) - 1, x.amax(0) + 1
    network.calibrate(x, span=(low, high))
    seen = network.quantized_inputs(torch.stack([low, high]))
    step = network.log_input_step.exp() * network.input_factors
    assert ((seen - torch.stack([low, high])).abs() <= 0.501 * step).all()


def test_rows_of_no_weight_have_no_codes_of_their_own():
    x = columns()
    counted = torch.arange(len(x)) < 200
    found = []
    for rows, weights in ((x, counted.float()), (x[counted], None)):
        network = QuantizedMLP(4, (5,), 2, input_bits=12)
        network.calibrate(rows, weights)
        found.append((network.log_input_step, network.input_factors, network.input_centers))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_a_very_long_tail_is_clipped_where_it_costs_little():
    """Codes for one person in hundreds would leave few for the others."""
    x = columns(n=1000, tail=2.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = QuantizedMLP(4, (5,), 2, input_bits=10)
    network.calibrate(x)
    seen, step = network.quantized_inputs(x), network.log_input_step.exp() * network.input_factors
    assert seen[:, 1].abs().max() < x[:, 1].abs().max()
    # The other columns are as before.
    for j in (0, 2, 3):
        assert ((seen - x)[:, j].abs() <= 0.501 * step[j]).all()


def test_few_bits_are_clipped_where_it_costs_least():
    x = columns(tail=2.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = QuantizedMLP(4, (5,), 2, input_bits=8)
    network.calibrate(x)
    seen = network.quantized_inputs(x)
    assert seen[:, 1].abs().max() < x[:, 1].abs().max()
