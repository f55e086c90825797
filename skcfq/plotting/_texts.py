"""Words of the user as matplotlib draws them: no formulas, no control characters, not too long."""

from __future__ import annotations

import re
import textwrap
from typing import Any

# Not allowed in XML, which SVG is.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LONGEST = 120


def drawn(value: Any, width: int | None = None) -> str:
    r"""Return a text that is drawn letter by letter.

    Parameters
    ----------
    value : object
        A label, such as the name of a group.
    width : int, optional
        Letters in a line, at most.

    Examples
    --------
    >>> drawn("under $5k, over $2k")
    'under \\$5k, over \\$2k'
    >>> drawn("a group with a long name", width=14)
    'a group with a\nlong name'
    """
    text = re.sub("[ \t\r\n]+", " ", readable(value)).strip() or "(no name)"
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    if width is not None:
        text = textwrap.fill(text, width)
    # Dollars would begin a formula, and legends leave out what begins with an underscore.
    text = text.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text


def upright(label: str) -> str:
    r"""Return a label as a vertical axis has it, which is short: the unit in a second line.

    Examples
    --------
    >>> upright("Accuracy (share of people)")
    'Accuracy\n(share of people)'
    """
    return drawn(label).replace(" (", "\n(", 1)


def readable(value: Any) -> str:
    """Return a text without the letters that XML does not know."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value))


def number(value: float) -> str:
    """Return a number with three digits, as a sentence says it."""
    return f"{value:.3g}"


def span(value: float, low: float, high: float) -> str:
    """Return a value with its interval, where there is one.

    Examples
    --------
    >>> span(0.25, 0.1, 0.4), span(0.25, float("nan"), float("nan"))
    ('0.25 (0.1 to 0.4)', '0.25')
    """
    if low != low or high != high:
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"
