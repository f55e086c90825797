"""Cut the text of a rule across features into words, numbers, texts and signs."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from skcfq.exceptions import ActionSetError

__all__ = ["RuleError", "Token", "shortened", "tokens_of"]

# Longer rules and parts are told by their beginning.
_SHOWN = 120

_DIGITS = r"\d(?:_?\d)*"
_NUMBER = re.compile(
    rf"(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?", re.ASCII
)
_SIGNS = ("<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", "{", "}", ",")
_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|U(000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))",
    re.DOTALL,
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "\n": ""}
_CONSTANTS = {"True": True, "False": False, "None": None}
_KEYWORDS = ("if", "then", "and", "or", "not", "in")


class RuleError(ActionSetError):
    """A rule across features cannot be read.

    Attributes
    ----------
    offset : int
        Where in the text of the rule.
    """

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.offset)


@dataclass(frozen=True)
class Token:
    """A piece of a rule.

    Parameters
    ----------
    kind : {"name", "number", "level", "sign", "keyword", "end"}
        A level is a text in quotation marks, True, False or None.
    value : hashable
        Of a name in backquotes what stands in them, as int where it is a position.
    start, end : int
        Where it stands in the text.
    """

    kind: str
    value: Hashable
    start: int
    end: int

    def is_sign(self, *signs: str) -> bool:
        """Return whether it is one of some signs or keywords."""
        return self.kind in ("sign", "keyword") and self.value in signs


def shortened(text: str) -> str:
    """Return a text for a message, its end left out where it is long."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def refuse(text: str, start: int, end: int, problem: str, remedy: str) -> NoReturn:
    """Raise the error about a part of a rule."""
    part = shortened(text[start:end].strip())
    raise RuleError(
        f"constraints holds the rule {shortened(text)!r}: {part!r} cannot be read, {problem}. "
        f"{remedy}.",
        start,
    )


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a rule, the last one of kind "end".

    Raises
    ------
    RuleError
        At the first character that belongs to none.

    Examples
    --------
    >>> [token.value for token in tokens_of("if `a b` >= 2 then c == 'x y'")]
    ['if', 'a b', '>=', 2.0, 'then', 'c', '==', 'x y', None]
    """
    return [*_tokens(text), Token("end", None, len(text), len(text))]


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        character = text[at]
        if character.isspace():
            at += 1
            continue
        if character in "'\"":
            end = _end_of_text(text, at)
            token = Token("level", _unescaped(text, at, end), at, end)
        elif character == "`":
            token = _quoted_name(text, at)
        elif match := _NUMBER.match(text, at):
            token = _number(text, at, match.end())
        elif character == "_" or character.isidentifier():
            token = _word(text, at)
        else:
            token = _sign(text, at)
        yield token
        at = token.end


def _end_of_text(text: str, start: int) -> int:
    at = start + 1
    while at < len(text) and text[at] != text[start]:
        at += 2 if text[at] == "\\" else 1
    if at >= len(text):
        refuse(text, start, len(text), "a quotation mark is not closed", "Close it")
    return at + 1


def _unescaped(text: str, start: int, end: int) -> str:
    """Return what stands between two quotation marks, with Python's escapes."""

    def character(match: re.Match) -> str:
        code = match[1] or match[2] or match[3]
        if code:
            return chr(int(code, 16))
        if match[4] in "uUx":
            place = start + 1 + match.start()
            refuse(text, place, place + 2, "it is no character", "Write the character itself")
        return _ESCAPED.get(match[4], match[0])

    return _ESCAPE.sub(character, text[start + 1 : end - 1])


def _quoted_name(text: str, start: int) -> Token:
    end = text.find("`", start + 1)
    if end < 0:
        problem = "a backquote is not closed"
        refuse(text, start, len(text), problem, "Write names with blanks as `my name`")
    name = text[start + 1 : end]
    if not name:
        refuse(text, start, end + 1, "there is no name in the backquotes", "Write `my name`")
    is_position = name.isascii() and name.isdigit() and len(name) < 10
    return Token("name", int(name) if is_position else name, start, end + 1)


def _number(text: str, start: int, end: int) -> Token:
    if end < len(text) and (text[end] == "_" or text[end].isidentifier()):
        remedy = "Write a number such as 2.5, or a name in backquotes"
        refuse(text, start, _word(text, end).end, "it is neither a number nor a name", remedy)
    value = float(text[start:end].replace("_", ""))
    mantissa = re.split("[eE]", text[start:end])[0]
    if math.isinf(value) or (value == 0 and mantissa.strip("0._")):
        refuse(text, start, end, "it is too large or too small for a number", "Use other units")
    return Token("number", value, start, end)


def _word(text: str, start: int) -> Token:
    end = start + 1
    # Letters and the marks on them, as they are: Python's own parser would fold some.
    while end < len(text) and f"a{text[end]}".isidentifier():
        end += 1
    word = text[start:end]
    if word in _CONSTANTS:
        return Token("level", _CONSTANTS[word], start, end)
    return Token("keyword" if word in _KEYWORDS else "name", word, start, end)


def _sign(text: str, start: int) -> Token:
    for sign in _SIGNS:
        if text.startswith(sign, start):
            return Token("sign", sign, start, start + len(sign))
    remedies = {
        "≤": "Write <=",
        "≥": "Write >=",
        "≠": "Write !=",
        "=": "Write ==",
        "#": "A rule has no comments; a file has them outside of the rule",
    }
    remedy = remedies.get(text[start], "Write a name that is no plain word in backquotes")
    refuse(text, start, start + 1, "it is no sign of a rule", remedy)
