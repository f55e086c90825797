"""Where a quantized network is compared with its teacher, and how far it is from it there."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Samples:
    """Encoded rows with the logits that are wanted there.

    Attributes
    ----------
    rows : Tensor of shape (n, n_inputs), float64
    wanted : Tensor of shape (n, n_classes), float64
        The teacher's logits.
    weights : Tensor of shape (n,), float64
    transition : float
        Logit distance at which the loss turns from squared to absolute.
    """

    rows: Tensor
    wanted: Tensor
    weights: Tensor
    transition: float = 0.5
