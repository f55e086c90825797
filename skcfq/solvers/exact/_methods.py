"""The exact methods: what each requires. Their code is loaded when the first problem is solved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from skcfq.solvers.exact._plain_tables import PLAIN_TABLES
from skcfq.solvers.problems import (
    Effort,
    Method,
    convex_rules,
    euclidean_cost,
    l1_cost,
    no_linking,
    one_model,
    separable_cost,
    two_classes,
)

if TYPE_CHECKING:
    from skcfq.solvers.problems import ExactAnswer, LinearProblem


def _exact(problem: LinearProblem, effort: Effort) -> ExactAnswer:
    # A table of plain numbers takes the shortcut, which needs no torch.
    from skcfq.solvers.exact._linear import solve_linear

    return solve_linear(problem, effort)


def _program(problem: LinearProblem, effort: Effort, *, integer: bool) -> ExactAnswer:
    # cvxpy takes a second to import, and most people never need it.
    from skcfq.solvers.exact._convex import solve_convex

    return solve_convex(problem, integer=integer, time_limit=effort.time_limit)


EXACT = Method(
    "exact",
    _exact,
    proves=True,
    requires=(two_classes, one_model, separable_cost, no_linking),
    linear=True,
    batch_size=4096,
    shortcut=PLAIN_TABLES,
)
LP = Method(
    "lp",
    partial(_program, integer=False),
    proves=True,
    requires=(l1_cost, convex_rules),
    linear=True,
    batch_size=256,
)
QP = Method(
    "qp",
    partial(_program, integer=False),
    proves=True,
    requires=(euclidean_cost, convex_rules),
    linear=True,
    batch_size=256,
)
MILP = Method(
    "milp",
    partial(_program, integer=True),
    proves=True,
    linear=True,
    batch_size=64,
)
