"""The answer of a solver: one status, one action and one cost for each person."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.actions import CompiledActions, RecourseCost

STATUSES = (
    "optimal",
    "feasible",
    "already_favorable",
    "infeasible",
    "not_found",
    "time_limit",
)


@dataclass(frozen=True, eq=False, repr=False)
class RecourseResult:
    """Actions for n people, verified on the raw rows, with what is known about each.

    Attributes
    ----------
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        The raw rows that were asked about.
    points : DataFrame or ndarray of shape (n, n_raw_columns)
        The raw rows after the action; a row for which nothing was found is unchanged.
    cost : ndarray of shape (n,)
        Cost of the action; 0 for people who already have the target, NaN where none was found.
    margin : ndarray of shape (n,)
        The model's target margin at ``points``, in logit units.
    status : ndarray of shape (n,), str
        ``"optimal"`` (proved), ``"feasible"`` (valid, optimality not proved),
        ``"already_favorable"``, ``"infeasible"`` (proved), ``"not_found"`` (searched, nothing
        proved) or ``"time_limit"``.
    valid : ndarray of shape (n,), bool
        The model's own ``predict`` gives the target at ``points``, with the required margin.
    changed : ndarray of shape (n, n_features), bool
        Which of ``feature_names`` the action changes.
    target : ndarray of shape (n,)
        The label that each person wants.
    actions : CompiledActions
        The rules under which the actions were found.
    protocol : str
        Solver, cost, margin and population in one line, to be printed beside every figure.
    lower_bound : ndarray of shape (n,)
        Proved lower bound of the cost: the cost itself where optimal, infinity where infeasible,
        0 where nothing is proved.
    method : str
        The method that was used.
    cost_function : RecourseCost
        What an action costs, feature by feature.
    alternatives : tuple of RecourseResult
        Further actions of the same people, dearer and with other features; alternative k of a
        person who has fewer is ``"not_found"`` or ``"infeasible"``.

    Notes
    -----
    ``status`` is a contract: a search that found nothing says ``"not_found"``, never
    ``"infeasible"``.
    """

    X: Any
    points: Any
    cost: np.ndarray
    margin: np.ndarray
    status: np.ndarray
    valid: np.ndarray
    changed: np.ndarray
    target: np.ndarray
    actions: CompiledActions
    protocol: str
    lower_bound: np.ndarray
    method: str
    cost_function: RecourseCost
    alternatives: tuple[RecourseResult, ...] = ()

    def __len__(self) -> int:
        return len(self.status)

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{name} {int(count)}"
            for name, count in zip(*np.unique(self.status, return_counts=True), strict=True)
        )
        return f"RecourseResult({len(self)} people: {counts or 'none'}; {self.protocol})"

    @cached_property
    def delta(self) -> np.ndarray:
        """Action in encoded units, shape (n, n_encoded_columns): encoded points less encoded X.

        Zero for people who already have the target, NaN where no action was found. Computed on
        first use.
        """
        return self.delta_of(np.arange(len(self)))

    def delta_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the actions of some rows in encoded units, shape (len(rows), n_encoded)."""
        space = self.actions.space
        after = space.encode(take_rows(self.points, rows))
        delta = after - space.encode(take_rows(self.X, rows))
        delta[~self.valid[rows]] = np.nan
        return delta

    @property
    def denied(self) -> np.ndarray:
        """Rows that the model does not give the target, shape (n,), bool."""
        return self.status != "already_favorable"

    @property
    def reachable(self) -> np.ndarray:
        """Denied rows for which a valid action was found, shape (n,), bool."""
        return self.denied & self.valid

    @property
    def feature_names(self) -> tuple:
        """Names of the features that may change, in the order of ``changed``."""
        return self.actions.feature_names

    @property
    def space_fingerprint(self) -> str:
        """Fingerprint of the feature space that units and costs refer to."""
        return self.actions.space.fingerprint

    def to_frame(self) -> pd.DataFrame:
        """Tell who changes what, in raw units.

        Returns
        -------
        frame : DataFrame
            One row for each changed feature of each person, with the columns ``person`` (the
            index label of ``X``), ``feature``, ``from``, ``to``, ``cost`` (of the whole action),
            ``margin`` and ``status``. A person without an action has one row whose ``feature``
            is missing.
        """
        people, features = np.nonzero(self.changed)
        idle = np.flatnonzero(~self.changed.any(axis=1))
        names = np.array([*self.feature_names, None], dtype=object)
        rows = np.concatenate([people, idle])
        columns = np.concatenate([features, np.full(len(idle), len(self.feature_names))])
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
        before, after = self._values(rows, columns)
        index = self.X.index if isinstance(self.X, pd.DataFrame) else np.arange(len(self))
        return pd.DataFrame(
            {
                "person": np.asarray(index)[rows],
                "feature": names[columns],
                "from": before,
                "to": after,
                "cost": self.cost[rows],
                "margin": self.margin[rows],
                "status": self.status[rows],
            }
        )

    def _values(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look up raw values before and after, one pair for each (row, feature)."""
        before = np.full(len(rows), None, dtype=object)
        after = np.full(len(rows), None, dtype=object)
        for column in np.unique(columns[columns < len(self.feature_names)]):
            here = columns == column
            before[here] = _feature_values(self.actions, column, self.X)[rows[here]]
            after[here] = _feature_values(self.actions, column, self.points)[rows[here]]
        return before, after


def _feature_values(actions: CompiledActions, position: int, X: Any) -> np.ndarray:
    """Return the raw values of one feature; of a declared one-hot group, the hot column's name."""
    if position < len(actions.numeric):
        column = actions.numeric[position].column
    else:
        choice = actions.choice[position - len(actions.numeric)]
        if choice.is_group:
            labels: np.ndarray = np.array([*choice.levels, None], dtype=object)
            return labels[choice.own_levels(X)]
        column = choice.columns[0]
    values = X.iloc[:, column] if isinstance(X, pd.DataFrame) else X[:, column]
    return np.asarray(values, dtype=object)
