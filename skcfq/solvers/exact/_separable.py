"""A binary linear problem feature by feature: what each may add, and at what price.

With one linear constraint, moving a feature against its gain never helps. So every feature has
one useful direction, and its moves are numbered by an *amount*: 0 stays; a continuous number moves
by a distance; a number on a grid and a category move by the count of an option.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skcfq.solvers.problems import LinearProblem


@dataclass(frozen=True, eq=False)
class Moves:
    r"""Numeric moves of P people in their useful direction.

    The gain of a distance d is concave: :math:`\alpha_1 \min(d, \kappa) + \alpha_2
    \max(d - \kappa, 0)`; without a weight radius the kink :math:`\kappa` is infinite.

    Attributes
    ----------
    own : Tensor of shape (P, m)
        Own encoded values.
    sign : Tensor of shape (P, m)
        Useful direction, 0 where a move never helps.
    alpha1, alpha2, kink : Tensor of shape (P, m)
    weight : Tensor of shape (m,)
    least, most : Tensor of shape (P, m)
        Smallest and largest distance of a change.
    """

    own: Tensor
    sign: Tensor
    alpha1: Tensor
    alpha2: Tensor
    kink: Tensor
    weight: Tensor
    least: Tensor
    most: Tensor

    def gain(self, distance: Tensor, person: Tensor | slice = slice(None)) -> Tensor:
        """Return what distances add, shape (N, m)."""
        first = torch.minimum(distance, self.kink[person])
        return self.alpha1[person] * first + self.alpha2[person] * (distance - first)

    def distance_for(self, gain: Tensor) -> Tensor:
        """Return the shortest distance that adds a gain alone, infinite where none does."""
        at_kink = self.alpha1 * torch.nan_to_num(self.kink, posinf=1e300)
        near = gain / self.alpha1
        far = self.kink + (gain - at_kink) / self.alpha2
        far = torch.where(self.alpha2 > 0, far, torch.full_like(far, torch.inf))
        return torch.where(gain <= at_kink, near, far)

    def columns(self, index: Tensor) -> Moves:
        """Return the moves of some features."""
        parts = {
            name: getattr(self, name)[:, index]
            for name in ("own", "sign", "alpha1", "alpha2", "kink", "least", "most")
        }
        return Moves(weight=self.weight[index], **parts)


def useful_moves(problem: LinearProblem) -> Moves:
    """Return everybody's useful numeric moves, over the whole admissible interval."""
    region, rho = problem.region, problem.weight_radius
    own = region.values
    slope = problem.numeric_gain[0].expand_as(own)
    if rho:
        # Toward zero a weight that is off costs less: the slope is larger by rho on that side.
        up = torch.where(own < 0, slope + rho, slope - rho)
        down = torch.where(own > 0, rho - slope, -slope - rho)
        sign = torch.where(up > 0, 1.0, torch.where(down > 0, -1.0, 0.0))
        alpha1 = torch.maximum(up, down).clamp_min(0)
        inward = sign * own < 0
        kink = torch.where(inward, own.abs(), torch.inf)
        alpha2 = torch.where(inward, alpha1 - 2 * rho, alpha1)
    else:
        sign, alpha1 = slope.sign(), slope.abs()
        alpha2, kink = alpha1, torch.full_like(own, torch.inf)
    most = torch.where(sign > 0, region.upper - own, own - region.lower)
    # A gap that the encoder leaves open can only be kept.
    useless = (sign == 0) | ~(most > 0)
    least = torch.zeros_like(own) if region.min_change is None else region.min_change.clone()
    # The way through raw units rounds: a step that just fits must not be lost.
    least = torch.where(least <= most * (1 + 1e-9), torch.minimum(least, most), least)
    useless |= least > most
    return Moves(
        torch.nan_to_num(own),
        torch.where(useless, 0.0, sign),
        torch.where(useless, 1.0, alpha1),
        torch.where(useless, 1.0, alpha2),
        torch.where(useless, torch.inf, kink),
        problem.cost.feature_weights[: own.shape[1]],
        torch.where(useless, 0.0, least),
        torch.where(useless, 0.0, most),
    )


