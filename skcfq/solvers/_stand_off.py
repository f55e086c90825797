"""Advice that keeps a distance from where decisions change.

The cheapest point lies on the boundary of the target region: for quantized inputs, on a rounding
threshold. A margin of the logits does not help there, because they jump. So numeric features that
were changed go a little further in the same direction, and the point must be valid under jitter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skcfq.solvers._problem import States

if TYPE_CHECKING:
    from skcfq.solvers._problem import RecourseProblem

# Multiples of the stand-off that are gone further, the cheapest first.
_MULTIPLES = (1.01, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_N_JITTERS = 24


def stand_off(problem: RecourseProblem, states: States, size: float) -> tuple[States, Tensor]:
    """Move valid points until they are valid under jitter.

    Parameters
    ----------
    problem : RecourseProblem
    states : States
        N points, at most one a person.
    size : float
        Jitter of each numeric feature, in units of its spread.

    Returns
    -------
    states : States
        The N points, moved where that was needed.
    stable : Tensor of shape (N,), bool
        Heuristic: valid under random jitters at the corners of the box.
    """
    spreads = _spreads(problem)
    stable = _is_stable(problem, states, size * spreads)
    direction = torch.sign(states.values - problem.values[states.person])
    for multiple in _MULTIPLES:
        rows = torch.nonzero(~stable).flatten()
        if len(rows) == 0:
            break
        person = states.person[rows]
        further = states.values[rows] + direction[rows] * multiple * size * spreads
        moved = problem.states(person, problem.snap(person, further), states.levels[rows])
        good = _is_stable(problem, moved, size * spreads)
        states = states.replace(rows[good], moved.take(good))
        stable[rows[good]] = True
    return states, stable


def _is_stable(problem: RecourseProblem, states: States, radii: Tensor) -> Tensor:
    points = problem.assemble(states.person, states.values, states.levels)
    columns = problem.numeric_columns
    generator = torch.Generator().manual_seed(0)
    stable = states.valid.clone()
    with torch.no_grad():
        for _ in range(_N_JITTERS):
            signs = torch.randint(0, 2, (len(states), len(columns)), generator=generator) * 2 - 1
            jittered = points.clone()
            jittered[:, columns] += signs * radii
            stable &= problem.jittered_slack(jittered, states.person) >= 0
    return stable


def _spreads(problem: RecourseProblem) -> Tensor:
    """Return the spread of each numeric feature in encoded units; 1 where there is none."""
    space = problem.predictor.space
    spreads = torch.ones(len(problem.numeric_columns), dtype=torch.float64)
    by_column = {
        int(block.columns[0]): block.statistics.encoded_std
        for block in space.blocks
        if block.width == 1
    }
    for position, column in enumerate(problem.numeric_columns.tolist()):
        spread = by_column.get(column)
        if spread is not None and spread > 0:
            spreads[position] = spread
    return spreads
