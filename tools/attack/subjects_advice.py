"""Advice that was given, and what is written to people."""

from __future__ import annotations

from functools import cache
from typing import Any

from expected import anything, flag, refused
from odd_values import COMMON, Odd, inside, literal
from tables import result
from verdicts import Subject

from skcfq.results import IssuedAdvice

# What an error calls a file, a text or a dict.
_SOURCE = ("source", "advice", "file")


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        Subject(
            "IssuedAdvice.read",
            lambda **p: IssuedAdvice.read(**{"source": _document()} | p),
            {
                "source": refused(
                    Odd("a part of it", lambda: {"digest": _document()["digest"]}),
                    Odd("its keys", lambda: list(_document())),
                    Odd("with a person less", lambda: _document() | {"people": []}),
                    *inside(lambda v: _document() | {"people": v}, "{'people': {}}", COMMON),
                    *inside(lambda v: _document() | {"tables": v}, "{'tables': {}}", COMMON),
                    words=_SOURCE,
                )
            },
        ),
        Subject(
            "IssuedAdvice.of",
            lambda **p: IssuedAdvice.of(**{"result": result()} | p),
            {"result": refused()},
        ),
        Subject(
            "IssuedAdvice.to_frame",
            lambda **p: _advice().to_frame(**p),
            {"details": flag(), "units": _names_to_text("EUR")},
        ),
    ]


def _names_to_text(text: str) -> Any:
    return anything(
        *inside(lambda v: {"income": v}, "{'income': {}}", COMMON), *literal({"nope": text})
    )


@cache
def _document() -> dict[str, Any]:
    return result().to_dict()


@cache
def _advice() -> IssuedAdvice:
    return IssuedAdvice.of(result())
