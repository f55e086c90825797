"""The axis that a display draws on: made, given, refused; and what is written around it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from skcfq.plotting._matplotlib import matplotlib_module
from skcfq.plotting._style import GRAY
from skcfq.plotting._texts import drawn, readable


def axis_for(ax: Any, size: tuple[float, float]) -> Any:
    """Return the axis that was given, or that of a new figure of a size in inches.

    Raises
    ------
    ValueError
        What was given is no axis.
    """
    axes = matplotlib_module("axes")
    if ax is None:
        _, ax = matplotlib_module("pyplot").subplots(figsize=size, layout="constrained")
    elif not isinstance(ax, axes.Axes):
        raise ValueError(
            f"ax={type(ax).__name__} is no single axis of matplotlib; give one, such as "
            "plt.subplots()[1], or None."
        )
    return ax


def claim(ax: Any, x_label: str, y_label: str) -> None:
    """Label an axis, unless it, or a twin that lies over it, shows something else.

    Raises
    ------
    ValueError
        Two metrics would be read on one axis.
    """
    twins = [
        other
        for other in ax.figure.axes
        if other is not ax and other.get_position().bounds == ax.get_position().bounds
    ]
    for other in (ax, *twins):
        shown = other.get_xlabel(), other.get_ylabel()
        if any(before not in ("", now) for before, now in zip(shown, (x_label, y_label))):  # noqa: B905
            raise ValueError(
                f"`ax` shows {shown[0]!r} and {shown[1]!r} already, and {x_label!r} and "
                f"{y_label!r} cannot be read on it. Validity, cost and direction are never drawn "
                "on one axis: give each an axis of its own, for example of plt.subplots(1, 2)."
            )
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)


def clean(ax: Any, grid: str) -> None:
    """Leave out what no reader needs, and draw a light grid behind the data.

    Parameters
    ----------
    ax : Axes
    grid : {"x", "y", "both"}
        The direction in which values are read.
    """
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color="#d9d9d9", linewidth=0.6)
    ax.set_axisbelow(True)


def width_in_letters(ax: Any, size: float) -> int:
    """Return how many letters of a size, in points, fit beside each other on an axis."""
    # The layout leaves room for the names of rows, which are written already.
    ax.figure.draw_without_rendering()
    inches = ax.get_position().width * ax.figure.get_size_inches()[0]
    return max(20, int(inches * 72 / (0.5 * size)))


def legend_above(ax: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Put a legend above the axis, where it covers nothing."""
    size = matplotlib_module("font_manager").FontProperties(size="small").get_size_in_points()
    longest = max(len(label) for label in labels) + 5
    n_rows = -(-len(labels) // max(1, width_in_letters(ax, size) // longest))
    columns = -(-len(labels) // n_rows)
    ax.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        fontsize="small",
        frameon=False,
        borderaxespad=0.2,
        handlelength=2.6,
    )


def note(ax: Any, text: str) -> None:
    """Write a remark below the label of the horizontal axis, in small letters."""
    _below(ax, drawn(text), ax.xaxis.label)


def write_protocol(ax: Any, protocol: str) -> None:
    """Write how the figures were made below everything else on the axis."""
    before = [text for text in ax.texts if text.get_gid() == "below"]
    words = " ".join(readable(protocol).split()).replace("$", r"\$")
    _below(ax, f"Protocol: {words}", before[-1] if before else ax.xaxis.label)


def _below(ax: Any, text: str, above: Any) -> None:
    size = matplotlib_module("font_manager").FontProperties(size="x-small").get_size_in_points()
    lines = textwrap.fill(text, width_in_letters(ax, size))
    ax.annotate(
        lines,
        xy=(0.0, 0.0),
        xycoords=("axes fraction", above),
        xytext=(0, -4),
        textcoords="offset points",
        va="top",
        ha="left",
        fontsize=size,
        color=GRAY,
        annotation_clip=False,
        gid="below",
    )
