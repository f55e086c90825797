"""Checks of the leaves of a header: each takes a value and its place, and returns the value.

They look at JSON values whose marks are resolved: numbers are Python's or arrays.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

Check = Callable[[Any, str], Any]


def refuse(place: str, value: Any, expected: str) -> Any:
    """Raise the error of a leaf."""
    shown = f"an array of {value.size} numbers" if isinstance(value, np.ndarray) else None
    raise ValueError(f"{place} is {shown or reprlib.repr(value)}, expected {expected}")


def integer(low: int, high: int) -> Check:
    """Accept whole numbers of a range."""

    def check(value: Any, place: str) -> int:
        if type(value) is not int or not low <= value <= high:
            refuse(place, value, f"a whole number from {low} to {high}")
        return value

    return check


def number(low: float = -math.inf, high: float = math.inf, *, nan: bool = False) -> Check:
    """Accept finite numbers of a range, both ends excluded; NaN where ``nan``."""

    def check(value: Any, place: str) -> float:
        if type(value) not in (int, float):
            refuse(place, value, "a number")
        try:
            value = float(value)
        except OverflowError:
            refuse(place, value, "a number that fits into 64 bits")
        if not (low < value < high or (nan and math.isnan(value))):
            refuse(place, value, f"a number between {low} and {high}")
        return value

    return check


def numbers(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    length: int | None = None,
    whole: bool = False,
    nan: bool = False,
) -> Check:
    """Accept lists or arrays of finite numbers in [low, high], as an array (int64 if whole)."""
    kinds: tuple[type, ...] = (int,) if whole else (int, float)

    def check(value: Any, place: str) -> np.ndarray:
        expected = "numbers" if length is None else f"{length} numbers"
        expected = f"a list of {'whole ' if whole else ''}{expected} from {low} to {high}"
        if isinstance(value, list) and {type(one) for one in value} <= {*kinds}:
            try:
                value = np.array(value, dtype=np.int64 if whole else np.float64)
            except OverflowError:
                refuse(place, value, expected)
        if not isinstance(value, np.ndarray) or (whole and value.dtype.kind != "i"):
            refuse(place, value, expected)
        right = (value >= low) & (value <= high) & np.isfinite(value)
        if nan:
            right |= np.isnan(value)
        if not right.all() or (length is not None and len(value) != length):
            refuse(place, value, expected)
        return value

    return check


def text(longest: int) -> Check:
    """Accept text up to a length."""

    def check(value: Any, place: str) -> str:
        if type(value) is not str or len(value) > longest:
            refuse(place, value, f"text of at most {longest} characters")
        return value

    return check


def boolean(value: Any, place: str) -> bool:
    """Accept true and false."""
    if type(value) is not bool:
        refuse(place, value, "true or false")
    return value


def scalar(value: Any, place: str) -> Any:
    """Accept a label or category: text, a number, a boolean, a gap, a bin, a tuple of these."""
    if isinstance(value, tuple):
        return tuple(scalar(one, place) for one in value)
    kinds = (str, bool, int, float, pd.Interval)
    if value is not None and value is not pd.NA and type(value) not in kinds:
        refuse(place, value, "a label")
    return value


def free(value: Any, place: str) -> Any:
    """Accept any JSON value, but no array of numbers."""
    if isinstance(value, dict):
        for one in value.values():
            free(one, place)
    elif isinstance(value, list):
        for one in value:
            free(one, place)
    else:
        scalar(value, place)
    return value


def optional(check: Check) -> Check:
    """Accept None too."""
    return lambda value, place: None if value is None else check(value, place)


def one_of(*choices: Any) -> Check:
    """Accept the values of a list."""

    def check(value: Any, place: str) -> Any:
        if not any(type(value) is type(one) and value == one for one in choices):
            refuse(place, value, f"one of {choices}")
        return value

    return check


def listed(check: Check, at_least: int = 0, at_most: int | None = None) -> Check:
    """Accept lists of what a check accepts."""

    def check_all(value: Any, place: str) -> list[Any]:
        most = math.inf if at_most is None else at_most
        if not isinstance(value, list) or not at_least <= len(value) <= most:
            refuse(place, value, f"a list of {at_least} to {most} entries")
        try:
            return [check(one, place) for one in value]
        except ValueError:
            # Only now, since the places of thousands of names take longer than their checks.
            return [check(one, f"{place}[{i}]") for i, one in enumerate(value)]

    return check_all


def unique(check: Check) -> Check:
    """Accept lists without repetition of hashable values."""

    def check_all(value: Any, place: str) -> list[Any]:
        value = listed(check)(value, place)
        try:
            differ = len(set(value)) == len(value)
        except TypeError:
            differ = False
        return value if differ else refuse(place, value, "values that differ")

    return check_all


def mapping(check: Check, at_most: int) -> Check:
    """Accept dicts of what a check accepts."""

    def check_all(value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > at_most:
            refuse(place, value, f"at most {at_most} named values")
        return {key: check(one, f"{place}.{key}") for key, one in value.items()}

    return check_all


def fields(required: dict[str, Check], more: dict[str, Check] | None = None) -> Check:
    """Accept dicts with these keys, and possibly some more, and nothing else."""
    known = required | (more or {})

    def check(value: Any, place: str) -> dict[str, Any]:
        before = f"{place}." if place else ""
        if not isinstance(value, dict):
            refuse(place or "the header", value, "named values")
        for key in required:
            if key not in value:
                raise ValueError(f"{before}{key} is missing")
        for key in value:
            if key not in known:
                raise ValueError(f"{before}{reprlib.repr(key)} is unknown")
        return {key: known[key](one, f"{before}{key}") for key, one in value.items()}

    return check
