"""The methods that search: what each requires. Their code is loaded with the first search."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from skcfq.solvers.problems import Effort, Method, Starts, differentiable

if TYPE_CHECKING:
    from skcfq.solvers.problems import RecourseProblem, States


def _multistart(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    from skcfq.solvers.search._multistart import multistart_search
    from skcfq.solvers.search._wide import search_in_focus

    return search_in_focus(multistart_search, problem, effort, starts)


def _both_ways(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    from skcfq.solvers.search._multistart import search_both_ways
    from skcfq.solvers.search._wide import search_in_focus

    return search_in_focus(search_both_ways, problem, effort, starts)


def _black_box(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    from skcfq.solvers.search._black_box import black_box_search
    from skcfq.solvers.search._wide import search_in_focus

    return search_in_focus(black_box_search, problem, effort, starts)


def _literal(problem: RecourseProblem, effort: Effort, starts: Starts) -> States:
    from skcfq.solvers.search._pgd import literal_search

    return literal_search(problem, effort)


GRADIENT = Method("gradient", _multistart, requires=(differentiable,))
# What neither search finds dearer than the other; the price is the time of both.
BOTH_WAYS = replace(GRADIENT, solve=_both_ways)
BLACK_BOX = Method("black_box", _black_box, gradients=False)
PGD = Method("pgd", _literal, requires=(differentiable,), literal=True)
