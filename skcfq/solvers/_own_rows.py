"""What the model says about people as they are."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.solvers.problems import Task


def with_own_logits(task: Task) -> Task:
    """Return the task with the logits of the people's own rows, and few rows as they are encoded.

    Of a DataFrame, that takes long enough to do it once; many rows would fill the memory.
    """
    predictor, blocks = task.predictor, list(task.blocks())
    if len(blocks) == 1 and isinstance(task.X, pd.DataFrame) and predictor.differentiable:
        encoded = predictor.space.encode(task.X)
        return replace(task, logits=predictor.encoded_scores(encoded), encoded=encoded)
    logits = np.empty((len(task), len(predictor.classes)))
    for block in blocks:
        logits[block] = predictor.row_scores(take_rows(task.X, block))
    return replace(task, logits=logits)


def margin_of(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return what ``target_margin`` does, for arrays, shape (n,)."""
    person = np.arange(len(target))
    others = logits.copy()
    others[person, target] = -np.inf
    # Column by column: a maximum along short rows is ten times slower.
    return logits[person, target] - reduce(np.maximum, others.T)
