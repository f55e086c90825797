"""Read TOML and JSON as trees that know where in the text each key and value stands.

The standard library's parsers decide what is valid; the scanners here walk the text that they
accept, so that an error about a value can name its line and column. What they refuse as a key
given twice is walked too, because the second key is the position to name.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = [
    "Entry",
    "Fault",
    "Node",
    "line_and_column",
    "read_json",
    "read_toml",
    "text_positions",
    "tree_of",
]


@dataclass
class Node:
    """A value and where it stands.

    Parameters
    ----------
    value : dict of text to Entry, list of Node, or scalar
    position : int or None
        Offset in the text; None if there is no text.
    source : str
        A text as it is written, quotes included.
    """

    value: Any
    position: int | None = None
    source: str = ""


class Entry(NamedTuple):
    """A value in a table, and the position of its key."""

    position: int | None
    node: Node


class Fault(NamedTuple):
    """What is wrong, and where."""

    position: int | None
    message: str


# Amounts of implied changes, the deepest values, are five deep.
_DEEPEST = 12
TOO_DEEP = (
    "values are nested deeper than those of any rule. Take brackets, or parts of the key, away."
)


class _TooDeepError(ValueError):
    def __init__(self, position: int) -> None:
        super().__init__(TOO_DEEP)
        self.position = position


def read_json(text: str) -> tuple[Node | None, list[Fault]]:
    """Return the tree of a JSON text, None if it is not valid, and keys that are given twice."""
    scanner = _JsonScanner(text)
    try:
        json.loads(text)
        return scanner.value(), scanner.faults
    except json.JSONDecodeError as error:
        return None, [Fault(error.pos, _syntax("JSON", error.msg))]
    except _TooDeepError as error:
        return None, [Fault(error.position, str(error))]
    except RecursionError:
        return None, [Fault(0, TOO_DEEP)]
    except ValueError as error:
        return None, [Fault(0, _syntax("JSON", str(error)))]


def read_toml(text: str) -> tuple[Node | None, list[Fault]]:
    """Return the tree of a TOML text, None if it is not valid, and keys that are given twice.

    Line ends must be plain newlines.
    """
    scanner = _TomlScanner(text)
    try:
        _check_dotted_keys(text)
        tomllib.loads(text)
        return scanner.document(), []
    except tomllib.TOMLDecodeError as error:
        refused = Fault(_toml_position(text, str(error)), _syntax("TOML", str(error)))
    except _TooDeepError as error:
        return None, [Fault(error.position, str(error))]
    except RecursionError:
        return None, [Fault(0, TOO_DEEP)]
    except ValueError as error:
        return None, [Fault(0, _syntax("TOML", str(error)))]
    try:
        tree = scanner.document()
    except (ValueError, LookupError, AttributeError, RecursionError):
        tree = None
    # Only what was given twice explains a refusal of a text that can be walked to its end.
    return (tree, scanner.faults) if tree and scanner.faults else (None, [refused])


def line_and_column(text: str, position: int) -> tuple[int, int]:
    """Return the line and the column of an offset, both counted from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


_ESCAPE = re.compile(
    r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u.{4}|\\U.{8}|(?P<nothing>\\[ \t]*\n\s*)|\\.", re.DOTALL
)


def text_positions(source: str) -> list[int]:
    r"""Return where in a quoted text each of its characters stands, escapes counted as one.

    Examples
    --------
    >>> text_positions(r'"a\nb"')
    [1, 2, 4]
    """
    quotes = 3 if source[:3] in ('"""', "'''") and len(source) >= 6 else 1
    at, end, positions = quotes, len(source) - quotes, []
    if quotes == 3 and source[at] == "\n":
        at += 1
    while at < end:
        escape = _ESCAPE.match(source, at) if source[0] == '"' else None
        if not (escape and escape["nothing"]):
            positions.append(at)
        at = escape.end() if escape else at + 1
    return positions


def _syntax(format_name: str, problem: str) -> str:
    problem = re.sub(r" \(at (line \d+, column \d+|end of document)\)$", "", problem)
    return f"this is not valid {format_name}: {problem}. Correct the text here or just before."


