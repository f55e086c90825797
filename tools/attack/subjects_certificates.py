"""Certificates, and the one who checks them."""

from __future__ import annotations

from functools import cache
from typing import Any

from expected import anything, only, real, refused
from odd_values import Odd
from subjects_recourse import MODEL
from subjects_rules import TABLE
from tables import ODD_TABLES, linear_model, people, result
from verdicts import Subject

from skcfq import theory
from skcfq.certificates import check_certificate


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        Subject(
            "certify",
            lambda **p: theory.certify(
                **{"result": result(), "reference": linear_model(), "radius": 0.1} | p
            ),
            {
                "result": refused(),
                "reference": refused(words=MODEL),
                "deployed": only(words=MODEL),
                "radius": real(0, optional=True),
                "background": anything(*ODD_TABLES, words=TABLE),
            },
        ),
        Subject(
            "check_certificate",
            lambda **p: check_certificate(
                **{"certificate": _certificate(), "reference": linear_model()} | p
            ),
            {
                "certificate": anything(
                    Odd("a part of it", lambda: {"digest": _certificate()["digest"]}),
                    Odd("its keys", lambda: list(_certificate())),
                    Odd("with a row less", lambda: _certificate() | {"advice": None}),
                ),
                "reference": anything(words=MODEL),
                "deployed": anything(words=MODEL),
                "action_set": anything(),
            },
        ),
    ]


@cache
def _certificate() -> dict[str, Any]:
    return theory.certify(result(), linear_model(), background=people())[0]
