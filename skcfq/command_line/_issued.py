"""Advice that was given, against the model that comes next: ``skcfq audit --issued``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skcfq.command_line._gates import LIMITS
from skcfq.command_line._labels import with_labels
from skcfq.command_line._model_files import ModelFile
from skcfq.command_line._outcomes import Refused
from skcfq.command_line._people import read_rules
from skcfq.command_line._tables import check_columns, header_of, read_table

if TYPE_CHECKING:
    import pandas as pd

    from skcfq.audit import IssuedReport
    from skcfq.results import IssuedAdvice

# The advice says these itself, or there is nothing that they could be said of.
_NOT_ASKED = ("reference", "target", "outcome", "features", "max_recourse_gap")
_OF_DATA = ("person", "groups")


def check_issued(arguments: argparse.Namespace) -> ModelFile:
    """Refuse what cannot be asked of advice that was given; return the model's file."""
    for name in _NOT_ASKED:
        if getattr(arguments, name) is not None:
            raise Refused(f"--{name.replace('_', '-')} says nothing of advice that was given.")
    if arguments.data is None:
        for name in _OF_DATA:
            if getattr(arguments, name):
                raise Refused(f"--{name} names columns of --data, which is not given.")
    else:
        asked = {"--person": [arguments.person] if arguments.person else []}
        asked["--groups"] = arguments.groups or []
        check_columns(arguments.data, header_of(arguments.data), asked)
    if not Path(arguments.issued).is_file():
        raise Refused(f"{arguments.issued}: no such file.")
    return ModelFile.checked(arguments.deployed, trusted=arguments.trust)


def plan_issued(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield what would be done, a line each; no model is loaded."""
    file = check_issued(arguments)
    read_rules(arguments.actions)
    yield f"would read the advice {arguments.issued}"
    yield f"would read the model {file.path} ({file.kind})"
    if arguments.groups:
        yield f"would compare groups of {', '.join(arguments.groups)}"
    for name in LIMITS:
        if getattr(arguments, name) is not None:
            compared = "the estimate" if arguments.confidence is None else "the upper limit"
            yield f"would compare {compared} with {name} {getattr(arguments, name)}"


def issued_report(arguments: argparse.Namespace) -> IssuedReport:
    """Audit the advice that the arguments name."""
    file = check_issued(arguments)
    from skcfq.audit import audit_issued
    from skcfq.results import IssuedAdvice

    advice = IssuedAdvice.read(arguments.issued)
    model = file.load()
    if arguments.require_quantized and not file.is_quantized(model):
        raise Refused(f"{arguments.deployed} is not quantized, as --require-quantized asks for.")
    told = _table_of(advice, arguments)
    population = None if arguments.background is None else read_table(arguments.background)
    rows = advice.X if population is None else population
    model = with_labels(model, arguments.classes, rows[[*advice.X]])
    report = audit_issued(
        advice,
        model,
        valid_until=_days(arguments.valid_until, told),
        on=arguments.on,
        sensitive_features=None if told is None or not arguments.groups else told[arguments.groups],
        background=population,
        action_set=read_rules(arguments.actions),
        confidence=arguments.confidence or 0.95,
        min_group_size=arguments.min_group_size,
    )
    then, now = (report.advice["model"] or {}).get("fingerprint"), report.model.get("fingerprint")
    if then is not None and then == now:
        raise Refused("--deployed is the model that gave the advice: there is nothing to judge.")
    return replace(report, model=dict(report.model) | file.record)


def _table_of(advice: IssuedAdvice, arguments: argparse.Namespace) -> pd.DataFrame | None:
    """Return the rows of the data in the order of the advice; of who is not in it, missing."""
    if arguments.data is None:
        return None
    table = read_table(arguments.data)
    if arguments.person is None:
        if len(table) != len(advice):
            raise Refused(
                f"{arguments.data} has {len(table)} rows, and the advice is for {len(advice)} "
                "people: name the column that tells people apart with --person."
            )
        return table
    table.index = table[arguments.person].map(str)
    if not table.index.is_unique:
        raise Refused(f"--person: {arguments.person} does not tell people apart.")
    labels = [str(one) for one in advice.people]
    missing = [one for one in (advice.people[advice.reachable]) if str(one) not in table.index]
    if missing:
        raise Refused(
            f"{arguments.data} lacks {len(missing)} people who were told something, such as "
            f"{missing[0]!r} in {arguments.person}."
        )
    return table.reindex(labels)


def _days(text: str | None, table: pd.DataFrame | None) -> Any:
    """Return last days: those of a column, where the text names one."""
    if text is None or table is None or text not in table:
        return text
    return table[text].tolist()
