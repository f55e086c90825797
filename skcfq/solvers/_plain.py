"""The direct method on tables of plain numbers: closed forms that read only what they change.

Where every feature that may change is a continuous column of a float table and the model is
linear, nothing has to be laid out for all people and columns at once (A.6). The fractional
knapsack of the l1 cost looks at one column after the other, for those who still need more; the
dual of the l2 cost goes through blocks of rows that stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from skcfq.models import RELATIVE_MARGIN, least_margin
from skcfq.solvers._balance import balance
from skcfq.solvers._outcome import Outcome, nothing_found

if TYPE_CHECKING:
    from skcfq.actions._plain_numbers import PlainNumbers
    from skcfq.solvers._solver import RecourseSolver
    from skcfq.solvers._task import Task

# People who are solved together: fewer columns are read per person than elsewhere.
PLAIN_BATCH = 16_384
# Numbers of one array of a block: about a dozen of them stay in the cache of one core.
_BLOCK = 2**14
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
        or task.stand_off
        or task.weight_radius
        or task.proba is not None
        or task.overrides
        or actions.implied
        or actions.has_couplings
        or actions.has_min_change
    )
    limit = actions.max_changes
    return (
        not asks_more
        and isinstance(task.X, np.ndarray)
        and task.X.dtype == np.float64
        and 0 < len(actions.plain_numbers.index) == actions.n_features
        and (limit is None or limit >= actions.n_features)
        and len(np.unique(task.target)) == 1
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


def _has_gaps(task: Task) -> bool:
    """Tell whether the encoder fills a gap of a feature; one that it leaves open shows itself."""
    plain = task.actions.plain_numbers
    filled = plain.columns[~np.isnan(plain.fill)]
    return bool(np.isnan(task.X[:, filled]).any())


def _linear(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return what each person's action must add, (N,), and the gain per encoded unit, (m,)."""
    assert task.predictor.linear is not None
    assert task.logits is not None
    coef, _ = task.predictor.linear
    target = int(task.target[0])
    gain = (coef[target] - coef[1 - target]).numpy()[task.actions.numeric_columns]
    logits = task.logits
    # As in linear_problem: the moved point's own logits may be larger, its raw row rounds.
    rounding = RELATIVE_MARGIN * np.maximum(np.abs(logits).max(axis=1), 1.0)
    margin = logits[:, target] - logits[:, 1 - target]
    return np.maximum(rounding, task.margin) + rounding - margin, gain


