r"""Lower bounds for separable recourse problems by Lagrangian duality, many nodes at once.

A node restricts every feature to an interval of amounts and may force it to change or to stay.
For a multiplier λ of the one constraint,

.. math:: L(\lambda) = \lambda\,\text{need} + \sum_j \min_a (f_j(a) - \lambda g_j(a)),

never exceeds the optimum of the node. ``max_changes`` is kept inside the minimum, which stays
easy: the forced changes, then the most negative ones of the others. L is concave, so the lines of
two solutions, one that meets the need and one that does not, bracket its top.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from skcfq.solvers.exact._separable import Separable
from skcfq.utils import parts_in_memory, row_sums

FREE, IN, OUT = 0, 1, 2
_ITERATIONS = 60
# A dual gap that rounding alone explains.
_CLOSED = 1e-12


@dataclass(frozen=True, eq=False)
class Nodes:
    """N sub-problems.

    Attributes
    ----------
    person : ndarray of shape (N,), int64
    low, high : ndarray of shape (N, F)
        Amounts of a change.
    state : ndarray of shape (N, F), int8
        ``FREE``, ``IN`` (must change) or ``OUT`` (must stay).
    bound : ndarray of shape (N,)
        Lower bound of the objective that is known already.
    """

    person: np.ndarray
    low: np.ndarray
    high: np.ndarray
    state: np.ndarray
    bound: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    def take(self, index: np.ndarray | slice) -> Nodes:
        """Select nodes by mask or position."""
        return Nodes(*(getattr(self, field.name)[index] for field in fields(self)))

    @staticmethod
    def concatenate(parts: list[Nodes]) -> Nodes:
        """Join several sets of nodes."""
        names = [field.name for field in fields(Nodes)]
        return Nodes(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


@dataclass(frozen=True, eq=False)
class Solutions:
    """One choice of amounts for each of N nodes, with its objective and gain."""

    amounts: np.ndarray
    cost: np.ndarray
    gain: np.ndarray

    def take(self, index: np.ndarray) -> Solutions:
        """Select solutions by mask or position."""
        return Solutions(self.amounts[index], self.cost[index], self.gain[index])

    @staticmethod
    def concatenate(parts: list[Solutions]) -> Solutions:
        """Join several choices."""
        names = [field.name for field in fields(Solutions)]
        return Solutions(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def replace(self, index: np.ndarray, other: Solutions) -> None:
        """Overwrite the solutions at a mask or positions."""
        self.amounts[index], self.cost[index] = other.amounts, other.cost
        self.gain[index] = other.gain


@dataclass(frozen=True, eq=False)
class Dual:
    """What the dual says about N nodes.

    Attributes
    ----------
    bound : ndarray of shape (N,)
        Lower bound of the objective, infinite where the node has no solution.
    under, over : Solutions
        The two solutions at the best multiplier: one may miss the need, the other meets it.
    """

    bound: np.ndarray
    under: Solutions
    over: Solutions

    @staticmethod
    def concatenate(parts: list[Dual]) -> Dual:
        """Join what is said about several sets of nodes."""
        under, over = (
            Solutions.concatenate([getattr(p, name) for p in parts]) for name in ("under", "over")
        )
        return Dual(np.concatenate([p.bound for p in parts]), under, over)


def dual_bound(separable: Separable, nodes: Nodes) -> Dual:
    """Maximize the Lagrangian bound of every node.

    Parameters
    ----------
    separable : Separable
    nodes : Nodes

    Returns
    -------
    dual : Dual
    """
    parts = parts_in_memory(len(nodes), separable.width)
    found = [_dual_of(separable, nodes.take(part)) for part in parts]
    return found[0] if len(found) == 1 else Dual.concatenate(found)


def _dual_of(separable: Separable, nodes: Nodes) -> Dual:
    need = separable.need[nodes.person]
    terms = _Terms.of(separable, nodes)
    over = terms.select(nodes.high, *terms.at_high, -terms.at_high[1])
    # At a score of 0, nothing that is free is worth changing.
    under = terms.select(nodes.low, *terms.at_low, np.zeros_like(nodes.low))
    met = under.gain >= need
    over.replace(met, under.take(met))
    bound = np.where(met, under.cost, nodes.bound)
    bound = np.where(over.gain < need, np.inf, bound)
    active = np.flatnonzero((over.gain >= need) & ~met)
    steepest = np.full_like(need, np.inf)
    flattest = np.zeros_like(need)
    for iteration in range(_ITERATIONS):
        if len(active) == 0:
            break
        left, right = under.take(active), over.take(active)
        goal = need[active]
        crossing = np.maximum((right.cost - left.cost) / (right.gain - left.gain), 0.0)
        top = left.cost + crossing * (goal - left.gain)
        halved = np.isfinite(steepest[active]) & (separable.squared and iteration % 2 == 1)
        # A curved dual: the crossing of two tangents alone converges from one side only.
        middle = (flattest[active] + steepest[active]) / 2
        multiplier = np.where(halved, middle, crossing)
        found = _minimise(separable, terms.take(active), multiplier)
        value = found.cost + multiplier * (goal - found.gain)
        bound[active] = np.maximum(bound[active], value)
        meets = found.gain >= goal
        over.replace(active[meets], found.take(meets))
        under.replace(active[~meets], found.take(~meets))
        steepest[active[meets]] = multiplier[meets]
        flattest[active[~meets]] = multiplier[~meets]
        # Only where they cross do the two tangents say how much is left.
        active = active[halved | (bound[active] < top - _CLOSED * np.abs(top))]
    return Dual(bound, under, over)


@dataclass(frozen=True, eq=False)
class _Terms:
    """What each feature adds in N nodes, as far as no multiplier plays a part.

    Attributes
    ----------
    nodes : Nodes
    at_low, at_high : (ndarray of shape (N, F), ndarray of shape (N, F))
        Cost and gain of the smallest and the largest amounts.
    options : (ndarray of shape (N, c, L), ndarray of shape (N, c, L)) or None
        Cost and gain of the options of the categories; None where no category has a choice.
    closed : ndarray of shape (N, c, L), bool, or None
        Options that a node does not allow.
    forced, eligible : ndarray of shape (N, F), bool
        What must change, and what may.
    room : ndarray of shape (N, 1) or None
        How many of these may; None where all of them may.
    """

    nodes: Nodes
    at_low: tuple[np.ndarray, np.ndarray]
    at_high: tuple[np.ndarray, np.ndarray]
    options: tuple[np.ndarray, np.ndarray] | None
    closed: np.ndarray | None
    forced: np.ndarray
    eligible: np.ndarray
    room: np.ndarray | None

    @classmethod
    def of(cls, separable: Separable, nodes: Nodes) -> _Terms:
        """Return those of some nodes."""
        options = closed = room = None
        width = separable.option_cost.shape[2]
        if separable.option_cost.shape[1] and width >= 3:
            start, index = separable.n_continuous + separable.n_gridded, np.arange(width)
            options = separable.option_cost[nodes.person], separable.option_gain[nodes.person]
            closed = (index < nodes.low[:, start:, None]) | (index > nodes.high[:, start:, None])
        forced = nodes.state == IN
        if separable.max_changes < forced.shape[1]:
            room = separable.max_changes - forced.sum(axis=1, keepdims=True)
        return cls(
            nodes,
            separable.evaluate(nodes.low, nodes.person),
            separable.evaluate(nodes.high, nodes.person),
            options,
            closed,
            forced,
            (nodes.state == FREE) & (nodes.high > 0),
            room,
        )

    def take(self, index: np.ndarray) -> _Terms:
        """Return those of nodes at rising positions."""
        if len(index) == len(self.nodes):
            return self
        return _Terms(
            self.nodes.take(index),
            (self.at_low[0][index], self.at_low[1][index]),
            (self.at_high[0][index], self.at_high[1][index]),
            None if self.options is None else (self.options[0][index], self.options[1][index]),
            None if self.closed is None else self.closed[index],
            self.forced[index],
            self.eligible[index],
            None if self.room is None else self.room[index],
        )

    def select(
        self, amounts: np.ndarray, cost: np.ndarray, gain: np.ndarray, score: np.ndarray
    ) -> Solutions:
        """Change what must change, and of the rest what scores below zero, within `room`."""
        eligible = self.eligible & (score < 0)
        if self.room is not None and (eligible.sum(axis=1, keepdims=True) > self.room).any():
            order = np.argsort(np.where(eligible, score, np.inf), axis=1, kind="stable")
            rank = np.empty_like(order)
            np.put_along_axis(rank, order, np.arange(amounts.shape[1])[None], 1)
            eligible &= rank < self.room
        chosen = self.forced | eligible
        return Solutions(
            np.where(chosen, amounts, 0.0),
            row_sums(np.where(chosen, cost, 0.0)),
            row_sums(np.where(chosen, gain, 0.0)),
        )


def _minimise(separable: Separable, terms: _Terms, multiplier: np.ndarray) -> Solutions:
    """Return the minimiser of the Lagrangian."""
    nodes = terms.nodes
    tried = [(nodes.low, *terms.at_low), (nodes.high, *terms.at_high)]
    for amounts in _inner_amounts(separable, nodes, multiplier):
        tried.append((amounts, *separable.evaluate(amounts, nodes.person)))
    best: list[np.ndarray] = []
    for amounts, cost, gain in tried:
        new = (amounts, cost, gain, cost - multiplier[:, None] * gain)
        if best:
            better = new[3] < best[3]
            best = [np.where(better, a, b) for a, b in zip(new, best, strict=True)]
        else:
            best = [*new]
    _put_options(separable, terms, multiplier, best)
    return terms.select(*best)


def _inner_amounts(separable: Separable, nodes: Nodes, multiplier: np.ndarray) -> list[np.ndarray]:
    """Return amounts between the ends at which a number's term may have its minimum."""
    if separable.squared:
        return _at(separable, nodes, lambda moves: _stationary(moves, nodes, multiplier))
    if separable.continuous.is_kinked or separable.gridded.is_kinked:
        return _at(separable, nodes, lambda moves: moves.kink[nodes.person])
    return []


