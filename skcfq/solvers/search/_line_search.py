"""A line search from valid points towards cheaper values, as far as the model allows."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from skcfq.solvers.problems import RecourseProblem, States

# Points that are tried on a line: the crossing is found to about 1e-9, or to what is near.
_CUTS, _FEW_CUTS = 28, 12
# Share of the margins along a line under which a point lies on the boundary.
AT_BOUNDARY = 1e-8
# Share of a bracket that is left on the valid side of where a secant crosses zero, so that the
# bracket closes from above.
_INSIDE = 1e-9
# Share of the cost, in units of what is near, that must be left to gain on a bracket.
_WORTH = 0.01


def line_search(
    problem: RecourseProblem, states: States, goal: Tensor, *, near: float = AT_BOUNDARY
) -> States:
    """Go from valid points towards cheaper values until validity would be lost.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N valid points.
    goal : Tensor of shape (N, m)
        Numeric values to move towards, of lower cost.
    near : float
        Share of the margins along the line that may be left where the margin is continuous.

    Returns
    -------
    states : States
        Valid points on the lines, the cheapest that were met; the given ones at worst.
    """
    rows = (goal != states.values).any(dim=1).nonzero().squeeze(1)
    values, cost, slack = states.values.clone(), states.cost.clone(), states.slack.clone()
    if len(rows) == 0:
        return states
    bracket = _Bracket.around(states.take(rows), goal[rows], rows)
    for cut in range(_CUTS if near <= AT_BOUNDARY else _FEW_CUTS):
        share = bracket.next_share(cut)
        values_tried = bracket.at(problem, share)
        if cut > 0 and problem.has_grids:
            # On a grid the secant may fall on an end of the bracket: the middle may not yet.
            known = bracket.is_end(values_tried).nonzero().squeeze(1)
            narrow = bracket.take(known)
            share[known] = (narrow.low + narrow.high) / 2
            values_tried[known] = narrow.at(problem, share[known])
            unknown = (~bracket.is_end(values_tried)).nonzero().squeeze(1)
            bracket, share = bracket.take(unknown), share[unknown]
            values_tried = values_tried[unknown]
        tried = problem.states(bracket.person, values_tried, bracket.levels)
        better = tried.valid & (tried.cost < cost[bracket.rows])
        into = bracket.rows[better]
        values[into], cost[into] = tried.values[better], tried.cost[better]
        slack[into] = tried.slack[better]
        bracket = bracket.closed_in(share, tried, near, is_first=cut == 0)
        if len(bracket.rows) == 0:
            break
    return States(states.person, values, states.levels, cost, slack)


@dataclass(frozen=True, eq=False)
class _Bracket:
    """Where on N lines validity ends: between the shares ``low`` (invalid) and ``high``.

    A share is the part of the way from ``goal`` to ``start``. The pulls are what the secant
    takes for the slacks of the two ends; ``drop`` is the slack that the whole line loses, and
    ``last`` tells which end moved last.
    """

    rows: Tensor
    person: Tensor
    levels: Tensor
    start: Tensor
    goal: Tensor
    low_values: Tensor
    high_values: Tensor
    low: Tensor
    high: Tensor
    low_pull: Tensor
    high_pull: Tensor
    low_cost: Tensor
    high_cost: Tensor
    high_slack: Tensor
    drop: Tensor
    last: Tensor

    @classmethod
    def around(cls, states: States, goal: Tensor, rows: Tensor) -> _Bracket:
        zero, slack, cost = torch.zeros_like(states.cost), states.slack, states.cost
        points = rows, states.person, states.levels, states.values, goal, goal, states.values
        return cls(*points, zero, zero + 1, slack, slack, cost, cost, slack, slack, zero)

    def take(self, index: Tensor) -> _Bracket:
        if len(index) == len(self.rows):
            return self
        return _Bracket(*(getattr(self, field.name)[index] for field in fields(self)))

    def at(self, problem: RecourseProblem, share: Tensor) -> Tensor:
        values = self.goal + share.unsqueeze(1) * (self.start - self.goal)
        return problem.snap(self.person, values)

    def is_end(self, values: Tensor) -> Tensor:
        return (values == self.low_values).all(dim=1) | (values == self.high_values).all(dim=1)

    def next_share(self, cut: int) -> Tensor:
        """Return where to look next: the goal itself, then the secant, and the middle at times."""
        if cut == 0:
            return self.low
        middle = (self.low + self.high) / 2
        if cut % 4 == 0:
            # A piecewise constant margin, which secants crawl along.
            return middle
        share = -self.low_pull / (self.high_pull - self.low_pull)
        zero = self.low + (self.high - self.low) * share
        secant = torch.minimum(zero + _INSIDE * (self.high - self.low), self.high)
        usable = torch.isfinite(secant) & (secant > self.low) & (secant < self.high)
        return torch.where(usable, secant, middle)

    def closed_in(self, share: Tensor, tried: States, near: float, is_first: bool) -> _Bracket:
        """Return what is still open once the points at some shares are known."""
        valid, slack, cost = tried.valid, tried.slack, tried.cost
        side = torch.where(valid, 1.0, -1.0)
        # An end that stays a second time is pulled in (Illinois).
        pull = torch.where(side == self.last, 0.5, 1.0)
        on_high = valid.unsqueeze(1)
        closed = replace(
            self,
            low_values=torch.where(on_high, self.low_values, tried.values),
            high_values=torch.where(on_high, tried.values, self.high_values),
            low=torch.where(valid, self.low, share),
            high=torch.where(valid, share, self.high),
            low_pull=torch.where(valid, pull * self.low_pull, slack),
            high_pull=torch.where(valid, slack, pull * self.high_pull),
            low_cost=torch.where(valid, self.low_cost, cost),
            high_cost=torch.where(valid, cost, self.high_cost),
            high_slack=torch.where(valid, slack, self.high_slack),
            drop=self.high_slack - slack if is_first else self.drop,
            last=side,
        )
        gain = closed.high_cost - closed.low_cost
        # Where the margin is continuous, hardly any left means that the boundary is reached.
        open_ = (closed.high_slack > near * closed.drop) & (gain > _WORTH * near * self.high_cost)
        if is_first:
            open_ &= ~valid
        return closed.take(open_.nonzero().squeeze(1))
