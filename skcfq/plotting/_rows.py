"""One row a condition, one mark a method in it, with its interval: what several figures are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skcfq.plotting._axes import clean
from skcfq.plotting._matplotlib import matplotlib_module
from skcfq.plotting._style import BLACK, style
from skcfq.plotting._tables import names_of, row_of
from skcfq.plotting._texts import drawn

# Of a row's height, for all methods together.
_FILLED = 0.7
_LETTERS = 26


def draw_rows(ax: Any, table: pd.DataFrame, by: str, *, bars: bool) -> dict[tuple, float]:
    """Draw values with their intervals along the horizontal axis.

    Parameters
    ----------
    ax : Axes
    table : DataFrame
        Columns ``method``, the conditions in ``by``, ``value``, ``low`` and ``high``.
    by : str
        Where it is ``"method"``, each method is a row of its own.
    bars : bool
        Bars from 0, or dots.

    Returns
    -------
    heights : dict of (method, condition) to float
        Where each mark is on the vertical axis.
    """
    methods, conditions = names_of(table["method"]), names_of(table[by])
    heights = {}
    inside = [None] if by == "method" else methods
    offsets = _FILLED * ((np.arange(len(inside)) + 0.5) / len(inside) - 0.5)
    for i, condition in enumerate(conditions):
        for offset, method in zip(offsets, inside, strict=True):
            one = condition if method is None else method
            row = row_of(table, **{"method": one, by: condition})
            heights[one, condition] = i + offset
            if row is not None and np.isfinite(row["value"]):
                _mark(ax, row, i + offset, methods.index(one), _FILLED / len(inside), bars)
    ax.set_ylim(len(conditions) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(bars)
    clean(ax, "x")
    return heights


def _mark(ax: Any, row: pd.Series, y: float, position: int, height: float, bars: bool) -> None:
    look = style(position)
    value, low, high = row["value"], row["low"], row["high"]
    if bars:
        ax.barh(
            y,
            value,
            0.86 * height,
            color=look.color,
            alpha=0.75,
            hatch=look.hatch,
            edgecolor=BLACK,
            linewidth=0.7,
        )
    if np.isfinite(low) and np.isfinite(high):
        color = BLACK if bars else look.color
        ends = [[value - low], [high - value]]
        ax.errorbar(value, y, xerr=ends, fmt="none", ecolor=color, elinewidth=1.5, capsize=3)
    if not bars:
        ax.plot(value, y, look.marker, color=look.color, markersize=7, markeredgecolor="white")


def label_rows(ax: Any, labels: list[str]) -> None:
    """Write the names of the rows at their left."""
    ax.set_yticks(range(len(labels)), [drawn(label, _LETTERS) for label in labels])


def method_handles(table: pd.DataFrame, *, bars: bool) -> tuple[list, list[str]]:
    """Return legend entries, one a method."""
    patches, lines = matplotlib_module("patches"), matplotlib_module("lines")
    handles, methods = [], names_of(table["method"])
    for position in range(len(methods)):
        look = style(position)
        if bars:
            handle = patches.Patch(
                facecolor=look.color, alpha=0.75, hatch=look.hatch, edgecolor=BLACK
            )
        else:
            handle = lines.Line2D([], [], color=look.color, marker=look.marker, linestyle="none")
        handles.append(handle)
    return handles, [drawn(method) for method in methods]


def height_of(n_rows: int, n_inside: int) -> float:
    """Return the height of a figure, in inches."""
    return float(np.clip(1.3 + n_rows * max(0.42, 0.24 * n_inside), 2.4, 40.0))
