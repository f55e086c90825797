"""Audit what a deployed model does to the recourse that its reference gives."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from skcfq.command_line._arguments import (
    add_dry_run,
    add_people,
    add_trust,
    at_least_zero,
    between,
    check_outputs,
    names,
    share,
)
from skcfq.command_line._model_files import ModelFile
from skcfq.command_line._outcomes import EXCEEDED, NOT_JUDGED, PASSED, Refused, tell
from skcfq.command_line._people import People, check_people, read_rules

if TYPE_CHECKING:
    from skcfq.audit import AuditReport, AuditVerdict

_CODES = {True: PASSED, False: EXCEEDED, None: NOT_JUDGED}
_LIMITS = ("max_validity_drop", "max_recourse_gap", "max_group_gap")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be given."""
    parser.add_argument("--reference", required=True, metavar="MODEL", help="whose advice it was")
    parser.add_argument("--deployed", required=True, metavar="MODEL", help="what is to be shipped")
    add_people(parser)
    parser.add_argument("--outcome", metavar="COLUMN", help="column of true labels")
    parser.add_argument("--groups", type=names, metavar="A,B", help="columns of sensitive features")
    parser.add_argument("--min-group-size", type=int, default=30, metavar="N")
    parser.add_argument("--max-validity-drop", type=share, metavar="SHARE")
    parser.add_argument("--max-recourse-gap", type=at_least_zero, metavar="RATIO")
    parser.add_argument("--max-group-gap", type=share, metavar="SHARE")
    parser.add_argument(
        "--confidence",
        type=between,
        metavar="SHARE",
        help="compare upper limits that hold with it, instead of estimates",
    )
    parser.add_argument("--require-quantized", action="store_true", help="of the deployed model")
    parser.add_argument("--json", metavar="FILE", help="write the audit")
    parser.add_argument("--report", metavar="FILE", help="write it to be read: .html or .md")
    parser.add_argument("--junit", metavar="FILE", help="write the verdict as JUnit XML")
    add_trust(parser)
    add_dry_run(parser)


def run(arguments: argparse.Namespace) -> int:
    """Audit, write what was asked for, and return the exit code."""
    check_outputs(json=arguments.json, junit=arguments.junit, report=arguments.report)
    if arguments.report and Path(arguments.report).suffix not in (".html", ".md"):
        raise Refused(f"--report: {arguments.report} ends neither in .html nor in .md.")
    if arguments.junit and all(getattr(arguments, name) is None for name in _LIMITS):
        raise Refused("--junit writes a verdict, and no threshold is given: give one.")
    if arguments.dry_run:
        for line in _plan(arguments):
            print(line)
        return PASSED
    # The verdict of a run before must not be taken for this one's, should this one be killed.
    _write_failure(arguments, "the audit did not finish")
    try:
        return _judge(_report(arguments), arguments)
    except Exception as error:
        _write_failure(arguments, " ".join(str(error).split()) or type(error).__name__)
        raise


def _files(arguments: argparse.Namespace) -> dict[str, ModelFile]:
    files = {
        role: ModelFile.checked(getattr(arguments, role), trusted=arguments.trust)
        for role in ("reference", "deployed")
    }
    if files["reference"].digest == files["deployed"].digest:
        raise Refused("--reference and --deployed are the same model: there is nothing to judge.")
    return files


def _plan(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield what would be done, a line each; nothing is loaded that could execute code."""
    files = _files(arguments)
    header = check_people(arguments)
    read_rules(arguments.actions)
    for role, file in files.items():
        yield f"would read the {role} model {file.path} ({file.kind})"
    yield f"would ask about the people in {arguments.data} ({len(header)} columns)"
    yield f"would let them do what {arguments.actions or 'a model carries'} says"
    if arguments.groups:
        yield f"would compare groups of {', '.join(arguments.groups)}"
    for name in _LIMITS:
        if getattr(arguments, name) is not None:
            compared = "the estimate" if arguments.confidence is None else "the upper limit"
            yield f"would compare {compared} with {name} {getattr(arguments, name)}"
    for path in filter(None, (arguments.json, arguments.report, arguments.junit)):
        yield f"would write {path}"


def _report(arguments: argparse.Namespace) -> AuditReport:
    files = _files(arguments)
    people = People.read(arguments)
    models = {role: file.load() for role, file in files.items()}
    if arguments.require_quantized and not files["deployed"].is_quantized(models["deployed"]):
        raise Refused(f"{arguments.deployed} is not quantized, as --require-quantized asks for.")
    rows = people.rows_for(list(models.values()), arguments.person)
    first = models["reference"]
    from skcfq.audit import audit_recourse

    report = audit_recourse(
        models["reference"],
        models["deployed"],
        people.table,
        people.labels(first, rows),
        action_set=people.rules,
        target=people.target(arguments.target, first, rows),
        sensitive_features=people.sensitive,
        background=people.background,
        person=arguments.person,
        confidence=arguments.confidence or 0.95,
        min_group_size=arguments.min_group_size,
    )
    marks = [report.models[role].get("fingerprint") for role in files]
    if marks[0] is not None and marks[0] == marks[1]:
        raise Refused("--reference and --deployed are the same model: there is nothing to judge.")
    return _with_files(report, files, people.left_out)


def _with_files(
    report: AuditReport, files: dict[str, ModelFile], left_out: list[str]
) -> AuditReport:
    """Return the report with what only the files tell: their names, and columns left out."""
    models = {role: dict(report.models[role]) | file.record for role, file in files.items()}
    ignored = [*report.data["ignored_columns"], *left_out]
    return replace(report, models=models, data=dict(report.data) | {"ignored_columns": ignored})


def _judge(report: AuditReport, arguments: argparse.Namespace) -> int:
    from skcfq.audit import AuditVerdict, check_audit

    if arguments.json is not None:
        report.to_json(arguments.json)
    if arguments.report is not None:
        is_page = arguments.report.endswith(".html")
        (report.to_html if is_page else report.to_markdown)(arguments.report)
    print(report)
    ignored = report.data["ignored_columns"]
    if ignored:
        print(f"columns that no model reads: {', '.join(ignored)}")
    for note in report.notes:
        print(f"note: {note}")
    limits = {name: getattr(arguments, name) for name in _LIMITS}
    if report.figures["n"]["validity_drop"] == 0:
        verdict = AuditVerdict.not_judged("nobody was refused and could be advised")
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
        tell(f"skcfq audit: could not judge: {told[0].reason}")
    else:
        print("passed" if verdict.passed else "a threshold is exceeded")
    return _CODES[verdict.passed]


def _write_failure(arguments: argparse.Namespace, reason: str) -> None:
    if arguments.junit is not None:
        from skcfq.audit import AuditVerdict

        AuditVerdict.not_judged(reason).to_junit(arguments.junit)
