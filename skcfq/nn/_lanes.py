"""Products of rows and weights in torch whose bits do not depend on the rows beside a row.

A kernel for matrices keeps numbers that follow each other in memory in the lanes of a register.
What fills no register goes through other kernels, which add up in another order, and which kernel
it is depends on how many rows there are. So rows are multiplied in tiles of one shape, in which the
rows, not the columns, follow each other and fill registers: all lanes see the same operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

# Rows of a tile. What kernels take at a time (4, 8, 12, 16, 24 or 48 numbers) divides it.
LANES = 48


def to_lanes(rows: Tensor) -> Tensor:
    """Return rows as whole tiles, the last one filled with zeros.

    Parameters
    ----------
    rows : Tensor of shape (n, ...)

    Returns
    -------
    tiles : Tensor of shape (n_tiles, LANES, ...)

    Examples
    --------
    >>> to_lanes(torch.ones(50, 3)).shape
    torch.Size([2, 48, 3])
    """
    n, *shape = rows.shape
    missing = -n % LANES
    if missing:
        rows = torch.cat([rows, rows.new_zeros(missing, *shape)])
    return rows.reshape((n + missing) // LANES, LANES, *shape)


def in_lanes(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Apply a function of tiles to rows.

    Parameters
    ----------
    function : callable
        From shape (n_tiles, LANES, n_in) to shape (n_tiles, LANES, n_out).
    rows : Tensor of shape (n, n_in)

    Returns
    -------
    values : Tensor of shape (n, n_out)
    """
    return of_lanes(function(to_lanes(rows)), len(rows))


def of_lanes(tiles: Tensor, n: int) -> Tensor:
    """Return the first rows of tiles, shape (n, n_out), in rows that lie in one piece."""
    return tiles.reshape(-1, tiles.shape[-1])[:n]


def product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``rows @ weight.T + bias``; of tiles, each row as if it were the only one.

    Of tiles it is differentiable with respect to them alone, and each row's gradient is its own.

    Parameters
    ----------
    rows : Tensor of shape (n, n_in) or (n_tiles, LANES, n_in)
    weight : Tensor of shape (n_out, n_in)
    bias : Tensor of shape (n_out,), optional

    Returns
    -------
    products : Tensor of shape (n, n_out) or (n_tiles, LANES, n_out)

    Examples
    --------
    >>> product(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 1.0], [3.0, 4.0]]))
    tensor([[ 2., 11.]])
    """
    if rows.dim() == 2:
        return linear(rows, weight, bias)
    # Nothing moves where the tiles are a product themselves.
    columns = rows.transpose(1, 2).contiguous()
    if columns.requires_grad and torch.is_grad_enabled():
        return _ColumnProduct.apply(columns, weight, bias).transpose(1, 2)
    return _column_product(columns, weight, bias).transpose(1, 2)


def _column_product(columns: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # One column, and a bias in the same call, go another way in a single tile than in many.
    several = weight if len(weight) > 1 else weight.expand(2, -1)
    totals = torch.bmm(several.expand(len(columns), *several.shape), columns)[:, : len(weight)]
    return totals if bias is None else totals.add_(bias[:, None])


class _ColumnProduct(torch.autograd.Function):
    """The same with a gradient that is multiplied in the same way."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        return _column_product(columns, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return product(grad.transpose(1, 2), ctx.weight.T).transpose(1, 2), None, None
