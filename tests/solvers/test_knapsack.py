"""The closed solutions of the linearized problem, against general-purpose solvers."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from skcfq.solvers.problems._knapsack_torch import cheapest_l1, cheapest_l2


def draw_problem(seed: int, m: int) -> tuple[torch.Tensor, ...]:
    rng = np.random.RandomState(seed)
    own = rng.randn(m)
    lower = own - rng.rand(m) * rng.choice([0, 2], m) + rng.choice([0.0, 0.5], m)
    upper = lower + rng.rand(m) * 3
    gain = rng.randn(m) * rng.choice([0, 1], m, p=[0.2, 0.8])
    weights = 0.2 + rng.rand(m)
    nearest = np.clip(own, lower, upper)
    reach = np.maximum(gain * (np.where(gain >= 0, upper, lower) - nearest), 0).sum()
    need = np.array([rng.uniform(-0.2, 1.0) * reach])
    return tuple(
        torch.from_numpy(np.atleast_1d(part)) for part in (own, lower, upper, gain, weights, need)
    )


def solve(function, own, lower, upper, gain, weights, need):
    rows = [part.unsqueeze(0) for part in (own, lower, upper, gain)]
    return function(*rows, weights, need)[0].numpy()


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 6))
def test_l1_is_the_optimum_of_the_linear_program(seed, m):
    problem = draw_problem(seed, m)
    own, lower, upper, gain, weights, need = (part.numpy() for part in problem)
    v = solve(cheapest_l1, *problem)
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


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 5))
def test_l2_is_the_optimum_of_the_quadratic_program(seed, m):
    problem = draw_problem(seed, m)
    own, lower, upper, gain, weights, need = (part.numpy() for part in problem)
    v = solve(cheapest_l2, *problem)
    nearest = np.clip(own, lower, upper)
    assert gain @ (v - nearest) >= need[0] - 1e-7
    u = cp.Variable(m)
    exact = cp.Problem(
        cp.Minimize(cp.sum_squares(cp.multiply(weights, u - own))),
        [u >= lower, u <= upper, gain @ (u - nearest) >= need[0]],
    )
    exact.solve(solver=cp.CLARABEL)
    mine = np.sum((weights * (v - own)) ** 2)
    assert mine == pytest.approx(exact.value, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("function", [cheapest_l1, cheapest_l2])
def test_a_need_out_of_reach_gives_the_point_of_largest_gain(function):
    own, ones = torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)
    gain = torch.tensor([[2.0, -1.0]], dtype=torch.float64)
    need = torch.tensor([100.0], dtype=torch.float64)
    v = function(own, -ones, ones, gain, ones[0], need)
    torch.testing.assert_close(v, torch.tensor([[1.0, -1.0]], dtype=torch.float64))
