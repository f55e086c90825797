"""Colors that color-blind people tell apart, and what tells lines apart in gray print."""

from __future__ import annotations

from typing import NamedTuple

# Okabe and Ito (2008), ordered so that neighbors differ in lightness too. Their yellow is too
# light on white paper.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LINES: tuple = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
# Dots and circles would be most of a file.
_HATCHES = ("", "//", "\\\\", "xx", "--", "++", "||")

BLACK, GRAY, BLUE, RED = "#000000", "#595959", "#0072B2", "#D55E00"
DASHED = _LINES[1]


class Style(NamedTuple):
    """How one method is drawn: each of the four tells it from its neighbors."""

    color: str
    marker: str
    line: str | tuple
    hatch: str


def style(position: int) -> Style:
    """Return the style of the method at a position; the first 280 differ.

    Examples
    --------
    >>> len({style(i) for i in range(280)})
    280
    """
    lists = (_COLORS, _MARKERS, _LINES, _HATCHES)
    return Style(*(choices[position % len(choices)] for choices in lists))
