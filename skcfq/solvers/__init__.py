"""Solvers: the cheapest admissible action that makes a model say the target."""

from skcfq.solvers._pgd import projected_steps
from skcfq.solvers._result import STATUSES, RecourseResult
from skcfq.solvers._solver import RecourseSolver

__all__ = ["STATUSES", "RecourseResult", "RecourseSolver", "projected_steps"]
