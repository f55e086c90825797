"""The cheapest point of a box under one linear constraint, for many people at once.

A separable cost over a box with the single constraint ``gain · (v - p) >= need`` has a closed
solution: for the ℓ1 cost the features are filled in the order of gain per cost (a fractional
knapsack), for the ℓ2 cost the Lagrange multiplier is found by bisection on one number.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BISECTIONS = 60


def cheapest_l1(
    own: Tensor, lower: Tensor, upper: Tensor, gain: Tensor, weights: Tensor, need: Tensor
) -> Tensor:
    """Minimise Σ w|v - own| subject to lower <= v <= upper and gain·(v - p) >= need.

    Here p is the point of the box that is nearest to ``own``. Where the box cannot meet the
    need, the point with the largest gain is returned.

    Parameters
    ----------
    own, lower, upper, gain : Tensor of shape (n, m)
    weights : Tensor of shape (m,)
        Positive.
    need : Tensor of shape (n,)

    Returns
    -------
    v : Tensor of shape (n, m)

    Examples
    --------
    >>> import torch
    >>> own, ones = torch.zeros(1, 2), torch.ones(1, 2)
    >>> gain = torch.tensor([[2.0, 1.0]])
    >>> cheapest_l1(own, -ones, ones, gain, torch.ones(2), torch.tensor([2.5]))
    tensor([[1.0000, 0.5000]])
    """
    nearest = torch.minimum(torch.maximum(own, lower), upper)
    end = torch.where(gain >= 0, upper, lower)
    capacity = (gain * (end - nearest)).clamp_min(0)
    # A box that does not hold the person's own value makes its nearest side free of charge in one
    # direction only; p is that side, so moving on from p always costs.
    order = torch.argsort(gain.abs() / weights, dim=1, descending=True, stable=True)
    sorted_capacity = capacity.gather(1, order)
    before = torch.cumsum(sorted_capacity, dim=1) - sorted_capacity
    used = torch.minimum((need.unsqueeze(1) - before).clamp_min(0), sorted_capacity)
    share = torch.where(sorted_capacity > 0, used / sorted_capacity, torch.zeros_like(used))
    share = torch.zeros_like(share).scatter(1, order, share)
    return torch.where(share >= 1, end, nearest + share * (end - nearest))


def cheapest_l2(
    own: Tensor, lower: Tensor, upper: Tensor, gain: Tensor, weights: Tensor, need: Tensor
) -> Tensor:
    """Minimise Σ w²(v - own)² under the same constraints as :func:`cheapest_l1`.

    Examples
    --------
    >>> import torch
    >>> own, ones = torch.zeros(1, 2), torch.ones(1, 2)
    >>> gain = torch.tensor([[2.0, 1.0]])
    >>> cheapest_l2(own, -ones, ones, gain, torch.ones(2), torch.tensor([2.5])).round(decimals=4)
    tensor([[1.0000, 0.5000]])
    """
    nearest = torch.minimum(torch.maximum(own, lower), upper)
    slope = gain / weights**2

    def point(multiplier: Tensor) -> Tensor:
        moved = own + multiplier.unsqueeze(1) * slope
        return torch.minimum(torch.maximum(moved, lower), upper)

    reach = torch.where(slope >= 0, upper, lower) - own
    needed = torch.where(slope != 0, reach / slope, torch.zeros_like(slope))
    high = needed.amax(dim=1).clamp_min(0)
    low = torch.zeros_like(high)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        met = (gain * (point(middle) - nearest)).sum(dim=1) >= need
        high = torch.where(met, middle, high)
        low = torch.where(met, low, middle)
    return point(high)
