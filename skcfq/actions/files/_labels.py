"""Names and levels as text: in backquotes whatever is not text itself, as in rules."""

from __future__ import annotations

import json
import math
from typing import Any

from skcfq.actions._raw import is_missing
from skcfq.exceptions import ActionSetError
from skcfq.utils import plain

__all__ = ["read_label", "write_key", "write_label"]

_WORDS = {
    "none": None,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "true": True,
    "false": False,
}


def write_label(value: Any) -> Any:
    """Return a name, level or number as text, bool, int or finite float.

    Raises
    ------
    ActionSetError
        If it is of a type that a file cannot hold.

    Examples
    --------
    >>> write_label("job"), write_label(3), write_label(None), write_label(("a", 1))
    ('job', 3, '`none`', '`["a", 1]`')
    """
    value = plain(value)
    if isinstance(value, int):  # a bool is one
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return write_key(value)


def write_key(value: Any) -> str:
    """Return a name or level as the key of a table, which is always text.

    Examples
    --------
    >>> write_key("3"), write_key(3), write_key("`3`")
    ('3', '`3`', '``3``')
    """
    value = plain(value)
    if isinstance(value, str):
        _check_text(value)
        return f"`{value}`" if _is_quoted(value) else str(value)
    return f"`{_token(value)}`"


def read_label(text: Any) -> Any:
    """Return what :func:`write_label` or :func:`write_key` wrote.

    Raises
    ------
    ActionSetError
        If backquotes hold no value.

    Examples
    --------
    >>> read_label("`3`"), read_label("3"), read_label('`["a", 1]`'), read_label("``3``")
    (3, '3', ('a', 1), '`3`')
    """
    if not isinstance(text, str) or not _is_quoted(text):
        return text
    inside = text[1:-1]
    if _is_quoted(inside):
        return inside
    if inside in _WORDS:
        return _WORDS[inside]
    try:
        value = json.loads(inside)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, list):
        return _tuple(value)
    if isinstance(value, int | float):
        return value
    raise ActionSetError(
        f"the backquotes in {text!r} hold no number, list, true, false, none, nan, inf or -inf. "
        f"Write {'`' + text + '`'!r} for a name that has backquotes itself, or leave them away."
    )


def _is_quoted(text: str) -> bool:
    return len(text) >= 2 and text[0] == text[-1] == "`"


def _check_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ActionSetError(
            f"{value!r} cannot be written to a file, it is no valid Unicode text. Rename it."
        ) from error


def _token(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps([_element(part) for part in value], ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(value)
    if isinstance(value, int):
        return str(int(value))
    if is_missing(value):
        return "none"
    raise ActionSetError(
        f"{value!r} of type {type(value).__name__} cannot be written to a file. Use "
        "text, numbers, booleans or tuples of these as names and levels."
    )


def _element(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_element(part) for part in value]
    if isinstance(value, str):
        _check_text(value)
        return value
    if value is None or isinstance(value, bool | int | float):
        return value
    return json.loads(_token(value))


def _tuple(values: list) -> tuple:
    return tuple(_tuple(value) if isinstance(value, list) else value for value in values)
