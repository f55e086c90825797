"""The direct method on tables of plain numbers: closed forms that read only what they change.

Where every feature that may change is a continuous column of a float table and the model is
linear, nothing has to be laid out for all people and columns at once (A.6). The fractional
knapsack of the l1 cost looks at one column after the other, for those who still need more; the
dual of the l2 cost goes through blocks of rows that stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skcfq.models import RELATIVE_MARGIN
from skcfq.solvers._outcome import Outcome, nothing_found
from skcfq.solvers.problems import balance

if TYPE_CHECKING:
    from skcfq.actions import PlainNumbers
    from skcfq.solvers._solver import RecourseSolver
    from skcfq.solvers._task import Task

# People who are solved together: fewer columns are read per person than elsewhere.
PLAIN_BATCH = 16_384
# Numbers of one array of a block: about a dozen of them stay in the cache of one core.
_BLOCK = 2**14
# So few numbers take no longer than the calls about them.
_FEW = 2048
# What still counts as admissible, as in ActionRegion.contains.
_ADMISSIBLE = 1e-9


def is_plain(settings: RecourseSolver, task: Task) -> bool:
    """Tell whether the direct method has a closed form for a task that reads single columns.

    Parameters
    ----------
    settings : RecourseSolver
        With the direct method, which checked its own conditions.
    task : Task
    """
    actions = task.actions
    asks_more = (
        settings.n_alternatives > 1
        or task.perturbation_radius
        or task.weight_radius
        or task.proba is not None
        or task.overrides
        or actions.downstream
        or actions.has_linking
        or actions.has_min_change
    )
    limit = actions.max_changes
    return (
        not asks_more
        and isinstance(task.X, np.ndarray)
        and task.X.dtype == np.float64
        and 0 < len(actions.plain_numbers.index) == actions.n_features
        and (limit is None or limit >= actions.n_features)
        and task.one_target is not None
        and actions.space.is_affine
    )


def solve_plain(task: Task) -> tuple[Outcome, np.ndarray]:
    """Solve refused people of a plain task.

    Parameters
    ----------
    task : Task
        N people, all refused, for whom :func:`is_plain`.

    Returns
    -------
    outcome : Outcome
    open_rows : ndarray of int
        People about whom nothing is said: their rows have gaps, or the moved raw row does not
        confirm the answer.

    Notes
    -----
    Certified as :func:`solve_direct` is, by the same formulas. Every answer is confirmed on its
    raw row: what was written is encoded again and compared with the limits, and the logits and
    the model's own ``predict`` are asked about the whole row.
    """
    outcome = nothing_found(task)
    need, gain = _linear(task)
    if _has_gaps(task) or not np.isfinite(need).all():
        return replace(outcome, points=task.X.copy()), np.arange(len(task))
    moved = (_fill if task.cost.norm == "l1" else _spread)(task, gain, need)
    confirmed, margin = _confirm(task, moved.points)
    confirmed &= moved.admissible
    found = moved.feasible & confirmed
    outcome.status[found] = "optimal"
    outcome.status[~moved.feasible] = "infeasible"
    outcome.bound[~moved.feasible] = np.inf
    outcome.bound[found] = np.fmin(moved.bound, moved.cost)[found]
    outcome.cost[found] = moved.cost[found]
    outcome.margin[found] = margin[found]
    if not found.all():
        moved.changed[~found] = False
        moved.points[~found] = task.X[~found]
    open_rows = np.flatnonzero(moved.feasible & ~confirmed)
    return replace(outcome, changed=moved.changed, points=moved.points), open_rows


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
    def nothing(cls, task: Task) -> _Moved:
        n = len(task)
        changed = np.zeros((n, task.actions.n_features), dtype=bool)
        possible, cost = np.ones(n, dtype=bool), np.zeros(n)
        return cls(task.X.copy(), changed, possible, possible.copy(), cost, cost.copy())


def _has_gaps(task: Task) -> bool:
    """Tell whether the encoder fills a gap of a feature; one that it leaves open shows itself."""
    plain = task.actions.plain_numbers
    filled = plain.columns[~np.isnan(plain.fill)]
    return bool(np.isnan(task.X[:, filled]).any())


def _linear(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return what each person's action must add, (N,), and the gain per encoded unit, (m,)."""
    assert task.logits is not None
    coef, _ = task.predictor.linear_arrays
    target = int(task.target[0])
    gain = (coef[:, target] - coef[:, 1 - target])[task.actions.numeric_columns]
    logits = task.logits
    # As in linear_problem: the moved point's own logits may be larger, its raw row rounds.
    rounding = _rounding(logits)
    margin = logits[:, target] - logits[:, 1 - target]
    return np.maximum(rounding, task.margin) + rounding - margin, gain


