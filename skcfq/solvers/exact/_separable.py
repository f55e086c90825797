"""A binary linear problem feature by feature: what each may add, and at what price.

With one linear constraint, moving a feature against its gain never helps. So every feature has
one useful direction, and its moves are numbered by an *amount*: 0 stays; a continuous number moves
by a distance; a number on a grid and a category move by the count of an option.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skcfq.solvers.problems import LinearProblem


@dataclass(frozen=True, eq=False)
class Moves:
    r"""Numeric moves of P people in their useful direction.

    The gain of a distance d is concave: :math:`\alpha_1 \min(d, \kappa) + \alpha_2
    \max(d - \kappa, 0)`; without a weight radius the kink :math:`\kappa` is infinite.

    Attributes
    ----------
    own : ndarray of shape (P, m)
        Own encoded values.
    sign : ndarray of shape (P, m)
        Useful direction, 0 where a move never helps.
    alpha1, alpha2, kink : ndarray of shape (P, m)
    weight : ndarray of shape (m,)
    least, most : ndarray of shape (P, m)
        Smallest and largest distance of a change.
    """

    own: np.ndarray
    sign: np.ndarray
    alpha1: np.ndarray
    alpha2: np.ndarray
    kink: np.ndarray
    weight: np.ndarray
    least: np.ndarray
    most: np.ndarray

    @cached_property
    def is_kinked(self) -> bool:
        """Whether any gain has a kink."""
        return bool(np.isfinite(self.kink).any())

    def gain(
        self,
        distance: np.ndarray,
        at: np.ndarray | slice | tuple[np.ndarray, np.ndarray] = slice(None),
    ) -> np.ndarray:
        """Return what distances add: of people (N, m), or of one feature a person (N,)."""
        if not self.is_kinked:
            return self.alpha1[at] * distance
        first = np.minimum(distance, self.kink[at])
        return self.alpha1[at] * first + self.alpha2[at] * (distance - first)

    def distance_for(self, gain: np.ndarray) -> np.ndarray:
        """Return the shortest distance that adds a gain alone, infinite where none does."""
        at_kink = self.alpha1 * np.nan_to_num(self.kink, posinf=1e300)
        near = gain / self.alpha1
        far = self.kink + (gain - at_kink) / self.alpha2
        far = np.where(self.alpha2 > 0, far, np.full_like(far, np.inf))
        return np.where(gain <= at_kink, near, far)

    def columns(self, index: np.ndarray) -> Moves:
        """Return the moves of some features."""
        parts = {
            name: np.ascontiguousarray(getattr(self, name)[:, index])
            for name in ("own", "sign", "alpha1", "alpha2", "kink", "least", "most")
        }
        return Moves(weight=self.weight[index], **parts)


def useful_moves(problem: LinearProblem) -> Moves:
    """Return everybody's useful numeric moves, over the whole admissible interval."""
    region, rho = problem.region, problem.weight_radius
    own, upper, lower = (one.numpy() for one in (region.values, region.upper, region.lower))
    slope = np.broadcast_to(problem.numeric_gain[0].numpy(), own.shape)
    if rho:
        # Toward zero a weight that is off costs less: the slope is larger by rho on that side.
        up = np.where(own < 0, slope + rho, slope - rho)
        down = np.where(own > 0, rho - slope, -slope - rho)
        sign = np.where(up > 0, 1.0, np.where(down > 0, -1.0, 0.0))
        alpha1 = np.maximum(np.maximum(up, down), 0.0)
        inward = sign * own < 0
        kink = np.where(inward, np.abs(own), np.inf)
        alpha2 = np.where(inward, alpha1 - 2 * rho, alpha1)
    else:
        sign, alpha1 = np.sign(slope), np.abs(slope)
        alpha2, kink = alpha1, np.full_like(own, np.inf)
    most = np.where(sign > 0, upper - own, own - lower)
    # A gap that the encoder leaves open can only be kept.
    useless = (sign == 0) | ~(most > 0)
    least = np.zeros_like(own) if region.min_change is None else region.min_change.numpy()
    # The way through raw units rounds: a step that just fits must not be lost.
    least = np.where(least <= most * (1 + 1e-9), np.minimum(least, most), least)
    useless |= least > most
    return Moves(
        np.nan_to_num(own),
        np.where(useless, 0.0, sign),
        np.where(useless, 1.0, alpha1),
        np.where(useless, 1.0, alpha2),
        np.where(useless, np.inf, kink),
        problem.cost.weights[: own.shape[1]],
        np.where(useless, 0.0, least),
        np.where(useless, 0.0, most),
    )


