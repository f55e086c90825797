"""General-purpose solvers of scipy, and brute force, on problems of linear models written anew."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from sklearn.linear_model import LogisticRegression

# The way through raw units rounds: what fits up to this much fits.
ROUNDING = 1e-9


def linear_model(coef: np.ndarray, intercept: np.ndarray) -> LogisticRegression:
    """Return a fitted linear classifier with given weights, two classes for one row of them."""
    model = LogisticRegression()
    model.coef_ = np.atleast_2d(coef)
    model.intercept_ = np.atleast_1d(intercept)
    model.classes_ = np.arange(max(2, len(model.coef_)))
    model.n_features_in_ = model.coef_.shape[1]
    return model


def rivals_of(model: LogisticRegression, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (R, d) and intercepts (R,) of the margins of the target."""
    coef, intercept = model.coef_, model.intercept_
    if len(coef) == 1:
        sign = 1 if target == 1 else -1
        return sign * coef, sign * intercept
    others = [k for k in range(len(coef)) if k != target]
    return coef[target] - coef[others], intercept[target] - intercept[others]


def linear_program(
    own: np.ndarray, low: np.ndarray, high: np.ndarray, weights: np.ndarray, A: np.ndarray, b
) -> float:
    """Minimize Σ w|v - own| in a box under A v >= b; infinite where there is no solution."""
    A = np.atleast_2d(A)
    answer = linprog(
        np.concatenate([weights, weights]),
        A_ub=-np.hstack([A, -A]),
        b_ub=A @ own - np.atleast_1d(b),
        bounds=np.column_stack([np.zeros(2 * len(own)), np.concatenate([high - own, own - low])]),
        method="highs",
    )
    assert answer.status in (0, 2), answer.message
    return float(answer.fun) if answer.status == 0 else math.inf


def least_squares_costs(
    own: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    weights: np.ndarray,
    gain: np.ndarray,
    need: np.ndarray,
) -> np.ndarray:
    """Minimize ‖w (v - own)‖ in boxes (n, m) under gain·(v - own) >= need, by bisection.

    At the optimum each distance is λ gain / w², cut off at its end.
    """
    most = np.where(gain > 0, high - own, own - low)
    rate = np.abs(gain)
    reach = (most * rate).sum(axis=1)
    upper = np.full(len(own), 1.0)
    while (((upper[:, None] * rate / weights**2 < most) & (rate > 0)).any(axis=1)).any():
        upper *= 2
    lower = np.zeros(len(own))
    for _ in range(200):
        middle = (lower + upper) / 2
        distance = np.minimum(middle[:, None] * rate / weights**2, most)
        met = (distance * rate).sum(axis=1) >= need
        upper, lower = np.where(met, middle, upper), np.where(met, lower, middle)
    distance = np.minimum(upper[:, None] * rate / weights**2, most)
    return np.where(reach >= need, np.linalg.norm(weights * distance, axis=1), np.inf)


def enumerate_options(
    features: list[list[tuple[float, float]]],
    need: float,
    *,
    limit: int | None,
    norm: str,
    number: tuple[float, float, float, float] | None = None,
) -> float:
    """Try every combination of one option a feature: (contribution, gain), staying included.

    A last ``number`` that is on no grid, as (weight, slope, least, most) in the direction that
    gains, makes up for what is missing.
    """
    cost, gain, changes = np.zeros(1), np.zeros(1), np.zeros(1, dtype=int)
    for options in features:
        parts = np.array([(0.0, 0.0), *options])
        added = parts[:, 0] ** 2 if norm == "l2" else parts[:, 0]
        cost = (cost[:, None] + added).ravel()
        gain = (gain[:, None] + parts[:, 1]).ravel()
        changes = (changes[:, None] + (np.arange(len(parts)) > 0)).ravel()
        if limit is not None:
            kept = changes <= limit
            cost, gain, changes = cost[kept], gain[kept], changes[kept]
    valid = gain >= need
    if number is not None:
        weight, slope, least, most = number
        distance = np.maximum((need - gain) / slope, least)
        moves = ~valid & (distance <= most)
        moves &= changes < (len(features) + 1 if limit is None else limit)
        contribution = weight * distance
        cost = np.where(moves, cost + (contribution**2 if norm == "l2" else contribution), cost)
        valid |= moves
    best = float(cost[valid].min(initial=math.inf))
    return math.sqrt(best) if norm == "l2" else best


