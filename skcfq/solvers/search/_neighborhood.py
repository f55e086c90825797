"""Single-feature moves with their exact effect.

The gradient says little about a category (a jump) or about a quantized model (piecewise
constant), so here every move is put to the model itself. A move sets one feature: a categorical
feature to one of its levels, a numeric feature to one of a few values in its admissible interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skcfq.solvers.problems import RecourseProblem, States
from skcfq.solvers.search._moves import Moves
from skcfq.solvers.search._relaxed_descent import OPEN
from skcfq.utils import blocks_of

# Numeric features whose gradient promises most are moved; the others hardly ever pay.
MAX_NUMERIC = 6
# Of an exchange, only these few are moved, and only where the tangent promises no more than this
# many times the cost: the margin bends.
NEAREST, _LENIENCE = 5, 1.5
# Shares of the way between the person's value and the end that the gradient points to.
FRACTIONS = (0.25, 1.0)
# The same without a gradient, on both sides.
BLIND_FRACTIONS = (0.05, 0.2, 0.5, 1.0)
# The gradient's own guess at the crossing is tried once more this much farther: a grid rounds it.
_BEYOND, _INSIDE = 1.3, 1e-9


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The points that one move reaches, with the position of the point each came from.

    ``estimate`` is the cost where the validity along the move is expected to begin, for a move
    from an invalid to a valid point; elsewhere it is the cost itself. A point is written down only
    where somebody wants it: on a wide table nearly all of them are forgotten at once.
    """

    origins: States
    moves: Moves
    person: Tensor
    cost: Tensor
    slack: Tensor
    estimate: Tensor

    def __len__(self) -> int:
        return len(self.person)

    @property
    def parent(self) -> Tensor:
        return self.moves.parent

    @property
    def valid(self) -> Tensor:
        return self.slack >= 0

    def take(self, index: Tensor) -> Neighbors:
        """Select neighbors by mask or position."""
        parts = (part[index] for part in (self.person, self.cost, self.slack, self.estimate))
        return Neighbors(self.origins, self.moves.take(index), *parts)

    def states(self) -> States:
        """Write down the points."""
        return States(self.person, *self.moves.written(self.origins), self.cost, self.slack)

    @staticmethod
    def concatenate(parts: list[Neighbors]) -> Neighbors:
        """Join several sets of neighbors of the same points into one."""
        numbers = ((p.person, p.cost, p.slack, p.estimate) for p in parts)
        return Neighbors(
            parts[0].origins,
            Moves.concatenate([part.moves for part in parts]),
            *(torch.cat(field) for field in zip(*numbers, strict=True)),
        )


def expand(problem: RecourseProblem, states: States) -> Neighbors:
    """Make every move from every point.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N points.

    Returns
    -------
    neighbors : Neighbors
    """
    parts = [_numeric_moves(problem, states), _categorical_moves(problem, states)]
    moves = Moves.concatenate(parts)
    return ask(problem, states, moves.take(_allowed(problem, states, moves)))


def cross(problem: RecourseProblem, states: States, *, keep: Tensor, limit: Tensor) -> Neighbors:
    """Make every move that may make a point valid below a cost.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N points; those that are valid already are neighbors of themselves.
    keep : Tensor of shape (N,), int64
        A feature that must not be moved, for each point; -1 for none.
    limit : Tensor of shape (N,)
        Cost that the crossing should stay below, for each point. Only the few numbers are moved
        that reach validity most cheaply where the margin is replaced by its tangent.

    Returns
    -------
    neighbors : Neighbors
    """
    valid = states.valid.nonzero().squeeze(1)
    parts = [_themselves(states, valid)]
    moves = _cheaper(problem, states, _categorical_moves(problem, states), limit)
    if problem.gradients and min(states.values.shape) > 0:
        ways = _Ways.of(problem, states)
        rows, columns = _within_reach(problem, states, ways.needed, keep, limit)
        if problem.is_smooth:
            parts += _rays(problem, states, ways, rows, columns, limit)
        else:
            numeric = _all_values_along(problem, states, ways, rows, columns)
            moves = Moves.concatenate([numeric, moves])
    else:
        moves = Moves.concatenate([_numeric_moves(problem, states), moves])
    free = _allowed(problem, states, moves) & (moves.feature != keep[moves.parent])
    parts.append(ask(problem, states, moves.take(free)))
    return Neighbors.concatenate(parts)


def push(problem: RecourseProblem, states: States, limit: Tensor) -> Neighbors:
    """Make every move of valid points that costs less than a limit and may gain margin.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N valid points.
    limit : Tensor of shape (N,)
        Cost that a neighbor must stay below, for each point.

    Returns
    -------
    neighbors : Neighbors
    """
    parts = [_numeric_moves(problem, states, onward=problem.is_smooth)]
    parts.append(_categorical_moves(problem, states))
    moves = _cheaper(problem, states, Moves.concatenate(parts), limit)
    return ask(problem, states, moves.take(_allowed(problem, states, moves)))


