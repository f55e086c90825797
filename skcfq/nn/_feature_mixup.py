"""Feature mixup: rows that take some of their features from another row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# Mixed rows of a batch, and the share of the features that come from the other row.
N_MIXUP, _MIXED = 256, 0.3


def feature_mixup(
    samples: Tensor,
    weights: Tensor,
    blocks: Tensor | None,
    uniform: Callable[[Sequence[int]], Tensor],
    count: int = N_MIXUP,
) -> Tensor:
    """Return rows that take some of their features from another row.

    Both rows are drawn by weight along a random order of the rows, so that a row of weight 2 is the
    same as two rows, wherever they stand.

    Parameters
    ----------
    samples : Tensor of shape (n, d)
        Rows that are mixed.
    weights : Tensor of shape (n,)
    blocks : Tensor of shape (n_features, d) or None
        1 in the encoded columns of each raw feature, which are taken over together; None where
        every column is a feature of its own.
    uniform : callable
        A shape to numbers in [0, 1) of the type and on the device of ``samples``.
    count : int, default=256

    Returns
    -------
    Tensor of shape (count, d)
    """
    order = (samples * uniform(samples.shape[1:])).sum(dim=1).sort(stable=True).indices
    shares = weights[order].cumsum(0)
    drawn = torch.searchsorted(shares, uniform((2, count)) * shares[-1])
    drawn = order[drawn.clamp_max(len(order) - 1)]
    own, other = (samples.index_select(0, rows) for rows in drawn)
    n_features = samples.shape[1] if blocks is None else len(blocks)
    mixed = uniform((count, n_features)).lt_(_MIXED)
    if blocks is not None:
        mixed = (mixed @ blocks).clamp_max_(1.0)
    # At a weight of 0 or 1 exactly one of the two, and quicker than `where`.
    return torch.lerp(own, other, mixed)
