"""A line search along one number: on a grid, some of the rungs between two values are tried."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skcfq.actions import SAME_VALUE
from skcfq.solvers.problems import RecourseProblem, States
from skcfq.solvers.search._code_search import search_codes
from skcfq.solvers.search._line_search import AT_BOUNDARY, line_search

# Rounds on a line. In the first, a secant chooses two neighboring rungs; then this many are tried
# that divide what is left evenly: a call costs more than a few points.
_ROUNDS, _SECANTS, _FAN = 8, 2, 6


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
    if problem.region.min_change is not None:
        return line_search(problem, states, goal, near=near)
    if len(gridded) == 0:
        return _search_free(problem, states, goal, near)
    on_grid = (goal != states.values)[:, gridded].any(dim=1)
    rungs, others = on_grid.nonzero().squeeze(1), (~on_grid).nonzero().squeeze(1)
    moved = _search_rungs(problem, states.take(rungs), goal[rungs], near)
    if len(others) == 0:
        return moved
    free = _search_free(problem, states.take(others), goal[others], near)
    return States.concatenate([moved, free]).take(torch.argsort(torch.cat([rungs, others])))


def _search_free(problem: RecourseProblem, states: States, goal: Tensor, near: float) -> States:
    """Do so along numbers without grids."""
    if problem.code_steps is not None:
        return search_codes(problem, states, goal)
    return line_search(problem, states, goal, near=near)


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
    for round_ in range(_ROUNDS):
        open_ = ladders.is_open(near)
        rows, ladders = rows[open_], ladders.take(open_)
        if len(rows) == 0:
            break
        tried_rungs = ladders.next_pair() if round_ < _SECANTS else ladders.next_fan()
        tried = ladders.ask(problem, tried_rungs)
        ladders, chosen = ladders.closed_in(tried_rungs, tried.slack)
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

    def next_pair(self) -> Tensor:
        """Return two neighboring rungs inside, between which validity may begin, shape (2, N)."""
        length = self.high - self.low
        share = -self.low_slack / (self.high_slack - self.low_slack)
        after = (share * length).ceil().nan_to_num(0.0).clamp_max(2.0**31).long()
        upper = self.low + torch.minimum(after.clamp_min(2), length - 1)
        return torch.stack([(upper - 1).clamp_min(self.low + 1), upper])

    def next_fan(self) -> Tensor:
        """Return rungs inside at even distances, rising, shape (k, N)."""
        length = self.high - self.low
        after = torch.arange(1, _FAN + 1)[:, None] * length // (_FAN + 1)
        return self.low + after.clamp_min(1)

    def ask(self, problem: RecourseProblem, rungs: Tensor) -> States:
        """Return the points on N rungs, then those on N others, of k in all."""
        k, n = rungs.shape
        states = self.states.take(torch.arange(n).repeat(k))
        points = problem.region.grid_table.points[self.grid, self.first + self.step * rungs]
        states.values[torch.arange(k * n), self.column.repeat(k)] = points.flatten()
        return problem.states(states.person, states.values, states.levels)

    def closed_in(self, rungs: Tensor, slack: Tensor) -> tuple[_Ladders, Tensor]:
        """Return what is left between, and the positions of the lowest valid points."""
        k, n = rungs.shape
        # Rung 0 of these is the low end, the last one the high end.
        rungs = torch.cat([self.low[None], rungs, self.high[None]])
        slacks = torch.cat([self.low_slack[None], slack.reshape(k, n), self.high_slack[None]])
        first = (slacks[1:] >= 0).long().argmax(dim=0)
        low, high = first[None], first[None] + 1
        closed = replace(
            self,
            low=rungs.gather(0, low)[0],
            low_slack=slacks.gather(0, low)[0],
            high=rungs.gather(0, high)[0],
            high_slack=slacks.gather(0, high)[0],
        )
        return closed, first.clamp_max(k - 1) * n + torch.arange(n)