def _themselves(states: States, index: Tensor) -> Neighbors:
    """Return points as neighbors of themselves."""
    stays = Moves.nowhere(index)
    cost = states.cost[index]
    return Neighbors(states, stays, states.person[index], cost, states.slack[index], cost)


def _cheaper(problem: RecourseProblem, states: States, moves: Moves, limit: Tensor) -> Moves:
    cost = torch.empty(len(moves), dtype=torch.float64)
    for block in blocks_of(len(moves), problem.region.n_features):
        part = moves.take(block)
        cost[block] = problem.cost(states.person[part.parent], *part.written(states))
    return moves.take(cost < limit[moves.parent])


def _allowed(problem: RecourseProblem, states: States, moves: Moves) -> Tensor:
    """Return which moves do not change too many features."""
    if problem.max_changes >= problem.region.n_features:
        return torch.ones(len(moves), dtype=torch.bool)
    changed = problem.changed(states.person, states.values, states.levels)
    before, after = moves.changes(problem, states, changed)
    changes = changed.sum(dim=1)[moves.parent] + after.long() - before.long()
    return changes <= problem.max_changes


def ask(problem: RecourseProblem, states: States, moves: Moves) -> Neighbors:
    """Ask the model about moves that are allowed.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N points.
    moves : Moves

    Returns
    -------
    neighbors : Neighbors
    """
    person = states.person[moves.parent]
    cost, slack = torch.empty(2, len(moves), dtype=torch.float64)
    for block in blocks_of(len(moves), problem.region.n_features):
        reached = problem.states(person[block], *moves.take(block).written(states))
        cost[block], slack[block] = reached.cost, reached.slack
    is_numeric = moves.feature < problem.values.shape[1]
    estimate = _estimate(states, cost, slack, moves.parent, is_numeric)
    return Neighbors(states, moves, person, cost, slack, estimate)


def _estimate(
    states: States, cost: Tensor, slack: Tensor, parent: Tensor, is_numeric: Tensor
) -> Tensor:
    """Interpolate the cost at which a numeric move becomes valid."""
    before = states.slack[parent]
    crossing = is_numeric & (before < 0) & (slack > 0)
    share = torch.where(crossing, -before / (slack - before), torch.ones_like(before))
    start = states.cost[parent]
    return start + share * (cost - start)


def _numeric_moves(problem: RecourseProblem, states: States, onward: bool = False) -> Moves:
    """Move the numbers that promise most to a few values, or only to those that gain margin."""
    n, m = states.values.shape
    if m == 0 or n == 0:
        return Moves.none()
    if not problem.gradients:
        return _blind_moves(problem, states)
    ways = _Ways.of(problem, states)
    promise = (ways.gradient * (ways.forward - states.values)).abs()
    chosen = torch.argsort(promise, dim=1, descending=True, stable=True)[:, :MAX_NUMERIC]
    rows = torch.arange(n).unsqueeze(1).expand_as(chosen).reshape(-1)
    return _all_values_along(problem, states, ways, rows, chosen.reshape(-1), onward)


def _all_values_along(
    problem: RecourseProblem,
    states: States,
    ways: _Ways,
    rows: Tensor,
    columns: Tensor,
    onward: bool = False,
) -> Moves:
    """Move one number of each point to every value along its ways that may be worth it."""
    start, end = states.values[rows, columns], ways.forward[rows, columns]
    needed = ways.needed[rows, columns]
    goals = [start + needed, start + _BEYOND * needed, ways.backward[rows, columns]]
    farther = [start + f * (end - start) for f in FRACTIONS]
    goals = farther if onward else goals + farther
    tried: list[Tensor] = [start]
    parts = []
    for goal in goals:
        reached = _reached(problem, states, rows, columns, goal)
        # Goals beyond the end, or nearest to the same value of a grid, are one.
        new = torch.stack([reached != other for other in tried]).all(dim=0)
        tried.append(reached)
        parts.append(Moves.of_numbers(rows[new], columns[new], reached[new]))
    return Moves.concatenate(parts)


