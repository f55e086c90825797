"""The exact methods: what each requires. Their code is loaded when the first problem is solved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from skcfq.solvers.exact._plain_tables import PLAIN_TABLES
from skcfq.solvers.problems import (
    Effort,
    Method,
    convex_rules,
    differentiable,
    euclidean_cost,
    finite,
    finite_or_smooth,
    l1_cost,
    one_model,
    separable_cost,
    two_classes,
)

if TYPE_CHECKING:
    from skcfq.solvers.problems import ExactAnswer, LinearProblem, RecourseProblem, Starts, Task


def _exact(problem: LinearProblem, effort: Effort) -> ExactAnswer:
    # A table of plain numbers takes the shortcut, which needs no torch.
    from skcfq.solvers.exact._across_rules import solve_across_rules
    from skcfq.solvers.exact._linear import solve_linear

    solve = solve_linear if problem.region.linking is None else solve_across_rules
    return solve(problem, effort)


def _program(problem: LinearProblem, effort: Effort, *, integer: bool) -> ExactAnswer:
    # cvxpy takes a second to import, and most people never need it.
    from skcfq.solvers.exact._convex import solve_convex

    return solve_convex(problem, integer=integer, time_limit=effort.time_limit)


def _exact_on_networks(problem: RecourseProblem, effort: Effort, starts: Starts) -> ExactAnswer:
    from skcfq.solvers.exact._networks import solve_networks

    return solve_networks(problem, effort, starts.points)


def networks(task: Task) -> str | None:
    """Require networks of linear layers with rectifiers between them, or of integers."""
    from skcfq.proofs import network_of

    for model in task.models:
        if network_of(model) is None:
            return (
                f"{model.name} is no network of linear layers and rectifiers, nor one of integers. "
                "Use method='gradient'."
            )
    return None


def _exact_on_trees(problem: RecourseProblem, effort: Effort, starts: Starts) -> ExactAnswer:
    from skcfq.solvers.exact._trees import solve_trees

    return solve_trees(problem, effort, starts.points)


def trees(task: Task) -> str | None:
    """Require ensembles of trees, each of which can be read."""
    for model in task.models:
        if model.trees is None:
            return f"{model.name} is no ensemble of trees that can be read. Use method='black_box'."
    return None


EXACT_ON_NETWORKS = Method(
    "exact",
    _exact_on_networks,
    proves=True,
    requires=(differentiable, networks, finite_or_smooth),
    batch_size=256,
)
EXACT_ON_TREES = Method(
    "exact", _exact_on_trees, proves=True, requires=(trees, finite), batch_size=128
)
EXACT = Method(
    "exact",
    _exact,
    proves=True,
    requires=(two_classes, one_model, separable_cost),
    linear=True,
    batch_size=4096,
    shortcut=PLAIN_TABLES,
    nonlinear=(EXACT_ON_NETWORKS, EXACT_ON_TREES),
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
