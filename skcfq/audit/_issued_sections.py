"""What a report on advice that was given says, section by section; the same for every format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skcfq.audit._blocks import Items, Section, Table, Text
from skcfq.audit._figure_sections import MOST_GROUPS, limits_section, small_group_notes
from skcfq.audit._issued_document import to_issued_document
from skcfq.audit._issued_figures import ISSUED_FIGURES
from skcfq.audit._sections import words_long
from skcfq.audit._verdict import percent_of_confidence, worst_group
from skcfq.audit._wording import (
    UNKNOWN,
    advice,
    count,
    figure,
    interval,
    number,
    percent,
    raw,
    words,
)

_NUMBERS = ["Value", "Interval", "People"]


def issued_title(report: Any) -> str:
    """Return what the report is about."""
    name = report.model.get("file") or report.model["name"]
    return f"Advice that was given, under the next model: {words(name)}"


def issued_sections(report: Any, max_people: int) -> list[Section]:
    """Return all sections, in the order in which a reader needs them."""
    return [
        Section("verdict", "Verdict", [Items(issued_verdict(report))]),
        _figures_section(report),
        _groups_section(report),
        limits_section(report),
        Section("remedies", "What would keep the promises", [Items(remedies_in_words(report))]),
        _broken_section(report, max_people),
        _notes_section(report),
        _check_section(report),
    ]


def issued_verdict(report: Any) -> list[str]:
    """Return the verdict: promises, how many break, in which time, and what is left of them."""
    people, broken = report.people, report.broken
    expired, on = int((~people["outstanding"]).sum()), report.parameters["on"]
    told = f"{count(len(people))} people were told what to change."
    if on is not None:
        told += f" On {words(on)}, {count(expired)} of these promises have expired."
    rate = report.figures.loc["broken"]
    if not rate["n"]:
        return [told, "No promise is outstanding: there is none to break."]
    said = (
        f"The next model breaks {count(len(broken))} of {count(rate['n'])} outstanding promises: "
        f"{percent(rate['value'])} ({percent_of_confidence(report)} interval: "
        f"{percent(rate['lower'])} to {percent(rate['upper'])})."
    )
    limit = report.limits.loc[("", "everybody"), "limit"]
    to_come = (
        f"Of people to come, drawn as these were, no more than {percent(limit)} lose theirs, with "
        f"{percent_of_confidence(report)} confidence for all groups together."
    )
    worst = worst_group(report, "broken")
    if worst is not None:
        feature, group, row = worst
        said += (
            f" The group whose promises break most is {words(feature)} = {words(group)}: "
            f"{percent(row['value'])} of {count(row['n'])}."
        )
    days = broken["valid_until"].dropna()
    until = [f"The last of the broken ones holds until {words(days.max())}."] if len(days) else []
    return [told, said, to_come, *until]


def remedies_in_words(report: Any) -> list[str]:
    """Return what would keep the promises, one sentence a remedy."""
    return [
        _bias(report.remedies["bias"], report.parameters["population"]),
        _margin(report.remedies["margin"]),
        _new_advice(report.remedies["new_advice"]),
    ]


def _bias(remedy: dict[str, Any], population: str) -> str:
    if "reason" in remedy:
        return f"A bias on the target's score: not known, {words(remedy['reason'])}."
    if not remedy["bias"]:
        return "A bias on the target's score: none is needed."
    whom = "the background" if population == "background" else "the people of the advice"
    return (
        f"A bias of {number(remedy['bias'])} on the target's score keeps all of them. Of "
        f"{count(remedy['n_people'])} rows of {whom}, {count(remedy['n_accepted'])} are accepted "
        f"without it, and {count(remedy['n_accepted_more'])} more with it "
        f"({percent(remedy['share'])})."
    )


def _margin(remedy: dict[str, Any]) -> str:
    if "reason" in remedy:
        return (
            f"The margin that the advice would have needed: not known, {words(remedy['reason'])}."
        )
    needed = ", ".join(
        f"{number(one['margin'])} for {percent(one['share'])}" for one in remedy["needed"]
    )
    return (
        "The margin that the advice would have needed, at its own points, by the share of promises "
        f"that it keeps: {needed}. It was told with {number(remedy['given'])} or more."
    )


def _new_advice(remedy: dict[str, Any]) -> str:
    said = (
        f"New advice for {count(remedy['n_broken'])} people whose promise breaks: "
        f"{count(remedy['n_accepted'])} are accepted as they are, {count(remedy['n_advised'])} can "
        f"be told something else, for {count(remedy['n_impossible'])} it is proved that nothing "
        f"helps, for {count(remedy['n_not_found'])} nothing was found."
    )
    if remedy["n_advised"]:
        extra = remedy["extra_cost"]
        said += (
            f" It costs {number(remedy['cost'])} on average, {number(abs(extra))} "
            f"{'less' if extra < 0 else 'more'} than what they were told before, at the prices of "
            "today."
        )
    return said


def _figures_section(report: Any) -> Section:
    said = (
        f"Each interval holds the figure with {percent_of_confidence(report)} confidence, for "
        "itself alone. People: who is counted."
    )
    rows = [
        [ISSUED_FIGURES[name].label, *_cells(name, row)] for name, row in report.figures.iterrows()
    ]
    table = Table("Promises, and what becomes of them", ["Figure", *_NUMBERS], rows, (1, 2, 3))
    return Section("figures", "Figures", [Text(said), table])


def _cells(name: Any, row: pd.Series) -> list[str]:
    ends = interval(name, row["kind"], row["lower"], row["upper"])
    return [figure(name, row["kind"], row["value"]), ends, count(row["n"])]


def _groups_section(report: Any) -> Section:
    if not len(report.groups):
        said = "No group was scored: none was asked for, or all are too small."
        return Section("groups", "Groups", [Text(said)])
    part = report.groups.xs("broken", level="figure")
    rows = [
        [words(group), words(feature), *_cells("broken", row)]
        for (feature, group), row in part.head(MOST_GROUPS).iterrows()
    ]
    caption = "Outstanding promises that break, by group"
    table = Table(caption, ["Group", "Feature", *_NUMBERS], rows, (2, 3, 4))
    return Section("groups", "Groups", [table])


def _broken_section(report: Any, most: int) -> Section:
    broken, title = report.broken, "Whose promise breaks"
    if not len(broken):
        return Section("broken", title, [Text("No outstanding promise breaks.")])
    features = [str(name) for name in report.sensitive.columns]
    rows = []
    for person, row in broken.head(most).iterrows():
        short = -row["margin_new"] if np.isfinite(row["margin_new"]) else np.nan
        until = UNKNOWN if row["valid_until"] is None else words(row["valid_until"])
        other = count(row["options_hold"])
        prices = [number(row["cost"]), number(row["cost_new"])]
        cells = [raw(person), advice(row["changes"]), until, number(short), other, *prices]
        rows.append([*cells, *(words(row[name]) for name in features)])
    said = f"{count(len(rows))} of {count(len(broken))} are listed; the JSON has all of them."
    name = report.people.index.name
    columns = ["Person" if name is None else words(name), "What they were told", "Holds until"]
    columns += ["Short of the target by", "Other ways that work", "Price", "New price"]
    columns += [words(one) for one in features]
    blocks: list[Any] = [Text(said)]
    if rows:
        blocks.append(Table("People whose promise breaks", columns, rows, (2, 3, 4, 5, 6)))
    return Section("broken", title, blocks)


def _notes_section(report: Any) -> Section:
    notes = [" ".join(note.split()) for note in report.notes] + small_group_notes(report)
    title = "What could not be judged"
    return Section("notes", title, [Items(notes) if notes else Text("The audit noted nothing.")])


def _check_section(report: Any) -> Section:
    said = (
        "This page shows the JSON that IssuedReport.to_json writes, which holds every promise. "
        "IssuedReport.read reads it and refuses what was changed."
    )
    marks = [["Digest of the JSON", to_issued_document(report)["digest"]]]
    marks.append(["Next model: fingerprint", words(report.model.get("fingerprint") or "not known")])
    marks += (
        _marks(report.advice, "Advice: ") + _marks(report.parameters) + _marks(report.environment)
    )
    return Section("check", "How to check it", [Text(said), Table("Marks", ["", "Value"], marks)])


def _marks(values: Mapping[str, Any], before: str = "") -> list[list[str]]:
    """Return rows of a name and a value; of values in values, one row each."""
    rows = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _marks(value, f"{before}{words(name)}, ")
            continue
        several = isinstance(value, list | tuple)
        told = ", ".join(map(words, value)) if several else words_long(value)
        rows.append([f"{before}{words(name)}".replace("_", " "), told or UNKNOWN])
    return rows
