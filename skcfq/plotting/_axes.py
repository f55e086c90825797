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
    for other in (one for one in ax.figure.axes if _place(one) == _place(ax)):
        shown = other.get_xlabel(), other.get_ylabel()
        if any(before not in ("", now) for before, now in zip(shown, (x_label, y_label))):  # noqa: B905
            raise ValueError(
                f"`ax` shows {shown[0]!r} and {shown[1]!r} already, and {x_label!r} and "
                f"{y_label!r} cannot be read on it. Validity, cost and direction are never drawn "
                "on one axis: give each an axis of its own, for example of plt.subplots(1, 2)."
            )
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)


def _place(ax: Any) -> Any:
    """Return what an axis shares with one that lies over it: its cell, or where it stands."""
    return ax.get_subplotspec() or tuple(ax.get_position(original=True).bounds)


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


def legend_above(ax: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Put a legend above the axis, where it covers nothing, in as few rows as fit its width."""
    for n_rows in range(1, len(labels) + 1):
        columns = -(-len(labels) // n_rows)
        legend = ax.legend(
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
        # While it is measured, it takes no room from the axis.
        legend.set_in_layout(False)
        ax.figure.draw_without_rendering()
        fits = legend.get_window_extent().width <= ax.bbox.width
        legend.set_in_layout(True)
        if fits:
            return


def note(ax: Any, text: str) -> None:
    """Write a remark below the label of the horizontal axis, in small letters."""
    _below(ax, drawn(text), ax.xaxis.label)


def write_protocol(ax: Any, protocol: str) -> None:
    """Write how the figures were made below everything else on the axis."""
    before = [text for text in ax.texts if text.get_gid() == "below"]
    words = " ".join(readable(protocol).split()).replace("$", r"\$")
    _below(ax, f"Protocol: {words}", before[-1] if before else ax.xaxis.label)


def _below(ax: Any, text: str, above: Any) -> None:
    written = ax.annotate(
        text,
        xy=(0.0, 0.0),
        xycoords=("axes fraction", above),
        xytext=(0, -4),
        textcoords="offset points",
        va="top",
        ha="left",
        fontsize="x-small",
        color=GRAY,
        annotation_clip=False,
        gid="below",
    )
    # While it is measured, it takes no room from the axis.
    written.set_in_layout(False)
    ax.figure.draw_without_rendering()
    letters = len(text) * ax.bbox.width / max(written.get_window_extent().width, 1.0)
    while True:
        written.set_text(textwrap.fill(text, max(12, int(letters))))
        if letters <= 12 or written.get_window_extent().width <= ax.bbox.width:
            break
        letters *= 0.95
    written.set_in_layout(True)
