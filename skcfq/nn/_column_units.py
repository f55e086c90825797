"""Powers of two that bring the columns of a network to like sizes, so that one step serves all."""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from skcfq.nn._mlp import FullPrecisionMLP
from skcfq.quantization import mse_steps

# Columns whose sizes differ by more cannot share one 8-bit step and one weight step.
_LARGEST_RATIO = 32.0
# The width for which the steps of single columns are compared; those of others differ alike.
_BITS = 4
# Units are 2^-4 to 2^4: shifts of codes by more leave no room in int32.
_LARGEST_EXPONENT = 4
# A column whose weights are this small beside the largest is not used.
_UNUSED = 1e-6


def column_units(rows: Tensor, weights: Tensor) -> Tensor | None:
    """Return a power of two for each column where columns are of very different scales.

    Parameters
    ----------
    rows : Tensor of shape (n, n_inputs)
    weights : Tensor of shape (n,)

    Returns
    -------
    units : Tensor of shape (n_inputs,), float64, or None
        Divided by these, the values of all columns are about 1 large. None where one step serves
        all columns, as after scaling.

    Examples
    --------
    >>> rows = torch.tensor([[40.0, 52000.0, 0.0], [-70.0, 31000.0, 1.0]], dtype=torch.float64)
    >>> column_units(rows, torch.ones(2, dtype=torch.float64))
    tensor([6.4000e+01, 3.2768e+04, 1.0000e+00], dtype=torch.float64)
    """
    # Zeros do not count: the rare category of a one-hot column is as large as a frequent one.
    mass = weights @ (rows != 0).to(rows.dtype)
    sizes = (weights @ rows.square() / mass).sqrt()
    present = sizes[mass > 0]
    if len(present) == 0 or present.max() <= _LARGEST_RATIO * present.min():
        return None
    return torch.where(mass > 0, sizes.log2().round().exp2(), torch.ones_like(sizes))


@torch.no_grad()
def weight_units(weight: Tensor) -> Tensor | None:
    """Return a power of two for each input column whose weights need other steps than the rest.

    Parameters
    ----------
    weight : Tensor of shape (n_out, n_in)
        Of the first layer.

    Returns
    -------
    units : Tensor of shape (n_in,), float64, or None
        Weights times these, for columns divided by them, have a like step of least squared error
        in every column. None where they have already.

    Notes
    -----
    The rare column on which a decision turns (capital gains) has weights several times those of
    the others, and one step for all is the coarsest column's. The shift costs nothing: codes of
    the inputs are shifted anyway.

    Examples
    --------
    >>> weight_units(torch.tensor([[1.0, 8.0, 1.0], [-1.0, -8.0, 1.0]]))
    tensor([1.0000, 0.1250, 1.0000], dtype=torch.float64)
    """
    columns = weight.detach().double().T
    sizes = columns.abs().amax(dim=1)
    used = sizes > _UNUSED * sizes.max()
    if not used.any():
        return None
    steps = mse_steps(columns[used], _BITS)
    exponents = (steps / steps.median()).log2().round()
    units = torch.ones(len(columns), dtype=torch.float64)
    units[used] = exponents.clamp(-_LARGEST_EXPONENT, _LARGEST_EXPONENT).neg().exp2()
    return None if (units == 1).all() else units


def network_in_units(source: FullPrecisionMLP, units: Tensor) -> FullPrecisionMLP:
    """Return a copy of a network that reads each column divided by its unit.

    Parameters
    ----------
    source : FullPrecisionMLP
    units : Tensor of shape (n_inputs,)
        Powers of two, so that nothing is rounded.
    """
    network = deepcopy(source)
    with torch.no_grad():
        cast(nn.Linear, network.layers[0]).weight.mul_(units)
    return network
