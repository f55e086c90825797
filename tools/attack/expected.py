"""What a parameter takes: which odd values must be refused, and which must work."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from odd_values import COMMON, Odd

# True: must work; False: must be refused; None: both are fine, if what comes out is right.
Expectation = Callable[[Any], "bool | None"]


class Parameter(NamedTuple):
    """One parameter of a subject.

    Attributes
    ----------
    expects : callable
    values : list of Odd
        What it is given.
    words : tuple of str
        What an error may call it, beside its name.
    """

    expects: Expectation
    values: list[Odd] = COMMON
    words: tuple[str, ...] = ()


def either(value: Any) -> None:
    """Say nothing about a value."""
    return


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def whole(least: int = 1, *, optional: bool = False, words: tuple[str, ...] = ()) -> Parameter:
    """Take a whole number; what is huge may be refused or work, but not hang."""

    def expects(value: Any) -> bool | None:
        if value is None:
            return optional
        if _is_bool(value):
            return None
        if isinstance(value, Integral):
            return False if value < least else (True if value <= 3 else None)
        return False

    return Parameter(expects, words=words)


def real(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    optional: bool = False,
    open_low: bool = False,
) -> Parameter:
    """Take a number between two ends."""

    def expects(value: Any) -> bool | None:
        if value is None:
            return optional
        if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind == "f":
            return None
        if _is_bool(value):
            return None
        if not isinstance(value, Real):
            return False
        if math.isnan(value) or value < low or value > high or (open_low and value == low):
            return False
        return None

    return Parameter(expects)


def choice(*options: Any) -> Parameter:
    """Take one of some words."""

    def expects(value: Any) -> bool | None:
        try:
            return bool(value in options) and not isinstance(value, np.ndarray | pd.Series)
        except Exception:  # a comparison of an array, or of a list that holds itself
            return False

    return Parameter(expects)


def flag() -> Parameter:
    """Take true or false."""

    def expects(value: Any) -> bool | None:
        if _is_bool(value):
            return True
        return None if isinstance(value, Integral) and value in (0, 1) else False

    return Parameter(expects)


def seed() -> Parameter:
    """Take what scikit-learn does as ``random_state``, whose errors speak of a seed."""

    def expects(value: Any) -> bool | None:
        if value is None:
            return True
        if isinstance(value, Integral):
            return None if _is_bool(value) else 0 <= value < 2**32
        return False

    return Parameter(expects, words=("seed",))


def only(*kinds: type, optional: bool = True, words: tuple[str, ...] = ()) -> Parameter:
    """Take an object of certain classes."""

    def expects(value: Any) -> bool | None:
        if value is None:
            return optional
        return None if isinstance(value, kinds) else False

    return Parameter(expects, words=words)


def anything(*extra: Odd, words: tuple[str, ...] = (), values: list[Odd] = COMMON) -> Parameter:
    """Take whatever is given, or refuse it clearly."""
    return Parameter(either, [*values, *extra], words)


def refused(*extra: Odd, words: tuple[str, ...] = ()) -> Parameter:
    """Take none of the odd values."""
    return Parameter(lambda value: False, [*COMMON, *extra], words)
