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


def place_labels(ax: Any, x: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> None:
    """Write each label at the place beside its mark where it covers the least.

    Parameters
    ----------
    ax : Axes
        With its marks drawn, and its limits as they stay.
    x, y : ndarray of shape (n,)
    labels : sequence of str
    """
    if not len(labels):
        return
    ax.figure.draw_without_rendering()
    bbox = matplotlib_module("transforms").Bbox
    marks = [bbox.from_extents(*(p - 6), *(p + 6)) for p in ax.transData.transform(np.c_[x, y])]
    taken: list = []
    for i, label in enumerate(labels):
        # The mark of the label itself is not covered by it.
        others = [*taken, *marks[:i], *marks[i + 1 :]]
        texts = [_write(ax, x[i], y[i], label, place) for place in _PLACES]
        boxes = [text.get_window_extent() for text in texts]
        covered = [_covered(box, others, ax.bbox) for box in boxes]
        best = int(np.argmin(covered))
        for k, text in enumerate(texts):
            if k != best:
                text.remove()
        taken.append(boxes[best])


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


def _covered(box: Any, others: Sequence[Any], inside: Any) -> float:
    """Return the area, in square dots, that a label covers or that lies outside of the axis."""
    area = box.width * box.height
    within = _shared(box, inside)
    return sum(_shared(box, other) for other in others) + (area - within)


def _shared(first: Any, second: Any) -> float:
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return max(width, 0.0) * max(height, 0.0)
