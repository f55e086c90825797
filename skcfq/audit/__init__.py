"""What is said of decisions and handed over: to people, to reviewers, to a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.audit._audit import audit_recourse
    from skcfq.audit._comparison import AuditComparison
    from skcfq.audit._gate import AuditVerdict, check_audit
    from skcfq.audit._issued import audit_issued
    from skcfq.audit._issued_report import IssuedReport
    from skcfq.audit._losses import loss_reasons
    from skcfq.audit._reasons import reason_codes
    from skcfq.audit._report import AuditReport
    from skcfq.audit._skew import skew_report
    from skcfq.audit._skew_report import SkewReport
    from skcfq.audit._tried import try_remedies
    from skcfq.audit.verify import VerificationReport, verify_audit

__all__ = [
    "AuditComparison",
    "AuditReport",
    "AuditVerdict",
    "IssuedReport",
    "SkewReport",
    "VerificationReport",
    "audit_issued",
    "audit_recourse",
    "check_audit",
    "loss_reasons",
    "reason_codes",
    "skew_report",
    "try_remedies",
    "verify_audit",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "AuditComparison": "_comparison",
        "AuditReport": "_report",
        "VerificationReport": "verify",
        "AuditVerdict": "_gate",
        "IssuedReport": "_issued_report",
        "audit_issued": "_issued",
        "audit_recourse": "_audit",
        "check_audit": "_gate",
        "loss_reasons": "_losses",
        "SkewReport": "_skew_report",
        "reason_codes": "_reasons",
        "skew_report": "_skew",
        "try_remedies": "_tried",
        "verify_audit": "verify",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
