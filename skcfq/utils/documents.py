"""Documents of JSON, read strictly: no key twice, no NaN, nothing nested without end."""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# An action set in a document is some twelve deep.
_DEEPEST = 40

Failure = Callable[[str, object], Exception]


def load_json(source: Any, failure: Failure) -> tuple[str, Any]:
    """Return what errors call a source, and the value that it holds.

    Parameters
    ----------
    source : path, str or dict
        A text that begins with a brace is the document itself.
    failure : callable
        From what errors call the source and a problem to the error that is raised.

    Raises
    ------
    TypeError
        It is neither a path, nor a text, nor a dict.
    """
    if isinstance(source, Mapping):
        place, document = "the dict", dict(source)
    elif isinstance(source, str) and source.lstrip("\ufeff \t\r\n")[:1] == "{":
        place, document = "the text", _parsed("the text", source.lstrip("\ufeff"), failure)
    else:
        place, document = _of_file(source, failure)
    if _is_too_deep(document):
        raise failure(place, "it is nested too deep")
    return place, document


def _of_file(source: Any, failure: Failure) -> tuple[str, Any]:
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"source is of type {type(source).__name__}: give the path of a file, its text or a "
            "dict, as they were written."
        )
    place = os.fspath(source)
    try:
        # One text alone, since that of an audit may have hundreds of megabytes.
        content = Path(place).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise failure(str(place), "it is not UTF-8") from error
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        # A text that is no document may be as long as one.
        named = f"source={reprlib.repr(place)}"
        raise failure(named, f"the file cannot be read, {problem}") from error
    return str(place), _parsed(str(place), content, failure)


def _parsed(place: str, content: str, failure: Failure) -> Any:
    try:
        return json.loads(content, parse_constant=_no_constant, object_pairs_hook=_without_twins)
    except RecursionError as error:
        raise failure(place, "it is nested too deep") from error
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno} is no JSON, {error.msg}"
        raise failure(place, problem) from error
    except ValueError as error:
        raise failure(place, error) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of strict JSON")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twin!r} is given twice")
    return table


def _is_too_deep(document: Any) -> bool:
    """Tell whether a value is nested deeper than any document, or holds itself."""
    level, depth = [document], 0
    while level:
        if depth > _DEEPEST:
            return True
        inner: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                inner.extend(one for one in value.values() if isinstance(one, (dict, list)))
            elif isinstance(value, list):
                inner.extend(one for one in value if isinstance(one, (dict, list)))
        level, depth = inner, depth + 1
    return False
