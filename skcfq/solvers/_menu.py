"""One person, and every small set of features that may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from math import comb
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skcfq.results import RecourseMenu
from skcfq.solvers._running import solve_task
from skcfq.solvers.problems import Task
from skcfq.utils import Interval, check_parameters, take_rows

# Sets of levers that are asked about at most.
_MOST_SETS = 20_000


@check_parameters(max_levers=[Interval(Integral, 1, None, closed="left")])
def menu_of(parameters: Mapping[str, Any], task: Task, max_levers: int) -> RecourseMenu:
    """Solve one person for every set of at most so many features.

    Parameters
    ----------
    parameters : dict of name to value
        Those of the solver.
    task : Task
        Of one row.
    max_levers : int

    Returns
    -------
    menu : RecourseMenu

    Raises
    ------
    ValueError
        The task has other than one row, or there are too many sets.
    """
    if len(task) != 1:
        raise ValueError(
            f"X has {len(task)} rows, and a menu is for one person. Give one row, such as "
            "X.iloc[[0]] or X[:1]."
        )
    names = task.actions.feature_names
    size = min(max_levers, task.actions.max_changes or len(names), len(names))
    n_sets = sum(comb(len(names), k) for k in range(1, size + 1))
    if n_sets > _MOST_SETS:
        raise ValueError(
            f"max_levers={max_levers} makes {n_sets} sets of {len(names)} features. Give a smaller "
            "number, or an action set in which fewer features may change."
        )
    parameters = {**parameters, "n_alternatives": 1}
    levers = tuple(chosen for k in range(1, size + 1) for chosen in combinations(names, k))
    if not levers or task.predictor.classes[task.target[0]] == _decision(task):
        return RecourseMenu((), solve_task(parameters, task, []))
    return RecourseMenu(levers, solve_task(parameters, _with_levers(task, levers), []))


def _decision(task: Task) -> Any:
    assert task.decisions is not None
    return task.decisions[0]


def _with_levers(task: Task, levers: tuple[tuple, ...]) -> Task:
    """Return the task of the same person once for each set, with all other features held."""
    rows = np.zeros(len(levers), dtype=np.int64)
    own = dict((task.overrides or {}).get(0, {}))
    named = own.get("immutable")
    held = [] if named is None else list(named)
    overrides = {
        row: own
        | {"immutable": [*held, *(n for n in task.actions.feature_names if n not in chosen)]}
        for row, chosen in enumerate(levers)
    }
    people = take_rows(task.X, rows)
    if isinstance(people, pd.DataFrame):
        people = people.reset_index(drop=True)
    decisions = np.repeat(_decision(task), len(levers))
    return replace(task.take(rows), X=people, overrides=overrides, decisions=decisions)
