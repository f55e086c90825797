"""The exact method on tables of plain numbers: closed forms that read only what they change.

Where every feature that may change is a continuous column of a float table and the model is
linear, nothing has to be laid out for all people and columns at once (A.6). The fractional
knapsack of the l1 cost looks at one column after the other, for those who still need more; the
dual of the l2 cost goes through blocks of rows that stay in the processor's cache.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skcfq.solvers.exact._plain_problem import (
    BLOCK,
    PlainProblem,
    blocks,
    float_table,
    one_target,
    plain_features,
    plain_question,
)
from skcfq.solvers.problems import Shortcut, Solution, Task, quadratic_knapsack
from skcfq.utils import row_sums

if TYPE_CHECKING:
    from skcfq.actions import PlainNumbers

# So few numbers take no longer than the calls about them.
_FEW = 2048
# What still counts as admissible, as in ActionRegion.contains.
_ADMISSIBLE = 1e-9


def solve_plain_tables(task: Task) -> tuple[Solution, np.ndarray]:
    """Solve refused people of a table of plain numbers.

    Parameters
    ----------
    task : Task
        N people, all refused.

    Returns
    -------
    solution : Solution
    open_rows : ndarray of int
        People about whom nothing is said: their rows have gaps or lie far outside, or the moved
        raw row does not confirm the answer.

    Notes
    -----
    Certified as :func:`solve_linear` is, by the same formulas. Every answer is confirmed on its
    raw row: what was written is encoded again and compared with the limits, and the logits and
    the model's own ``predict`` are asked about the whole row.
    """
    problem = PlainProblem.of(task)
    need = problem.need()
    gaps = problem.gaps() | ~np.isfinite(need)
    if gaps.any():
        return _without(task, gaps)
    solution = Solution.nothing(problem.X, problem.n_features)
    solve = _fill if problem.norm == "l1" else _spread
    moved = solve(problem, need)
    confirmed, margin = problem.confirm(moved.points)
    confirmed &= moved.admissible
    far = problem.far_rows(~moved.feasible)
    found, refuted = moved.feasible & confirmed & ~far, ~moved.feasible & ~far
    if problem.single_precision and refuted.any():
        # Whoever is valid without the margin for rounding is not refuted.
        rows = np.flatnonzero(refuted)
        bare = problem.of_rows(rows)
        refuted[rows] = ~solve(bare, bare.need()).feasible
    solution.status[found] = "optimal"
    solution.status[refuted] = "infeasible"
    solution.bound[refuted] = np.inf
    solution.bound[found] = np.fmin(moved.bound, moved.cost)[found]
    solution.cost[found] = moved.cost[found]
    solution.margin[found] = margin[found]
    if not found.all():
        moved.changed[~found] = False
        moved.points[~found] = problem.X[~found]
    open_rows = np.flatnonzero(~found & ~refuted)
    return replace(solution, changed=moved.changed, points=moved.points), open_rows


def _without(task: Task, gaps: np.ndarray) -> tuple[Solution, np.ndarray]:
    """Leave the people open whose rows have gaps, and solve the others."""
    rows, open_rows = np.flatnonzero(~gaps), np.flatnonzero(gaps)
    nothing = Solution.nothing(task.X[open_rows], task.actions.n_features)
    if len(rows) == 0:
        return nothing, open_rows
    solved, unconfirmed = solve_plain_tables(task.take(rows))
    place = np.argsort(np.concatenate([rows, open_rows]))
    open_rows = np.sort(np.concatenate([rows[unconfirmed], open_rows]))
    return Solution.concatenate([solved, nothing]).take(place), open_rows


# Fewer columns are read per person than elsewhere, so that more people fit.
PLAIN_TABLES = Shortcut(
    solve_plain_tables,
    requires=(float_table, plain_features, one_target, plain_question),
    batch_size=16_384,
)


class _Moved(NamedTuple):
    """What the closed form does with N people.

    `points` are raw rows, `admissible` says whether they obey the rules when encoded again.
    """

    points: np.ndarray
    changed: np.ndarray
    feasible: np.ndarray
    admissible: np.ndarray
    cost: np.ndarray
    bound: np.ndarray

    @classmethod
    def nothing(cls, problem: PlainProblem) -> _Moved:
        n = len(problem)
        changed = np.zeros((n, problem.n_features), dtype=bool)
        possible, cost = np.ones(n, dtype=bool), np.zeros(n)
        return cls(problem.X.copy(), changed, possible, possible.copy(), cost, cost.copy())


def _fill(problem: PlainProblem, need: np.ndarray) -> _Moved:
    """Fill features in the order of gain per cost (l1), each for those who still need more."""
    moved = _Moved.nothing(problem)
    slope = np.abs(problem.gain)
    order = np.argsort(-slope / problem.weights, kind="stable")
    order = order[slope[order] > 0]
    people = np.flatnonzero(need > 0)
    need, before = need[people], np.zeros(len(people))
    while len(people) and len(order):
        # All features at once for few people; for many, one after the other, without an axis.
        width = max(_FEW // len(people), 1)
        features, order = (order[0] if width == 1 else order[:width]), order[width:]
        reach = _Reach.of(problem, people if width == 1 else people[:, None], features)
        capacity = slope[features] * reach.most
        if width == 1:
            missing, after = need - before, before + capacity
        else:
            filled = np.cumsum(np.column_stack([before, capacity]), axis=1)
            missing, after = need[:, None] - filled[:, :-1], filled[:, -1]
        distance = np.minimum(np.maximum(missing, 0.0) / slope[features], reach.most)
        np.copyto(distance, reach.most, where=missing >= capacity)
        _write(problem, moved, people, reach, distance)
        more = after < need
        people, need, before = people[more], need[more], after[more]
    moved.feasible[people] = False
    return moved


def _spread(problem: PlainProblem, need: np.ndarray) -> _Moved:
    """Share the need among all features (l2), block by block."""
    moved, slope = _Moved.nothing(problem), np.abs(problem.gain)
    for rows in blocks(len(problem), BLOCK, problem.n_features):
        reach = _Reach.of(problem, rows, slice(None))
        distance, moved.feasible[rows] = quadratic_knapsack(
            slope, problem.weights, reach.most, need[rows]
        )
        _write(problem, moved, rows, reach, distance)
    np.sqrt(moved.cost, out=moved.cost)
    np.sqrt(moved.bound, out=moved.bound)
    return moved


class _Reach(NamedTuple):
    """How far k features of n people go until they end, in the direction of more margin.

    Raw values and codes of their own, the four limits, the code at the end, the direction, and
    the distance: arrays of shape (n, k), or (n,) for one feature; the direction has no n.
    """

    place: tuple[Any, Any]
    features: Any
    numbers: PlainNumbers
    own: np.ndarray
    coded: np.ndarray
    limits: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    end: np.ndarray
    direction: np.ndarray
    most: np.ndarray

    @classmethod
    def of(cls, problem: PlainProblem, rows: Any, features: Any) -> _Reach:
        numbers = problem.numbers.take(features)
        direction = np.sign(problem.gain[features])
        place = rows, numbers.columns
        own = np.ascontiguousarray(problem.X[place])
        coded = numbers.encode(own)
        limits = numbers.limits(own, coded)
        end = np.where(direction > 0, limits[3], limits[2])
        most = np.abs(end - coded)
        return cls(place, features, numbers, own, coded, limits, end, direction, most)


def _write(
    problem: PlainProblem, moved: _Moved, people: Any, reach: _Reach, distance: np.ndarray
) -> None:
    """Write changes into the raw rows, and read their codes again."""
    numbers, coded = reach.numbers, reach.coded
    values = np.where(distance >= reach.most, reach.end, coded + reach.direction * distance)
    moves = (values != coded) & (distance > 0)
    raw = numbers.raw_values(values, reach.limits[2:], reach.limits[:2])
    raw = np.where(moves, raw, reach.own)
    moved.points[reach.place] = raw
    moved.changed[reach.place[0], reach.features] = moves
    inside = _inside(numbers.encode(raw), coded, *reach.limits[2:])
    if not inside.all():
        moved.admissible[people] &= inside if inside.ndim == 1 else inside.all(axis=1)
    weight = problem.weights[reach.features]
    for total, way in ((moved.cost, np.where(moves, values - coded, 0.0)), (moved.bound, distance)):
        total[people] = _with_powers(total[people], way, weight, problem.norm)


def _with_powers(
    total: np.ndarray, distance: np.ndarray, weight: np.ndarray, norm: str
) -> np.ndarray:
    """Return a total with what a norm is the sum or the root of, shape (n,)."""
    parts = np.abs(distance) * weight if norm == "l1" else np.square(distance * weight)
    if parts.ndim == 1:
        return total + parts
    if norm == "l2":
        return np.asarray(total + row_sums(parts))
    # As many features as are looked at together must make no difference.
    return np.cumsum(np.column_stack([total, parts]), axis=1)[:, -1]


def _inside(
    written: np.ndarray, coded: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Tell which codes lie inside their limits, up to rounding."""
    slack = np.abs(coded)
    np.maximum(slack, 1.0, out=slack)
    slack *= _ADMISSIBLE
    return (written >= lower - slack) & (written <= upper + slack)
