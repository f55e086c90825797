"""What a report says, section by section; the same for every format."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from skcfq.audit._blocks import Items, Section, Table, Text
from skcfq.audit._document import to_document
from skcfq.audit._figure_sections import (
    figures_section,
    gaps_section,
    groups_section,
    limits_section,
    models_section,
    notes_section,
)
from skcfq.audit._loss_section import losses_section
from skcfq.audit._remedy_section import remedies_section
from skcfq.audit._rule_words import prices_in_words, rules_in_words
from skcfq.audit._skew_section import skew_section
from skcfq.audit._tried_section import tried_section
from skcfq.audit._verdict import verdict
from skcfq.audit._wording import UNKNOWN, advice, count, counted, number, raw, words

# Letters of all advice that is listed: what the size of a report is bounded by.
_MOST_LETTERS = 300_000
_LONGEST_ADVICE = 600


def sections_of(report: Any, max_people: int) -> list[Section]:
    """Return all sections, in the order in which a reader needs them."""
    return [
        Section("verdict", "Verdict", [Items(verdict(report))]),
        models_section(report),
        figures_section(report),
        groups_section(report),
        limits_section(report),
        _lost_section(report, max_people),
        *losses_section(report),
        gaps_section(report),
        *skew_section(report),
        *remedies_section(report),
        *tried_section(report),
        notes_section(report),
        _check_section(report),
    ]


def _lost_section(report: Any, most: int) -> Section:
    lost, title = report.lost, "Who lost what"
    if not len(lost):
        return Section("lost", title, [Text("All advice still works under the deployed model.")])
    features = [str(name) for name in report.sensitive.columns]
    rows, letters = [], 0
    for person, row in lost.head(most).iterrows():
        told = advice(row["changes"])
        told = told if len(told) <= _LONGEST_ADVICE else told[: _LONGEST_ADVICE - 1] + "…"
        prices = (number(row["cost"]), _price(row["cost_deployed"]))
        cells = [raw(person), told, *prices, *(words(row[name]) for name in features)]
        letters += sum(map(len, cells))
        if letters > _MOST_LETTERS:
            break
        rows.append(cells)
    said = (
        f"The advice of {counted(len(lost), 'person')} no longer works. {count(len(rows))} "
        f"{'is' if len(rows) == 1 else 'are'} listed, in the order of the data, with the advice "
        "that the reference gave in raw units."
    )
    if len(rows) < len(lost):
        said += f" The other {count(len(lost) - len(rows))} are in the JSON of this audit."
    name = report.people.index.name
    columns = ["Person" if name is None else words(name), "Advice that no longer works"]
    columns += ["Price", "Price under the deployed model", *map(words, features)]
    blocks: list[Any] = [Text(said)]
    if rows:
        blocks.append(Table("People whose advice no longer works", columns, rows, (2, 3)))
    return Section("lost", title, blocks)


def _price(value: float) -> str:
    if not np.isfinite(value):
        return UNKNOWN
    return "0 (accepted as they are)" if value == 0 else number(value)


def _check_section(report: Any) -> Section:
    digest = to_document(report)["digest"]
    said = (
        "This page shows the JSON that AuditReport.to_json writes, which holds every person and "
        "every figure. AuditReport.read reads it and refuses what was changed. The JSON has the "
        "digest below; models and rows are those of this audit where their fingerprints are these. "
        "The verifier checks its claims with code of its own: skcfq verify audit.json --data X.csv "
        "--deployed MODEL; without the library, python verify.py audit.json --data X.csv, where "
        "verify.py is one file that needs numpy and pandas alone."
    )
    marks = [
        ["Digest of the JSON", digest],
        ["Rows: fingerprint", words(report.data.get("fingerprint") or UNKNOWN)],
        ["Rows: number", count(report.data.get("n_rows", len(report.people)))],
    ]
    for role in ("reference", "deployed"):
        mark = report.models[role].get("fingerprint")
        marks.append([f"{role.capitalize()}: fingerprint", words(mark or "not known")])
    marks.append(["Columns and scales: fingerprint", words(report.rules.get("feature_space"))])
    columns = ["", "Value"]
    blocks: list[Any] = [Text(said), Table("Digest and fingerprints", columns, marks)]
    protocol = [[role.capitalize(), words_long(line)] for role, line in report.protocol.items()]
    blocks.append(Table("Protocol: how advice was found", ["Model", "Protocol"], protocol))
    parameters = [[words(name), _json(value)] for name, value in report.parameters.items()]
    blocks.append(Table("Parameters of the audit", ["Parameter", "Value"], parameters))
    blocks += _rules(report)
    versions = [[words(name), words(version)] for name, version in report.environment.items()]
    blocks.append(Table("Versions", ["Package", "Version"], versions))
    return Section("check", "How to check it", blocks)


def _rules(report: Any) -> list[Any]:
    rules, cost = report.rules.get("action_set"), report.rules.get("cost")
    blocks: list[Any] = []
    if isinstance(rules, dict) and rules:
        columns = ["Feature", "What is allowed"]
        blocks.append(Table("Rules: what people may change", columns, rules_in_words(rules)))
    if isinstance(cost, dict) and cost:
        columns = ["Feature", "Price"]
        blocks.append(Table("What a change costs", columns, prices_in_words(cost)))
    return blocks


def _json(value: Any) -> str:
    return words_long(json.dumps(value, ensure_ascii=False, default=str))


def words_long(value: Any) -> str:
    """Return a text of the audit's own in one line; it may be longer than a user's label."""
    text = " ".join(str(value).split())
    return text if len(text) <= 2000 else text[:1999] + "…"
