"""What is asked, and of whom: tasks, problems, what a method is, and what it can require.

For developers of methods. A method that searches takes a :class:`RecourseProblem` and returns
:class:`States`; one for linear models takes a :class:`LinearProblem` and returns an
:class:`ExactAnswer`. Problems are tensors, and loaded on first use; a task is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.solvers.problems._effort import Effort, Starts
from skcfq.solvers.problems._knapsack import fractional_knapsack, quadratic_knapsack
from skcfq.solvers.problems._method import Method, Shortcut
from skcfq.solvers.problems._requirements import (
    convex_rules,
    differentiable,
    euclidean_cost,
    few_continuous,
    finite,
    finite_or_smooth,
    gridded,
    l1_cost,
    linear,
    no_downstream_errors,
    one_model,
    rules_given,
    separable_cost,
    two_classes,
)
from skcfq.solvers.problems._solution import Solution
from skcfq.solvers.problems._task import FAR, Task
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.solvers.problems._anchors import Anchors, anchor_far_people
    from skcfq.solvers.problems._box_knapsack import cheapest_in_box
    from skcfq.solvers.problems._draws import Draws
    from skcfq.solvers.problems._linear_problem import (
        ExactAnswer,
        LinearProblem,
        all_of,
        linear_problem,
    )
    from skcfq.solvers.problems._posing import favorable_examples, pose, region_for
    from skcfq.solvers.problems._problem import RecourseProblem
    from skcfq.solvers.problems._states import States, best_per_person

__all__ = [
    "FAR",
    "Anchors",
    "Draws",
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
    "anchor_far_people",
    "best_per_person",
    "cheapest_in_box",
    "convex_rules",
    "differentiable",
    "euclidean_cost",
    "favorable_examples",
    "few_continuous",
    "finite",
    "finite_or_smooth",
    "fractional_knapsack",
    "gridded",
    "l1_cost",
    "linear",
    "linear_problem",
    "no_downstream_errors",
    "one_model",
    "pose",
    "quadratic_knapsack",
    "region_for",
    "rules_given",
    "separable_cost",
    "two_classes",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "Anchors": "_anchors",
        "Draws": "_draws",
        "ExactAnswer": "_linear_problem",
        "LinearProblem": "_linear_problem",
        "RecourseProblem": "_problem",
        "States": "_states",
        "all_of": "_linear_problem",
        "anchor_far_people": "_anchors",
        "best_per_person": "_states",
        "cheapest_in_box": "_box_knapsack",
        "favorable_examples": "_posing",
        "linear_problem": "_linear_problem",
        "pose": "_posing",
        "region_for": "_posing",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
