"""Write action sets to files that people review, and read them back."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from skcfq.actions.files._labels import write_key, write_label
from skcfq.actions.files._schema import (
    DEFAULTS,
    NAMES,
    NESTED,
    PAIRS,
    PARAMETERS,
    SCHEMA,
    VERSION,
    read_tree,
)
from skcfq.actions.files._source_positions import (
    Fault,
    Node,
    line_and_column,
    read_json,
    read_toml,
    tree_of,
)
from skcfq.exceptions import ActionSetError, ActionSetFileError
from skcfq.utils import atomic_write, is_list

__all__ = ["from_data", "read_action_file", "to_data", "unchecked_data", "write_action_file"]

_WIDTH = 88
# Comments around what is written in TOML: a file with the first and without the last was cut off.
_BEGIN, _END = f"# begin {SCHEMA}", f"# end {SCHEMA}"
_CUT_OFF = (
    f"the file begins with {_BEGIN!r} and does not end with {_END!r}, so part of it is missing. "
    "Write it again; or take the first line away, if these are all the rules."
)
_NOT_FINITE = {"`inf`": "inf", "`-inf`": "-inf", "`nan`": "nan"}


def to_data(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an action set as JSON values, parameters without content left out.

    Raises
    ------
    ActionSetError
        If rules contradict each other, or hold what no file can.
    """
    data = unchecked_data(parameters)
    from_data(data)
    return data


