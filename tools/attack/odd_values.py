"""Values that somebody gives by mistake, or that come out of a damaged table."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Odd(NamedTuple):
    """A value under a name, made where it is used: no two cases share it."""

    name: str
    make: Callable[[], Any]


def literal(*values: Any) -> list[Odd]:
    """Return values that print as what they are."""
    return [Odd(repr(value)[:50], lambda value=value: value) for value in values]


def deep(kind: type, depth: int) -> Any:
    """Return a list or a dict with others inside; Python itself cannot print a thousand."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


def _cyclic() -> list:
    value: list = []
    value.append(value)
    return value


SCALARS = [
    *literal(None, True, 0, 1, 2, -1, 0.5, 1.5, float("nan"), float("inf"), float("-inf")),
    *literal(2**31, 2**70, -(2**70), 1e300, -1e300, 1e-300, 1j, "", "x", "1", b"x"),
    Odd("Decimal('1.5')", lambda: Decimal("1.5")),
    Odd("np.float32(0.5)", lambda: np.float32(0.5)),
    Odd("np.int64(2)", lambda: np.int64(2)),
    Odd("pd.NA", lambda: pd.NA),
    Odd("pd.NaT", lambda: pd.NaT),
    Odd("date", lambda: datetime.date(2020, 1, 1)),
    Odd("object()", object),
    Odd("int (a class)", lambda: int),
]
CONTAINERS = [
    *literal([], (), {}, [1], ["x"], [None], [[1]], {"x": 1}, {"x": None}, range(3)),
    Odd("set", lambda: {1, "x"}),
    Odd("np.array(1.0), 0-d", lambda: np.array(1.0)),
    Odd("np.array('x'), 0-d", lambda: np.array("x")),
    Odd("np.array([])", lambda: np.array([])),
    Odd("np.zeros((2, 2, 2))", lambda: np.zeros((2, 2, 2))),
    Odd("pd.Series([1])", lambda: pd.Series([1])),
    Odd("pd.DataFrame()", pd.DataFrame),
    Odd("generator", lambda: (i for i in range(3))),
    Odd("list, 30 deep", lambda: deep(list, 30)),
    Odd("dict, 30 deep", lambda: deep(dict, 30)),
    Odd("list that holds itself", _cyclic),
]
COMMON = [*SCALARS, *CONTAINERS]


def inside(wrap: Callable[[Any], Any], text: str, values: list[Odd] = SCALARS) -> list[Odd]:
    """Return values wrapped into something, such as one entry of a dict.

    Parameters
    ----------
    wrap : callable
    text : str
        Name of the case, with ``{}`` for the value.
    values : list of Odd
    """
    return [Odd(text.replace("{}", odd.name), lambda odd=odd: wrap(odd.make())) for odd in values]