def _encoded_blocks(task: Task, X: np.ndarray) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield blocks of rows that fit into the cache, encoded."""
    space = task.predictor.space
    for rows in blocks(len(X), 8 * _BLOCK, space.n_encoded):
        yield rows, torch.from_numpy(space.encode(X[rows], copy=False))


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
    for rows, encoded in _encoded_blocks(task, points):
        logits = task.predictor.logits(encoded).detach()
        found = logits[:, target] - logits[:, 1 - target]
        confirmed[rows] &= (found >= least_margin(logits, task.margin)).numpy()
        margin[rows] = found.numpy()
    return confirmed, margin


def _fill(task: Task, gain: np.ndarray, need: np.ndarray) -> _Moved:
    """Fill features in the order of gain per cost (l1), each for those who still need more."""
    plain, weight = task.actions.plain_numbers, task.cost.feature_weights.numpy()
    slope, n = np.abs(gain), len(task)
    order = np.argsort(-slope / weight, kind="stable")
    people = np.flatnonzero(need > 0)
    need = need[people]
    before = np.zeros(len(people))
    entries = []
    for j in order[slope[order] > 0].tolist():
        if len(people) == 0:
            break
        one = plain.take(j)
        own = task.X[people, one.columns]
        coded = one.encode(own)
        limits = one.limits(own, coded)
        end = limits[3 if gain[j] > 0 else 2]
        most = np.abs(end - coded)
        capacity = slope[j] * most
        distance = np.minimum((need - before) / slope[j], most)
        full = need - before >= capacity
        values = np.where(full | (distance >= most), end, coded + np.sign(gain[j]) * distance)
        np.copyto(distance, most, where=full)
        raw = one.raw_values(values, limits[2:], limits[:2])
        moves = values != coded
        entry = _Entries(people, j, one, values, coded, distance, raw, *limits[2:])
        entries.append(entry if moves.all() else entry.take(moves))
        before += capacity
        more = before < need
        people, need, before = people[more], need[more], before[more]
    feasible = np.ones(n, dtype=bool)
    feasible[people] = False
    return _write(task, entries, feasible)


class _Entries(NamedTuple):
    """Changes of one feature: of whom, from and to which code, how far, and the raw value."""

    people: np.ndarray
    feature: int
    numbers: PlainNumbers
    values: np.ndarray
    coded: np.ndarray
    distance: np.ndarray
    raw: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def take(self, moves: np.ndarray) -> _Entries:
        people, feature, numbers, *arrays = self
        return _Entries(people[moves], feature, numbers, *(part[moves] for part in arrays))


def _write(task: Task, entries: list[_Entries], feasible: np.ndarray) -> _Moved:
    """Write changes into a copy of the rows, and read them again from there."""
    weight, n = task.cost.feature_weights.numpy(), len(task)
    points = task.X.copy()
    changed = np.zeros((n, task.actions.n_features), dtype=bool)
    admissible = np.ones(n, dtype=bool)
    cost, bound = np.zeros(n), np.zeros(n)
    for entry in entries:
        one, people = entry.numbers, entry.people
        points[people, one.columns] = entry.raw
        changed[people, entry.feature] = True
        written = one.encode(points[people, one.columns])
        inside = _inside(written, entry.coded, entry.lower, entry.upper)
        if not inside.all():
            admissible[people[~inside]] = False
        # Nobody appears twice in the changes of one feature.
        cost[people] += weight[entry.feature] * np.abs(entry.values - entry.coded)
        bound[people] += weight[entry.feature] * entry.distance
    return _Moved(points, changed, feasible, admissible, cost, bound)


def _inside(
    written: np.ndarray, coded: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Tell which codes lie inside their limits, up to rounding."""
    slack = np.abs(coded)
    np.maximum(slack, 1.0, out=slack)
    slack *= _ADMISSIBLE
    return (written >= lower - slack) & (written <= upper + slack)


def _spread(task: Task, gain: np.ndarray, need: np.ndarray) -> _Moved:
    """Share the need among all features (l2), block by block."""
    plain, n = task.actions.plain_numbers, len(task)
    weight = task.cost.feature_weights.numpy()
    points = task.X.copy()
    changed = np.zeros((n, len(gain)), dtype=bool)
    feasible, admissible = np.empty(n, dtype=bool), np.empty(n, dtype=bool)
    cost, bound = np.empty(n), np.empty(n)
    for rows in blocks(n, _BLOCK, len(gain)):
        own = task.X[rows, plain.columns]
        coded = plain.encode(own)
        limits = plain.limits(own, coded)
        end = np.where(gain > 0, limits[3], limits[2])
        most = np.abs(end - coded)
        distance, feasible[rows] = balance(np.abs(gain), weight, most, need[rows])
        values = np.where(distance >= most, end, coded + np.sign(gain) * distance)
        moves = (values != coded) & (distance > 0)
        raw = plain.raw_values(values, limits[2:], limits[:2])
        points[rows, plain.columns] = np.where(moves, raw, own)
        changed[rows] = moves
        written = plain.encode(points[rows, plain.columns])
        admissible[rows] = _inside(written, coded, *limits[2:]).all(axis=1)
        cost[rows] = _norm(weight * np.where(moves, values - coded, 0.0))
        bound[rows] = _norm(weight * distance)
    return _Moved(points, changed, feasible, admissible, cost, bound)


def _norm(parts: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", parts, parts))
