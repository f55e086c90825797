"""The simplest action set: every encoded column moves between two bounds of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from skcfq.actions._region import ActionRegion

__all__ = ["Box", "box_of"]


@dataclass(frozen=True, eq=False)
class Box:
    """What each of n people may do, where that is a box; made by :func:`box_of`.

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


def box_of(region: ActionRegion, dtype: torch.dtype) -> Box | None:
    """Return the actions of a region as bounds alone, or None where there are other rules.

    Parameters
    ----------
    region : ActionRegion
    dtype : torch.dtype
        Of the box. In single precision the projection is off by that rounding.
    """
    rules = (region.min_change, region.downstream, region.linking, region.compiled.max_changes)
    gridded = any(grid is not None for grid in region.grids)
    if region.allowed or gridded or region.has_gaps or any(rule is not None for rule in rules):
        return None
    lower, upper = region.origin.clone(), region.origin.clone()
    lower[:, region.numeric_columns] = region.lower
    upper[:, region.numeric_columns] = region.upper
    return Box(region.origin.to(dtype), _shared(lower.to(dtype)), _shared(upper.to(dtype)))


def _shared(bounds: Tensor) -> Tensor:
    """Return the first row alone where all rows are equal: nothing to look up then."""
    return bounds[:1] if bool((bounds == bounds[:1]).all()) else bounds
