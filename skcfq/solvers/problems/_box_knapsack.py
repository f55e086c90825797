"""The cheapest point of a box that meets one linear need, on tensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from skcfq.solvers.problems._knapsack import fractional_knapsack, quadratic_knapsack


def cheapest_in_box(
    own: Tensor,
    lower: Tensor,
    upper: Tensor,
    gain: Tensor,
    weights: Tensor,
    need: Tensor,
    *,
    norm: str,
) -> Tensor:
    r"""Return the cheapest point of a box whose gain meets a need.

    The cost is :math:`\sum_j w_j |v_j - x_j|`, or the sum of squares, and the gain is that over
    the point p of the box that is nearest to x: :math:`a^T (v - p) \ge \text{need}`.

    Parameters
    ----------
    own, lower, upper, gain : Tensor of shape (n, m)
        :math:`x`, which may lie outside the box, its ends and :math:`a`.
    weights : Tensor of shape (m,)
        Positive.
    need : Tensor of shape (n,)
    norm : {"l1", "l2", "mixed"}
        The mixed cost is treated as l2.

    Returns
    -------
    v : Tensor of shape (n, m)
        Where the box cannot meet the need, the point with the largest gain.

    Examples
    --------
    >>> import torch
    >>> own, ones = torch.zeros(1, 2).double(), torch.ones(1, 2).double()
    >>> gain, need = torch.tensor([[2.0, 1.0]]).double(), torch.tensor([2.5]).double()
    >>> cheapest_in_box(own, -ones, ones, gain, ones[0], need, norm="l1").tolist()
    [[1.0, 0.5]]
    """
    nearest = torch.minimum(torch.maximum(own, lower), upper)
    direction, end = gain.sign(), torch.where(gain >= 0, upper, lower)
    slope = gain.abs()
    if norm == "l1":
        # A box that does not hold the person's own value makes its nearest side free of charge in
        # one direction only; p is that side, so moving on from p always costs.
        start, most = nearest, direction * (end - nearest)
        distance, feasible = fractional_knapsack(*_arrays(slope, weights, most, need))
    else:
        start, most = own, (direction * (end - own)).clamp_min_(0)
        least = (direction * (nearest - own)).clamp_min_(0)
        goal = need + (slope * least).sum(dim=1)
        distance, feasible = quadratic_knapsack(*_arrays(slope, weights, most, goal, least))
    far = torch.from_numpy(distance)
    full = (far >= most) | torch.from_numpy(~feasible)[:, None]
    return torch.where(gain == 0, nearest, torch.where(full, end, start + direction * far))


def _arrays(*tensors: Tensor) -> Iterator[np.ndarray]:
    return (tensor.numpy() for tensor in tensors)
