"""Advice that keeps a distance from where decisions change.

The cheapest point lies on the boundary of the target region: for quantized inputs, on a rounding
threshold. A margin of the logits does not help there, because they jump. So numeric features that
were changed go a little further in the same direction, and the point must be valid under jitter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skcfq.solvers.problems import States

if TYPE_CHECKING:
    from skcfq.solvers.problems import RecourseProblem

# Multiples of the perturbation radius that are gone further, the cheapest first.
_MULTIPLES = (1.01, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


def stabilize(problem: RecourseProblem, states: States) -> tuple[States, Tensor]:
    """Move valid points until they are valid under jitter.

    Parameters
    ----------
    problem : RecourseProblem
        With a ``perturbation_radius``.
    states : States
        N points, at most one a person.

    Returns
    -------
    states : States
        The N points, moved where that was needed.
    stable : Tensor of shape (N,), bool
        Valid under the jitter of the problem.
    """
    stable = _is_stable(problem, states)
    direction = torch.sign(states.values - problem.values[states.person])
    for multiple in _MULTIPLES:
        rows = torch.nonzero(~stable).flatten()
        if len(rows) == 0:
            break
        person = states.person[rows]
        further = states.values[rows] + direction[rows] * multiple * problem.radii
        moved = problem.states(person, problem.snap(person, further), states.levels[rows])
        good = _is_stable(problem, moved)
        states = states.replace(rows[good], moved.take(good))
        stable[rows[good]] = True
    return states, stable


def _is_stable(problem: RecourseProblem, states: States) -> Tensor:
    points = problem.assemble(states.person, states.values, states.levels)
    with torch.no_grad():
        return states.valid & (problem.worst_slack(points, states.person) >= 0)
