"""Audit what a deployed model does to the recourse that its reference gives."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from skcfq.command_line._arguments import (
    add_dry_run,
    add_people,
    add_trust,
    at_least_zero,
    between,
    names,
    share,
)
from skcfq.command_line._gates import LIMITS, check_paths, judge, write_failure
from skcfq.command_line._issued import issued_report, plan_issued
from skcfq.command_line._labels import with_labels
from skcfq.command_line._model_files import ModelFile
from skcfq.command_line._outcomes import PASSED, Refused
from skcfq.command_line._people import People, check_people, read_rules
from skcfq.command_line._tables import classes_of

if TYPE_CHECKING:
    from skcfq.audit import AuditReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be given."""
    parser.add_argument("--reference", metavar="MODEL", help="whose advice it was")
    parser.add_argument("--deployed", required=True, metavar="MODEL", help="what is to be shipped")
    parser.add_argument(
        "--retrained", metavar="MODEL", help="the deployed one's training in full precision"
    )
    parser.add_argument(
        "--issued", metavar="ADVICE.json", help="advice that was given, in place of a reference"
    )
    parser.add_argument("--valid-until", metavar="DATE", help="its last day, or a column of these")
    parser.add_argument("--on", metavar="DATE", help="day on which the advice is looked at")
    add_people(parser, required=False)
    parser.add_argument("--outcome", metavar="COLUMN", help="column of true labels")
    parser.add_argument("--groups", type=names, metavar="A,B", help="columns of sensitive features")
    parser.add_argument("--min-group-size", type=int, default=30, metavar="N")
    parser.add_argument(
        "--checkpoint", metavar="FOLDER", help="keep what is finished; the same call goes on there"
    )
    parser.add_argument("--latency", action="store_true", help="time both models")
    parser.add_argument(
        "--skew", action="store_true", help="whom compression changes; with --outcome and --groups"
    )
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
    check_paths(arguments)
    plan, report = (_plan, _report) if arguments.issued is None else (plan_issued, issued_report)
    if arguments.issued is None:
        _check_pair(arguments)
    for name in ("checkpoint", "retrained", "skew"):
        if arguments.issued is not None and getattr(arguments, name):
            raise Refused(f"--{name} is for audits of two models: leave it out with --issued.")
    if arguments.dry_run:
        for line in [*plan(arguments), *_written(arguments)]:
            print(line)
        return PASSED
    # The verdict of a run before must not be taken for this one's, should this one be killed.
    write_failure(arguments, "the audit did not finish")
    try:
        return judge(report(arguments), arguments)
    except Exception as error:
        write_failure(arguments, " ".join(str(error).split()) or type(error).__name__)
        raise


def _check_pair(arguments: argparse.Namespace) -> None:
    for name in ("reference", "data"):
        if getattr(arguments, name) is None:
            raise Refused(f"--{name} is needed where --issued is not given.")
    if arguments.skew and not (arguments.outcome and arguments.groups):
        raise Refused("--skew needs the true labels, --outcome, and --groups.")
    for name in ("valid_until", "on"):
        if getattr(arguments, name) is not None:
            raise Refused(f"--{name.replace('_', '-')} is about the advice that --issued names.")


def _files(arguments: argparse.Namespace) -> dict[str, ModelFile]:
    files = {
        role: ModelFile.checked(getattr(arguments, role), trusted=arguments.trust)
        for role in ("reference", "deployed", "retrained")
        if getattr(arguments, role) is not None
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
    for name in LIMITS:
        if getattr(arguments, name) is not None:
            compared = "the estimate" if arguments.confidence is None else "the upper limit"
            yield f"would compare {compared} with {name} {getattr(arguments, name)}"


def _written(arguments: argparse.Namespace) -> Iterator[str]:
    for path in filter(None, (arguments.json, arguments.report, arguments.junit)):
        yield f"would write {path}"
    if arguments.checkpoint:
        yield f"would keep what is finished in {arguments.checkpoint}"


def _report(arguments: argparse.Namespace) -> AuditReport:
    files = _files(arguments)
    people = People.read(arguments)
    models = {role: file.load() for role, file in files.items()}
    if arguments.require_quantized and not files["deployed"].is_quantized(models["deployed"]):
        raise Refused(f"{arguments.deployed} is not quantized, as --require-quantized asks for.")
    rows = people.rows_for(list(models.values()), arguments.person)
    first = with_labels(models["reference"], arguments.classes, people.rows_of(rows))
    known = classes_of(first, rows, people.background)
    second, *control = (
        with_labels(models[role], arguments.classes, people.rows_of(rows), known)
        for role in list(files)[1:]
    )
    from skcfq.audit import audit_recourse, skew_report

    pair = first, second, people.table, people.labels(first, rows)
    asked: dict[str, Any] = {
        "action_set": people.rules,
        "target": people.target(arguments.target, first, rows),
        "sensitive_features": people.sensitive,
        "background": people.background,
        "confidence": arguments.confidence or 0.95,
        "min_group_size": arguments.min_group_size,
    }
    report = audit_recourse(
        *pair,
        person=arguments.person,
        checkpoint=arguments.checkpoint,
        retrained=control[0] if control else None,
        latency=arguments.latency,
        **asked,
    )
    if arguments.skew:
        report = report.with_sections(skew=skew_report(*pair, **asked))
    marks = [one.get("fingerprint") for one in report.models.values()]
    if marks[0] is not None and marks[0] == marks[1]:
        raise Refused("--reference and --deployed are the same model: there is nothing to judge.")
    return _with_files(report, files, people.left_out)


def _with_files(
    report: AuditReport, files: dict[str, ModelFile], left_out: list[str]
) -> AuditReport:
    """Return the report with what only the files tell: their names, and columns left out."""
    models = {role: dict(one) | files[role].record for role, one in report.models.items()}
    ignored = [*report.data["ignored_columns"], *left_out]
    return replace(report, models=models, data=dict(report.data) | {"ignored_columns": ignored})
