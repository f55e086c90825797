"""The sentences of letters, in one file a language."""

from __future__ import annotations

import datetime
import reprlib
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from skcfq.results._report import number_text

_FOLDER = "languages"


@dataclass(frozen=True)
class Language:
    """A language: its sentences, and how it writes numbers and dates.

    Parameters
    ----------
    name : str
    messages : dict of str to str
        The keys of the English file; ``months`` is a list.
    """

    name: str
    messages: Mapping[str, Any]

    def say(self, key: str, **words: str) -> str:
        """Return a sentence with its words filled in."""
        return self.messages[key].format(**words)

    def number(self, value: float, toward: float = 0.0) -> str:
        """Write a number with six digits, rounded upward or downward where that is asked for."""
        separators = {",": self.messages["thousands"], ".": self.messages["decimal"]}
        return number_text(value, toward).translate(str.maketrans(separators))

    def date(self, value: Any) -> str:
        """Write a day, such as 2026-12-31; any other text is left as it is.

        Raises
        ------
        ValueError
            It is neither.
        """
        if isinstance(value, str) and value.strip():
            try:
                value = datetime.date.fromisoformat(value.strip())
            except ValueError:
                return value
        if not isinstance(value, datetime.date) or value != value:
            raise ValueError(
                f"valid_until={value!r}: give a date, such as datetime.date(2026, 12, 31), a text, "
                "or None where no date is promised."
            )
        month = self.messages["months"][value.month - 1]
        return self.say("date", day=str(value.day), month=month, year=str(value.year))


def language_of(name: Any, translations: Any) -> Language:
    """Return a language that is shipped, a user's own, or the first with parts of the second.

    Parameters
    ----------
    name : str
    translations : dict of str to str, or None

    Raises
    ------
    ValueError
        It is not shipped and not all of it is given, or a sentence has words that nobody fills in.
    """
    shipped = shipped_languages()
    if not isinstance(name, str):
        raise ValueError(f"language={name!r}: give a text, such as one of {shipped}.")
    own = {} if translations is None else translations
    if not isinstance(own, Mapping):
        raise ValueError(
            f"translations is of type {type(own).__name__}: give a dict from keys to sentences, "
            "such as {'title': 'Our decision'}."
        )
    english = _read("en")
    messages = dict(_read(name)) if name in shipped else {}
    for key, sentence in own.items():
        _check(key, sentence, english)
        messages[key] = sentence
    missing = [key for key in english if key not in messages]
    if missing:
        raise ValueError(
            f"language={name!r} is none of {shipped}, and translations lacks {missing[0]!r} "
            f"({len(missing)} missing in all). Give all of {list(english)}."
        )
    return Language(name, messages)


def shipped_languages() -> list[str]:
    """Return the names of the languages that come with the library."""
    folder = files("skcfq.results").joinpath(_FOLDER)
    return sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".toml"))


@cache
def _read(name: str) -> dict[str, Any]:
    file = files("skcfq.results").joinpath(_FOLDER, f"{name}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _check(key: Any, sentence: Any, english: Mapping[str, Any]) -> None:
    if not isinstance(key, str) or key not in english:
        raise ValueError(f"translations has {key!r}, which no letter says. Use {list(english)}.")
    if key == "months":
        ok = isinstance(sentence, (list, tuple)) and len(sentence) == 12
        if not ok or not all(isinstance(one, str) for one in sentence):
            raise ValueError(
                f"translations gives 'months' {reprlib.repr(sentence)}: give the names of twelve."
            )
        return
    if not isinstance(sentence, str):
        raise ValueError(f"translations gives {key!r} {reprlib.repr(sentence)}: give a text.")
    try:
        words = words_of(sentence)
    except ValueError as error:
        raise ValueError(f"translations gives {key!r} {sentence!r}: {error}.") from error
    if words != words_of(english[key]):
        raise ValueError(
            f"translations gives {key!r} the words {sorted(words)} in braces, and has to have "
            f"{sorted(words_of(english[key]))}."
        )


def words_of(sentence: str) -> set[str]:
    """Return the words in braces."""
    parts = list(string.Formatter().parse(sentence))
    if any(spec or conversion for _, _, spec, conversion in parts):
        raise ValueError("words in braces stand alone")
    return {word for _, word, _, _ in parts if word is not None}
