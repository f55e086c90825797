"""Solvers: the cheapest admissible action that makes a model say the target.

Public: :class:`RecourseSolver`, and what a method of one's own is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.solvers._solver import RecourseSolver
from skcfq.solvers.problems import Effort, Method, Starts, differentiable
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.solvers.problems import ExactAnswer, RecourseProblem, States

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

__getattr__ = lazy_attributes(
    __name__, {"ExactAnswer": "problems", "RecourseProblem": "problems", "States": "problems"}
)


def __dir__() -> list[str]:
    return sorted(__all__)
