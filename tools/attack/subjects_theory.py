"""What is stated of advice under quantization."""

from __future__ import annotations

from typing import Any

from expected import Parameter, anything, refused
from subjects_recourse import MODEL, odd_targets
from subjects_rules import TABLE
from tables import ODD_TABLES, people, quantized, teacher
from verdicts import Subject

from skcfq import theory

POINTS = anything(*ODD_TABLES, words=TABLE)
BACKGROUND = anything(*ODD_TABLES, words=TABLE)
PAIR: dict[str, Parameter] = {
    "reference": refused(words=MODEL),
    "deployed": refused(words=MODEL),
    "X": POINTS,
    "background": BACKGROUND,
}


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        Subject(
            "target_margin",
            lambda **p: theory.target_margin(**{"model": teacher(), "X": people().head(12)} | p),
            {
                "model": refused(words=MODEL),
                "X": POINTS,
                "target": odd_targets(),
                "background": BACKGROUND,
            },
        ),
        _of_pair("margin_degradation", target=odd_targets()),
    ]


def _of_pair(name: str, **more: Parameter) -> Subject:
    """Return a function of two models and points."""

    def call(**parameters: Any) -> Any:
        given = {"reference": teacher(), "deployed": quantized(), "X": people().head(12)}
        return getattr(theory, name)(**given | parameters)

    return Subject(name, call, PAIR | more)
