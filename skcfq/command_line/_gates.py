"""What the commands that judge have in common: what they write, and how they end."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skcfq.command_line._arguments import check_outputs
from skcfq.command_line._outcomes import EXCEEDED, NOT_JUDGED, PASSED, Refused, tell

if TYPE_CHECKING:
    from skcfq.audit import AuditVerdict

LIMITS = ("max_validity_drop", "max_recourse_gap", "max_group_gap")
_NOBODY = {True: "nobody was refused and could be advised", False: "no promise is outstanding"}
_CODES = {True: PASSED, False: EXCEEDED, None: NOT_JUDGED}


def check_paths(arguments: argparse.Namespace) -> None:
    """Refuse before any work what could not be written after it."""
    check_outputs(json=arguments.json, junit=arguments.junit, report=arguments.report)
    if arguments.report and Path(arguments.report).suffix not in (".html", ".md"):
        raise Refused(f"--report: {arguments.report} ends neither in .html nor in .md.")
    if arguments.junit and all(getattr(arguments, name) is None for name in LIMITS):
        raise Refused("--junit writes a verdict, and no threshold is given: give one.")


def judge(report: Any, arguments: argparse.Namespace) -> int:
    """Write a report, hold it against the thresholds, and return the exit code."""
    from skcfq.audit import AuditVerdict, check_audit

    if arguments.json is not None:
        report.to_json(arguments.json)
    if arguments.report is not None:
        is_page = arguments.report.endswith(".html")
        (report.to_html if is_page else report.to_markdown)(arguments.report)
    print(report)
    ignored = [] if arguments.issued is not None else report.data["ignored_columns"]
    groups = [name for name in ignored if name in report.parameters["sensitive_features"]]
    if groups:
        print(f"groups are of columns that no model reads: {', '.join(groups)}")
    ignored = [name for name in ignored if name not in groups]
    if ignored:
        print(f"columns that no model reads, left out: {', '.join(ignored)}")
    for note in report.notes:
        print(f"note: {note}")
    limits = {name: getattr(arguments, name) for name in LIMITS}
    if report.limits["n_people"].iloc[0] == 0:
        verdict = AuditVerdict.not_judged(_NOBODY[arguments.issued is None])
    elif any(limit is not None for limit in limits.values()):
        verdict = check_audit(report, confidence=arguments.confidence, **limits)
    else:
        print("no threshold was given: nothing was judged")
        return PASSED
    return _tell(verdict, arguments.junit)


def _tell(verdict: AuditVerdict, junit: str | None) -> int:
    """Print a verdict and write it; return the exit code."""
    compared = "at most " if verdict.confidence is not None else ""
    for one in verdict.criteria:
        if one.passed is None:
            print(f"{one.name} ({one.place}): not judged, {one.reason}")
        else:
            sign = "within" if one.passed else "exceeds"
            print(f"{one.name} ({one.place}): {compared}{one.value:.4g} {sign} {one.limit:.4g}")
    if junit is not None:
        verdict.to_junit(junit)
    if verdict.passed is None:
        told = [one for one in verdict.criteria if one.passed is None]
        tell(f"skcfq audit: could not judge: {_named(told[0])}{told[0].reason}")
    else:
        print("passed" if verdict.passed else "a threshold is exceeded")
    return _CODES[verdict.passed]


def _named(one: Any) -> str:
    return f"{one.name} ({one.place}): " if one.feature else ""


def write_failure(arguments: argparse.Namespace, reason: str) -> None:
    """Write the verdict of a run that did not get to one."""
    if arguments.junit is not None:
        from skcfq.audit import AuditVerdict

        AuditVerdict.not_judged(reason).to_junit(arguments.junit)
