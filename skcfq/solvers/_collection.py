"""Collect what the chunks answer into one solution for all rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.solvers.problems import Solution
from skcfq.utils import as_slice, stack_rows, take_rows

if TYPE_CHECKING:
    from skcfq.results import RecourseResult
    from skcfq.solvers.problems import Task


class Collection:
    """What is known so far about every row; unsolved rows stay as they are.

    Parameters
    ----------
    solution : Solution
        Of all n rows; its arrays are written to, its points are not.
    """

    def __init__(self, solution: Solution) -> None:
        self._solution = solution
        self._points = _RawRows(solution.points)

    @classmethod
    def before(cls, task: Task, denied: np.ndarray, margin: np.ndarray) -> Collection:
        """Return what is known about a task before anybody was solved.

        Parameters
        ----------
        task : Task
            All n rows.
        denied : ndarray of int
            Positions of the rows that the model refuses.
        margin : ndarray of shape (n,)
            Target margin of the own rows.
        """
        solution = Solution.nothing(task.X, task.actions.n_features, "already_favorable")
        # Rows that were not yet looked at, should the work be interrupted.
        solution.status[denied] = "time_limit"
        cost = np.zeros(len(task))
        cost[denied] = np.nan
        return cls(replace(solution, cost=cost, margin=margin))

    @classmethod
    def of(cls, result: RecourseResult) -> Collection:
        """Return a copy of the answers of a result."""
        return cls(
            Solution(
                result.status.copy(),
                result.cost.copy(),
                result.lower_bound.copy(),
                result.margin.copy(),
                result.changed.copy(),
                result.points,
            )
        )

    @property
    def status(self) -> np.ndarray:
        """Status of every row so far, shape (n,)."""
        return self._solution.status

    def write(self, rows: np.ndarray, part: Solution) -> None:
        """Store the answers of the people at some positions."""
        place, whole = as_slice(rows), self._solution
        whole.status[place] = part.status
        whole.cost[place] = part.cost
        whole.bound[place] = part.bound
        whole.changed[place] = part.changed
        if not part.found.all():
            rows = rows[part.found]
            part = part.take(np.flatnonzero(part.found))
        whole.margin[rows] = part.margin
        self._points.write(rows, part.points)

    def solution(self) -> Solution:
        """Return all rows with what was written."""
        return replace(self._solution, points=self._points.table())


class _RawRows:
    """A copy of a table in which rows are replaced; dtypes are kept where they can be."""

    def __init__(self, X: Any) -> None:
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
        if len(self.rows) == 1 and _has_rows_of(self.parts[0], self.rows[0], self.X):
            return self.parts[0]
        # Where a row was written twice, the last one counts.
        source = np.arange(len(self.X))
        source[np.concatenate(self.rows)] = len(self.X) + np.arange(sum(map(len, self.rows)))
        table = take_rows(stack_rows([self.X, *self.parts]), source)
        if isinstance(table, pd.DataFrame):
            table.index = self.X.index
        return table


def _has_rows_of(part: Any, rows: np.ndarray, X: Any) -> bool:
    """Tell whether a part has all rows of a table in order, with its index and types."""
    if not isinstance(X, pd.DataFrame) or not np.array_equal(rows, np.arange(len(X))):
        return False
    same_index = part.index is X.index or part.index.identical(X.index)
    return same_index and list(part.dtypes) == list(X.dtypes)