@dataclass(frozen=True, eq=False)
class Separable:
    """P people's features as amounts: continuous numbers, numbers on grids, categories.

    Attributes
    ----------
    need : ndarray of shape (P,)
    squared : bool
        Whether contributions are squared (l2).
    continuous : Moves
        Amounts are distances.
    gridded : Moves
        Amounts count admissible grid points from the own value outward.
    first : ndarray of int64 of shape (P, mg)
        Position in ``grid`` of each person's first grid point in the useful direction.
    grid : np.ndarray
        All grids, one after the other.
    grid_ends : list of (start, stop)
        Where each one lies.
    option_cost, option_gain : ndarray of shape (P, c, L)
        Options of the categories by rising cost and gain, option 0 stays; unused ones are
        infinitely dear.
    option_level : ndarray of int64 of shape (P, c, L)
        The level that each option stands for.
    low, high : ndarray of shape (P, F)
        Smallest and largest useful amount of a change; ``high`` 0 where there is none.
    forced : ndarray of shape (P, F), bool
        Features that count as changed with any amount, 0 included.
    max_changes : int
    """

    need: np.ndarray
    squared: bool
    continuous: Moves
    gridded: Moves
    first: np.ndarray
    grid: np.ndarray
    grid_ends: list[tuple[int, int]]
    option_cost: np.ndarray
    option_gain: np.ndarray
    option_level: np.ndarray
    low: np.ndarray
    high: np.ndarray
    forced: np.ndarray
    max_changes: int

    @property
    def width(self) -> int:
        """Numbers about one action in the largest array: ends of segments, or options."""
        return max(2 * self.low.shape[1], self.option_cost[:1].size)

    @property
    def n_continuous(self) -> int:
        return int(self.continuous.own.shape[1])

    @property
    def n_gridded(self) -> int:
        return int(self.gridded.own.shape[1])

    def split(self, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cut amounts (N, F) into the three kinds of features."""
        a, b = self.n_continuous, self.n_continuous + self.n_gridded
        return amounts[:, :a], amounts[:, a:b], amounts[:, b:]

    def price(self, distance: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the contribution of distances to the objective."""
        contribution = weight * distance
        return contribution**2 if self.squared else contribution

    def evaluate(self, amounts: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the objective and the gain of each feature, both (N, F)."""
        far, steps, options = self.split(amounts)
        distance = self.grid_distance(steps, person)
        option = person[:, None], np.arange(options.shape[1]), _whole(options)
        costs = [
            self.price(far, self.continuous.weight),
            self.price(distance, self.gridded.weight),
            self.option_cost[option],
        ]
        gains = [
            self.continuous.gain(far, person),
            self.gridded.gain(distance, person),
            self.option_gain[option],
        ]
        return np.concatenate(costs, axis=1), np.concatenate(gains, axis=1)

    def grid_distance(self, steps: np.ndarray, person: np.ndarray) -> np.ndarray:
        """Return how far away counted grid points are, shape (N, mg)."""
        if self.n_gridded == 0:
            return steps
        direction = self.gridded.sign[person]
        index = self.first[person] + _whole(direction * np.maximum(steps - 1, 0.0))
        distance = np.abs(self.grid[index] - self.gridded.own[person])
        return np.where(steps > 0, distance, np.zeros_like(distance))

    def gain_of_steps(self, steps: np.ndarray, person: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return what counted points of one grid a row add, as :meth:`evaluate` does, (N,)."""
        moves = self.gridded
        index = self.first[person, j] + _whole(moves.sign[person, j] * np.maximum(steps - 1, 0.0))
        distance = np.where(steps > 0, np.abs(self.grid[index] - moves.own[person, j]), 0.0)
        return moves.gain(distance, (person, j))

    def steps_within(self, distance: np.ndarray, person: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return what :meth:`grid_steps` does, of one grid a row, (N,)."""
        direction, first = self.gridded.sign[person, j], self.first[person, j]
        goal = self.gridded.own[person, j] + direction * distance
        slack = 1e-12 * np.maximum(np.abs(goal), 1.0)
        steps = np.empty_like(goal)
        for one in set(j.tolist()):
            (start, stop), rows = self.grid_ends[one], j == one
            grid, near = self.grid[start:stop], first[rows] - start
            up = np.searchsorted(grid, (goal + slack)[rows], side="right")
            down = np.searchsorted(grid, (goal - slack)[rows])
            steps[rows] = np.where(direction[rows] > 0, up - near, near - down + 1)
        return np.maximum(steps, 0.0)

    def grid_steps(self, distance: np.ndarray, person: np.ndarray) -> np.ndarray:
        """Return the largest counts whose grid points are not beyond a distance, (N, mg)."""
        direction = self.gridded.sign[person]
        goal = self.gridded.own[person] + direction * distance
        steps = np.empty_like(goal)
        for j, (start, stop) in enumerate(self.grid_ends):
            grid = self.grid[start:stop]
            # Rounding must not lose the grid point that the distance was taken from.
            slack = 1e-12 * np.maximum(np.abs(goal[:, j]), 1.0)
            up = np.searchsorted(grid, (goal[:, j] + slack), side="right")
            down = np.searchsorted(grid, (goal[:, j] - slack))
            first = self.first[person, j] - start
            steps[:, j] = np.where(direction[:, j] > 0, up - first, first - down + 1)
        return np.maximum(steps, 0.0)


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
    need = problem.need[:, 0].numpy()
    moves = useful_moves(problem)
    is_grid = np.array([grid is not None for grid in region.grids], dtype=bool)
    continuous, gridded = moves.columns(~is_grid), moves.columns(is_grid)
    # Nobody goes farther than one feature alone would have to; rounding must not leave it short.
    alone = continuous.distance_for(need[:, None]) * (1 + 1e-12)
    reach = np.minimum(continuous.most, alone)
    # Beyond the kink the gain may fall.
    peak = np.where(continuous.alpha2 > 0, np.inf, continuous.kink)
    reach = np.maximum(np.minimum(reach, peak), continuous.least)
    continuous = replace(continuous, most=np.where(continuous.sign == 0, 0.0, reach))
    grids = [grid.numpy() for grid in region.grids if grid is not None]
    ends, offset = [], 0
    for grid in grids:
        ends.append((offset, offset + len(grid)))
        offset += len(grid)
    flat = np.concatenate(grids) if grids else np.zeros(1, dtype=np.float64)
    first, low_steps, high_steps = _grid_range(gridded, grids, ends, need)
    options = _options(problem)
    squared = problem.cost.norm == "l2"
    option_cost = options[0] ** 2 if squared else options[0]
    high_steps = _drop_losing_steps(gridded, flat, first, low_steps, high_steps)
    n_options = np.isfinite(option_cost).sum(axis=2) - 1
    low = np.concatenate([continuous.least, low_steps, np.ones_like(n_options)], axis=1)
    high = np.concatenate([continuous.most, high_steps, n_options], axis=1)
    forced = np.zeros(low.shape, dtype=bool)
    if problem.forced is not None:
        known = problem.forced.numpy()
        numbers = np.concatenate([known[:, ~is_grid], known[:, is_grid]], axis=1)
        forced[:, : numbers.shape[1]] = numbers
        low = np.where(forced, 0.0, low)
    low = np.minimum(low, high)
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
    moves: Moves, grids: list[np.ndarray], ends: list[tuple[int, int]], need: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first grid point outward of each person, and the range of useful counts."""
    n = len(need)
    first = np.zeros((n, len(grids)), dtype=np.int64)
    low = np.zeros((n, len(grids)), dtype=np.float64)
    high = np.zeros_like(low)
    peak = np.where(moves.alpha2 > 0, np.inf, moves.kink)
    for j, (grid, (start, _)) in enumerate(zip(grids, ends, strict=True)):
        own, sign = moves.own[:, j], moves.sign[:, j]
        if len(grid) == 0:
            continue
        scale = 1e-12 * np.maximum(np.abs(own), 1.0)
        above = np.searchsorted(grid, own + scale, side="right")
        below = np.searchsorted(grid, own - scale) - 1
        first[:, j] = start + np.where(sign > 0, above, below).clip(0, len(grid) - 1)

        def count(
            distance: np.ndarray,
            j: int = j,
            grid: np.ndarray = grid,
            above: np.ndarray = above,
            below: np.ndarray = below,
        ) -> np.ndarray:
            """Count the grid points up to a distance."""
            goal = moves.own[:, j] + moves.sign[:, j] * distance
            slack = 1e-12 * np.maximum(np.abs(goal), 1.0)
            inside_up = np.searchsorted(grid, (goal + slack), side="right") - above
            inside_down = below - np.searchsorted(grid, (goal - slack)) + 1
            inside = np.where(moves.sign[:, j] > 0, inside_up, inside_down)
            return np.maximum(inside, 0).astype(np.float64)

        limit = count(moves.most[:, j])
        # One point beyond what the need asks for: rounding must not cut it off.
        enough = np.minimum(moves.distance_for(need[:, None])[:, j], moves.most[:, j])
        high[:, j] = np.minimum(limit, count(np.minimum(enough, peak[:, j])) + 1)
        least = moves.least[:, j]
        too_near = count(least * (1 - 1e-9))
        low[:, j] = np.where(least > 0, too_near + 1, np.ones_like(least))
        useless = (sign == 0) | (low[:, j] > limit)
        high[:, j] = np.where(useless, 0.0, np.maximum(high[:, j], low[:, j]))
    return first, low, high


def _drop_losing_steps(
    moves: Moves, grid: np.ndarray, first: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Leave out the grid point beyond the peak where the one before it gains as much."""

    def gain(steps: np.ndarray) -> np.ndarray:
        index = first + _whole(moves.sign * np.maximum(steps - 1, 0.0))
        return moves.gain(np.abs(grid[index] - moves.own))

    losing = (high > low) & (moves.alpha2 <= 0) & (gain(high - 1) >= gain(high))
    return np.where(losing, high - 1, high)


def _options(problem: LinearProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cost, gain and level of the useful options of every category, (P, c, L) each."""
    region = problem.region
    n, c = region.levels.shape
    if c == 0:
        empty = np.zeros((n, 0, 1), dtype=np.float64)
        return empty, empty, empty.astype(np.int64)
    width = max(allowed.shape[1] for allowed in region.allowed) + 1
    cost = np.full((n, c, width), np.inf, dtype=np.float64)
    gain = np.zeros((n, c, width), dtype=np.float64)
    level = np.repeat(region.levels.numpy()[:, :, None], width, axis=2)
    weights, needed = problem.cost.weights[region.values.shape[1] :], problem.need.numpy()
    for i, permitted in enumerate(region.allowed):
        allowed, own = permitted.numpy(), region.levels[:, i].numpy()
        price = weights[i] * problem.cost.level_distances[i][own]
        added = problem.level_gain[i][:, 0].numpy()
        useful = allowed & (added > 0) & (np.arange(allowed.shape[1]) != own[:, None])
        price = np.where(useful, price, np.inf)
        # By cost, and of equal cost the largest gain first; then only what gains more stays.
        by_gain = np.argsort(-added, axis=1, kind="stable")
        by_cost = np.argsort(np.take_along_axis(price, by_gain, 1), axis=1, kind="stable")
        order = np.take_along_axis(by_gain, by_cost, 1)
        price, added = (np.take_along_axis(field, order, 1) for field in (price, added))
        best_before = np.maximum.accumulate(np.where(np.isfinite(price), added, 0.0), axis=1)
        best_before = np.concatenate([np.zeros((n, 1)), best_before[:, :-1]], axis=1)
        met_before = best_before >= needed
        keep = np.isfinite(price) & (added > best_before) & ~met_before
        place = np.argsort(~keep, axis=1, kind="stable")
        keep, price, added, order = (
            np.take_along_axis(field, place, 1) for field in (keep, price, added, order)
        )
        span = slice(1, 1 + price.shape[1])
        cost[:, i, span] = np.where(keep, price, np.inf)
        gain[:, i, span] = np.where(keep, added, 0.0)
        level[:, i, span] = np.where(keep, order, level[:, i, span])
    cost[:, :, 0] = 0.0
    used = int(np.isfinite(cost).sum(axis=2).max())
    return cost[:, :, :used], gain[:, :, :used], level[:, :, :used]


def state_of(
    problem: LinearProblem, separable: Separable, amounts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (P, m) and levels (P, c) that amounts (P, F) stand for."""
    region = problem.region
    own, upper, lower = (one.numpy() for one in (region.values, region.upper, region.lower))
    far, steps, options = separable.split(amounts)
    values = own.copy()
    is_grid = np.array([grid is not None for grid in region.grids], dtype=bool)
    moved = separable.continuous.own + separable.continuous.sign * far
    upward = separable.continuous.sign > 0
    bound = np.where(upward, upper[:, ~is_grid], lower[:, ~is_grid])
    inside = (moved - bound) * separable.continuous.sign < 0
    moved = np.where(inside, moved, bound)
    values[:, ~is_grid] = np.where(far > 0, moved, own[:, ~is_grid])
    if separable.n_gridded:
        direction = separable.gridded.sign
        index = separable.first + _whole(direction * np.maximum(steps - 1, 0.0))
        values[:, is_grid] = np.where(steps > 0, separable.grid[index], own[:, is_grid])
    chosen = options.astype(np.int64)[:, :, None]
    return values, np.take_along_axis(separable.option_level, chosen, 2)[:, :, 0]


def _whole(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.int64)