def unchecked_data(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Do what :func:`to_data` does with rules that were compiled, and so are known to be sound."""
    data: dict[str, Any] = {"schema": SCHEMA, "version": VERSION}
    for rule in PARAMETERS:
        value = parameters[rule]
        if _says_nothing(rule, value):
            continue
        if rule in PAIRS and isinstance(value, Mapping):
            data[rule] = {write_key(name): _limits(pair) for name, pair in value.items()}
        elif rule == "constraints":
            data[rule] = _texts(value)
        elif rule in NAMES and isinstance(value, set | frozenset):
            data[rule] = sorted(map(_encoded, value), key=str)
        else:
            data[rule] = _encoded(value)
    return data


def _says_nothing(rule: str, value: Any) -> bool:
    if rule in DEFAULTS and isinstance(value, str | float):
        return value == DEFAULTS[rule]
    if rule == "actionable" and value is not None:
        return False
    return value is None or ((is_list(value) or isinstance(value, Mapping)) and len(value) == 0)


def from_data(data: Any) -> dict[str, Any]:
    """Return the parameters that :func:`to_data` wrote, with every fault in one error."""
    try:
        tree = tree_of(data)
    except ValueError as error:
        raise ActionSetError(str(error)) from error
    parameters, faults = read_tree(tree)
    if faults:
        raise ActionSetError("\n".join(fault.message for fault in faults))
    return parameters


def write_action_file(parameters: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write the parameters of an action set to a TOML or JSON file."""
    suffix = _suffix(path)
    data = to_data(parameters)
    if not any(rule in data for rule in PARAMETERS if rule not in DEFAULTS):
        # A file says that everything may change on purpose, or not at all.
        data["immutable"] = []
    text = _WRITERS[suffix](data)
    atomic_write(path, text)


def read_action_file(path: str | os.PathLike) -> dict[str, Any]:
    """Return the parameters in a TOML or JSON file.

    Raises
    ------
    ActionSetFileError
        With the position of everything that is wrong.
    """
    suffix = _suffix(path)
    text = _read_text(path)
    if suffix == ".toml" and text.startswith(f"{_BEGIN}\n") and not _has_end(text):
        raise _error(path, text, [Fault(len(text.rstrip()), _CUT_OFF)])
    tree, faults = _READERS[suffix](text)
    parameters: dict[str, Any] = {}
    if tree is not None:
        parameters, more = read_tree(tree, text)
        faults = faults + more
    if faults:
        raise _error(path, text, faults)
    return parameters


def _has_end(text: str) -> bool:
    return text.rstrip().endswith(f"\n{_END}")


def _read_text(path: str | os.PathLike) -> str:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
        message = f"the file cannot be read: {problem}. Give the path of a .toml or .json file."
        raise ActionSetFileError(str(path), ((None, None, message),)) from error
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig").replace("\r\n", "\n")
        message = f"byte {content[error.start]:#04x} is not UTF-8. Save the file as UTF-8."
        where = line_and_column(before, len(before))
        raise ActionSetFileError(str(path), ((*where, message),)) from error
    if not text.strip():
        message = f"the file is empty. Begin with schema = {SCHEMA!r} and version = {VERSION}."
        raise ActionSetFileError(str(path), ((1, 1, message),))
    return text


def _error(path: str | os.PathLike, text: str, faults: Iterable[Fault]) -> ActionSetFileError:
    sorted_faults = sorted((fault.position or 0, fault.message) for fault in dict.fromkeys(faults))
    problems = ((*line_and_column(text, position), message) for position, message in sorted_faults)
    return ActionSetFileError(str(path), tuple(problems))


def _suffix(path: str | os.PathLike) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in _READERS:
        message = f"the extension {suffix!r} is unknown. Name the file .toml or .json."
        raise ActionSetFileError(str(path), ((None, None, message),))
    return suffix


def _texts(value: Any) -> Any:
    # Backquotes in a rule are part of its language.
    return (
        [str(text) if isinstance(text, str) else text for text in value]
        if is_list(value)
        else value
    )


def _limits(pair: Any) -> Any:
    """Write an open side by leaving it out."""
    sides = list(pair) if is_list(pair) else []
    if len(sides) != 2 or all(side is not None for side in sides):
        return _encoded(pair)
    named = zip(("low", "high"), sides, strict=True)
    return {side: write_label(value) for side, value in named if value is not None}


def _encoded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {write_key(key): _encoded(item) for key, item in value.items()}
    return [write_label(item) for item in value] if is_list(value) else write_label(value)


def _toml(data: Mapping[str, Any]) -> str:
    lines = [_BEGIN, *(f"{key} = {_toml_value(data[key])}" for key in ("schema", "version"))]
    tables = [rule for rule in data if isinstance(data[rule], dict)]
    plain = [rule for rule in data if rule not in ("schema", "version", *tables)]
    if plain:
        lines.append("")
    for rule in plain:
        lines.append(_assignment(rule, data[rule], one_per_line=rule == "constraints"))
    for rule in tables:
        if rule not in NESTED:
            lines += ["", f"[{rule}]"]
            lines += [_assignment(_toml_key(key), value) for key, value in data[rule].items()]
            continue
        for name, entries in data[rule].items():
            lines += ["", f"[{rule}.{_toml_key(name)}]"]
            lines += [_assignment(_toml_key(key), value) for key, value in entries.items()]
    return "\n".join([*lines, "", _END]) + "\n"


def _assignment(key: str, value: Any, *, one_per_line: bool = False) -> str:
    line = f"{key} = {_toml_value(value)}"
    if isinstance(value, list) and (one_per_line or len(line) > _WIDTH):
        return "\n".join([f"{key} = [", *(f"    {_toml_value(item)}," for item in value), "]"])
    return line


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{_toml_key(k)} = {_toml_value(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, str):
        return _NOT_FINITE.get(value) or _quoted(value)
    return json.dumps(value)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)


def _quoted(text: str) -> str:
    # TOML refuses the delete character, which JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _json(data: Mapping[str, Any]) -> str:
    return _json_value(data, "") + "\n"


def _json_value(value: Any, indent: str) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    is_flat = not isinstance(value, dict | list) or (indent and len(indent) + len(line) <= _WIDTH)
    if is_flat or not value:
        return line
    inner = indent + "  "
    if isinstance(value, list):
        items = [inner + _json_value(item, inner) for item in value]
    else:
        pairs = ((json.dumps(k, ensure_ascii=False), v) for k, v in value.items())
        items = [f"{inner}{key}: {_json_value(item, inner)}" for key, item in pairs]
    ends = "[]" if isinstance(value, list) else "{}"
    return f"{ends[0]}\n" + ",\n".join(items) + f"\n{indent}{ends[1]}"


_READERS: dict[str, Callable[[str], tuple[Node | None, list[Fault]]]] = {
    ".toml": read_toml,
    ".json": read_json,
}
_WRITERS = {".toml": _toml, ".json": _json}
