"""A matrix whose columns have fixed steps and centers."""

from __future__ import annotations

import torch

from skcfq.quantization import quantize_input
from skcfq.quantization._columns import ColumnQuantizer

GRID = (-8, 7)
STEPS = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64) * 0.37
CENTERS = torch.tensor([5.0, -7.0, 0.0], dtype=torch.float64)
NO_CENTERS = torch.zeros(3, dtype=torch.float64)


def scene():
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(60, 3, generator=generator, dtype=torch.float64).requires_grad_()


def one_by_one(values):
    columns = [quantize_input(values[:, [j]], step, bits=4) for j, step in enumerate(STEPS)]
    return torch.cat(columns, dim=1)


def quantized(values, centers=NO_CENTERS):
    return ColumnQuantizer(STEPS, STEPS, centers, GRID)(values)


def test_it_is_the_quantizer_of_every_column():
    values = scene()
    torch.testing.assert_close(quantized(values), one_by_one(values))
    grad = torch.cos(torch.arange(180.0, dtype=torch.float64)).reshape(60, 3)
    found, wanted = (
        torch.autograd.grad(quantizer(values), values, grad)[0]
        for quantizer in (quantized, one_by_one)
    )
    assert torch.equal(found, wanted)
    assert 0 < (found == 0).sum() < found.numel()


def test_second_derivatives():
    values = scene()

    def second(quantizer):
        loss = torch.sin(quantizer(values)).sum()
        (first,) = torch.autograd.grad(loss, values, create_graph=True)
        return torch.autograd.grad(first.square().sum(), values)[0]

    found = second(quantized)
    assert found.abs().sum() > 0
    torch.testing.assert_close(found, second(one_by_one))


def test_centers_move_the_range_and_nothing_else():
    """The same column less its middle, in whole steps, and that middle added again."""
    values = scene()
    middle = STEPS * CENTERS
    found, wanted = quantized(values, CENTERS), quantized(values - middle) + middle
    torch.testing.assert_close(found, wanted)
    codes = (found / STEPS).round()
    assert (codes.amin(0) >= CENTERS - 8).all() and (codes.amax(0) <= CENTERS + 7).all()
    assert codes[:, 0].min() < 0 < codes[:, 0].max()
    of_values = [torch.autograd.grad(one.square().sum(), values)[0] for one in (found, wanted)]
    torch.testing.assert_close(*of_values)


def test_other_units_go_out():
    values, units = scene(), torch.tensor([0.25, 1.0, 8.0], dtype=torch.float64)
    found = ColumnQuantizer(STEPS, STEPS / units, CENTERS, GRID)(values)
    wanted = quantized(values, CENTERS) / units
    assert torch.equal(found, wanted)
    of_values = [torch.autograd.grad(one.square().sum(), values)[0] for one in (found, wanted)]
    assert of_values[0].abs().sum() > 0
    assert torch.equal(*of_values)


def test_the_value_does_not_depend_on_the_gradient():
    values = scene()
    assert torch.equal(quantized(values, CENTERS), quantized(values.detach(), CENTERS))
