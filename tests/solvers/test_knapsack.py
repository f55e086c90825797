"""The continuous knapsack, against general-purpose solvers and the conditions of optimality."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from skcfq.solvers.problems import cheapest_in_box, fractional_knapsack, quadratic_knapsack

SEEDS = st.integers(0, 10**6)


def draw_knapsacks(seed: int, *, shared: bool, finite: bool = False):
    """Return slopes, weights, ends and needs of some people, with everything that can go wrong."""
    rng = np.random.RandomState(seed)
    n, m = rng.randint(1, 6), rng.randint(1, 7)
    # Few distinct values, so that features tie; some gain nothing.
    slope = rng.choice([0.0, 0.5, 1.0, 3.0], m if shared else (n, m))
    weight = rng.choice([0.5, 1.0, 2.0], m)
    most = rng.choice([0.0, 0.3, 1.0, 5.0, 5.0 if finite else np.inf], (n, m))
    gain = np.where(slope > 0, slope * np.minimum(most, 10.0), 0.0)
    # From nothing needed to more than there is, and exactly all that there is.
    need = rng.choice([-0.5, 0.0, 0.3, 0.7, 1.0, 1.3], n) * gain.sum(axis=1)
    need[rng.rand(n) < 0.2] = 1e-12
    return slope, weight, most, need


def check_feasible(slope, most, need, distance, feasible, least=0.0):
    gain = np.where(slope > 0, slope * np.where(slope > 0, most, 0.0), 0.0).sum(axis=1)
    assert ((feasible == (gain >= need)) | np.isclose(gain, need)).all()
    assert (distance >= least).all()
    assert (distance <= most).all()
    assert not np.isnan(distance).any()
    reached = (slope * distance).sum(axis=1)
    assert (reached[feasible] >= need[feasible] - 1e-9).all()
    assert np.array_equal(distance[~feasible], np.broadcast_to(least, most.shape)[~feasible])


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, shared=st.booleans())
def test_the_fractional_knapsack_is_the_optimum_of_the_linear_program(seed, shared):
    slope, weight, most, need = draw_knapsacks(seed, shared=shared)
    distance, feasible = fractional_knapsack(slope, weight, most, need)
    check_feasible(slope, most, need, distance, feasible)
    rows = np.broadcast_to(slope, most.shape)
    for i in np.flatnonzero(feasible):
        ends = [(0, None if np.isinf(end) else end) for end in most[i]]
        exact = linprog(weight, A_ub=-rows[i : i + 1], b_ub=[-need[i] + 1e-12], bounds=ends)
        assert exact.success
        assert weight @ distance[i] == pytest.approx(exact.fun, rel=1e-7, abs=1e-7)


@settings(max_examples=300, deadline=None)
@given(seed=SEEDS, shared=st.booleans(), lower_ends=st.booleans())
def test_the_quadratic_knapsack_meets_the_conditions_of_optimality(seed, shared, lower_ends):
    slope, weight, most, need = draw_knapsacks(seed, shared=shared)
    least = None
    if lower_ends:
        rng = np.random.RandomState(seed)
        least = np.minimum(most, rng.choice([0.0, 0.2, 2.0], most.shape))
    distance, feasible = quadratic_knapsack(slope, weight, most, need, least)
    low = np.zeros_like(most) if least is None else least
    check_feasible(slope, most, need, distance, feasible, low)
    rows = np.broadcast_to(slope, most.shape)
    for i in np.flatnonzero(feasible):
        # With one price of the need, each feature between its ends balances cost and gain, one at
        # its lower end is too dear, and one at its upper end would go on.
        gains = rows[i] > 0
        t, s, w = distance[i][gains], rows[i][gains], weight[gains]
        price = 2 * w**2 * t / s
        inside = (t > low[i][gains] + 1e-12) & (t < most[i][gains] - 1e-12)
        dearest = price[(t > low[i][gains] + 1e-12)].max(initial=0.0)
        cheapest = price[t < most[i][gains] - 1e-12].min(initial=np.inf)
        assert dearest <= cheapest * (1 + 1e-7) + 1e-9
        assert np.array_equal(distance[i][~gains], low[i][~gains])
        if inside.any() or dearest > 0:
            # Nobody pays for more than is needed.
            assert (rows[i] * distance[i]).sum() == pytest.approx(need[i], rel=1e-9, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_the_quadratic_knapsack_is_the_optimum_of_the_quadratic_program(seed):
    slope, weight, most, need = draw_knapsacks(seed, shared=False, finite=True)
    distance, feasible = quadratic_knapsack(slope, weight, most, need)
    for i in np.flatnonzero(feasible):
        t = cp.Variable(len(weight))
        cost = cp.sum_squares(cp.multiply(weight, t))
        exact = cp.Problem(
            cp.Minimize(cost), [t >= 0, t <= most[i], slope[i] @ t >= need[i] - 1e-9]
        )
        exact.solve(solver=cp.CLARABEL)
        mine = np.sum((weight * distance[i]) ** 2)
        assert mine == pytest.approx(exact.value, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("knapsack", [fractional_knapsack, quadratic_knapsack])
def test_without_features_only_nothing_can_be_met(knapsack):
    distance, feasible = knapsack(np.empty(0), np.empty(0), np.empty((2, 0)), np.array([0.0, 1e-9]))
    assert distance.shape == (2, 0)
    assert feasible.tolist() == [True, False]


# The same with the own value anywhere, and gains of both signs


def draw_box(seed: int, m: int) -> tuple[torch.Tensor, ...]:
    rng = np.random.RandomState(seed)
    own = rng.randn(m)
    lower = own - rng.rand(m) * rng.choice([0, 2], m) + rng.choice([-3.0, 0.0, 0.5], m)
    upper = lower + rng.rand(m) * 3
    gain = rng.randn(m) * rng.choice([0, 1], m, p=[0.2, 0.8])
    weights = 0.2 + rng.rand(m)
    nearest = np.clip(own, lower, upper)
    reach = np.maximum(gain * (np.where(gain >= 0, upper, lower) - nearest), 0).sum()
    need = np.array([rng.uniform(-0.2, 1.0) * reach])
    return tuple(
        torch.from_numpy(np.atleast_1d(part)) for part in (own, lower, upper, gain, weights, need)
    )


def solve(norm, own, lower, upper, gain, weights, need):
    rows = [part.unsqueeze(0) for part in (own, lower, upper, gain)]
    return cheapest_in_box(*rows, weights, need, norm=norm)[0].numpy()


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, m=st.integers(1, 6))
def test_the_l1_box_is_the_optimum_of_the_linear_program(seed, m):
    problem = draw_box(seed, m)
    own, lower, upper, gain, weights, need = (part.numpy() for part in problem)
    v = solve("l1", *problem)
    nearest = np.clip(own, lower, upper)
    assert np.all(v >= lower - 1e-12)
    assert np.all(v <= upper + 1e-12)
    assert gain @ (v - nearest) >= need[0] - 1e-9
    # v = own + p - q with p, q >= 0, and Σ w(p + q) minimal.
    constraint = -np.concatenate([gain, -gain])[None, :]
    both = np.hstack([np.eye(m), -np.eye(m)])
    exact = linprog(
        np.concatenate([weights, weights]),
        A_ub=np.vstack([constraint, both, -both]),
        b_ub=np.concatenate([[-need[0] + gain @ (own - nearest)], upper - own, own - lower]),
    )
    assert exact.success
    assert weights @ np.abs(v - own) == pytest.approx(exact.fun, rel=1e-7, abs=1e-9)


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, m=st.integers(1, 5))
@example(seed=33296, m=5)
def test_the_l2_box_is_the_optimum_of_the_quadratic_program(seed, m):
    problem = draw_box(seed, m)
    own, lower, upper, gain, weights, need = (part.numpy() for part in problem)
    v = solve("l2", *problem)
    nearest = np.clip(own, lower, upper)
    assert np.all(v >= lower - 1e-12)
    assert np.all(v <= upper + 1e-12)
    assert gain @ (v - nearest) >= need[0] - 1e-9
    u = cp.Variable(m)
    exact = cp.Problem(
        cp.Minimize(cp.sum_squares(cp.multiply(weights, u - own))),
        [u >= lower, u <= upper, gain @ (u - nearest) >= need[0]],
    )
    exact.solve(solver=cp.CLARABEL)
    mine, value = np.sum((weights * (v - own)) ** 2), exact.value
    if exact.status != cp.OPTIMAL:
        # The oracle doubts itself: at least it must not have found anything cheaper.
        value = min(mine, value)
    assert mine == pytest.approx(value, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_a_need_out_of_reach_gives_the_point_of_largest_gain(norm):
    own, ones = torch.zeros(1, 3, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64)
    gain = torch.tensor([[2.0, -1.0, 0.0]], dtype=torch.float64)
    need = torch.tensor([100.0], dtype=torch.float64)
    v = cheapest_in_box(own, -ones, ones, gain, ones[0], need, norm=norm)
    torch.testing.assert_close(v, torch.tensor([[1.0, -1.0, 0.0]], dtype=torch.float64))
