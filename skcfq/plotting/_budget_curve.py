"""A metric over bit budgets, one line a method (Figures 3 to 5, 25 and 26)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skcfq.plotting._axes import clean, legend_above
from skcfq.plotting._display import Display, check_protocol
from skcfq.plotting._people import METRICS, protocol_of, solve_pairs, values_of
from skcfq.plotting._quantities import quantity_of
from skcfq.plotting._style import style
from skcfq.plotting._tables import (
    checked_frame,
    figures_table,
    names_of,
    numbers_of,
    of_repeats,
    records,
)
from skcfq.plotting._texts import drawn, span, upright
from skcfq.solvers import RecourseSolver
from skcfq.utils import StrOptions, check_parameters

_KEYS = ["method", "budget"]
_BUDGET = "Bit budget (average weight bits per weight)"


class BudgetCurveDisplay(Display):
    r"""A metric over bit budgets: one line a method, with bands of ± one standard deviation.

    Made by :meth:`from_estimators` or :meth:`from_predictions`.

    Parameters
    ----------
    table : DataFrame
        One row a method and budget, with the columns ``method``, ``budget``, ``value``, ``low``
        and ``high`` (the ends of the band; NaN without one) and ``n`` (repeats).
    metric : str
        Such as ``"validity_drop"``. One figure shows one metric.
    protocol : str
    label : str, default=None
        Of the vertical axis; None is what the metric is called.
    budget_label : str
        Of the horizontal axis.

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.
    table : DataFrame

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.plotting import BudgetCurveDisplay
    >>> runs = pd.DataFrame({
    ...     "method": ["QAT", "QAT", "QAT", "CFQ", "CFQ", "CFQ"],
    ...     "budget": [2, 4, 4, 2, 4, 4],
    ...     "validity_drop": [0.30, 0.12, 0.10, 0.15, 0.04, 0.06],
    ... })
    >>> display = BudgetCurveDisplay.from_predictions(runs, "validity_drop", protocol="made up")
    >>> display.table["value"].round(2).tolist()
    [0.3, 0.11, 0.15, 0.05]
    >>> display.plot().ax_.get_ylabel()
    'Validity drop\n(share of people with advice)'
    """

    @check_parameters(label=[str, None], budget_label=[str])
    def __init__(
        self,
        *,
        table: pd.DataFrame,
        metric: str,
        protocol: str,
        label: str | None = None,
        budget_label: str = _BUDGET,
    ) -> None:
        self._table = figures_table(table, _KEYS)
        self._table["budget"] = numbers_of(self._table["budget"], "table['budget']")
        self._quantity = quantity_of(metric, label)
        self.metric, self.budget_label = metric, budget_label
        self.protocol = check_protocol(protocol)

    @property
    def table(self) -> pd.DataFrame:
        """The figures that are drawn, a copy."""
        return self._table.copy()

    @classmethod
    @check_parameters(metric=[StrOptions(set(METRICS))], solver=[RecourseSolver, None])
    def from_estimators(
        cls,
        reference: Any,
        deployed: Any,
        X: Any,
        metric: str = "validity_drop",
        *,
        solver: RecourseSolver | None = None,
        background: Any = None,
    ) -> BudgetCurveDisplay:
        """Compare fitted models of several budgets with their reference.

        Parameters
        ----------
        reference : fitted estimator
            The full-precision model that advises.
        deployed : dict of str to list of fitted estimators
            For each method, models with a ``budget`` or ``average_bits_``; several of one budget
            are repeats.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
            Raw rows of people who ask.
        metric : {"validity_drop", "counterfactual_recourse_gap", "signed_recourse_gap", \
                "direction_similarity", "action_overlap"}, default="validity_drop"
        solver : RecourseSolver, default=None
            Its clone compares the models; None is one with ``random_state=0``.
        background : DataFrame or ndarray, default=None
            As in :meth:`skcfq.RecourseSolver.compare`.

        Returns
        -------
        display : BudgetCurveDisplay
        """
        flat = {
            (method, position): model
            for method, models in _lists(deployed).items()
            for position, model in enumerate(models)
        }
        given = {f"{method}, model {i}": model for (method, i), model in flat.items()}
        models, pairs = solve_pairs(reference, given, X, solver, background)
        rows = [
            {
                "method": method,
                "budget": _budget_of(model),
                metric: np.mean(_known(values_of(metric, models[name], pairs[name]))),
            }
            for ((method, _), model), name in zip(flat.items(), given, strict=True)
        ]
        return cls.from_predictions(pd.DataFrame(rows), metric, protocol=protocol_of(pairs))

    @classmethod
    @check_parameters(method=[str], budget=[str], label=[str, None], budget_label=[str])
    def from_predictions(
        cls,
        results: pd.DataFrame,
        metric: str,
        *,
        protocol: str,
        method: str = "method",
        budget: str = "budget",
        label: str | None = None,
        budget_label: str = _BUDGET,
    ) -> BudgetCurveDisplay:
        """Take figures that were measured already: mean and standard deviation over repeats.

        Parameters
        ----------
        results : DataFrame
            One row a method, budget and repeat (a seed, a split).
        metric : str
            Name of the column that is drawn.
        protocol : str
            How the figures were made, in one line.
        method, budget : str
            Names of the columns with the method and with the budget.
        label, budget_label : str
            Of the axes.

        Returns
        -------
        display : BudgetCurveDisplay
        """
        quantity_of(metric)
        checked_frame(results, [method, budget, metric], "results")
        numbers_of(results[budget], f"results[{budget!r}]")
        table = of_repeats(results, metric, [method, budget], "results")
        table = table.set_axis([*_KEYS, *table.columns[2:]], axis=1)
        return cls(
            table=table, metric=metric, protocol=protocol, label=label, budget_label=budget_label
        )

    @property
    def title(self) -> str:
        """What the figure is about."""
        return f"{self._quantity.label} by bit budget"

    @property
    def description(self) -> str:
        """The figures, method by method."""
        parts = []
        for method in names_of(self._table["method"]):
            own = self._table[self._table["method"] == method]
            cells = [
                f"{row.budget:g} bits: {span(row.value, row.low, row.high)}" for row in records(own)
            ]
            parts.append(f"{method}: {'; '.join(cells)}.")
        return f"{self._quantity.axis_label}. {' '.join(parts)}"

    def _labels(self) -> tuple[str, str]:
        return drawn(self.budget_label), upright(self._quantity.axis_label)

    def _draw(self, ax: Any) -> None:
        handles, methods = [], names_of(self._table["method"])
        for position, method in enumerate(methods):
            look = style(position)
            own = self._table[self._table["method"] == method].sort_values("budget")
            x, y = own["budget"].to_numpy(), own["value"].to_numpy()
            low, high = own["low"].to_numpy(), own["high"].to_numpy()
            ax.fill_between(x, low, high, color=look.color, alpha=0.18, linewidth=0)
            handles += ax.plot(
                x, y, color=look.color, marker=look.marker, linestyle=look.line, markersize=6
            )
        budgets = np.unique(self._table["budget"])
        if len(budgets) <= 10:
            ax.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
        clean(ax, "both")
        legend_above(ax, handles, [drawn(method) for method in methods])


def _lists(deployed: Any) -> dict[str, list]:
    is_dict = isinstance(deployed, dict) and len(deployed) > 0
    if not is_dict or not all(isinstance(v, list | tuple) and len(v) for v in deployed.values()):
        raise ValueError(
            f"deployed={type(deployed).__name__}; give a dict from the name of each method to a "
            "list, not empty, of its fitted models."
        )
    return deployed


def _budget_of(model: Any) -> float:
    budget = getattr(model, "budget", None)
    budget = getattr(model, "average_bits_", None) if budget is None else budget
    if budget is None:
        raise ValueError(
            f"`deployed` has a {type(model).__name__} without `budget` or `average_bits_`. Measure "
            "it yourself, and give the figures to from_predictions."
        )
    return round(float(budget), 2)


def _known(values: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values)]
    return known if len(known) else np.array([np.nan])