def _toml_position(text: str, message: str) -> int:
    match = re.search(r"\(at line (\d+), column (\d+)\)$", message)
    if not match:
        return len(text.rstrip())
    start = sum(len(line) + 1 for line in text.split("\n")[: int(match[1]) - 1])
    return min(start + int(match[2]) - 1, len(text))


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.faults: list[Fault] = []

    def skip(self, pattern: re.Pattern) -> None:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def items(self, end: str, blanks: re.Pattern, read: Callable[[], None]) -> None:
        """Call `read` at each item of a list or table, up to its end."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _TooDeepError(self.at)
        self.at += 1
        while True:
            self.skip(blanks)
            if self.text[self.at] == end:
                self.at += 1
                self.depth -= 1
                return
            read()

    def add(self, table: dict[str, Entry], key: str, position: int, node: Node) -> None:
        if key in table:
            self.twice(key, position, table[key].position)
        else:
            table[key] = Entry(position, node)

    def twice(self, key: str, position: int, first: int | None) -> None:
        line = line_and_column(self.text, first or 0)[0]
        self.faults.append(
            Fault(
                position, f"the key {key!r} is given twice, first in line {line}. Keep one of them."
            )
        )


class _JsonScanner(_Scanner):
    _BLANKS = re.compile(r"[\s,:]*")

    def value(self) -> Node:
        self.skip(self._BLANKS)
        start = self.at
        if self.text[start] == "{":
            table: dict[str, Entry] = {}
            self.items("}", self._BLANKS, lambda: self._pair(table))
            return Node(table, start)
        if self.text[start] == "[":
            values: list[Node] = []
            self.items("]", self._BLANKS, lambda: values.append(self.value()))
            return Node(values, start)
        value, self.at = json.JSONDecoder().raw_decode(self.text, start)
        return Node(value, start, self.text[start : self.at])

    def _pair(self, table: dict[str, Entry]) -> None:
        position = self.at
        key, self.at = json.JSONDecoder().raw_decode(self.text, position)
        self.add(table, key, position, self.value())


class _TomlScanner(_Scanner):
    _BLANKS = re.compile(r"(?:[ \t\n,]|#[^\n]*)*")
    _DOTS = re.compile(r"[ \t.]*")
    _KEY = re.compile(r"[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")
    _TEXT = re.compile(
        r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})'
        r"|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'",
        re.DOTALL,
    )
    _BARE = re.compile(r"[^,\]}#\n]+")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.implicit: set[int] = set()

    def document(self) -> Node:
        root = Node({}, 0)
        table = root.value
        self.skip(self._BLANKS)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header(root.value)
            else:
                self._pair(table)
            self.skip(self._BLANKS)
        return root

    def _header(self, root: dict[str, Entry]) -> dict[str, Entry]:
        """Return the table that a line in brackets opens."""
        start, is_list = self.at, self.text.startswith("[[", self.at)
        self.at += 1 + is_list
        *path, (key, position) = self._path()
        self.at += 1 + is_list
        table = self._descend(root, path)
        if is_list:
            entry = table.setdefault(key, Entry(position, Node([], start)))
            entry.node.value.append(Node({}, start))
            return entry.node.value[-1].value
        if key in table and id(table[key]) in self.implicit:
            self.implicit.discard(id(table[key]))
            return table[key].node.value
        node = Node({}, start)
        self.add(table, key, position, node)
        return node.value

    def _descend(
        self, table: dict[str, Entry], path: list[tuple[str, int]], *, dotted: bool = False
    ) -> dict[str, Entry]:
        for key, position in path:
            if key not in table:
                table[key] = Entry(position, Node({}, position))
                if not dotted:
                    self.implicit.add(id(table[key]))
            value = table[key].node.value
            if isinstance(value, list) and value:
                value = value[-1].value
            if not isinstance(value, dict):
                self.twice(key, position, table[key].position)
                return {}
            table = value
        return table

    def _pair(self, table: dict[str, Entry]) -> None:
        *path, (key, position) = self._path()
        self.at += 1  # the equals sign
        table = self._descend(table, path, dotted=True)
        self.add(table, key, position, self._value())

    def _path(self) -> list[tuple[str, int]]:
        path = []
        self.skip(self._DOTS)
        while match := self._KEY.match(self.text, self.at):
            word, self.at = match.group(), match.end()
            is_quoted = word[0] in "\"'"
            path.append((_toml_scalar(word) if is_quoted else word, match.start()))
            self.skip(self._DOTS)
            if len(path) > _DEEPEST:
                raise _TooDeepError(path[0][1])
        return path

    def _value(self) -> Node:
        self.skip(self._DOTS)
        start = self.at
        if self.text[start] == "[":
            values: list[Node] = []
            self.items("]", self._BLANKS, lambda: values.append(self._value()))
            return Node(values, start)
        if self.text[start] == "{":
            table: dict[str, Entry] = {}
            self.items("}", self._BLANKS, lambda: self._pair(table))
            return Node(table, start)
        match = self._TEXT.match(self.text, start) or self._BARE.match(self.text, start)
        if match is None:
            raise ValueError("no value")
        self.at = match.end()
        return Node(_toml_scalar(match.group()), start, match.group())


def _toml_scalar(source: str) -> Any:
    return tomllib.loads(f"x = {source}")["x"]


def _check_dotted_keys(text: str) -> None:
    """Refuse keys of many parts, on which the standard library's parser takes for ever."""
    start = 0
    for line in text.split("\n"):
        parts = line.split(".")
        # Words and nothing else between the dots, as no list of numbers has them.
        in_a_row = 0
        for part in parts if len(parts) > _DEEPEST else ():
            in_a_row = in_a_row + 1 if re.fullmatch(r"[ \t]*[\w-]+[ \t]*", part) else 0
            if in_a_row > 10 * _DEEPEST:
                raise _TooDeepError(start)
        start += len(line) + 1


def tree_of(data: Any, depth: int = 0) -> Node:
    """Return the tree of plain data, without positions.

    Raises
    ------
    ValueError
        The data are nested deeper than any rule, or hold themselves.
    """
    if depth > _DEEPEST:
        raise ValueError(TOO_DEEP)
    if isinstance(data, Mapping):
        return Node({key: Entry(None, tree_of(value, depth + 1)) for key, value in data.items()})
    if isinstance(data, list | tuple):
        return Node([tree_of(value, depth + 1) for value in data])
    return Node(data)
