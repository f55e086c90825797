"""The simplest action set: every encoded column moves between two bounds of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Box:
    """What each of n people may do, where that is a box; see :meth:`ActionRegion.as_box`.

    Attributes
    ----------
    origin : Tensor of shape (n, d)
        The people, encoded.
    lower, upper : Tensor of shape (n, d) or (1, d)
        Both are the own value where a column cannot change. One row where all have the same.
    """

    origin: Tensor
    lower: Tensor
    upper: Tensor

    def project(self, u: Tensor) -> Tensor:
        """Return the nearest admissible points, shape (n, d)."""
        return torch.clamp(u, self.lower, self.upper)

    def take(self, indices: Tensor) -> Box:
        """Return the box of some of the people, in the given order."""
        lower, upper = (
            bound if len(bound) == 1 else bound.index_select(0, indices)
            for bound in (self.lower, self.upper)
        )
        return Box(self.origin.index_select(0, indices), lower, upper)


def shared_row(bounds: Tensor) -> Tensor:
    """Return the first row alone where all rows are equal: nothing to look up then."""
    return bounds[:1] if bool((bounds == bounds[:1]).all()) else bounds
