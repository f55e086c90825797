"""One step for a matrix, with a power of two for each column."""

from __future__ import annotations

import torch

from skcfq.quantization._lsq import QuantizeColumns, QuantizeSelected

GRID = (-8, 7, 0.25)


def scene():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(30, 3, generator=generator, dtype=torch.float64).requires_grad_()
    log_step = torch.tensor([-1.0], dtype=torch.float64, requires_grad=True)
    return values, log_step, torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)


def scaled(values, log_step, factors):
    return QuantizeSelected.apply(None, [0], [[GRID]], values / factors, log_step)[0] * factors


def test_it_is_the_quantizer_of_scaled_columns():
    values, log_step, factors = scene()
    found = QuantizeColumns.apply(values, log_step, factors, GRID)
    wanted = scaled(values, log_step, factors)
    assert torch.equal(found, wanted)
    grad = torch.cos(torch.arange(90.0, dtype=torch.float64)).reshape(30, 3)
    for one, other in zip(
        torch.autograd.grad(found, (values, log_step), grad),
        torch.autograd.grad(wanted, (values, log_step), grad),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_second_derivatives():
    values, log_step, factors = scene()

    def second(quantizer):
        loss = torch.sin(quantizer(values, log_step, factors)).sum()
        first = torch.autograd.grad(loss, (values, log_step), create_graph=True)
        return torch.autograd.grad(sum(one.square().sum() for one in first), (values, log_step))

    found = second(lambda *given: QuantizeColumns.apply(*given, GRID))
    for one, other in zip(found, second(scaled), strict=True):
        assert one.abs().sum() > 0
        torch.testing.assert_close(one, other)
