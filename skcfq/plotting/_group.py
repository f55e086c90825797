"""One metric by group, with intervals; the worst group is marked (Figures 6, 23 and 24)."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from skcfq.plotting._axes import legend_above, note
from skcfq.plotting._display import Display, check_protocol
from skcfq.plotting._intervals import mean_with_interval
from skcfq.plotting._matplotlib import matplotlib_module
from skcfq.plotting._people import METRICS, Pair, models_of, protocol_of, solve_pairs, values_of
from skcfq.plotting._quantities import quantity_of
from skcfq.plotting._rows import draw_rows, height_of, label_rows, method_handles
from skcfq.plotting._style import BLACK, GRAY, style
from skcfq.plotting._tables import figures_table, named, names_of, numbers_of, records, row_of
from skcfq.plotting._texts import drawn, number, readable, span
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.utils import Interval, StrOptions, as_objects, check_parameters

_SHARE = Interval(Real, 0, 1, closed="neither")
_LEAST = Interval(Integral, 1, None, closed="left")
_ALL = "all people"


class GroupDisplay(Display):
    """One metric by group, with intervals, the figure of all people as a line, the worst marked.

    Made by :meth:`from_estimators`, :meth:`from_results` or :meth:`from_predictions`.

    Parameters
    ----------
    table : DataFrame
        One row a method and group, with the columns ``method``, ``group``, ``value``, ``low``,
        ``high`` and ``n`` (people). Groups of fewer people than ``min_group_size`` are named, and
        neither drawn nor called the worst.
    overall : dict of str to float
        The figure of all people, by method.
    metric : str
    protocol : str
    confidence : float, default=0.95
        Of each interval alone.
    min_group_size : int, default=1
    label : str, default=None
        Of the horizontal axis; None is what the metric is called.

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.
    table : DataFrame
    overall : dict

    Examples
    --------
    >>> from skcfq.plotting import GroupDisplay
    >>> lost = [1, 0, 0, 0, 0, 0, 1, 1, 0, 0]
    >>> display = GroupDisplay.from_predictions(
    ...     lost, ["men"] * 5 + ["women"] * 5, "validity_drop", protocol="made up"
    ... )
    >>> display.table[["group", "value", "n"]].values.tolist()
    [['men', 0.2, 5], ['women', 0.4, 5]]
    >>> display.worst
    {'all models': 'women'}
    >>> display.plot().ax_.get_xlabel()
    'Validity drop (share of people with advice)'
    """

    @check_parameters(confidence=[_SHARE], min_group_size=[_LEAST], label=[str, None])
    def __init__(
        self,
        *,
        table: pd.DataFrame,
        overall: dict,
        metric: str,
        protocol: str,
        confidence: float = 0.95,
        min_group_size: int = 1,
        label: str | None = None,
    ) -> None:
        self._table = figures_table(table, ["method", "group"])
        self._overall = _checked_overall(overall, names_of(self._table["method"]))
        self._quantity = quantity_of(metric, label)
        self.metric, self.confidence, self.min_group_size = metric, confidence, min_group_size
        self.protocol = check_protocol(protocol)

    @property
    def table(self) -> pd.DataFrame:
        """The figures, groups that are too small included; a copy."""
        return self._table.assign(n=self._table["n"].astype(np.int64))

    @property
    def overall(self) -> dict[str, float]:
        """The figure of all people, by method; a copy."""
        return dict(self._overall)

    @property
    def worst(self) -> dict[str, Any]:
        """The worst group of each method; left out where fewer than two groups differ."""
        found = {}
        for method, own in self._scored().groupby("method", sort=False):
            position = self._quantity.worst(own["value"].to_numpy())
            if position is not None:
                found[str(method)] = own["group"].iloc[position]
        return found

    @classmethod
    @check_parameters(
        metric=[StrOptions(set(METRICS))],
        solver=[RecourseSolver, None],
        confidence=[_SHARE],
        min_group_size=[_LEAST],
    )
    def from_estimators(
        cls,
        reference: Any,
        deployed: Any,
        X: Any,
        groups: Any,
        metric: str = "validity_drop",
        *,
        solver: RecourseSolver | None = None,
        background: Any = None,
        confidence: float = 0.95,
        min_group_size: int = 10,
    ) -> GroupDisplay:
        """Compare deployed models with their reference, group by group.

        Parameters
        ----------
        reference : fitted estimator
            The full-precision model that advises.
        deployed : fitted estimator, or dict of str to such
            Who decides; several by the names of their methods.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
            Raw rows of people who ask.
        groups : array-like of shape (n,)
            Each person's group; people with a gap there are left out.
        metric : {"validity_drop", "counterfactual_recourse_gap", "signed_recourse_gap", \
                "direction_similarity", "action_overlap"}, default="validity_drop"
        solver : RecourseSolver, default=None
            Its clone compares the models; None is one with ``random_state=0``.
        background : DataFrame or ndarray, default=None
            As in :meth:`skcfq.RecourseSolver.compare`.
        confidence : float, default=0.95
            Of each interval alone: Clopper and Pearson's for shares, else the percentile
            bootstrap.
        min_group_size : int, default=10
            Groups in which the metric speaks of fewer people are named, not scored.

        Returns
        -------
        display : GroupDisplay
        """
        _, pairs = solve_pairs(reference, deployed, X, solver, background)
        return cls.from_results(
            pairs, deployed, groups, metric, confidence=confidence, min_group_size=min_group_size
        )

    @classmethod
    @check_parameters(
        metric=[StrOptions(set(METRICS))], confidence=[_SHARE], min_group_size=[_LEAST]
    )
    def from_results(
        cls,
        results: Any,
        deployed: Any,
        groups: Any,
        metric: str = "validity_drop",
        *,
        confidence: float = 0.95,
        min_group_size: int = 10,
    ) -> GroupDisplay:
        """Take what :meth:`skcfq.RecourseSolver.compare` returned.

        Parameters
        ----------
        results : pair of RecourseResult, or dict of str to such
            Of the reference and of the deployed model, by method.
        deployed : fitted estimator, or dict of str to such
            The models that decide; only their ``predict`` is used.
        groups, metric, confidence, min_group_size
            As in :meth:`from_estimators`.

        Returns
        -------
        display : GroupDisplay
        """
        models = models_of(deployed)
        pairs = checked_pairs(results, models)
        values = {name: values_of(metric, models[name], pairs[name]) for name in models}
        return cls.from_predictions(
            values,
            groups,
            metric,
            protocol=protocol_of(pairs),
            confidence=confidence,
            min_group_size=min_group_size,
        )

    @classmethod
    @check_parameters(confidence=[_SHARE], min_group_size=[_LEAST], label=[str, None])
    def from_predictions(
        cls,
        values: Any,
        groups: Any,
        metric: str,
        *,
        protocol: str,
        confidence: float = 0.95,
        min_group_size: int = 1,
        label: str | None = None,
    ) -> GroupDisplay:
        """Take one number a person, whose mean over a group is the metric of the group.

        Parameters
        ----------
        values : array-like of shape (n,), or dict of str to such
            By method. 0 and 1 are a share; NaN is a person whom the metric does not speak of.
        groups : array-like of shape (n,)
            As in :meth:`from_estimators`.
        metric : str
        protocol : str
            How the figures were made, in one line.
        confidence, min_group_size
            As in :meth:`from_estimators`.
        label : str, default=None
            Of the horizontal axis.

        Returns
        -------
        display : GroupDisplay
        """
        by_method = named(
            values if isinstance(values, dict) else {"all models": values},
            "values",
            "one number a person",
        )
        columns = {name: _values(one) for name, one in by_method.items()}
        codes, labels = _codes(groups, columns)
        rows = [
            dict(
                zip(
                    ("value", "low", "high", "n"),
                    mean_with_interval(column[codes == code], confidence),
                    strict=True,
                ),
                method=name,
                group=group,
            )
            for code, group in enumerate(labels)
            for name, column in columns.items()
        ]
        overall = {
            name: mean_with_interval(column[codes >= 0], confidence)[0]
            for name, column in columns.items()
        }
        return cls(
            table=pd.DataFrame(rows),
            overall=overall,
            metric=metric,
            protocol=protocol,
            confidence=confidence,
            min_group_size=min_group_size,
            label=label,
        )

    @property
    def title(self) -> str:
        """What the figure is about."""
        return f"{self._quantity.label} by group"

    @property
    def description(self) -> str:
        """The figures, method by method and group by group."""
        parts, worst = [], self.worst
        for method, own in self._table.groupby("method", sort=False):
            cells = [
                f"{row.group}: {span(row.value, row.low, row.high)}, {row.n:.0f} people"
                for row in records(own)
                if row.n >= self.min_group_size
            ]
            said = f"; {self._ring}: {worst[str(method)]}" if method in worst else ""
            all_ = number(self._overall[str(method)])
            parts.append(f"{method}: {_ALL} {all_}; {'; '.join(cells)}{said}.")
        small = self._small()
        left_out = f" Too few people: {', '.join(map(str, small))}." if small else ""
        unit = self._quantity.unit
        unit = f"{unit[0].upper()}{unit[1:]}, with" if unit else "With"
        return f"{unit} {100 * self.confidence:g} percent intervals. {' '.join(parts)}{left_out}"

    def _scored(self) -> pd.DataFrame:
        enough = (self._table["n"] >= self.min_group_size) & self._table["value"].notna()
        return self._table[enough]

    def _small(self) -> list:
        scored = set(self._scored()["group"])
        return [group for group in names_of(self._table["group"]) if group not in scored]

    def _labels(self) -> tuple[str, str]:
        return drawn(self._quantity.axis_label), ""

    def _size(self) -> tuple[float, float]:
        groups, methods = (names_of(self._table[name]) for name in ("group", "method"))
        return 6.0, height_of(len(groups), len(methods)) + 0.3

    def _draw(self, ax: Any) -> None:
        methods, groups = (names_of(self._table[name]) for name in ("method", "group"))
        shown = self._table.copy()
        small = self._table["n"] < self.min_group_size
        shown.loc[small, ["value", "low", "high"]] = np.nan
        heights = draw_rows(ax, shown, "group", bars=False)
        for position, method in enumerate(methods):
            if np.isfinite(self._overall[method]):
                look = style(position)
                ax.axvline(
                    self._overall[method], color=look.color, linestyle=look.line, linewidth=1.2
                )
        self._mark_worst(ax, heights)
        label_rows(ax, [self._name_with_size(group) for group in groups])
        self._legend(ax, methods)
        note(ax, f"Intervals: {100 * self.confidence:g} % each. {self._ring_note}.")

    @property
    def _ring(self) -> str:
        # A price that falls most is far from the reference, and not the worst for anybody.
        return "farthest from 0" if self._quantity.better == "zero" else "worst"

    @property
    def _ring_note(self) -> str:
        is_far = self._quantity.better == "zero"
        return "Ring: farthest from 0" if is_far else "Ring: the worst group"

    def _name_with_size(self, group: Any) -> str:
        sizes = self._table["n"][self._table["group"] == group]
        low, high = int(sizes.min()), int(sizes.max())
        size = f"{low}" if low == high else f"{low} to {high}"
        few = ": too few" if high < self.min_group_size else ""
        return f"{group} (n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{size}{few})"

    def _mark_worst(self, ax: Any, heights: dict) -> None:
        for method, group in self.worst.items():
            row = row_of(self._table, method=method, group=group)
            assert row is not None
            ring = {"markersize": 14, "markerfacecolor": "none", "markeredgecolor": BLACK}
            ax.plot(row["value"], heights[method, group], "o", markeredgewidth=1.4, **ring)

    def _legend(self, ax: Any, methods: list) -> None:
        lines = matplotlib_module("lines")
        handles, labels = method_handles(self._table, bars=False)
        if len(methods) == 1:
            handles, labels = [], []
        for position, method in enumerate(methods):
            look = style(position)
            if len(methods) == 1:
                line = lines.Line2D([], [], color=look.color, linestyle=look.line)
                handles.append(line)
                labels.append(f"{_ALL}: {number(self._overall[method])}")
            else:
                handles[position].set_linestyle(look.line)
        if len(methods) > 1:
            handles.append(lines.Line2D([], [], color=GRAY, linewidth=1.2))
            labels.append(f"lines: {_ALL}")
        legend_above(ax, handles, labels)


def checked_pairs(results: Any, models: dict[str, Any]) -> dict[str, Pair]:
    """Return results by the names of the models, each a pair.

    Raises
    ------
    ValueError
    """
    if isinstance(results, tuple | list) and len(models) == 1:
        results = {next(iter(models)): results}
    pairs = named(results, "results", "a pair of results")
    if list(pairs) != list(models):
        raise ValueError(
            f"`results` and `deployed` must name the same methods in one order: {list(pairs)} and "
            f"{list(models)}."
        )
    for name, pair in pairs.items():
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not is_pair or not all(isinstance(one, RecourseResult) for one in pair):
            raise ValueError(
                f"results[{name!r}] is no pair of RecourseResult, as RecourseSolver.compare "
                "returns it."
            )
    return pairs


def _checked_overall(overall: Any, methods: list) -> dict[str, float]:
    if not isinstance(overall, dict) or set(overall) != set(methods):
        raise ValueError(f"`overall` must be a dict with one number for each of {methods}.")
    values = numbers_of(list(overall.values()), "overall")
    return dict(zip(overall, values.tolist(), strict=True))


def _values(column: Any) -> np.ndarray:
    try:
        values = numbers_of(as_objects(column), "values")
    except (TypeError, ValueError):
        values = np.zeros((0, 0))
    if values.ndim != 1 or not len(values):
        raise ValueError("`values` must hold one finite number, or a gap, for each person.")
    return values


def _codes(groups: Any, columns: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Return each person's group as a position among the names, -1 for a gap; and the names."""
    sizes = sorted({len(column) for column in columns.values()})
    try:
        codes, labels = pd.factorize(as_objects(groups))
    except (TypeError, ValueError) as error:
        raise ValueError("`groups` must hold one label for each person.") from error
    if sizes != [len(codes)]:
        raise ValueError(
            f"`groups` has {len(codes)} labels, but `values`, or rows, are of "
            f"{' and '.join(map(str, sizes))} people."
        )
    if (codes < 0).all():
        raise ValueError("`groups` has gaps only.")
    return codes, [readable(label) for label in labels]
