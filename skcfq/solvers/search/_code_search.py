"""A line search along one number of a model of integers: only where its code changes, all may."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from skcfq.solvers.problems import RecourseProblem, States

# Share of a step by which a value lies inside its code, and of itself.
_INSIDE = 1e-9


def search_codes(problem: RecourseProblem, states: States, goal: Tensor) -> States:
    """Move one number of each valid point to the code nearest to a cheaper value that is valid.

    Parameters
    ----------
    problem : RecourseProblem
        Under one model of integers.
    states : States
        N valid points.
    goal : Tensor of shape (N, m)
        Admissible values that differ from those of a point in one number at most.

    Returns
    -------
    states : States
        Valid points on the lines, the cheapest that were met; the given ones at worst.
    """
    found = _Cheapest(states)
    tried = problem.states(states.person, goal, states.levels)
    found.keep(torch.arange(len(states)), tried)
    rows = (~tried.valid).nonzero().squeeze(1)
    lines = _Lines.of(problem, states.take(rows), goal[rows])
    low, high = lines.codes(goal[rows]), lines.codes(states.values[rows])
    # The code of the point itself, at its cheapest value, is asked about first.
    code = high
    while len(rows):
        tried = problem.states(*lines.points(code))
        found.keep(rows, tried)
        is_own = code == high
        high = torch.where(tried.valid, code, high)
        low = torch.where(tried.valid | is_own, low, code)
        code = torch.floor((low + high) / 2)
        open_ = ((high - low > 1) & (code != low)).nonzero().squeeze(1)
        rows, low, high, code = (part[open_] for part in (rows, low, high, code))
        lines = lines.take(open_)
    return found.states


class _Cheapest:
    """The cheapest valid point of each line so far."""

    def __init__(self, states: States) -> None:
        parts = states.values, states.cost, states.slack
        values, cost, slack = (part.clone() for part in parts)
        self.states = States(states.person, values, states.levels, cost, slack)

    def keep(self, rows: Tensor, tried: States) -> None:
        """Take over what is valid and cheaper on some lines."""
        mine = self.states
        better = tried.valid & (tried.cost < mine.cost[rows])
        into = rows[better]
        mine.values[into] = tried.values[better]
        mine.cost[into], mine.slack[into] = tried.cost[better], tried.slack[better]


@dataclass(frozen=True, eq=False)
class _Lines:
    """One number each of N points, whose codes are counted upwards from the goal to the point."""

    states: States
    column: Tensor
    sign: Tensor
    step: Tensor
    lowest: Tensor
    highest: Tensor
    radius: Tensor

    @classmethod
    def of(cls, problem: RecourseProblem, states: States, goal: Tensor) -> _Lines:
        column = (goal != states.values).long().argmax(dim=1)
        at = torch.arange(len(column))
        sign = torch.sign(states.values[at, column] - goal[at, column])
        assert problem.code_steps is not None
        return cls(states, column, sign, *(part[column] for part in problem.code_steps))

    def take(self, index: Tensor) -> _Lines:
        """Return some of the lines."""
        parts = (self.column, self.sign, self.step, self.lowest, self.highest, self.radius)
        return _Lines(self.states.take(index), *(part[index] for part in parts))

    @cached_property
    def here(self) -> Tensor:
        """Where the points are, counted upwards from the goals."""
        return self.sign * self.states.values.gather(1, self.column[:, None]).squeeze(1)

    def codes(self, values: Tensor) -> Tensor:
        """Return the codes of the numbers among values of shape (N, m)."""
        number = values.gather(1, self.column[:, None]).squeeze(1)
        codes = (number / self.step).round().maximum(self.lowest).minimum(self.highest)
        return self.sign * codes

    def points(self, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the cheapest points with some codes, jittered or not: people, values, levels."""
        edge = (code - 0.5) * self.step
        inside = edge + self.radius + _INSIDE * (self.step + edge.abs())
        values = self.states.values.clone()
        reached = self.sign * torch.minimum(inside, self.here)
        values.scatter_(1, self.column[:, None], reached[:, None])
        return self.states.person, values, self.states.levels
