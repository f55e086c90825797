"""Rounding with compensation, against a step by step solution of least squares."""

from __future__ import annotations

import pytest
import torch

from skcfq.quantization import compensated_rounding, quantize_weight


def alike_inputs(n, n_in, n_causes, seed=0):
    """Return rectified inputs that follow from few causes."""
    generator = torch.Generator().manual_seed(seed)
    causes = torch.randn(n, n_causes, generator=generator, dtype=torch.float64)
    mixing = torch.randn(n_causes, n_in, generator=generator, dtype=torch.float64)
    return torch.relu(causes @ mixing)


def weights_of(n_out, n_in, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_out, n_in, generator=generator, dtype=torch.float64)


def by_least_squares(weight, steps, low, high, inputs, shares):
    """Round one input after another; the others are fitted anew each time, by normal equations."""
    mean = shares @ inputs
    centered = inputs - mean
    covariance = centered.T @ (centered * shares[:, None])
    spread = covariance.diagonal()
    order = spread.argsort(descending=True, stable=True).tolist()
    covariance = covariance + 0.01 * spread.mean() * torch.eye(len(order)).double()
    found = torch.empty_like(weight)
    for unit, exact in enumerate(weight):
        current = exact.clone()
        for position, column in enumerate(order):
            code = (current[column] / steps[unit]).round().clamp(low, high)
            found[unit, column] = code * steps[unit]
            rest = order[position + 1 :]
            if not rest:
                break
            # Least squares of what the fixed ones, this one included, do wrong.
            fixed = order[: position + 1]
            wrong = exact[fixed] - found[unit, fixed]
            change = torch.linalg.solve(covariance[rest][:, rest], covariance[rest][:, fixed])
            current[rest] = exact[rest] + change @ wrong
    return found, (weight - found) @ mean


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_least_squares_at_every_step(bits, weighted):
    inputs, weight = alike_inputs(80, 9, 4), weights_of(5, 9)
    steps = weight.abs().amax(1) / 2 ** (bits - 1)
    given = torch.rand(80, generator=torch.Generator().manual_seed(2)).double()
    shares = given / given.sum() if weighted else torch.full((80,), 1 / 80).double()
    expected = by_least_squares(
        weight, steps, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, inputs, shares
    )
    found = compensated_rounding(weight, steps, bits, inputs, given if weighted else None)
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1])


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_less_is_lost_than_by_rounding_to_the_nearest(bits):
    inputs, weight = alike_inputs(200, 40, 6), weights_of(12, 40)
    steps = weight.abs().amax(1) / 2 ** (bits - 1)
    rounded, shift = compensated_rounding(weight, steps, bits, inputs)
    nearest = torch.stack(
        [quantize_weight(row, step, bits) for row, step in zip(weight, steps, strict=True)]
    )
    exact = inputs @ weight.T
    lost = (inputs @ rounded.T + shift - exact).square().mean(0)
    before = (inputs @ nearest.T - exact).var(0, correction=0)
    assert (lost < before).all() and lost.mean() < 0.4 * before.mean()
    torch.testing.assert_close((inputs @ rounded.T + shift).mean(0), exact.mean(0))


def test_codes_are_in_range_and_rows_of_no_weight_do_not_count():
    inputs, weight = alike_inputs(50, 7, 3), weights_of(4, 7)
    steps = weight.abs().amax(1) / 3
    kept = torch.arange(50) < 30
    found, shift = compensated_rounding(weight, steps, 3, inputs, kept.double())
    codes = found / steps[:, None]
    torch.testing.assert_close(codes, codes.round())
    assert codes.min() >= -4 and codes.max() <= 3
    alone = compensated_rounding(weight, steps, 3, inputs[kept])
    torch.testing.assert_close((found, shift), alone)


@pytest.mark.parametrize("inputs", [torch.zeros(6, 3), torch.ones(6, 3), torch.randn(1, 3)])
def test_inputs_without_spread(inputs):
    weight = weights_of(2, 3)
    rounded, _ = compensated_rounding(weight, torch.full((2,), 0.5).double(), 4, inputs)
    assert rounded.isfinite().all()
