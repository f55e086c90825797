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


NO_CENTERS = torch.zeros(3, dtype=torch.float64)


def scaled(values, log_step, factors):
    return QuantizeSelected.apply(None, [0], [[GRID]], values / factors, log_step)[0] * factors


def test_it_is_the_quantizer_of_scaled_columns():
    values, log_step, factors = scene()
    found = QuantizeColumns.apply(values, log_step, factors, NO_CENTERS, GRID)
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

    found = second(lambda *given: QuantizeColumns.apply(*given, NO_CENTERS, GRID))
    for one, other in zip(found, second(scaled), strict=True):
        assert one.abs().sum() > 0
        torch.testing.assert_close(one, other)


def test_centers_move_the_range_and_nothing_else():
    """The same column less its middle, in whole steps, and that middle added again."""
    values, log_step, factors = scene()
    centers = torch.tensor([5.0, -7.0, 0.0], dtype=torch.float64)

    def around(values, log_step, factors):
        return QuantizeColumns.apply(values, log_step, factors, centers, GRID)

    def moved(values, log_step, factors):
        middle = log_step.exp() * factors * centers
        return QuantizeColumns.apply(values - middle, log_step, factors, NO_CENTERS, GRID) + middle

    found, wanted = (one(values, log_step, factors) for one in (around, moved))
    torch.testing.assert_close(found, wanted)
    steps = (log_step.exp() * factors).detach()
    codes = (found / steps).round()
    assert (codes.amin(0) >= centers - 8).all() and (codes.amax(0) <= centers + 7).all()
    assert codes[:, 0].min() < 0 < codes[:, 0].max()
    of_values = [torch.autograd.grad(one.square().sum(), values)[0] for one in (found, wanted)]
    torch.testing.assert_close(*of_values)


def test_gradient_of_the_step_around_centers():
    """LSQ's: the code where it is clipped, and the rounding error where it is not."""
    values, log_step, factors = scene()
    centers = torch.tensor([5.0, -7.0, 0.0], dtype=torch.float64)
    grad = torch.cos(torch.arange(90.0, dtype=torch.float64)).reshape(30, 3)
    found = QuantizeColumns.apply(values, log_step, factors, centers, GRID)
    (of_step,) = torch.autograd.grad(found, log_step, grad, create_graph=True)
    (plain,) = torch.autograd.grad(
        QuantizeColumns.apply(values, log_step, factors, centers, GRID), log_step, grad
    )
    torch.testing.assert_close(of_step, plain)
    scaled = (values / (log_step.exp() * factors)).detach()
    codes = scaled.round().clamp(centers - 8, centers + 7)
    inside = codes == scaled.round()
    wanted = (grad * factors * (codes - torch.where(inside, scaled, 0.0))).sum() * GRID[2]
    torch.testing.assert_close(plain[0], wanted * log_step.detach().exp()[0])
