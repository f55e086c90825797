"""A line search along one number: on a grid, the rungs between two values are tried in pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skcfq.actions import SAME_VALUE
from skcfq.solvers.problems import RecourseProblem, States
from skcfq.solvers.search._line_search import AT_BOUNDARY, line_search

# Pairs of rungs that are tried on a line, and of these the first that secants choose.
_PAIRS, _SECANTS = 16, 2


def search_numbers(
    problem: RecourseProblem, states: States, goal: Tensor, *, near: float = AT_BOUNDARY
) -> States:
    """Move one number of each valid point towards a cheaper value until validity would be lost.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N valid points.
    goal : Tensor of shape (N, m)
        Admissible values that differ from those of a point in one number at most.
    near : float
        As in :func:`skcfq.solvers.search._line_search.line_search`.

    Returns
    -------
    states : States
        Valid points on the lines, the cheapest that were met; the given ones at worst.
    """
    gridded = problem.region.gridded
    if len(gridded) == 0 or problem.region.min_change is not None:
        return line_search(problem, states, goal, near=near)
    on_grid = (goal != states.values)[:, gridded].any(dim=1)
    rungs, others = on_grid.nonzero().squeeze(1), (~on_grid).nonzero().squeeze(1)
    moved = _search_rungs(problem, states.take(rungs), goal[rungs], near)
    if len(others) == 0:
        return moved
    free = line_search(problem, states.take(others), goal[others], near=near)
    return States.concatenate([moved, free]).take(torch.argsort(torch.cat([rungs, others])))


def _search_rungs(problem: RecourseProblem, states: States, goal: Tensor, near: float) -> States:
    """Do so along grids: first the goals, then what lies between them and the points."""
    values, cost, slack = states.values.clone(), states.cost.clone(), states.slack.clone()

    def keep(rows: Tensor, tried: States) -> None:
        better = tried.valid & (tried.cost < cost[rows])
        into = rows[better]
        values[into], cost[into] = tried.values[better], tried.cost[better]
        slack[into] = tried.slack[better]

    tried = problem.states(states.person, goal, states.levels)
    keep(torch.arange(len(states)), tried)
    rows = (~tried.valid).nonzero().squeeze(1)
    ladders = _Ladders.of(problem, states.take(rows), goal[rows], tried.slack[rows])
    for pair in range(_PAIRS):
        open_ = ladders.is_open(near)
        rows, ladders = rows[open_], ladders.take(open_)
        if len(rows) == 0:
            break
        lower, upper = ladders.next_pair(by_secant=pair < _SECANTS or pair % 2 == 0)
        tried = ladders.ask(problem, lower, upper)
        ladders, chosen = ladders.closed_in(lower, upper, tried.slack)
        keep(rows, tried.take(chosen))
    return States(states.person, values, states.levels, cost, slack)


@dataclass(frozen=True, eq=False)
class _Ladders:
    """The rungs between N invalid goals and N valid points, numbered from -1 at the goal.

    ``low`` and ``high`` are the nearest ones that are known to be invalid and valid, with their
    slacks; rung r is at ``first + step * r`` of the grid of a number. ``drop`` is the slack that
    the whole line loses.
    """

    states: States
    column: Tensor
    grid: Tensor
    first: Tensor
    step: Tensor
    low: Tensor
    high: Tensor
    low_slack: Tensor
    high_slack: Tensor
    drop: Tensor

    @classmethod
    def of(
        cls, problem: RecourseProblem, states: States, goal: Tensor, goal_slack: Tensor
    ) -> _Ladders:
        at, grids = problem.region.gridded, problem.region.grid_table
        here, there = states.values[:, at], goal[:, at]
        grid = (here != there).long().argmax(dim=1, keepdim=True)
        # A point of the grid that is the same as an end up to rounding lies not between them.
        same = SAME_VALUE * (1 + here.abs())
        before = grids.rank(torch.minimum(here, there) + same, right=True).gather(1, grid)
        behind = grids.rank(torch.maximum(here, there) - same).gather(1, grid)
        rising = (there < here).gather(1, grid)
        first = torch.where(rising, before, behind - 1)
        low = torch.full_like(first, -1)
        ends = (behind - before).clamp_min(0)
        numbers = (grid, first, 2 * rising.long() - 1, low, ends)
        grid, first, step, low, high = (number.squeeze(1) for number in numbers)
        slacks = goal_slack, states.slack, states.slack - goal_slack
        return cls(states, at[grid], grid, first, step, low, high, *slacks)

    def take(self, index: Tensor) -> _Ladders:
        if bool(index.all()):
            return self
        parts = (self.column, self.grid, self.first, self.step, self.low, self.high)
        slacks = self.low_slack, self.high_slack, self.drop
        return _Ladders(self.states.take(index), *(part[index] for part in (*parts, *slacks)))

    def is_open(self, near: float) -> Tensor:
        return (self.high - self.low > 1) & (self.high_slack > near * self.drop)

    def next_pair(self, by_secant: bool) -> tuple[Tensor, Tensor]:
        """Return two neighboring rungs inside, between which validity may begin."""
        length = self.high - self.low
        if by_secant:
            share = -self.low_slack / (self.high_slack - self.low_slack)
            after = (share * length).ceil().nan_to_num(0.0).clamp_max(2.0**31).long()
        else:
            after = length // 2
        upper = self.low + torch.minimum(after.clamp_min(2), length - 1)
        return (upper - 1).clamp_min(self.low + 1), upper

    def ask(self, problem: RecourseProblem, lower: Tensor, upper: Tensor) -> States:
        """Return the points on N rungs, then those on N others."""
        n = len(lower)
        states = self.states.take(torch.arange(n).repeat(2))
        rung = torch.stack([lower, upper])
        points = problem.region.grid_table.points[self.grid, self.first + self.step * rung]
        states.values[torch.arange(2 * n), self.column.repeat(2)] = points.flatten()
        return problem.states(states.person, states.values, states.levels)

    def closed_in(self, lower: Tensor, upper: Tensor, slack: Tensor) -> tuple[_Ladders, Tensor]:
        """Return what is left between, and the positions of the lowest valid points of pairs."""
        at_lower, at_upper = slack.reshape(2, -1)
        good, fair = at_lower >= 0, at_upper >= 0
        closed = replace(
            self,
            low=torch.where(good, self.low, torch.where(fair, lower, upper)),
            low_slack=torch.where(good, self.low_slack, torch.where(fair, at_lower, at_upper)),
            high=torch.where(good, lower, torch.where(fair, upper, self.high)),
            high_slack=torch.where(good, at_lower, torch.where(fair, at_upper, self.high_slack)),
        )
        position = torch.arange(len(lower))
        return closed, torch.where(good, position, len(lower) + position)
