"""Rows that contradict what an action set says of the table: nothing is proved about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skcfq.exceptions import ContradictingRowsWarning
from skcfq.utils import warn_user

if TYPE_CHECKING:
    from skcfq.solvers.problems import Solution, Task

_NAMED = 10
# What is left of a proof about a row that the rules do not describe.
_UNPROVED = {"optimal": "feasible", "infeasible": "not_found"}


def without_false_proofs(
    task: Task, denied: np.ndarray, solutions: Sequence[Solution]
) -> list[Solution]:
    """Take back what was proved about refused rows that contradict the action set, and name them.

    Parameters
    ----------
    task : Task
        All n rows.
    denied : ndarray of int
        Positions of the refused ones.
    solutions : sequence of Solution
        Of all n rows, best first.
    """
    wrong = np.zeros(len(task), dtype=bool)
    labels = task.X.index if isinstance(task.X, pd.DataFrame) else pd.RangeIndex(len(task))
    for name, rows in task.actions.unreadable(task.X).items():
        rows = denied[rows[denied]]
        if len(rows) == 0:
            continue
        wrong[rows] = True
        named = ", ".join(map(repr, labels[rows[:_NAMED]].tolist()))
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        warn_user(
            f"{len(rows)} of {len(denied)} refused rows contradict the action set: not exactly one "
            f"column of the one_hot group {name!r} is 1 in {named}{more}. Nothing is proved about "
            "them: 'not_found' and 'feasible' are the most that they are called. Mend the rows, or "
            "the group; ActionSet.validate lists them.",
            ContradictingRowsWarning,
        )
    return [_taken_back(solution, wrong) for solution in solutions] if wrong.any() else [*solutions]


def _taken_back(solution: Solution, wrong: np.ndarray) -> Solution:
    status, bound = solution.status.copy(), solution.bound.copy()
    for proved, left in _UNPROVED.items():
        status[wrong & (status == proved)] = left
    bound[wrong] = 0.0
    return replace(solution, status=status, bound=bound)
