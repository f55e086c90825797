"""How a task is put on tensors: what its people may change, and their problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from skcfq.actions import region_of
from skcfq.solvers.problems._problem import RecourseProblem
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.solvers.problems._task import Task


def region_for(task: Task) -> ActionRegion:
    """Return what the people may change."""
    if not task.overrides:
        return region_of(task.actions, task.X, encoded=task.encoded)
    labels = (
        dict(enumerate(task.X.index))
        if isinstance(task.X, pd.DataFrame)
        else {row: row for row in task.overrides}
    )
    overrides = {labels[row]: rules for row, rules in task.overrides.items()}
    return region_of(task.actions, task.X, overrides, encoded=task.encoded)


def favorable_examples(task: Task) -> Tensor | None:
    """Return encoded people of the population who have the target that all want, if it is one."""
    target = task.one_target
    if task.examples is None or target is None:
        return None
    decided = task.predictor.predict(task.examples) == task.predictor.classes[target]
    rows = take_rows(task.examples, np.flatnonzero(decided))
    return torch.from_numpy(task.predictor.space.encode(rows)) if len(rows) else None


def pose(
    task: Task,
    region: ActionRegion,
    more_margin: Tensor | float = 0.0,
    *,
    gradients: bool = True,
    steady: bool = False,
) -> RecourseProblem:
    """Return the problem of people in a region, each with some more margin than asked for."""
    return RecourseProblem(
        task.predictor,
        region,
        task.cost,
        torch.from_numpy(task.target),
        torch.from_numpy(task.first_margin) + more_margin,
        task.variants,
        gradients,
        task.perturbation_radius,
        steady,
    )