def _rounding(logits: np.ndarray) -> np.ndarray:
    """Return the least margin of a valid point, (N,), as in `validity_slack`."""
    largest = np.maximum(np.abs(logits[:, 0]), np.abs(logits[:, 1]))
    return RELATIVE_MARGIN * np.maximum(largest, 1.0)


def blocks(n: int, size: int, width: int) -> Iterator[slice]:
    """Cut n rows of some width into blocks of about `size` numbers."""
    step = max(size // max(width, 1), 64)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _confirm(task: Task, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ask the model about raw rows: whether it says the target, and by which margin."""
    target = int(task.target[0])
    confirmed = np.asarray(task.predictor.predict(points) == task.predictor.classes[target])
    margin = np.empty(len(points))
    # The encoded rows of a block stay in the cache.
    for rows in blocks(len(points), 8 * _BLOCK, task.predictor.space.n_encoded):
        logits = task.predictor.row_scores(points[rows])
        margin[rows] = logits[:, target] - logits[:, 1 - target]
        confirmed[rows] &= margin[rows] >= np.maximum(_rounding(logits), task.margin)
    return confirmed, margin


def _fill(task: Task, gain: np.ndarray, need: np.ndarray) -> _Moved:
    """Fill features in the order of gain per cost (l1), each for those who still need more."""
    moved = _Moved.nothing(task)
    slope = np.abs(gain)
    order = np.argsort(-slope / task.cost.feature_weights.numpy(), kind="stable")
    order = order[slope[order] > 0]
    people = np.flatnonzero(need > 0)
    need, before = need[people], np.zeros(len(people))
    while len(people) and len(order):
        # All features at once for few people; for many, one after the other, without an axis.
        width = max(_FEW // len(people), 1)
        features, order = (order[0] if width == 1 else order[:width]), order[width:]
        reach = _Reach.of(task, people if width == 1 else people[:, None], features, gain)
        capacity = slope[features] * reach.most
        if width == 1:
            missing, after = need - before, before + capacity
        else:
            filled = np.cumsum(np.column_stack([before, capacity]), axis=1)
            missing, after = need[:, None] - filled[:, :-1], filled[:, -1]
        distance = np.minimum(np.maximum(missing, 0.0) / slope[features], reach.most)
        np.copyto(distance, reach.most, where=missing >= capacity)
        _write(task, moved, people, reach, distance)
        more = after < need
        people, need, before = people[more], need[more], after[more]
    moved.feasible[people] = False
    return moved


def _spread(task: Task, gain: np.ndarray, need: np.ndarray) -> _Moved:
    """Share the need among all features (l2), block by block."""
    moved, weight = _Moved.nothing(task), task.cost.feature_weights.numpy()
    for rows in blocks(len(task), _BLOCK, len(gain)):
        reach = _Reach.of(task, rows, slice(None), gain)
        distance, moved.feasible[rows] = balance(np.abs(gain), weight, reach.most, need[rows])
        _write(task, moved, rows, reach, distance)
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
    def of(cls, task: Task, rows: Any, features: Any, gain: np.ndarray) -> _Reach:
        numbers = task.actions.plain_numbers.take(features)
        direction = np.sign(gain[features])
        place = rows, numbers.columns
        own = task.X[place]
        coded = numbers.encode(own)
        limits = numbers.limits(own, coded)
        end = np.where(direction > 0, limits[3], limits[2])
        most = np.abs(end - coded)
        return cls(place, features, numbers, own, coded, limits, end, direction, most)


def _write(task: Task, moved: _Moved, people: Any, reach: _Reach, distance: np.ndarray) -> None:
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
    weight = task.cost.feature_weights.numpy()[reach.features]
    moved.cost[people] += _powers(np.where(moves, values - coded, 0.0), weight, task.cost.norm)
    moved.bound[people] += _powers(distance, weight, task.cost.norm)


def _powers(distance: np.ndarray, weight: np.ndarray, norm: str) -> np.ndarray:
    """Return what a norm is the sum or the root of, shape (n,)."""
    parts = np.abs(distance) * weight if norm == "l1" else np.square(distance * weight)
    return parts if parts.ndim == 1 else parts.sum(axis=1)


def _inside(
    written: np.ndarray, coded: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Tell which codes lie inside their limits, up to rounding."""
    slack = np.abs(coded)
    np.maximum(slack, 1.0, out=slack)
    slack *= _ADMISSIBLE
    return (written >= lower - slack) & (written <= upper + slack)
