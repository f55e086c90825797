"""The one rule that says when a point is valid (docs/design.md, "valid")."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.models._margins import RELATIVE_MARGIN
from skcfq.nn import target_margin


def validity_slack(logits: Tensor, target: Tensor, margin: float | Tensor = 0.0) -> Tensor:
    """Return the target margin less the margin that a valid point must have.

    A point is valid when its slack is not negative. The required margin is the larger of
    ``margin`` and 1e-9 of the row's largest absolute logit (at least 1): without it, rounding
    alone rejects a third to a half of mathematically exact optima.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
    target : Tensor of shape (n,), int64
    margin : float or Tensor of shape (n,), default=0.0
        Margin in logit units that the caller asks for.

    Returns
    -------
    slack : Tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> validity_slack(torch.tensor([[0.0, 2.0]]), torch.tensor([1]), margin=0.5).tolist()
    [1.5]
    """
    return target_margin(logits, target) - least_margin(logits, margin)


def least_margin(logits: Tensor, margin: float | Tensor = 0.0) -> Tensor:
    """Return the margin that a valid point must have.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Of the points.
    margin : float or Tensor of shape (n,), default=0.0
        Margin in logit units that the caller asks for.

    Returns
    -------
    required : Tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> least_margin(torch.tensor([[0.0, 2.0]]), margin=0.5).tolist()
    [0.5]
    """
    # A binary score vanishes at the boundary, so the scale of its logits must not fall below 1.
    required = RELATIVE_MARGIN * logits.abs().amax(dim=1).clamp_min(1.0)
    if isinstance(margin, Tensor):
        return torch.maximum(required, margin)
    return required.clamp_min(margin) if margin > RELATIVE_MARGIN else required
