"""Advice that was given, and what is written to people."""

from __future__ import annotations

from functools import cache
from typing import Any

from expected import anything, choice, flag, refused, seed, whole
from odd_values import COMMON, Odd, inside, literal
from subjects_recourse import MODEL, odd_targets
from subjects_rules import TABLE
from tables import ODD_TABLES, linear_model, people, result
from verdicts import Subject

from skcfq.audit import reason_codes
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
        Subject(
            "IssuedAdvice.letters", lambda **p: _advice().letters(**p), _parameters_of_letters()
        ),
        Subject("reason_codes", _reasons, _parameters_of_reasons()),
    ]


def _parameters_of_letters() -> dict[str, Any]:
    sentences = ["title", "change", "months", "decimal", "nope"]
    odd_sentences = [
        odd
        for key in sentences
        for odd in inside(lambda value, key=key: {key: value}, f"{key}: {{}}", COMMON)
    ]
    return {
        "template": anything(*literal("{{ nope }}", "{% if %}", "{{ changes[99] }}", "{")),
        "language": choice("en", "de"),
        "format": choice(None, "text", "html"),
        "labels": _names_to_text("Income"),
        "units": _names_to_text("EUR"),
        "valid_until": anything(*literal("tomorrow")),
        "translations": anything(*odd_sentences),
        "include_granted": flag(),
        "allow_thin_margin": flag(),
    }


def _reasons(**parameters: Any) -> Any:
    given = {"model": linear_model(), "X": people().head(12), "background": people()}
    return reason_codes(**given | {"target": "yes"} | parameters)


def _parameters_of_reasons() -> dict[str, Any]:
    codes = {name: str(name) for name in people()}
    return {
        "model": refused(words=MODEL),
        "X": anything(*ODD_TABLES, words=TABLE),
        "mapping": anything(
            *inside(lambda v: codes | {"income": v}, "{'income': {}, …}", COMMON),
            *inside(lambda v: codes | {v: "x"}, "{{}: 'x', …}"),
        ),
        "background": anything(*ODD_TABLES, words=TABLE),
        "target": odd_targets(),
        "max_reasons": whole(1),
        "reference": choice("background", "accepted"),
        "n_background": whole(1),
        "n_permutations": whole(1),
        "random_state": seed(),
    }


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
