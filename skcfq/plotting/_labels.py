"""Labels beside marks, where they cover neither each other nor other marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skcfq.plotting._matplotlib import matplotlib_module

# Beside the mark, in points: to the right first, then above, below and to the left.
_PLACES = [
    ((8, 0), "left", "center"),
    ((0, 8), "center", "bottom"),
    ((0, -8), "center", "top"),
    ((-8, 0), "right", "center"),
    ((8, 9), "left", "bottom"),
    ((8, -9), "left", "top"),
    ((-8, 9), "right", "bottom"),
    ((-8, -9), "right", "top"),
]


def place_labels(ax: Any, x: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> bool:
    """Write each label at the first place beside its mark where it covers nothing.

    Parameters
    ----------
    ax : Axes
        With its marks drawn, and its limits as they stay.
    x, y : ndarray of shape (n,)
    labels : sequence of str

    Returns
    -------
    placed : bool
        False where some label has no such place, or would stand as near to another mark; then
        nothing is written.
    """
    ax.figure.draw_without_rendering()
    bbox = matplotlib_module("transforms").Bbox
    points = ax.transData.transform(np.c_[x, y])
    marks = [bbox.from_extents(*(point - 7), *(point + 7)) for point in points]
    written: list = []
    for i, label in enumerate(labels):
        taken = [text.get_window_extent() for text in written]
        # The mark of the label itself is not covered by it.
        others = [*taken, *marks[:i], *marks[i + 1 :]]
        for place in _PLACES:
            text = _write(ax, x[i], y[i], label, place)
            box = text.get_window_extent()
            if _is_free(box, others, ax.bbox) and _belongs(box, points, i):
                written.append(text)
                break
            text.remove()
        else:
            for text in written:
                text.remove()
            return False
    return True


def _write(ax: Any, x: float, y: float, label: str, place: tuple) -> Any:
    offset, ha, va = place
    return ax.annotate(
        label,
        (x, y),
        xytext=offset,
        textcoords="offset points",
        ha=ha,
        va=va,
        fontsize="small",
    )


def _is_free(box: Any, others: Sequence[Any], inside: Any) -> bool:
    """Tell whether a label covers nothing and does not leave the axis."""
    within = (
        box.x0 >= inside.x0 and box.x1 <= inside.x1 and box.y0 >= inside.y0 and box.y1 <= inside.y1
    )
    return within and not any(box.overlaps(other) for other in others)


def _belongs(box: Any, points: np.ndarray, own: int) -> bool:
    """Tell whether a label is clearly nearer to its own mark than to any other."""
    low, high = np.array([box.x0, box.y0]), np.array([box.x1, box.y1])
    away = np.linalg.norm(points - np.clip(points, low, high), axis=1)
    return bool((np.delete(away, own) > 1.5 * away[own]).all())
