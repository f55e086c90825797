"""People far outside the table, brought near by what every valid point of theirs must do.

From a sentinel such as -999999999 a margin is a difference of two huge numbers, of which rounding
leaves little. The best point that the rules allow is of ordinary size, and so is the margin there:
a feature cannot stay farther from its best end than that margin, less the required one, pays for.
Whatever lies beyond is walked in any case, and its l1 cost is a constant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from skcfq.solvers.problems._task import FAR

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion, RecourseCost
    from skcfq.solvers.problems._linear_problem import ExactAnswer

# The limit that is derived may be off by rounding, and must not cut off a valid point.
_LOOSE = 1e-9
# Share of its parts by which a sum of some thousand numbers may be off.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Anchors:
    """The same people, nearer.

    Attributes
    ----------
    region : ActionRegion
        With the own values of far numbers moved.
    forced : Tensor of shape (n, m), bool
        Numbers that were moved: they change, also where they go no farther.
    cost : Tensor of shape (n,)
        What the way so far costs.
    hopeless : Tensor of shape (n,), bool
        Far people without a valid point, whatever rounding did to the largest margin.
    doubtful : Tensor of shape (n,), bool
        The others who are far outside still: what they need is not known to the last digits, so
        that "infeasible" is not proved for them.
    """

    region: ActionRegion
    forced: Tensor
    cost: Tensor
    hopeless: Tensor
    doubtful: Tensor

    def believed(self, answer: ExactAnswer) -> ExactAnswer:
        """Return what an answer about the nearer people says about the people themselves."""
        impossible = answer.status == "infeasible"
        status = np.where(impossible & self.doubtful.numpy(), "not_found", answer.status)
        status = np.where(self.hopeless.numpy(), "infeasible", status).astype(answer.status.dtype)
        bound = torch.where(self.doubtful & torch.from_numpy(impossible), 0.0, answer.bound)
        bound = torch.where(self.hopeless, torch.inf, bound + self.cost)
        return replace(answer, status=status, bound=bound)


def anchor_far_people(
    region: ActionRegion,
    rows: Tensor,
    intercepts: Tensor,
    required: float,
    cost: RecourseCost,
    *,
    weight_radius: float = 0.0,
) -> Anchors:
    """Move the own values of far numbers to where every valid point has them at least.

    Parameters
    ----------
    region : ActionRegion
        Of n people.
    rows : Tensor of shape (R, d)
        Weights of the margins over the rivals, of all models.
    intercepts : Tensor of shape (R,)
    required : float
        A margin that no valid point is below.
    cost : RecourseCost
    weight_radius : float, default=0.0
        Where weights may be off, nobody is moved.

    Returns
    -------
    anchors : Anchors
        People of ordinary size are as they were, bit for bit.
    """
    n, m = region.values.shape
    forced, walked = torch.zeros((n, m), dtype=torch.bool), torch.zeros(n, dtype=torch.float64)
    far = _far(region, rows, cost)
    hopeless = torch.zeros_like(far)
    if not bool(far.any()) or region.downstream is not None:
        return Anchors(region, forced, walked, hopeless, far)
    people = far.nonzero().squeeze(1)
    part = region.take(people)
    surplus, rounding = _surplus(part, rows, intercepts, required)
    hopeless[people] = (surplus < -rounding).any(dim=1)
    hopeless[people] |= _counted_out(part, rows, intercepts, required)
    if cost.norm == "l1" and region.linking is None and not weight_radius:
        weights = cost.feature_weights[:m]
        anchor = _anchor(part, rows, surplus)
        moved = (anchor - part.values).abs()
        size = torch.maximum(rows[:, region.numeric_columns].abs().amax(dim=0), weights)
        moves = moved * size > FAR
        if part.min_change is not None:
            moves &= moved > part.min_change
        forced[people] = moves
        most_changes = region.compiled.max_changes or region.n_features
        hopeless[people] |= moves.sum(dim=1) > most_changes
        walked[people] = (torch.where(moves, moved, 0.0) * weights).sum(dim=1)
        region = _moved(region, people, moves, anchor)
    return Anchors(region, forced, walked, hopeless, _far(region, rows, cost) & ~hopeless)


def _far(region: ActionRegion, rows: Tensor, cost: RecourseCost) -> Tensor:
    """Tell who has a number, or any encoded column, that weighs or costs a lot, shape (n,)."""
    origin = torch.nan_to_num(region.origin).abs()
    heavy = (origin * rows.abs().amax(dim=0) > FAR).any(dim=1)
    weights = cost.feature_weights[: region.values.shape[1]]
    return heavy | (torch.nan_to_num(region.values).abs() * weights > FAR).any(dim=1)


def _ends(region: ActionRegion, slope: Tensor) -> Tensor:
    """Return where a margin is largest, shape (n, m); a gap can only be kept."""
    end = torch.where(slope > 0, region.upper, region.lower)
    end = torch.where(slope == 0, region.values, end)
    return torch.nan_to_num(end, nan=0.0, posinf=torch.inf, neginf=-torch.inf)


def _surplus(
    region: ActionRegion, rows: Tensor, intercepts: Tensor, required: float
) -> tuple[Tensor, Tensor]:
    """Return the largest margin over each rival that the limits allow, less the required one.

    Returns
    -------
    surplus, rounding : Tensor of shape (n, R)
        The second is what rounding may have made of the first.
    """
    _, levels = region.effects(rows)
    surplus, rounding = [], []
    for r, (row, intercept) in enumerate(zip(rows, intercepts, strict=True)):
        best = torch.nan_to_num(region.origin)
        best[:, region.numeric_columns] = _ends(region, row[region.numeric_columns])
        # What weighs nothing adds nothing, though it were infinite.
        parts = torch.where(row == 0, 0.0, best * row)
        most = parts.sum(dim=1) + intercept - required
        for gain, allowed in zip(levels, region.allowed, strict=True):
            most = most + torch.where(allowed, gain[:, r], 0.0).amax(dim=1).clamp_min(0)
        surplus.append(most)
        rounding.append(_ROUNDING * (parts.abs().sum(dim=1) + 1))
    return torch.stack(surplus, dim=1), torch.stack(rounding, dim=1)


def _counted_out(region: ActionRegion, rows: Tensor, intercepts: Tensor, required: float) -> Tensor:
    """Tell whom the largest gains of so many features as may change leave short, shape (n,)."""
    limit = min(region.compiled.max_changes or region.n_features, region.n_features)
    own, (_, levels) = torch.nan_to_num(region.origin), region.effects(rows)
    short = torch.zeros(len(own), dtype=torch.bool)
    for r, (row, intercept) in enumerate(zip(rows, intercepts, strict=True)):
        slope = row[region.numeric_columns]
        moved = (_ends(region, slope) - torch.nan_to_num(region.values)).abs()
        gains = [torch.where(slope == 0, 0.0, moved * slope.abs())]
        for gain, allowed in zip(levels, region.allowed, strict=True):
            gains.append(torch.where(allowed, gain[:, r], 0.0).amax(dim=1, keepdim=True))
        most = torch.cat(gains, dim=1).topk(limit, dim=1).values.sum(dim=1)
        rounding = _ROUNDING * ((own * row).abs().sum(dim=1) + most + 1)
        short |= (own * row).sum(dim=1) + intercept + most - required < -rounding
    return short


def _anchor(region: ActionRegion, rows: Tensor, surplus: Tensor) -> Tensor:
    """Return the value nearest to the own one that a valid point can have, shape (n, m)."""
    own = torch.nan_to_num(region.values)
    least, most = own.clone(), own.clone()
    for r, row in enumerate(rows[:, region.numeric_columns]):
        end = _ends(region, row)
        limit = end - surplus[:, r, None].clamp_min(0) / row
        limit = limit - torch.sign(row) * _LOOSE * limit.abs().clamp_min(1.0)
        known = torch.isfinite(limit)
        least = torch.where(known & (row > 0), torch.maximum(least, limit), least)
        most = torch.where(known & (row < 0), torch.minimum(most, limit), most)
    anchor = torch.where(least > own, least, most)
    # Rivals that pull apart leave no valid point, which the method finds out by itself.
    anchor = torch.where((least > own) & (most < own), own, anchor)
    for j, grid in enumerate(region.grids):
        if grid is not None:
            anchor[:, j] = _on_grid(grid, anchor[:, j], own[:, j])
    return torch.where(torch.isnan(region.values), region.values, anchor)


def _on_grid(grid: Tensor, anchor: Tensor, own: Tensor) -> Tensor:
    """Return the first grid points at or beyond the anchors; the own values where there is none."""
    if len(grid) == 0:
        return own
    above = torch.searchsorted(grid, anchor.contiguous())
    below = torch.searchsorted(grid, anchor.contiguous(), right=True) - 1
    index = torch.where(anchor > own, above, below)
    found = grid[index.clamp(0, len(grid) - 1)]
    outside = (index < 0) | (index >= len(grid)) | (anchor == own)
    return torch.where(outside, own, found)


def _moved(region: ActionRegion, people: Tensor, moves: Tensor, anchor: Tensor) -> ActionRegion:
    """Return the region of people who stand at their anchors, and do not go back."""
    own = region.values[people]
    lower, upper = region.lower[people], region.upper[people]
    up = moves & (anchor > own)
    # An anchor beyond its end: no point is valid.
    anchor = torch.minimum(torch.maximum(anchor, lower), upper)
    values = torch.where(moves, anchor, own)
    origin, low, high = region.origin.clone(), region.lower.clone(), region.upper.clone()
    origin[people[:, None], region.numeric_columns] = values
    low[people] = torch.where(up, anchor, lower)
    high[people] = torch.where(moves & ~up, anchor, upper)
    least = region.min_change
    if least is not None:
        least = least.clone()
        least[people] = torch.where(moves, 0.0, least[people])
    return replace(region, origin=origin, lower=low, upper=high, min_change=least)
