"""Convex and mixed-integer programs as methods; cvxpy is loaded when the first one is solved."""

from __future__ import annotations

from functools import partial

from skcfq.solvers.problems import (
    Effort,
    ExactAnswer,
    LinearProblem,
    Method,
    convex_rules,
    differentiable,
    euclidean_cost,
    l1_cost,
    linear,
    no_downstream_errors,
)


def _solve(problem: LinearProblem, effort: Effort, *, integer: bool) -> ExactAnswer:
    # cvxpy takes a second to import, and most people never need it.
    from skcfq.solvers.exact._convex import solve_convex

    return solve_convex(problem, integer=integer, time_limit=effort.time_limit)


_LINEAR = (differentiable, linear, no_downstream_errors)

LP = Method(
    "lp",
    partial(_solve, integer=False),
    proves=True,
    requires=(*_LINEAR, l1_cost, convex_rules),
    linear=True,
    batch_size=256,
)
QP = Method(
    "qp",
    partial(_solve, integer=False),
    proves=True,
    requires=(*_LINEAR, euclidean_cost, convex_rules),
    linear=True,
    batch_size=256,
)
MILP = Method(
    "milp",
    partial(_solve, integer=True),
    proves=True,
    requires=_LINEAR,
    linear=True,
    batch_size=64,
)