def integer_program(
    numbers: list[dict],
    categories: list[list[tuple[float, np.ndarray]]],
    need: np.ndarray,
    *,
    limit: int | None,
    rows: list[tuple[np.ndarray, float]] = (),
) -> float:
    """Minimize the cost of numbers, on grids or not, and of categories, by scipy's milp.

    Parameters
    ----------
    numbers : list of dict
        Each with ``own``, ``values`` (low, high) or an array of admissible ones, ``weight``,
        ``gain`` of shape (R,) per unit and ``least``, the smallest change.
    categories : list of lists of (cost, gain of shape (R,))
        Options besides staying.
    need : ndarray of shape (R,)
    limit : int or None
        Features that may change.
    rows : list of (ndarray, float)
        Further rules a·v <= b on the numbers.
    """
    cost, upper, whole, gains = [], [], [], []
    changed, moves, groups = [], [[] for _ in numbers], []
    extra_rows: list[tuple[dict[int, float], float, float]] = []

    def variable(price: float, most: float, integral: bool, gain: np.ndarray) -> int:
        cost.append(price)
        upper.append(most)
        whole.append(int(integral))
        gains.append(gain)
        return len(cost) - 1

    nothing = np.zeros(len(need))
    for j, number in enumerate(numbers):
        own, weight, gain = number["own"], number["weight"], np.asarray(number["gain"])
        if isinstance(number["values"], tuple):
            low, high = number["values"]
            sides = []
            for sign, most in ((1, high - own), (-1, own - low)):
                if most <= 0 or most < number["least"] - ROUNDING:
                    continue
                amount = variable(weight, most, False, sign * gain)
                side = variable(0.0, 1, True, nothing)
                extra_rows.append(({amount: 1.0, side: -most}, -np.inf, 0.0))
                least = min(number["least"], most)
                extra_rows.append(({amount: 1.0, side: -least}, 0.0, np.inf))
                moves[j].append((amount, sign))
                sides.append(side)
        else:
            sides = []
            for value in number["values"]:
                if value != own and abs(value - own) >= number["least"] - ROUNDING:
                    step = value - own
                    sides.append(variable(weight * abs(step), 1, True, gain * step))
                    moves[j].append((sides[-1], step))
        groups.append(sides)
        changed += sides
    for options in categories:
        group = [variable(price, 1, True, np.asarray(gain)) for price, gain in options]
        groups.append(group)
        changed += group
    if not cost:
        return 0.0 if (need <= 0).all() else math.inf
    for sides in groups:
        extra_rows.append((dict.fromkeys(sides, 1.0), -np.inf, 1.0))
    if limit is not None:
        extra_rows.append((dict.fromkeys(changed, 1.0), -np.inf, float(limit)))
    for a, b in rows:
        at_own = sum(a[j] * number["own"] for j, number in enumerate(numbers))
        row = {v: a[j] * unit for j in range(len(numbers)) for v, unit in moves[j]}
        # Who breaks a rule already must not make it worse.
        extra_rows.append((row, -np.inf, max(b - at_own, 0.0)))
    A = np.zeros((len(extra_rows) + len(need), len(cost)))
    low = np.array([row[1] for row in extra_rows] + list(need))
    high = np.array([row[2] for row in extra_rows] + [np.inf] * len(need))
    for r, (row, _, _) in enumerate(extra_rows):
        for v, factor in row.items():
            A[r, v] = factor
    A[len(extra_rows) :] = np.array(gains).T
    answer = milp(
        cost,
        constraints=LinearConstraint(A, low, high),
        bounds=Bounds(np.zeros(len(cost)), np.array(upper)),
        integrality=np.array(whole),
        options={"mip_rel_gap": 1e-10},
    )
    assert answer.status in (0, 2), answer.message
    return float(answer.fun) if answer.status == 0 else math.inf


def sign_vectors(d: int) -> np.ndarray:
    """Return all corners of the box [-1, 1]^d, shape (2^d, d)."""
    return np.array(list(itertools.product([-1.0, 1.0], repeat=d)))


def disagreements(status: np.ndarray, cost: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the people whose status or cost differs from the oracle's, beyond 1e-6."""
    reachable = np.isfinite(expected)
    right = np.where(
        reachable,
        (status == "optimal") & np.isclose(cost, expected, rtol=1e-6, atol=1e-12),
        status == "infeasible",
    )
    return np.flatnonzero(~right)
