"""Split conformal prediction: the slack below which others lose their advice.

A network is trained on the recourse points of some people, and a threshold is read off the others,
so that it says something about people who are known to neither.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# People who are held out: so many, and at least and at most these shares. A share of 2 % that is
# read off 400 of them has a standard deviation of 0.7 %.
_HELD, _LEAST_HELD, _MOST_HELD = 400, 0.2, 0.5
# How finely a projection of a row is looked at to draw it.
_SPREAD = 1e4
# Slack of the person at the threshold once a bias is set: they keep the advice.
_ABOVE = 1e-6


def calibration_people(
    encoded: Tensor,
    acted: Tensor,
    weights: Tensor,
    rng: np.random.RandomState,
    *,
    codes: Tensor | None = None,
) -> Tensor:
    """Draw the people who are kept from the terms at recourse points.

    Points that are trained on lose less than others do. Who is held depends on the row's own
    values: equal rows are held together, wherever they are.

    Parameters
    ----------
    encoded : Tensor of shape (n, n_encoded), float64
    acted : Tensor of shape (n,), bool
        People with an action; of the others, none is held.
    weights : Tensor of shape (n,)
        How many people each row stands for.
    rng : RandomState
    codes : Tensor of shape (n,), int64, optional
        Groups that are promised the same each: as many are held of each.

    Returns
    -------
    held : Tensor of shape (n,), bool
        Nobody, where too few people are left on one of the sides.
    """
    codes = torch.zeros(len(acted), dtype=torch.int64) if codes is None else codes
    totals = weights.new_zeros(int(codes.max()) + 1).index_add_(0, codes, weights * acted)
    share = (_HELD / totals).clamp(_LEAST_HELD, _MOST_HELD)[codes]
    direction = torch.from_numpy(rng.uniform(1.0, 2.0, size=encoded.shape[1]))
    held = acted & (((encoded * direction).sum(dim=1) * _SPREAD).frac().abs() < share)
    return held if held.any() and (acted & ~held).any() else torch.zeros_like(acted)


def share_for_others(share: float, weights: Tensor) -> float:
    """Return the share of these people who may lose their advice so that ``share`` of others do.

    Where the k-th lowest of n people sets the threshold, k of n + 1 exchangeable people are below
    it on average. With fewer than 1 / share people, that is more.

    Parameters
    ----------
    share : float
        In [0, 1).
    weights : Tensor of shape (n,)
    """
    n = _n_people(weights)
    return max(share * (n + 1) - 1, 0.0) / n


def quantile(values: Tensor, weights: Tensor, share: float) -> float:
    """Return the smallest value that more than a share of the weight does not exceed.

    Parameters
    ----------
    values, weights : Tensor of shape (n,)
    share : float
        In [0, 1]; 1 is the largest value.
    """
    values, order = values.sort()
    shares = weights[order].cumsum(0)
    below = int((shares <= share * shares[-1]).sum())
    return values[min(below, len(values) - 1)].item()


def conformal_quantile(values: Tensor, weights: Tensor, codes: Tensor, share: float) -> float:
    """Return the highest value below which ``share`` of the others of each group are on average.

    Parameters
    ----------
    values, weights : Tensor of shape (n,)
    codes : Tensor of shape (n,), int64
        Groups; the value holds for the worst of them.
    share : float
        In [0, 1).
    """
    parts = [codes == code for code in codes.unique()]
    return min(
        quantile(values[part], weights[part], share_for_others(share, weights[part]))
        for part in parts
    )


def conformal_quantile_of_shares(
    values: Tensor, weights: Tensor, codes: Tensor, shares: Tensor, share: float
) -> float:
    """Return the highest value below which a share of others will be, who are weighed by group.

    Of the n people of a group, k below a value say that (k + 1) / (n + 1) of others are.

    Parameters
    ----------
    values, weights : Tensor of shape (n,)
    codes : Tensor of shape (n,), int64
    shares : Tensor of shape (n,), float64
        Weights of the same people whose groups have the shares that they are to have.
    share : float
        In [0, 1).
    """
    values, order = values.sort()
    weights, shares, codes = weights[order], shares[order] / shares.sum(), codes[order]
    expected = torch.zeros(len(values), dtype=torch.float64)
    for code in codes.unique():
        own = codes == code
        n = _n_people(weights[own])
        below = (weights * own).cumsum(0) - weights * own
        share_below = below / weights[own].sum().clamp_min(torch.finfo(torch.float64).tiny)
        expected += shares[own].sum() * (share_below * n + 1) / (n + 1)
    return values[max(int((expected <= share).sum()) - 1, 0)].item()


def bias_above(threshold: float) -> float:
    """Return the bias of the target's logit at which whoever has this slack keeps the advice.

    Parameters
    ----------
    threshold : float
        Slack, in logit units; whoever has less loses the advice.
    """
    return _ABOVE - threshold


def _n_people(weights: Tensor) -> float:
    """Return how many people rows stand for: weights below 1 are shares, and no fewer people."""
    return max(float(weights.sum()), int((weights > 0).sum()))
