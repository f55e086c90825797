"""Find the position inside the text of a rule at which it cannot be read."""

from __future__ import annotations

import sys
from typing import NoReturn

from skcfq.actions._constraint_language import RuleParser, parse_rule
from skcfq.actions.files._source_positions import Fault, Node, text_positions
from skcfq.exceptions import ActionSetError

__all__ = ["find_fault"]


def find_fault(node: Node) -> Fault | None:
    """Return why a rule cannot be read, None if it can."""
    try:
        parse_rule(node.value)
    except ActionSetError as error:
        return Fault(_position(node), str(error))
    except (ValueError, RecursionError, MemoryError) as error:
        return Fault(node.position, f"constraints holds a rule that cannot be read: {error}.")
    return None


class _Part(Exception):  # noqa: N818  (a signal, not an error)
    """Carries the part of a rule that was refused, and how much of it could be read."""

    def __init__(self, part: str, read: str):
        super().__init__(part)
        self.part = part
        self.read = read


class _LocatingParser(RuleParser):
    def _fail(self, part: str, problem: str, remedy: str) -> NoReturn:
        error = sys.exc_info()[1]
        read = ""
        if isinstance(error, SyntaxError):
            *before, line = part.split("\n")[: error.lineno or 1]
            # The parser gives no offset for a text that ends too early.
            read = "".join(before) + line[: error.offset - 1 if error.offset else None]
        raise _Part(self._in_backquotes(part), self._in_backquotes(read))

    def _in_backquotes(self, part: str) -> str:
        for word, name in self.quoted.items():
            part = part.replace(word, f"`{name}`")
        return part


def _position(node: Node) -> int | None:
    text = node.value
    if node.position is None or not isinstance(text, str) or not text.strip():
        return node.position
    try:
        _LocatingParser(text).rule()
    except _Part as found:
        offset = _offset(text, found)
    else:
        return node.position
    positions = text_positions(node.source)
    return node.position + positions[min(offset, len(positions) - 1)]


def _offset(text: str, found: _Part) -> int:
    """Return where a part stands in a text, whatever its blanks and quotation marks."""
    if not found.part.strip():
        # A side of an if-then rule is empty: behind its 'then', or behind its 'if'.
        return len(text) if text.rstrip().endswith("then") else text.find("then")
    squeezed, offsets = _squeezed(text)
    start = squeezed.find(_squeezed(found.part)[0])
    if start < 0:
        return 0
    start += len(_squeezed(found.read)[0])
    return offsets[start] if start < len(offsets) else len(text)


def _squeezed(text: str) -> tuple[str, list[int]]:
    kept = [(c, i) for i, c in enumerate(text.replace('"', "'")) if not c.isspace()]
    return "".join(c for c, _ in kept), [i for _, i in kept]
