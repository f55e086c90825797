"""Solvers: the cheapest admissible action that makes a model say the target.

Public: :class:`RecourseSolver`, and what a method of one's own is made of.
"""

from skcfq.solvers._solver import RecourseSolver
from skcfq.solvers.problems import (
    Effort,
    ExactAnswer,
    Method,
    RecourseProblem,
    Starts,
    States,
    differentiable,
)

__all__ = [
    "Effort",
    "ExactAnswer",
    "Method",
    "RecourseProblem",
    "RecourseSolver",
    "Starts",
    "States",
    "differentiable",
]
