"""What is asked of a method: one batch of people as a problem, general or linear."""

from skcfq.solvers.problems._knapsack import balance
from skcfq.solvers.problems._knapsack_torch import cheapest_l1, cheapest_l2
from skcfq.solvers.problems._linear_problem import (
    ExactAnswer,
    LinearProblem,
    all_of,
    linear_problem,
)
from skcfq.solvers.problems._problem import RecourseProblem, States, best_per_person

__all__ = [
    "ExactAnswer",
    "LinearProblem",
    "RecourseProblem",
    "States",
    "all_of",
    "balance",
    "best_per_person",
    "cheapest_l1",
    "cheapest_l2",
    "linear_problem",
]
