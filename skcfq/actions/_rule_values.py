"""Checks of what rules say: everything that a value alone can have wrong."""

from __future__ import annotations

import math
import numbers
from collections.abc import Hashable, Mapping
from typing import Any, NoReturn

from skcfq.exceptions import ActionSetError
from skcfq.utils import is_list

__all__ = [
    "OBSERVED",
    "check_bounds",
    "check_levels",
    "check_quantiles",
    "check_relative",
    "check_size",
    "check_step",
    "check_transitions",
    "check_weight",
    "fail",
    "is_number",
    "number",
    "number_pair",
]

OBSERVED = "observed"


def fail(rule: str, name: object, value: object, problem: str, remedy: str) -> NoReturn:
    """Raise the error of one rule: parameter, column, value, problem and remedy."""
    raise ActionSetError(f"{rule} for {name!r} is {value!r}: {problem}. {remedy}.")


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, and neither a truth value nor NaN."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return not math.isnan(float(value))
    except OverflowError:
        return False


def _pair(rule: str, name: Hashable, value: Any) -> tuple[Any, Any]:
    if type(value) is tuple and len(value) == 2:
        return value
    if not is_list(value):
        fail(rule, name, value, "a pair (low, high) is needed", "Give two values, None for open")
    pair = tuple(value)
    if len(pair) != 2:
        fail(rule, name, value, f"it has {len(pair)} values", "Give a pair (low, high)")
    return pair


def number(rule: str, name: Hashable, value: Any) -> float:
    """Return a real, non-NaN number as float."""
    if type(value) is float and value == value:
        return value
    if not is_number(value):
        fail(rule, name, value, "a number is needed", "Give a real number in the column's units")
    return float(value)


def number_pair(rule: str, name: Hashable, value: Any) -> tuple[float, float]:
    """Return (low, high) as floats, open sides as infinities."""
    low, high = _pair(rule, name, value)
    low = -math.inf if low is None else number(rule, name, low)
    high = math.inf if high is None else number(rule, name, high)
    _check_order(rule, name, value, (low, high), "side")
    return low, high


def _check_order(
    rule: str, name: Hashable, value: Any, ends: tuple[float, float], what: str
) -> None:
    low, high = ends
    if low > high:
        problem = f"the lower {what} {low:g} is above the upper {what} {high:g}"
        fail(rule, name, value, problem, "Swap the two, or give None for an open side")


def check_bounds(rule: str, name: Hashable, value: Any) -> Any:
    # Labels of an ordered category are as good as numbers here; the feature knows which it needs.
    if isinstance(value, str):
        if value != OBSERVED:
            fail(rule, name, value, "no such bounds", "Give a pair (low, high) or 'observed'")
        return OBSERVED
    pair = _pair(rule, name, value)
    if all(side is None or isinstance(side, (float, numbers.Real)) for side in pair):
        number_pair(rule, name, value)
    return pair


def check_relative(rule: str, name: Hashable, value: Any) -> tuple[float, float]:
    return number_pair(rule, name, value)


def check_quantiles(rule: str, name: Hashable, value: Any) -> tuple[float, float]:
    low, high = _pair(rule, name, value)
    low = 0.0 if low is None else number(rule, name, low)
    high = 1.0 if high is None else number(rule, name, high)
    if not 0 <= low <= 1 or not 0 <= high <= 1:
        fail(
            rule, name, value, "a quantile lies outside [0, 1]", "Give shares such as (0.01, 0.99)"
        )
    _check_order(rule, name, value, (low, high), "share")
    return low, high


def check_step(rule: str, name: Hashable, value: Any) -> float:
    step = number(rule, name, value)
    if not 0 <= step < math.inf:
        fail(
            rule,
            name,
            value,
            "a step must be finite and not negative",
            "Give the size of one step in the column's units, or 0 for none",
        )
    return step


def check_size(rule: str, name: Hashable, value: Any) -> float:
    size = number(rule, name, value)
    if not 0 < size < math.inf:
        fail(rule, name, value, "it must be positive and finite", "Give an amount in raw units")
    return size


def check_weight(rule: str, name: Hashable, value: Any) -> float:
    """Return the weight of a feature as a float."""
    weight = number(rule, name, value)
    if not 0 < weight < math.inf:
        fail(
            rule,
            name,
            value,
            "a weight must be positive and finite",
            "Name the feature in immutable to forbid a change",
        )
    return weight


def check_levels(rule: str, name: Hashable, value: Any) -> tuple:
    if not is_list(value):
        fail(rule, name, value, "a list of levels is needed", "List the levels from low to high")
    levels = tuple(value)
    if not levels:
        fail(rule, name, value, "it has no level", "List the levels from low to high")
    twice = _first_repeated(levels)
    if twice:
        fail(rule, name, value, f"level {twice[0]!r} is listed twice", "List each level once")
    return levels


def _first_repeated(levels: tuple) -> tuple:
    """Return the first level that was there before, in a tuple that is empty without one."""
    seen = set()
    for level in levels:
        try:
            if level in seen:
                return (level,)
            seen.add(level)
        except TypeError:
            # What cannot be hashed is the level of no column; the feature says so.
            continue
    return ()


def check_transitions(rule: str, name: Hashable, value: Any) -> dict:
    if not isinstance(value, Mapping):
        fail(rule, name, value, "a dict is needed", "Write {from_level: [to_level, ...]}")
    moves = {}
    for source, targets in value.items():
        if not is_list(targets):
            fail(
                rule,
                name,
                value,
                f"the targets of {source!r} are no list",
                "Write {from_level: [to_level, ...]}",
            )
        targets = tuple(targets)
        twice = _first_repeated(targets)
        if twice:
            fail(
                rule,
                name,
                value,
                f"{source!r} lists {twice[0]!r} twice",
                "List each target once",
            )
        moves[source] = targets
    return moves