@dataclass(frozen=True, eq=False)
class Separable:
    """P people's features as amounts: continuous numbers, numbers on grids, categories.

    Attributes
    ----------
    need : Tensor of shape (P,)
    squared : bool
        Whether contributions are squared (l2).
    continuous : Moves
        Amounts are distances.
    gridded : Moves
        Amounts count admissible grid points from the own value outward.
    first : int64 Tensor of shape (P, mg)
        Position in ``grid`` of each person's first grid point in the useful direction.
    grid : Tensor
        All grids, one after the other.
    grid_ends : list of (start, stop)
        Where each one lies.
    option_cost, option_gain : Tensor of shape (P, c, L)
        Options of the categories by rising cost and gain, option 0 stays; unused ones are
        infinitely dear.
    option_level : int64 Tensor of shape (P, c, L)
        The level that each option stands for.
    low, high : Tensor of shape (P, F)
        Smallest and largest useful amount of a change; ``high`` 0 where there is none.
    forced : Tensor of shape (P, F), bool
        Features that count as changed with any amount, 0 included.
    max_changes : int
    """

    need: Tensor
    squared: bool
    continuous: Moves
    gridded: Moves
    first: Tensor
    grid: Tensor
    grid_ends: list[tuple[int, int]]
    option_cost: Tensor
    option_gain: Tensor
    option_level: Tensor
    low: Tensor
    high: Tensor
    forced: Tensor
    max_changes: int

    @property
    def n_continuous(self) -> int:
        return int(self.continuous.own.shape[1])

    @property
    def n_gridded(self) -> int:
        return int(self.gridded.own.shape[1])

    def split(self, amounts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut amounts (N, F) into the three kinds of features."""
        a, b = self.n_continuous, self.n_continuous + self.n_gridded
        return amounts[:, :a], amounts[:, a:b], amounts[:, b:]

    def price(self, distance: Tensor, weight: Tensor) -> Tensor:
        """Return the contribution of distances to the objective."""
        contribution = weight * distance
        return contribution**2 if self.squared else contribution

    def evaluate(self, amounts: Tensor, person: Tensor) -> tuple[Tensor, Tensor]:
        """Return the objective and the gain of each feature, both (N, F)."""
        far, steps, options = self.split(amounts)
        distance = self.grid_distance(steps, person)
        index = options.long().unsqueeze(2)
        costs = [
            self.price(far, self.continuous.weight),
            self.price(distance, self.gridded.weight),
            self.option_cost[person].gather(2, index).squeeze(2),
        ]
        gains = [
            self.continuous.gain(far, person),
            self.gridded.gain(distance, person),
            self.option_gain[person].gather(2, index).squeeze(2),
        ]
        return torch.cat(costs, dim=1), torch.cat(gains, dim=1)

    def grid_distance(self, steps: Tensor, person: Tensor) -> Tensor:
        """Return how far away counted grid points are, shape (N, mg)."""
        if self.n_gridded == 0:
            return steps
        direction = self.gridded.sign[person]
        index = self.first[person] + (direction * (steps - 1).clamp_min(0)).long()
        distance = (self.grid[index] - self.gridded.own[person]).abs()
        return torch.where(steps > 0, distance, torch.zeros_like(distance))

    def grid_steps(self, distance: Tensor, person: Tensor) -> Tensor:
        """Return the largest counts whose grid points are not beyond a distance, (N, mg)."""
        direction = self.gridded.sign[person]
        goal = self.gridded.own[person] + direction * distance
        steps = torch.empty_like(goal)
        for j, (start, stop) in enumerate(self.grid_ends):
            grid = self.grid[start:stop]
            # Rounding must not lose the grid point that the distance was taken from.
            slack = 1e-12 * goal[:, j].abs().clamp_min(1.0)
            up = torch.searchsorted(grid, (goal[:, j] + slack).contiguous(), right=True)
            down = torch.searchsorted(grid, (goal[:, j] - slack).contiguous())
            first = self.first[person, j] - start
            steps[:, j] = torch.where(direction[:, j] > 0, up - first, first - down + 1)
        return steps.clamp_min(0)


def separate(problem: LinearProblem) -> Separable:
    """Write a binary linear problem feature by feature.

    Parameters
    ----------
    problem : LinearProblem
        With one rival, and a cost that is a sum over features.

    Returns
    -------
    separable : Separable
    """
    region = problem.region
    need = problem.need[:, 0]
    moves = useful_moves(problem)
    is_grid = torch.tensor([grid is not None for grid in region.grids], dtype=torch.bool)
    continuous, gridded = moves.columns(~is_grid), moves.columns(is_grid)
    # Nobody goes farther than one feature alone would have to; rounding must not leave it short.
    alone = continuous.distance_for(need.unsqueeze(1)) * (1 + 1e-12)
    reach = torch.minimum(continuous.most, alone)
    # Beyond the kink the gain may fall.
    peak = torch.where(continuous.alpha2 > 0, torch.inf, continuous.kink)
    reach = torch.maximum(torch.minimum(reach, peak), continuous.least)
    continuous = replace(continuous, most=torch.where(continuous.sign == 0, 0.0, reach))
    grids = [grid for grid in region.grids if grid is not None]
    ends, offset = [], 0
    for grid in grids:
        ends.append((offset, offset + len(grid)))
        offset += len(grid)
    flat = torch.cat(grids) if grids else torch.zeros(1, dtype=torch.float64)
    first, low_steps, high_steps = _grid_range(gridded, grids, ends, need)
    options = _options(problem)
    squared = problem.cost.norm == "l2"
    option_cost = options[0] ** 2 if squared else options[0]
    high_steps = _drop_losing_steps(gridded, flat, first, low_steps, high_steps)
    n_options = torch.isfinite(option_cost).sum(dim=2) - 1
    low = torch.cat([continuous.least, low_steps, torch.ones_like(n_options)], dim=1)
    high = torch.cat([continuous.most, high_steps, n_options], dim=1)
    forced = torch.zeros(low.shape, dtype=torch.bool)
    if problem.forced is not None:
        numbers = torch.cat([problem.forced[:, ~is_grid], problem.forced[:, is_grid]], dim=1)
        forced[:, : numbers.shape[1]] = numbers
        low = torch.where(forced, 0.0, low)
    low = torch.minimum(low, high)
    n_features = low.shape[1]
    return Separable(
        need,
        squared,
        continuous,
        gridded,
        first,
        flat,
        ends,
        option_cost,
        options[1],
        options[2],
        low,
        high,
        forced,
        min(problem.max_changes or n_features, n_features),
    )


def _grid_range(
    moves: Moves, grids: list[Tensor], ends: list[tuple[int, int]], need: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first grid point outward of each person, and the range of useful counts."""
    n = len(need)
    first = torch.zeros((n, len(grids)), dtype=torch.int64)
    low = torch.zeros((n, len(grids)), dtype=torch.float64)
    high = torch.zeros_like(low)
    peak = torch.where(moves.alpha2 > 0, torch.inf, moves.kink)
    for j, (grid, (start, _)) in enumerate(zip(grids, ends, strict=True)):
        own, sign = moves.own[:, j].contiguous(), moves.sign[:, j]
        if len(grid) == 0:
            continue
        scale = 1e-12 * own.abs().clamp_min(1.0)
        above = torch.searchsorted(grid, own + scale, right=True)
        below = torch.searchsorted(grid, own - scale) - 1
        first[:, j] = start + torch.where(sign > 0, above, below).clamp(0, len(grid) - 1)

        def count(
            distance: Tensor,
            j: int = j,
            grid: Tensor = grid,
            above: Tensor = above,
            below: Tensor = below,
        ) -> Tensor:
            """Count the grid points up to a distance."""
            goal = moves.own[:, j] + moves.sign[:, j] * distance
            slack = 1e-12 * goal.abs().clamp_min(1.0)
            inside_up = torch.searchsorted(grid, (goal + slack).contiguous(), right=True) - above
            inside_down = below - torch.searchsorted(grid, (goal - slack).contiguous()) + 1
            inside = torch.where(moves.sign[:, j] > 0, inside_up, inside_down)
            return inside.clamp_min(0).double()

        limit = count(moves.most[:, j])
        # One point beyond what the need asks for: rounding must not cut it off.
        enough = torch.minimum(moves.distance_for(need.unsqueeze(1))[:, j], moves.most[:, j])
        high[:, j] = torch.minimum(limit, count(torch.minimum(enough, peak[:, j])) + 1)
        least = moves.least[:, j]
        too_near = count(least * (1 - 1e-9))
        low[:, j] = torch.where(least > 0, too_near + 1, torch.ones_like(least))
        useless = (sign == 0) | (low[:, j] > limit)
        high[:, j] = torch.where(useless, 0.0, torch.maximum(high[:, j], low[:, j]))
    return first, low, high


def _drop_losing_steps(
    moves: Moves, grid: Tensor, first: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """Leave out the grid point beyond the peak where the one before it gains as much."""

    def gain(steps: Tensor) -> Tensor:
        index = first + (moves.sign * (steps - 1).clamp_min(0)).long()
        return moves.gain((grid[index] - moves.own).abs())

    losing = (high > low) & (moves.alpha2 <= 0) & (gain(high - 1) >= gain(high))
    return torch.where(losing, high - 1, high)


def _options(problem: LinearProblem) -> tuple[Tensor, Tensor, Tensor]:
    """Return cost, gain and level of the useful options of every category, (P, c, L) each."""
    region = problem.region
    n, c = region.levels.shape
    if c == 0:
        empty = torch.zeros((n, 0, 1), dtype=torch.float64)
        return empty, empty, empty.long()
    width = max(allowed.shape[1] for allowed in region.allowed) + 1
    cost = torch.full((n, c, width), torch.inf, dtype=torch.float64)
    gain = torch.zeros((n, c, width), dtype=torch.float64)
    level = region.levels.unsqueeze(2).expand(n, c, width).clone()
    weights = problem.cost.feature_weights[region.values.shape[1] :]
    for i, allowed in enumerate(region.allowed):
        own = region.levels[:, i]
        price = weights[i] * problem.cost.distances[i][own]
        added = problem.level_gain[i][:, 0]
        useful = allowed & (added > 0) & (torch.arange(allowed.shape[1]) != own.unsqueeze(1))
        price = torch.where(useful, price, torch.inf)
        # By cost, and of equal cost the largest gain first; then only what gains more stays.
        by_gain = torch.argsort(added, dim=1, descending=True, stable=True)
        order = by_gain.gather(1, torch.argsort(price.gather(1, by_gain), dim=1, stable=True))
        price, added = price.gather(1, order), added.gather(1, order)
        best_before = torch.cummax(torch.where(torch.isfinite(price), added, 0.0), dim=1).values
        best_before = torch.cat([torch.zeros((n, 1)), best_before[:, :-1]], dim=1)
        met_before = best_before >= problem.need
        keep = torch.isfinite(price) & (added > best_before) & ~met_before
        place = torch.argsort(~keep, dim=1, stable=True)
        keep, price, added, order = (
            field.gather(1, place) for field in (keep, price, added, order)
        )
        span = slice(1, 1 + price.shape[1])
        cost[:, i, span] = torch.where(keep, price, torch.inf)
        gain[:, i, span] = torch.where(keep, added, 0.0)
        level[:, i, span] = torch.where(keep, order, level[:, i, span])
    cost[:, :, 0] = 0.0
    used = int(torch.isfinite(cost).sum(dim=2).max())
    return cost[:, :, :used], gain[:, :, :used], level[:, :, :used]


def state_of(problem: LinearProblem, separable: Separable, amounts: Tensor) -> tuple:
    """Return the values (P, m) and levels (P, c) that amounts (P, F) stand for."""
    region = problem.region
    everybody = torch.arange(region.n_people)
    far, steps, options = separable.split(amounts)
    values = region.values.clone()
    is_grid = torch.tensor([grid is not None for grid in region.grids], dtype=torch.bool)
    moved = separable.continuous.own + separable.continuous.sign * far
    upward = separable.continuous.sign > 0
    bound = torch.where(upward, region.upper[:, ~is_grid], region.lower[:, ~is_grid])
    inside = (moved - bound) * separable.continuous.sign < 0
    moved = torch.where(inside, moved, bound)
    values[:, ~is_grid] = torch.where(far > 0, moved, region.values[:, ~is_grid])
    if separable.n_gridded:
        direction = separable.gridded.sign
        index = separable.first + (direction * (steps - 1).clamp_min(0)).long()
        values[:, is_grid] = torch.where(steps > 0, separable.grid[index], values[:, is_grid])
    levels = separable.option_level[everybody].gather(2, options.long().unsqueeze(2)).squeeze(2)
    return values, levels
