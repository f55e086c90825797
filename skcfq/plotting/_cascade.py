"""The chain of changes that compression makes, figure by figure and group by group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skcfq.plotting._axes import note
from skcfq.plotting._display import Display, check_protocol
from skcfq.plotting._style import BLACK
from skcfq.plotting._tables import figures_table, names_of
from skcfq.plotting._texts import drawn, number, span

# From brown over white to teal: color-blind people tell the ends apart, and print does.
_COLORS = "BrBG"
# How much of the colors is used: text stays black on all of them.
_DEPTH = 0.55
# Letters in a line of the names.
_OF_GROUP, _OF_FIGURE = 14, 34


class CascadeDisplay(Display):
    """Changes of several figures by group, as a table whose cells are tinted row by row.

    Each row is a figure of its own, with its own unit: colors compare groups, never figures. Made
    by :meth:`from_changes`.

    Parameters
    ----------
    table : DataFrame
        One row a figure and group, with the columns ``figure`` (words), ``group``, ``value`` (the
        change), ``low``, ``high`` and ``n`` (people). Figures and groups are drawn in their order.
    protocol : str

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.
    table : DataFrame

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.plotting import CascadeDisplay
    >>> changes = pd.DataFrame(
    ...     {
    ...         "figure": ["Accuracy", "Accuracy"],
    ...         "group": ["men", "women"],
    ...         "value": [-0.01, -0.05],
    ...         "low": [-0.02, -0.07],
    ...         "high": [0.01, -0.03],
    ...         "n": [800, 200],
    ...     }
    ... )
    >>> display = CascadeDisplay.from_changes(changes, protocol="made up")
    >>> display.sure["group"].tolist()
    ['women']
    >>> display.plot().ax_.get_ylabel()
    'Each row in its own unit'
    """

    def __init__(self, *, table: pd.DataFrame, protocol: str) -> None:
        self._table = figures_table(table, ["figure", "group"])
        self.protocol = check_protocol(protocol)

    @property
    def table(self) -> pd.DataFrame:
        """The changes; a copy."""
        return self._table.copy()

    @property
    def sure(self) -> pd.DataFrame:
        """The changes whose interval leaves zero out."""
        apart = (self._table["low"] > 0) | (self._table["high"] < 0)
        return self._table[apart].reset_index(drop=True)

    @classmethod
    def from_changes(cls, table: pd.DataFrame, *, protocol: str) -> CascadeDisplay:
        """Take changes that are known already.

        Parameters
        ----------
        table : DataFrame
            As of the class.
        protocol : str
            How they were made, in one line.

        Returns
        -------
        display : CascadeDisplay
        """
        return cls(table=table, protocol=protocol)

    @property
    def title(self) -> str:
        """What the figure is about."""
        return "What compression changes, by group"

    @property
    def description(self) -> str:
        """Every change, figure by figure, and the interval of those that leave zero out."""
        parts = []
        for figure, own in self._table.groupby("figure", sort=False):
            cells = [
                f"{row['group']} {_told(row['value'], row['low'], row['high'])}"
                for row in own.to_dict(orient="records")
            ]
            parts.append(f"{figure}: {', '.join(cells)}.")
        return f"Changes from the reference to the deployed model. {' '.join(parts)}"

    def _labels(self) -> tuple[str, str]:
        return "Group", "Each row in its own unit"

    def _size(self) -> tuple[float, float]:
        figures, groups = (names_of(self._table[name]) for name in ("figure", "group"))
        below, beside = (
            max(drawn(name, width).count("\n") for name in names)
            for names, width in ((groups, _OF_GROUP), (figures, _OF_FIGURE))
        )
        height = max(0.34, 0.16 * (beside + 1)) * len(figures)
        return 3.6 + 0.95 * len(groups), max(2.6, 1.3 + height + 0.14 * below)

    def _draw(self, ax: Any) -> None:
        figures, groups = (names_of(self._table[name]) for name in ("figure", "group"))
        cells = self._table.set_index(["figure", "group"])
        index = pd.MultiIndex.from_product([figures, groups])
        value, low, high = (
            cells[name].reindex(index).to_numpy().reshape(len(figures), -1)
            for name in ("value", "low", "high")
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            largest = np.nanmax(np.abs(np.nan_to_num(value)), axis=1, keepdims=True)
            tint = np.where(largest > 0, value / largest, 0.0) * _DEPTH
        edges = (np.arange(size + 1) - 0.5 for size in reversed(tint.shape))
        ax.pcolormesh(*edges, tint, cmap=_COLORS, vmin=-1, vmax=1, edgecolors="white", linewidth=1)
        ax.invert_yaxis()
        for (row, column), change in np.ndenumerate(value):
            if np.isfinite(change):
                sure = low[row, column] > 0 or high[row, column] < 0
                ax.text(
                    column,
                    row,
                    f"{'+' if change > 0 else ''}{number(change)}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=BLACK,
                    weight="bold" if sure else "normal",
                )
        ax.set_xticks(range(len(groups)), [drawn(group, _OF_GROUP) for group in groups])
        ax.set_yticks(range(len(figures)), [drawn(figure, _OF_FIGURE) for figure in figures])
        ax.tick_params(length=0, labelsize=8)
        for side in ax.spines.values():
            side.set_visible(False)
        note(ax, "Bold: the interval of the change leaves zero out.")


def _told(value: float, low: float, high: float) -> str:
    return span(value, low, high) if low > 0 or high < 0 else number(value)