def _rays(
    problem: RecourseProblem,
    states: States,
    ways: _Ways,
    rows: Tensor,
    columns: Tensor,
    limit: Tensor,
) -> list[Neighbors]:
    """Move one number of each invalid point on until it is valid, or as dear as the limit.

    Where margin and values are continuous, a farther value leads to no other crossing than a
    nearer one that is valid.
    """
    last, needed = states.values[rows, columns], ways.needed[rows, columns]
    length = ways.forward[rows, columns] - last
    goals = last + torch.stack([_BEYOND * needed, *(f * length for f in FRACTIONS)])
    parts = []
    for step in range(len(goals)):
        reached = _reached(problem, states, rows, columns, goals[step])
        moves = Moves.of_numbers(rows, columns, reached)
        farther = (reached - last) * needed > 0
        asked = (farther & _allowed(problem, states, moves)).nonzero().squeeze(1)
        neighbors = ask(problem, states, moves.take(asked))
        parts.append(neighbors)
        last[asked] = reached[asked]
        goes_on = torch.ones(len(rows), dtype=torch.bool)
        goes_on[asked] = ~neighbors.valid & (neighbors.cost < limit[rows[asked]])
        rows, columns, last, needed = (part[goes_on] for part in (rows, columns, last, needed))
        goals = goals[:, goes_on]
    return parts


@dataclass(frozen=True, eq=False)
class _Ways:
    """What the gradient of the margin says about moving each number of N points, shapes (N, m).

    The ends of the number's interval that gain and lose margin, and how far it has to go until
    the tangent of the slack crosses zero.
    """

    gradient: Tensor
    forward: Tensor
    backward: Tensor
    needed: Tensor

    @classmethod
    def of(cls, problem: RecourseProblem, states: States) -> _Ways:
        points = problem.assemble(states.person, states.values, states.levels)
        margin, gradient = problem.margin_gradient(points, states.person)
        gradient = gradient[:, problem.numeric_columns]
        # A broken rule across features does not say how much margin is missing.
        free = problem.region.linking is None
        missing = -states.slack if free else problem.margin[states.person] - margin
        lower, upper = problem.region.lower[states.person], problem.region.upper[states.person]
        rising = gradient >= 0
        # Slightly beyond: a point on the very boundary may be refused when it is rounded again.
        missing = (1 + _INSIDE) * missing.unsqueeze(1)
        needed = torch.where(gradient != 0, missing / gradient, 0.0)
        return cls(
            gradient, torch.where(rising, upper, lower), torch.where(rising, lower, upper), needed
        )


def _reached(
    problem: RecourseProblem, states: States, rows: Tensor, columns: Tensor, goal: Tensor
) -> Tensor:
    """Return the admissible values nearest to goals of numbers of points, each asked about once.

    What a number may be does not depend on the others: those of a point are looked up together.
    """
    goals = states.values.clone()
    goals[rows, columns] = goal
    return problem.snap(states.person, goals)[rows, columns]


def _within_reach(
    problem: RecourseProblem, states: States, needed: Tensor, keep: Tensor, limit: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the points and numbers whose move to where the tangent crosses costs little."""
    own = problem.values[states.person]
    distance = (states.values + needed - own).abs()
    # Beyond the end of the interval the cost goes on: such a move is not forbidden, only late.
    outlook = problem.cost_function.with_moves(
        problem.contributions(states.person, states.values, states.levels),
        problem.numeric_weights * distance,
    )
    held = torch.arange(needed.shape[1]) == keep.unsqueeze(1)
    closed = (needed == 0) | held | states.valid.unsqueeze(1)
    outlook = outlook.masked_fill(closed, torch.inf)
    best = outlook.topk(min(NEAREST, outlook.shape[1]), dim=1, largest=False)
    worth = best.values < _LENIENCE * limit.unsqueeze(1)
    rows, position = worth.nonzero(as_tuple=True)
    return rows, best.indices[rows, position]


def _blind_moves(problem: RecourseProblem, states: States) -> Moves:
    """Move every number to a few values on both sides, where nothing says which way is better."""
    person = states.person
    own = problem.values[person]
    parts = []
    for end in (problem.region.lower[person], problem.region.upper[person]):
        # An open side is searched as far as a few units of cost.
        reach = torch.where(torch.isfinite(end), end - own, OPEN / problem.numeric_weights)
        for fraction in BLIND_FRACTIONS:
            reached = problem.snap(person, own + fraction * reach)
            feature, parent = (reached != states.values).T.nonzero(as_tuple=True)
            parts.append(Moves.of_numbers(parent, feature, reached[parent, feature]))
    return Moves.concatenate(parts)


def _categorical_moves(problem: RecourseProblem, states: States) -> Moves:
    parts = []
    n_numeric = states.values.shape[1]
    for c, tried in enumerate(problem.tried_levels):
        possible = tried[states.person]
        level = states.levels[:, c : c + 1]
        here = level.clamp_min(0)
        possible.scatter_(1, here, possible.gather(1, here) & (level < 0))
        parent, target = possible.nonzero(as_tuple=True)
        parts.append(Moves.of_levels(parent, torch.full_like(parent, n_numeric + c), target))
    return Moves.concatenate(parts) if parts else Moves.none()
