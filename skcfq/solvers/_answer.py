"""Collect what the chunks answer into one answer for all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.utils import as_slice

if TYPE_CHECKING:
    from skcfq.results import RecourseResult
    from skcfq.solvers._outcome import Outcome
    from skcfq.solvers._task import Task


class Answer:
    """What is known so far about every row; unsolved rows stay as they are.

    Parameters
    ----------
    task : Task
        All n rows.
    denied : ndarray of int
        Positions of the rows that the model refuses.
    margin : ndarray of shape (n,)
        Target margin of the own rows.
    """

    def __init__(self, task: Task, denied: np.ndarray, margin: np.ndarray):
        n = len(task)
        self.margin = margin
        self.status = np.full(n, "already_favorable", dtype="<U17")
        # Rows that were not yet looked at, should the work be interrupted.
        self.status[denied] = "time_limit"
        self.cost = np.zeros(n)
        self.cost[denied] = np.nan
        self.bound = np.zeros(n)
        self.changed = np.zeros((n, task.actions.n_features), dtype=bool)
        self._points = _RawRows(task.X)

    @classmethod
    def of(cls, task: Task, result: RecourseResult) -> Answer:
        """Return a copy of the answers of a result."""
        answer = cls(task, np.flatnonzero(result.denied), result.margin.copy())
        answer.status, answer.cost = result.status.copy(), result.cost.copy()
        answer.bound, answer.changed = result.lower_bound.copy(), result.changed.copy()
        answer._points = _RawRows(result.points)
        return answer

    @property
    def found(self) -> np.ndarray:
        """Rows that have the target or an action for it, shape (n,), bool."""
        return ~np.isnan(self.cost)

    def write(self, rows: np.ndarray, outcome: Outcome) -> None:
        """Store the answers of the people at some positions."""
        place = as_slice(rows)
        self.status[place] = outcome.status
        self.cost[place] = outcome.cost
        self.bound[place] = outcome.bound
        self.changed[place] = outcome.changed
        if not outcome.found.all():
            rows = rows[outcome.found]
            outcome = outcome.take(np.flatnonzero(outcome.found))
        self.margin[rows] = outcome.margin
        self._points.write(rows, outcome.points)

    def points(self) -> Any:
        """Return all raw rows after their action."""
        return self._points.table()


class _RawRows:
    """A copy of a table in which rows are replaced; dtypes are kept where they can be."""

    def __init__(self, X: Any):
        self.X = X
        self.parts: list[Any] = []
        self.rows: list[np.ndarray] = []
        # A float table takes every value: it is written at once, and no chunk is kept.
        self.is_float = isinstance(X, np.ndarray) and X.dtype == np.float64
        self.copy: Any = None
        self.kept = np.ones(len(X), dtype=bool)

    def write(self, rows: np.ndarray, part: Any) -> None:
        if len(rows) == 0:
            return
        if self.is_float:
            if self.copy is None and len(rows) == len(self.X) and rows[0] == 0:
                # Chunks have rising rows: this one is the whole table.
                self.copy = part
            elif self.copy is None:
                self.copy = np.empty_like(self.X)
            if self.copy is not part:
                self.copy[as_slice(rows)] = part
            self.kept[rows] = False
        else:
            self.rows.append(rows)
            self.parts.append(part)

    def table(self) -> Any:
        if self.copy is not None:
            if self.kept.any():
                self.copy[self.kept] = self.X[self.kept]
            return self.copy
        if not self.rows:
            return self.X.copy()
        # Where a row was written twice, the last one counts.
        source = np.arange(len(self.X))
        source[np.concatenate(self.rows)] = len(self.X) + np.arange(sum(map(len, self.rows)))
        if isinstance(self.X, pd.DataFrame):
            table = pd.concat([self.X, *self.parts]).iloc[source]
            table.index = self.X.index
            return table
        return np.concatenate([self.X, *self.parts])[source]
