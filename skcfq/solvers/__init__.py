"""Solvers: the cheapest admissible action that makes a model say the target."""

from skcfq.solvers._solver import RecourseSolver

__all__ = ["RecourseSolver"]