def _stationary(moves, nodes: Nodes, multiplier: np.ndarray) -> np.ndarray:
    """Return the distance where price and gain balance, at the kink where it lies between."""
    person = nodes.person
    unit = multiplier[:, None] / (2 * moves.weight**2)
    near, far = unit * moves.alpha1[person], unit * moves.alpha2[person]
    kink = moves.kink[person]
    return np.where(near < kink, near, np.maximum(far, kink))


def _at(separable: Separable, nodes: Nodes, distance) -> list[np.ndarray]:
    """Return the admissible amounts on both sides of a distance of each number."""
    far = distance(separable.continuous)
    a, b = separable.n_continuous, separable.n_continuous + separable.n_gridded
    floor = nodes.low.copy()
    floor[:, :a] = far
    results = [floor]
    if b > a:
        steps = distance(separable.gridded)
        steps = separable.grid_steps(np.nan_to_num(steps, posinf=1e300), nodes.person)
        floor[:, a:b] = steps
        above = floor.copy()
        above[:, a:b] = steps + 1
        results.append(above)
    return [np.minimum(np.maximum(r, nodes.low), nodes.high) for r in results]


def _put_options(
    separable: Separable, terms: _Terms, multiplier: np.ndarray, best: list[np.ndarray]
) -> None:
    """Put the best option of every category in place."""
    if terms.options is None:
        return
    start = separable.n_continuous + separable.n_gridded
    cost, gain = terms.options
    score = cost - multiplier[:, None, None] * gain
    score[terms.closed] = np.inf
    option = score.argmin(axis=2)[:, :, None]
    for field, part in zip(best, (None, cost, gain, score), strict=True):
        picked = option if part is None else np.take_along_axis(part, option, 2)
        field[:, start:] = picked[:, :, 0]
