"""What stability costs: one mark a method, cost against stability (Figures 9, 12 and 17)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skcfq.metrics import deployment_success
from skcfq.plotting._axes import clean, legend_above
from skcfq.plotting._display import Display, check_protocol
from skcfq.plotting._labels import place_labels
from skcfq.plotting._quantities import quantity_of
from skcfq.plotting._style import style
from skcfq.plotting._tables import checked_frame, named, numbers_of, records
from skcfq.plotting._texts import drawn, number, readable, upright
from skcfq.results import RecourseResult
from skcfq.utils import check_parameters


class CostRobustnessDisplay(Display):
    """Cost on the horizontal axis, what it buys on the vertical one, one labeled mark a method.

    The cost is that of advice (Figure 9), or of training and calibration (Figures 12 and 17). Made
    by :meth:`from_results` or :meth:`from_predictions`.

    Parameters
    ----------
    table : DataFrame
        One row a method, with the columns ``method``, ``cost`` and ``value``.
    cost, metric : str
        What the two axes show, such as ``"mean_cost"`` and ``"robust_success"``.
    protocol : str
    cost_label, label : str, default=None
        Of the axes; None is what cost and metric are called.

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.
    table : DataFrame

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.plotting import CostRobustnessDisplay
    >>> runs = pd.DataFrame({
    ...     "method": ["PTQ", "CF-PTQ", "CFQ-QAT"],
    ...     "overhead": [1.0, 1.6, 9.0],
    ...     "validity_drop": [0.18, 0.09, 0.06],
    ... })
    >>> display = CostRobustnessDisplay.from_predictions(
    ...     runs, cost="overhead", metric="validity_drop", protocol="made up"
    ... )
    >>> display.plot().ax_.get_xlabel()
    'Cost of training or calibration (times the cheapest)'
    """

    @check_parameters(cost_label=[str, None], label=[str, None])
    def __init__(
        self,
        *,
        table: pd.DataFrame,
        cost: str,
        metric: str,
        protocol: str,
        cost_label: str | None = None,
        label: str | None = None,
    ) -> None:
        checked_frame(table, ["method", "cost", "value"], "table")
        self._table = pd.DataFrame(
            {
                "method": [readable(name) for name in table["method"]],
                "cost": numbers_of(table["cost"], "table['cost']"),
                "value": numbers_of(table["value"], "table['value']"),
            }
        )
        if self._table["method"].duplicated().any():
            raise ValueError("`table` names a method twice.")
        self._cost = quantity_of(cost, cost_label, "cost")
        self._quantity = quantity_of(metric, label)
        self.cost, self.metric = cost, metric
        self.protocol = check_protocol(protocol)

    @property
    def table(self) -> pd.DataFrame:
        """The figures that are drawn, a copy."""
        return self._table.copy()

    @classmethod
    def from_results(cls, results: Any, variants: Sequence[Any]) -> CostRobustnessDisplay:
        """Compare advice of several solvers or models: what it costs, and on how many it works.

        Parameters
        ----------
        results : dict of str to RecourseResult
            By the names of the methods, for the same people.
        variants : sequence of fitted estimators
            Deployments that the solvers have not seen, as in
            :func:`skcfq.metrics.deployment_success`.

        Returns
        -------
        display : CostRobustnessDisplay
            Of people who have an action by every method, so that costs are of the same people.
        """
        by_method = named(results, "results", "a RecourseResult")
        for name, result in by_method.items():
            if not isinstance(result, RecourseResult):
                raise ValueError(f"results[{name!r}] is no RecourseResult.")
        reached = [result.reachable for result in by_method.values()]
        if len({len(one) for one in reached}) > 1:
            raise ValueError("`results` are of different numbers of people; solve the same rows.")
        rows = np.logical_and.reduce(reached)
        if not rows.any():
            raise ValueError("`results` have nobody who has an action by every method.")
        weight = rows.astype(float)
        table = pd.DataFrame(
            {
                "method": name,
                "cost": result.cost[rows].mean(),
                "value": deployment_success(result, variants, sample_weight=weight).robust,
            }
            for name, result in by_method.items()
        )
        first = next(iter(by_method.values()))
        protocol = f"{first.protocol}; {len(variants)} deployments; {rows.sum()} people"
        return cls(table=table, cost="mean_cost", metric="robust_success", protocol=protocol)

    @classmethod
    @check_parameters(method=[str], cost_label=[str, None], label=[str, None])
    def from_predictions(
        cls,
        results: pd.DataFrame,
        *,
        cost: str,
        metric: str,
        protocol: str,
        method: str = "method",
        cost_label: str | None = None,
        label: str | None = None,
    ) -> CostRobustnessDisplay:
        """Take figures that were measured already.

        Parameters
        ----------
        results : DataFrame
            One row a method.
        cost, metric : str
            Names of the columns that are drawn.
        protocol : str
            How the figures were made, in one line.
        method : str
            Name of the column with the method.
        cost_label, label : str, default=None
            Of the axes.

        Returns
        -------
        display : CostRobustnessDisplay
        """
        quantity_of(cost, name="cost")
        quantity_of(metric)
        checked_frame(results, [method, cost, metric], "results")
        columns = {
            "method": results[method],
            "cost": numbers_of(results[cost], f"results[{cost!r}]"),
            "value": numbers_of(results[metric], f"results[{metric!r}]"),
        }
        return cls(
            table=pd.DataFrame(columns),
            cost=cost,
            metric=metric,
            protocol=protocol,
            cost_label=cost_label,
            label=label,
        )

    @property
    def title(self) -> str:
        """What the figure is about."""
        return f"{self._quantity.label} and {self._cost.label.lower()}"

    @property
    def description(self) -> str:
        """The figures, method by method."""
        cells = [
            f"{row.method}: {number(row.cost)} and {number(row.value)}"
            for row in records(self._table)
        ]
        return f"{self._cost.axis_label}, and {self._quantity.axis_label}. {'; '.join(cells)}."

    def _labels(self) -> tuple[str, str]:
        return drawn(self._cost.axis_label), upright(self._quantity.axis_label)

    def _draw(self, ax: Any) -> None:
        known, handles = self._table.dropna(), []
        for position, row in enumerate(records(known)):
            look = style(position)
            handles += ax.plot(
                row.cost,
                row.value,
                look.marker,
                color=look.color,
                markersize=9,
                markeredgecolor="white",
            )
        clean(ax, "both")
        ax.margins(0.14, 0.14)
        if not handles:
            return
        labels = [drawn(name) for name in known["method"]]
        if not place_labels(ax, known["cost"].to_numpy(), known["value"].to_numpy(), labels):
            legend_above(ax, handles, labels)
