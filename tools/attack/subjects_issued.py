"""Audits of advice that was given, and the documents that they leave."""

from __future__ import annotations

from functools import cache
from typing import Any

from expected import anything, only, real, refused, whole
from odd_values import COMMON, Odd, inside
from subjects_recourse import MODEL
from subjects_rules import PATH, TABLE, odd_paths
from tables import ODD_TABLES, linear_model, people
from verdicts import Subject

from skcfq import ActionSet, RecourseSolver
from skcfq.audit import IssuedReport, audit_issued, loss_reasons
from skcfq.results import IssuedAdvice

_SOURCE = ("source", "audit", "file", "advice", "document")


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        Subject(
            "audit_issued",
            _audit,
            {
                "advice": refused(words=_SOURCE),
                "new_model": refused(words=MODEL),
                "valid_until": anything(*inside(lambda v: [v] * 12, "[{}]", COMMON)),
                "on": anything(),
                "sensitive_features": anything(
                    *inside(lambda v: {"group": v}, "{'group': {}}", COMMON)
                ),
                "background": anything(*ODD_TABLES, words=TABLE),
                "action_set": only(ActionSet),
                "solver": only(RecourseSolver),
                "confidence": real(0, 1, open_low=True),
                "min_group_size": whole(1),
            },
        ),
        Subject(
            "loss_reasons",
            _reasons,
            {
                "reference": refused(words=MODEL),
                "deployed": refused(words=MODEL),
                "advice": only(IssuedAdvice, optional=False),
                "retrained": only(words=MODEL),
                "background": anything(*ODD_TABLES, words=TABLE),
            },
        ),
        Subject(
            "IssuedReport.read",
            lambda **p: IssuedReport.read(**{"source": _audit().to_dict()} | p),
            {
                "source": refused(
                    Odd("a part of it", lambda: {"digest": _audit().to_dict()["digest"]}),
                    *inside(lambda v: _audit().to_dict() | {"people": v}, "{'people': {}}", COMMON),
                    words=_SOURCE,
                )
            },
        ),
        Subject(
            "IssuedReport.to_json",
            lambda **p: _audit().to_json(**p),
            {"path": anything(*odd_paths(), words=PATH)},
        ),
        *(
            Subject(
                f"IssuedReport.{name}",
                lambda name=name, **p: getattr(_audit(), name)(**p),
                {"path": anything(*odd_paths(), words=PATH), "max_people": whole(0)},
            )
            for name in ("to_html", "to_markdown")
        ),
    ]


@cache
def _advice() -> IssuedAdvice:
    solver = RecourseSolver(target="yes", margin=0.1, random_state=0)
    rows = people().head(12)
    return IssuedAdvice.of(solver.solve(linear_model(), rows, background=people()))


def _audit(**parameters: Any) -> IssuedReport:
    given = {"advice": _advice(), "new_model": linear_model(), "background": people()}
    given |= {"valid_until": "2026-12-31", "on": "2026-06-30"}
    return audit_issued(**given | parameters)


def _reasons(**parameters: Any) -> Any:
    model = linear_model()
    given = {"reference": model, "deployed": model, "advice": _advice(), "background": people()}
    return loss_reasons(**given | parameters)
