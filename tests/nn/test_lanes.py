"""What a product gives for a row depends neither on where it stands nor on how many there are."""

import numpy as np
import pytest
import torch

from skcfq.nn import in_lanes, product, to_lanes
from skcfq.utils import tile_products

SIZES = [1, 2, 3, 5, 8, 13, 24, 31, 64, 130, 300]
COUNTS = [1, 2, 16, 47, 48, 49, 97, 400]


def own(weight, bias, rows):
    return in_lanes(lambda tiles: product(tiles, weight, bias), rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("n_in", SIZES)
def test_a_row_has_one_product_and_one_gradient(n_in, transposed, dtype):
    random = torch.Generator().manual_seed(n_in)
    for n_out in SIZES:
        weight = torch.randn(n_in, n_out, generator=random, dtype=dtype).T
        weight = weight if transposed else weight.contiguous()
        row, bias, pull = (
            torch.randn(1, n, generator=random, dtype=dtype) for n in (n_in, n_out, n_out)
        )
        expected = row.double() @ weight.T.double() + bias.double()
        known = set()
        for n in COUNTS:
            rows = row.repeat(n, 1).requires_grad_(True)
            values = own(weight, bias[0], rows)
            (slopes,) = torch.autograd.grad((values * pull).sum(), rows)
            known |= {
                (value.numpy().tobytes()) for value in torch.cat([values, slopes], 1).detach()
            }
        assert len(known) == 1
        torch.testing.assert_close(values[:1].double(), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(slopes[:1], pull @ weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_in", SIZES)
def test_a_row_has_one_product_in_arrays(n_in):
    rng = np.random.default_rng(n_in)
    for n_out in SIZES:
        weights = rng.normal(size=(n_in, n_out))
        row = rng.normal(size=(1, n_in))
        for order in "CF":
            matrix = np.asarray(weights, order=order)
            products = [tile_products(np.repeat(row, n, axis=0), matrix) for n in COUNTS]
            assert len({value.tobytes() for value in np.concatenate(products)}) == 1
            np.testing.assert_allclose(products[0], row @ weights, atol=1e-9)


def test_tiles_are_rows_and_zeros():
    rows = torch.arange(150.0).reshape(50, 3)
    tiles = to_lanes(rows)
    assert torch.equal(tiles.flatten(0, 1)[:50], rows)
    assert not tiles.flatten(0, 1)[50:].any()
    assert torch.equal(in_lanes(lambda tiles: tiles, rows), rows)
    assert own(torch.ones(2, 3), torch.ones(2), rows[:0]).shape == (0, 2)
    assert tile_products(np.ones((0, 3)), np.ones((3, 2))).shape == (0, 2)


def test_gradients_of_gradients_are_right():
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 3, generator=random, dtype=torch.float64)
    rows = torch.randn(5, 3, generator=random, dtype=torch.float64).requires_grad_(True)
    bias = torch.ones(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda rows: own(weight, bias, rows).tanh(), rows)
    assert torch.autograd.gradgradcheck(lambda rows: own(weight, bias, rows).tanh(), rows)
