"""Audits of two models, and the documents that they leave."""

from __future__ import annotations

from functools import cache
from typing import Any

from expected import anything, flag, only, real, refused, whole
from odd_values import COMMON, Odd, inside
from subjects_recourse import MODEL, odd_targets
from subjects_rules import PATH, TABLE, odd_paths
from tables import ODD_LABELS, ODD_TABLES, linear_model, people
from verdicts import Subject

from skcfq import ActionSet, RecourseSolver
from skcfq.audit import (
    AuditReport,
    AuditVerdict,
    IssuedReport,
    audit_recourse,
    check_audit,
    verify_audit,
)

_SOURCE = ("source", "audit", "file")


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        Subject(
            "audit_recourse",
            _audit,
            {
                "reference": refused(words=MODEL),
                "deployed": refused(words=MODEL),
                "X": anything(*ODD_TABLES, words=TABLE),
                "y": anything(*ODD_LABELS),
                "action_set": only(ActionSet),
                "target": odd_targets(),
                "sensitive_features": anything(
                    *inside(lambda v: {"group": v}, "{'group': {}}", COMMON)
                ),
                "background": anything(*ODD_TABLES, words=TABLE),
                "solver": only(RecourseSolver),
                "person": anything(),
                "confidence": real(0, 1, open_low=True),
                "min_group_size": whole(1),
                "batch_size": whole(1),
                "checkpoint": anything(*odd_paths(), words=PATH),
                "retrained": anything(words=MODEL),
                "latency": flag(),
                "verbose": anything(),
            },
        ),
        Subject(
            "AuditReport.read",
            lambda **p: AuditReport.read(**{"source": _document()} | p),
            {
                "source": refused(
                    Odd("a part of it", lambda: {"digest": _document()["digest"]}),
                    Odd("its keys", lambda: list(_document())),
                    Odd("without people", lambda: _document() | {"people": {}}),
                    *inside(lambda v: _document() | {"figures": v}, "{'figures': {}}", COMMON),
                    words=_SOURCE,
                )
            },
        ),
        Subject(
            "AuditReport.to_json",
            lambda **p: _report().to_json(**p),
            {"path": anything(*odd_paths(), words=PATH)},
        ),
        *(
            Subject(
                f"AuditReport.{name}",
                lambda name=name, **p: getattr(_report(), name)(**p),
                {"path": anything(*odd_paths(), words=PATH), "max_people": whole(0)},
            )
            for name in ("to_html", "to_markdown")
        ),
        Subject(
            "AuditVerdict.to_junit",
            lambda **p: AuditVerdict.not_judged("nobody").to_junit(**p),
            {"path": anything(*odd_paths(), words=PATH)},
        ),
        Subject(
            "check_audit",
            lambda **p: check_audit(**{"report": _report(), "max_validity_drop": 0.1} | p),
            {
                "report": only(AuditReport, IssuedReport),
                "max_validity_drop": real(0, 1, optional=True),
                "max_recourse_gap": real(0, optional=True),
                "max_group_gap": real(0, 1, optional=True),
                "confidence": real(0, 1, optional=True, open_low=True),
            },
        ),
        Subject(
            "AuditVerdict.not_judged",
            lambda **p: AuditVerdict.not_judged(**{"reason": "nobody"} | p),
            {"reason": anything()},
        ),
        Subject(
            "AuditReport.compare",
            lambda **p: _report().compare(**{"other": _report()} | p),
            {"other": only(AuditReport)},
        ),
        Subject(
            "AuditReport.with_sections",
            lambda **p: _report().with_sections(**p),
            {"tried": only(), "skew": only()},
        ),
        Subject(
            "AuditReport.to_metric_frame",
            lambda **p: _report().to_metric_frame(**p),
            {"figures": anything()},
        ),
        Subject(
            "AuditReport.to_model_card",
            lambda **p: _report().to_model_card(**{"model": linear_model()} | p),
            {"model": anything()},
        ),
        Subject(
            "AuditReport.disparities",
            lambda **p: _report().disparities(**p),
            {"reference_groups": anything(*inside(lambda v: {"group": v}, "{'group': {}}"))},
        ),
        Subject(
            "verify_audit",
            lambda **p: verify_audit(**{"document": _document(), "X": people().head(12)} | p),
            {
                "document": refused(words=_SOURCE),
                "X": anything(*ODD_TABLES, words=TABLE),
                "reference": anything(),
                "deployed": anything(),
                "y": anything(*ODD_LABELS),
            },
        ),
    ]


def _audit(**parameters: Any) -> AuditReport:
    given = {"reference": linear_model(), "deployed": linear_model(), "X": people().head(12)}
    return audit_recourse(**given | {"background": people(), "target": "yes"} | parameters)


@cache
def _report() -> AuditReport:
    n = 12
    return _audit(sensitive_features={"group": ["a", "b"] * (n // 2)}, min_group_size=2)


@cache
def _document() -> dict[str, Any]:
    return _report().to_dict()
