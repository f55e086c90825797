"""What is asked, and of whom: tasks, problems, what a method is, and what it can require.

For developers of methods. A method that searches takes a :class:`RecourseProblem` and returns
:class:`States`; one for linear models takes a :class:`LinearProblem` and returns an
:class:`ExactAnswer`.
"""

from skcfq.solvers.problems._effort import Effort, Starts
from skcfq.solvers.problems._knapsack import (
    cheapest_in_box,
    fractional_knapsack,
    quadratic_knapsack,
)
from skcfq.solvers.problems._linear_problem import (
    ExactAnswer,
    LinearProblem,
    all_of,
    linear_problem,
)
from skcfq.solvers.problems._method import Method, Shortcut
from skcfq.solvers.problems._problem import RecourseProblem
from skcfq.solvers.problems._requirements import (
    convex_rules,
    differentiable,
    euclidean_cost,
    l1_cost,
    linear,
    no_downstream_errors,
    no_linking,
    one_model,
    separable_cost,
    two_classes,
)
from skcfq.solvers.problems._solution import Solution
from skcfq.solvers.problems._states import States, best_per_person
from skcfq.solvers.problems._task import Task

__all__ = [
    "Effort",
    "ExactAnswer",
    "LinearProblem",
    "Method",
    "RecourseProblem",
    "Shortcut",
    "Solution",
    "Starts",
    "States",
    "Task",
    "all_of",
    "best_per_person",
    "cheapest_in_box",
    "convex_rules",
    "differentiable",
    "euclidean_cost",
    "fractional_knapsack",
    "l1_cost",
    "linear",
    "linear_problem",
    "no_downstream_errors",
    "no_linking",
    "one_model",
    "quadratic_knapsack",
    "separable_cost",
    "two_classes",
]
