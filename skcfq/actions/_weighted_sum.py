"""Products of points with a few weights that do not depend on how many points there are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["weighted_sum"]


def weighted_sum(values: Tensor, weights: Tensor) -> Tensor:
    """Return ``values @ weights``, each row as if it were the only one.

    Parameters
    ----------
    values : Tensor of shape (N, m)
    weights : Tensor of shape (m,)
        Mostly zeros: each other one takes a pass.

    Returns
    -------
    total : Tensor of shape (N,)
    """
    if values.requires_grad or weights.requires_grad:
        total = values.new_zeros(len(values))
        for j in weights.nonzero().flatten().tolist():
            total = total + weights[j] * values[:, j]
        return total
    # The same sums, for which arrays take a fifth of the time where points are few.
    columns, factors = values.numpy().T, weights.numpy()
    sums = np.zeros(len(values), dtype=columns.dtype)
    for j in factors.nonzero()[0].tolist():
        sums = sums + factors[j] * columns[j]
    return torch.from_numpy(sums)
