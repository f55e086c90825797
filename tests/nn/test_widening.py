"""Wider networks made of copies of units."""

from __future__ import annotations

import pytest
import torch

from skcfq.nn import FullPrecisionMLP, QuantizedMLP
from skcfq.nn._widening import can_be_widened, widened


@pytest.fixture
def source():
    torch.manual_seed(3)
    return FullPrecisionMLP(9, (16, 12), 2).double()


@pytest.fixture
def rows():
    return torch.randn(3000, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(16, 12), (32, 12), (16, 36), (48, 24)])
def test_copies_are_the_same_function_but_for_the_shifts(source, rows, sizes):
    wide = widened(source, sizes, rows, [16, 16])
    assert [layer.out_features for layer in wide.layers] == [*sizes, 2]
    with torch.no_grad():
        torch.testing.assert_close(wide(rows), source(rows), atol=1e-3, rtol=0)
    if sizes == (16, 12):
        assert all(
            torch.equal(one, other)
            for one, other in zip(wide.parameters(), source.parameters(), strict=True)
        )


def test_shifts_stand_between_each_other_and_have_mean_zero(source, rows):
    wide = widened(source, (48, 12), rows, [4, 4])
    shifts = wide.layers[0].bias.detach().reshape(3, 16) - source.layers[0].bias.detach()
    step = torch.relu(source.layers[0](rows)).max() / 15
    expected = step * torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64) / 3
    torch.testing.assert_close(shifts, expected.expand(3, 16))


def test_rounding_errors_of_copies_cancel(source, rows):
    """At 4-bit activations, twice as many units come much nearer to the same function."""

    def error(network):
        student = QuantizedMLP(
            9, [layer.out_features for layer in network.layers][:-1], 2, (8,), 4, start="mse"
        ).double()
        student.load_from(network)
        student.calibrate(rows)
        with torch.no_grad():
            gap = student(rows) - source(rows)
        return float((gap[:, 1] - gap[:, 0]).std())

    assert error(widened(source, (32, 24), rows, [4, 4])) < 0.8 * error(source)


@pytest.mark.parametrize("sizes", [(16,), (20, 12), (8, 12), (16, 12, 4), ()])
def test_what_cannot_be_widened(source, sizes):
    assert can_be_widened(source, FullPrecisionMLP(9, (32, 12), 2))
    assert not can_be_widened(source, FullPrecisionMLP(9, sizes, 2))
    assert not can_be_widened(source, FullPrecisionMLP(8, (32, 12), 2))
