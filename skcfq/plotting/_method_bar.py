"""One metric of several methods, by condition (Figures 10, 11, 14 to 16, and 18 to 22)."""

from __future__ import annotations

from numbers import Real
from typing import Any

import pandas as pd

from skcfq.plotting._axes import legend_above
from skcfq.plotting._display import Display, check_protocol
from skcfq.plotting._intervals import mean_with_interval
from skcfq.plotting._people import METRICS, protocol_of, solve_pairs, values_of
from skcfq.plotting._quantities import quantity_of
from skcfq.plotting._rows import draw_rows, height_of, label_rows, method_handles
from skcfq.plotting._tables import figures_table, names_of, of_repeats, records
from skcfq.plotting._texts import drawn, readable, span
from skcfq.solvers import RecourseSolver
from skcfq.utils import Interval, StrOptions, check_parameters

_KEYS = ["method", "condition"]
_KIND = StrOptions({"bars", "dots"})
_SHARE = Interval(Real, 0, 1, closed="neither")


class MethodBarDisplay(Display):
    """One metric of several methods as bars or dots with intervals, by condition where there are.

    Made by :meth:`from_estimators` or :meth:`from_predictions`.

    Parameters
    ----------
    table : DataFrame
        One row a method and condition, with the columns ``method``, ``condition``, ``value``,
        ``low``, ``high`` and ``n``. One and the same condition everywhere is not shown.
    metric : str
        Such as ``"validity_drop"``. One figure shows one metric.
    protocol : str
    kind : {"bars", "dots"}, default="bars"
        Bars begin at 0; dots leave that end of the axis free.
    label : str, default=None
        Of the horizontal axis; None is what the metric is called.

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.
    table : DataFrame

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.plotting import MethodBarDisplay
    >>> runs = pd.DataFrame({
    ...     "method": ["MixedPrec", "CFQ"] * 4,
    ...     "rules": ["restrictive"] * 4 + ["permissive"] * 4,
    ...     "validity_drop": [0.16, 0.08, 0.14, 0.07, 0.09, 0.05, 0.11, 0.04],
    ... })
    >>> display = MethodBarDisplay.from_predictions(
    ...     runs, "validity_drop", condition="rules", protocol="made up"
    ... )
    >>> display.table["value"].round(3).tolist()
    [0.15, 0.075, 0.1, 0.045]
    >>> [label.get_text() for label in display.plot().ax_.get_yticklabels()]
    ['restrictive', 'permissive']
    """

    @check_parameters(kind=[_KIND], label=[str, None])
    def __init__(
        self,
        *,
        table: pd.DataFrame,
        metric: str,
        protocol: str,
        kind: str = "bars",
        label: str | None = None,
    ) -> None:
        self._table = figures_table(table, _KEYS)
        self._quantity = quantity_of(metric, label)
        self.metric, self.kind = metric, kind
        self.protocol = check_protocol(protocol)

    @property
    def table(self) -> pd.DataFrame:
        """The figures that are drawn, a copy."""
        return self._table.copy()

    @classmethod
    @check_parameters(
        metric=[StrOptions(set(METRICS))],
        solver=[RecourseSolver, None],
        confidence=[_SHARE],
        kind=[_KIND],
    )
    def from_estimators(
        cls,
        reference: Any,
        deployed: Any,
        X: Any,
        metric: str = "validity_drop",
        *,
        solver: RecourseSolver | None = None,
        background: Any = None,
        confidence: float = 0.95,
        kind: str = "bars",
    ) -> MethodBarDisplay:
        """Compare deployed models with their reference.

        Parameters
        ----------
        reference : fitted estimator
            The full-precision model that advises.
        deployed : fitted estimator, or dict of str to such
            Who decides, by the names of their methods.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
            Raw rows of people who ask.
        metric : {"validity_drop", "counterfactual_recourse_gap", "signed_recourse_gap", \
                "direction_similarity", "action_overlap"}, default="validity_drop"
        solver : RecourseSolver, default=None
            Its clone compares the models; None is one with ``random_state=0``.
        background : DataFrame or ndarray, default=None
            As in :meth:`skcfq.RecourseSolver.compare`.
        confidence : float, default=0.95
            Of each interval over people: Clopper and Pearson's for shares, else the percentile
            bootstrap.
        kind : {"bars", "dots"}, default="bars"

        Returns
        -------
        display : MethodBarDisplay
        """
        models, pairs = solve_pairs(reference, deployed, X, solver, background)
        rows = []
        for name, model in models.items():
            people = values_of(metric, model, pairs[name])
            found = mean_with_interval(people, confidence)
            rows.append((name, "", *found))
        table = pd.DataFrame(rows, columns=[*_KEYS, "value", "low", "high", "n"])
        return cls(table=table, metric=metric, protocol=protocol_of(pairs), kind=kind)

    @classmethod
    @check_parameters(method=[str], condition=[str, None], kind=[_KIND], label=[str, None])
    def from_predictions(
        cls,
        results: pd.DataFrame,
        metric: str,
        *,
        protocol: str,
        method: str = "method",
        condition: str | None = None,
        kind: str = "bars",
        label: str | None = None,
    ) -> MethodBarDisplay:
        """Take figures that were measured already: mean ± standard deviation over repeats.

        Parameters
        ----------
        results : DataFrame
            One row a method, condition and repeat (a seed, a split).
        metric : str
            Name of the column that is drawn.
        protocol : str
            How the figures were made, in one line.
        method : str
            Name of the column with the method.
        condition : str, default=None
            Name of the column with the condition, such as how tight the rules are.
        kind : {"bars", "dots"}, default="bars"
        label : str, default=None
            Of the horizontal axis.

        Returns
        -------
        display : MethodBarDisplay
        """
        quantity_of(metric)
        keys = [method] if condition is None else [method, condition]
        table = of_repeats(results, metric, keys, "results")
        if condition is None:
            table.insert(1, "condition", "")
        table = table.set_axis([*_KEYS, *table.columns[2:]], axis=1)
        table[_KEYS] = table[_KEYS].map(readable)
        return cls(table=table, metric=metric, protocol=protocol, kind=kind, label=label)

    @property
    def title(self) -> str:
        """What the figure is about."""
        return f"{self._quantity.label} by method"

    @property
    def description(self) -> str:
        """The figures, one by one."""
        cells = [
            f"{row.method}{', ' + str(row.condition) if self._has_conditions else ''}: "
            f"{span(row.value, row.low, row.high)}"
            for row in records(self._table)
        ]
        return f"{self._quantity.axis_label}. {'; '.join(cells)}."

    @property
    def _has_conditions(self) -> bool:
        return self._table["condition"].nunique() > 1

    @property
    def _by(self) -> str:
        return "condition" if self._has_conditions else "method"

    def _labels(self) -> tuple[str, str]:
        return drawn(self._quantity.axis_label), ""

    def _size(self) -> tuple[float, float]:
        rows = self._table[self._by].nunique()
        return 6.0, height_of(rows, len(self._table) // rows)

    def _draw(self, ax: Any) -> None:
        bars = self.kind == "bars"
        draw_rows(ax, self._table, self._by, bars=bars)
        label_rows(ax, names_of(self._table[self._by]))
        if bars:
            ax.axvline(0, color="black", linewidth=0.8)
        if self._has_conditions:
            legend_above(ax, *method_handles(self._table, bars=bars))
