"""Solvers: the cheapest admissible action that makes a model say the target."""

from skcfq.solvers._solver import RecourseSolver
from skcfq.solvers.problems import Method

__all__ = ["Method", "RecourseSolver"]
