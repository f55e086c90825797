"""How a report says numbers, values of people and advice: for readers, in one way everywhere."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from skcfq.utils import missing_mask, plain

# Not allowed in XML, or by UTF-8.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LONGEST = 120
UNKNOWN = "–"
_NBSP = "\N{NO-BREAK SPACE}"

# Figures that are relative changes, and those in units of the cost.
_CHANGES = (
    "recourse_gap",
    "recourse_gap_signed",
    "recourse_gap_median",
    "recourse_gap_ratio",
)


def without_control(text: str) -> str:
    """Return a text without letters that no file can hold."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def words(value: Any) -> str:
    r"""Return a user's text in one line, without letters that no file can hold, not too long.

    Examples
    --------
    >>> words("a" * 200)[-3:], words("two\nlines")
    ('aa…', 'two lines')
    """
    text = " ".join(without_control(str(plain(value))).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def count(value: Any) -> str:
    """Return a whole number with its thousands apart."""
    return f"{int(value):,}"


_PLURALS = {"person": "people", "piece of advice": "pieces of advice"}


def counted(n: Any, one: str) -> str:
    """Return how many of something there are.

    Examples
    --------
    >>> counted(1, "person"), counted(1200, "person")
    ('1 person', '1,200 people')
    """
    return f"{count(n)} {one if int(n) == 1 else _PLURALS.get(one, one + 's')}"


def percent(share: float, *, signed: bool = False) -> str:
    r"""Return a share in percent; what is not 0 or 100 is not shown as if it were.

    Examples
    --------
    >>> percent(0.2646), percent(0.00004), percent(0.99999), percent(0.0)
    ('26.5\xa0%', '0.004\xa0%', '99.999\xa0%', '0.0\xa0%')
    >>> percent(-0.2433, signed=True)
    '-24.3\xa0%'
    """
    if not np.isfinite(share):
        return UNKNOWN
    digits = 1
    while digits < 6 and share not in (0, 1) and round(100 * share, digits) in (0, 100):
        digits += 1
    sign = "+" if signed and share > 0 else ""
    return f"{sign}{100 * share:.{digits}f}{_NBSP}%"


def number(value: float) -> str:
    """Return a number with four digits."""
    return f"{value:.4g}" if np.isfinite(value) else UNKNOWN


def figure(name: str, kind: str, value: float) -> str:
    """Return the value of a figure, as its kind is read."""
    if name in _CHANGES:
        return percent(value, signed=name != "recourse_gap")
    return percent(value) if kind == "share" else number(value)


def interval(name: str, kind: str, lower: float, upper: float) -> str:
    """Return an interval of a figure."""
    if not (np.isfinite(lower) or np.isfinite(upper)):
        return UNKNOWN
    return f"{figure(name, kind, lower)} to {figure(name, kind, upper)}"


def difference(name: str, kind: str, value: float) -> str:
    """Return how far two values of a figure are apart; shares in percentage points."""
    if not np.isfinite(value):
        return UNKNOWN
    if kind == "share" or name in _CHANGES:
        return f"{100 * value:+.1f}{_NBSP}points"
    return f"{value:+.4g}"


def raw(value: Any) -> str:
    """Return a raw value of a person."""
    value = plain(value)
    if missing_mask(np.array([value], dtype=object))[0]:
        return "(missing)"
    if isinstance(value, float):
        return f"{value:.10g}"
    return words(value)


def advice(changes: list[tuple]) -> str:
    """Return what a person is advised to change.

    Examples
    --------
    >>> advice([("loan_amount", 33500, 13500.0), ("guarantor", "no", "yes")])
    'loan_amount: 33500 → 13500; guarantor: no → yes'
    """
    return "; ".join(f"{words(name)}: {raw(old)} → {raw(new)}" for name, old, new in changes)
