"""All that one person can do with a few levers, and what they cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skcfq.results._export import shown_units
from skcfq.results._report import phrases_of
from skcfq.results._result import RecourseResult


@dataclass(frozen=True, eq=False, repr=False)
class RecourseMenu:
    """The cheapest action of one person for every small set of levers, or that there is none.

    Made by :meth:`skcfq.RecourseSolver.menu`.

    Attributes
    ----------
    levers : tuple of tuple
        Names of the features of each set. Empty for a person who needs no action.
    result : RecourseResult
        One row for each set: the person, who may change nothing but these features. Statuses and
        bounds are those of any result, so ``"infeasible"`` is a proof that the set does not
        suffice.
    """

    levers: tuple[tuple, ...]
    result: RecourseResult

    def __len__(self) -> int:
        return len(self.levers)

    def __repr__(self) -> str:
        works = int(self.result.reachable.sum())
        return f"RecourseMenu({works} of {len(self)} sets of levers suffice; {self.result.method})"

    def to_frame(self, *, units: Mapping | None = None) -> pd.DataFrame:
        """Lay the sets side by side.

        Parameters
        ----------
        units : dict of name to str, default=None
            Units of raw columns.

        Returns
        -------
        frame : DataFrame
            One row for each set, the cheapest first and those without an action last: ``levers``,
            ``changes`` in words, ``cost``, ``lower_bound``, ``margin`` and ``status``. An action
            may use fewer levers than its set has.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import ActionSet, RecourseSolver
        >>> X = pd.DataFrame({"income": [1.0, 2, 3, 4], "debt": [4.0, 3, 1, 0]})
        >>> model = LogisticRegression().fit(X, ["refuse", "refuse", "grant", "grant"])
        >>> rules = ActionSet(bounds={"income": (0, 3)}, steps={"income": 1, "debt": 1})
        >>> menu = RecourseSolver(rules, target="grant").menu(model, X.iloc[[0]], background=X)
        >>> menu.to_frame(units={"income": "EUR"})[["levers", "changes", "status"]]
                   levers           changes      status
        0         (debt,)  debt from 4 to 1     optimal
        1  (income, debt)  debt from 4 to 1     optimal
        2       (income,)                    infeasible
        """
        result, order, units = self.result, np.arange(0), shown_units(self.result, units)
        if len(self):
            order = np.argsort(np.nan_to_num(result.cost, nan=np.inf), kind="stable")
        lines: list[dict[str, Any]] = [
            {
                "levers": self.levers[row],
                "changes": "; ".join(phrases_of(result, row, units)) if result.valid[row] else "",
                "cost": float(result.cost[row]),
                "lower_bound": float(result.lower_bound[row]),
                "margin": float(result.margin[row]),
                "status": str(result.status[row]),
            }
            for row in order.tolist()
        ]
        columns = ["levers", "changes", "cost", "lower_bound", "margin", "status"]
        return pd.DataFrame(lines, columns=columns)
