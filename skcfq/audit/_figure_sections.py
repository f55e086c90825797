"""The sections of a report that hold its figures: of the models, of everybody, of groups."""

from __future__ import annotations

from typing import Any

import pandas as pd

from skcfq.audit._blocks import Items, Section, Table, Text
from skcfq.audit._figures import FIGURES
from skcfq.audit._pictures import cost_picture, group_pictures, margin_picture
from skcfq.audit._verdict import percent_of_confidence
from skcfq.audit._wording import (
    UNKNOWN,
    count,
    counted,
    difference,
    figure,
    interval,
    number,
    percent,
    words,
)

# Rows of one table of groups; the document has all of them.
MOST_GROUPS = 100
_TOPICS = {
    "Decisions": (
        "accuracy",
        "accuracy_deployed",
        "agreement",
        "acceptance",
        "acceptance_deployed",
    ),
    "Advice, and whether it holds": (
        "feasible_rate",
        "feasible_rate_deployed",
        "validity_drop",
        "validity_drop_mismatch",
        "float32_drop",
    ),
    "What advice costs": (
        "cost",
        "cost_deployed",
        "recourse_gap",
        "recourse_gap_signed",
        "recourse_gap_median",
        "recourse_gap_ratio",
    ),
    "Which way advice points": ("direction_similarity", "action_overlap"),
}
_COMPARED = ("acceptance_deployed", "feasible_rate_deployed", "validity_drop", "cost_deployed")
_OF_MODELS = {
    "name": "Kind",
    "file": "File",
    "classes": "Decisions",
    "average_bits": "Bits a weight, on average",
    "bit_widths": "Bits by layer",
    "n_weights": "Weights",
    "bytes": "Bytes",
    "microseconds_alone": "Microseconds for one row",
    "microseconds_together": "Microseconds a row, of up to 1,000 at once",
    "fingerprint": "Fingerprint",
    "sha256": "SHA-256 of the file",
}


def models_section(report: Any) -> Section:
    """Return the two models side by side."""
    pair = [report.models[role] for role in ("reference", "deployed")]
    rows = [
        [label, *(_of_model(name, model.get(name)) for model in pair)]
        for name, label in _OF_MODELS.items()
        if any(model.get(name) is not None for model in pair)
    ]
    for label, name in (
        ("Accuracy", "accuracy"),
        ("People whom it accepts", "acceptance"),
        ("Refused people whom it can advise", "feasible_rate"),
        ("Mean price of its advice", "cost"),
    ):
        if name in report.figures.index:
            both = (report.figures.loc[one] for one in (name, f"{name}_deployed"))
            rows.append([label, *(_value(one.name, one) for one in both)])
    columns = ["", "Reference", "Deployed"]
    return Section("models", "The two models", [Table("Both models side by side", columns, rows)])


def _of_model(name: str, value: Any) -> str:
    if value is None:
        return UNKNOWN
    if name in ("n_weights", "bytes"):
        return count(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return words(", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value))
    return words(value)


def figures_section(report: Any) -> Section:
    """Return all figures of everybody, a table a topic."""
    blocks: list[Any] = [
        Text(
            f"Each interval holds the figure with {percent_of_confidence(report)} confidence, for "
            "itself alone. People: who is counted. Prices are in units of the reference's columns "
            "and of the population. Shares, prices and directions answer different questions, and "
            "are kept apart."
        )
    ]
    known = {name for names in _TOPICS.values() for name in names}
    others = tuple(name for name in report.figures.index if name not in known)
    for topic, names in {**_TOPICS, "Other figures": others}.items():
        table = report.figures.reindex([name for name in names if name in report.figures.index])
        if len(table):
            columns = ["Figure", "Value", "Interval", "People"]
            rows = [_row(name, row) for name, row in table.iterrows()]
            blocks.append(Table(topic, columns, rows, (1, 2, 3)))
    return Section("figures", "Figures", blocks + margin_picture(report) + cost_picture(report))


def _row(name: Any, row: pd.Series) -> list[str]:
    ends = interval(name, row["kind"], row["lower"], row["upper"])
    return [label_of(name), _value(name, row), ends, count(row["n"])]


def _value(name: Any, row: pd.Series) -> str:
    return figure(name, row["kind"], row["value"])


def label_of(name: Any) -> str:
    """Return what a figure is called."""
    return FIGURES[name].label if name in FIGURES else words(name).replace("_", " ")


def groups_section(report: Any) -> Section:
    """Return figures by group: a table and pictures for validity, prices and directions each."""
    blocks: list[Any] = []
    if not len(report.groups):
        said = "No group was scored: none was asked for, or all are too small."
        return Section("groups", "Groups", [Text(said)])
    topics = {
        "Advice that no longer works, by group": "validity_drop",
        "Mean change of the price, by group": "recourse_gap_signed",
        "Cosine of the two pieces of advice, by group": "direction_similarity",
    }
    columns = ["Group", "Feature", "Value", "Interval", "People"]
    for caption, name in topics.items():
        part = report.groups.xs(name, level="figure")
        rows = [
            [words(group), words(feature), *_row(name, row)[1:]]
            for (feature, group), row in part.head(MOST_GROUPS).iterrows()
        ]
        blocks.append(Table(caption, columns, rows, (2, 3, 4)))
        blocks += _rest(len(part) - len(rows), "groups") + group_pictures(report, name)
    return Section("groups", "Groups", blocks)


def limits_section(report: Any) -> Section:
    """Return the limits for people to come."""
    said = (
        "Upper limits of the share of advice that no longer works, among people to come who are "
        f"drawn as these were. All of them hold together, with {percent_of_confidence(report)} "
        "confidence."
    )
    shown = report.limits.head(MOST_GROUPS)
    rows = [
        [
            words(group),
            words(feature) or UNKNOWN,
            count(row["n_people"]),
            count(row["n_failures"]),
            percent(row["rate"]),
            percent(row["limit"]),
        ]
        for (feature, group), row in shown.iterrows()
    ]
    columns = ["Group", "Feature", "With advice", "No longer works", "Share", "Upper limit"]
    table = Table("Upper limits, for everybody and by group", columns, rows, (2, 3, 4, 5))
    rest = _rest(len(report.limits) - len(rows), "groups")
    return Section("limits", "People to come", [Text(said), table, *rest])


def gaps_section(report: Any) -> Section:
    """Return how far groups are apart, and each beside one of its feature."""
    gaps = report.gaps
    gaps = gaps[gaps["gap"].notna()]
    n_alike = int((gaps["gap"] == 0).sum())
    if not len(gaps):
        said = "Fewer than two groups have figures: there is nothing to compare."
        return Section("gaps", "Gaps between groups", [Text(said)])
    rows = [
        [label_of(name), words(feature), difference(name, _kind(report, name), row["gap"])]
        + [words(row[end]) if row[end] is not None else UNKNOWN for end in ("worst", "best")]
        for (feature, name), row in gaps[gaps["gap"] != 0].iterrows()
    ]
    columns = ["Figure", "Feature", "Gap", "Worst group", "Best group"]
    said = "Of changes of prices, the group that is farthest from 0 is called the worst."
    if n_alike:
        said += f" {counted(n_alike, 'figure')} without any gap: not in this table."
    most, blocks = MOST_GROUPS, list[Any]([Text(said)])
    if rows:
        blocks.append(Table("Largest less smallest value", columns, rows[:most], (2,)))
    blocks += _rest(len(rows) - most, "gaps")
    return Section("gaps", "Gaps between groups", blocks + _disparities(report))


def _disparities(report: Any) -> list[Any]:
    table = report.disparities()
    index = table.index
    single = index.get_level_values("feature").isin([str(one) for one in report.sensitive.columns])
    compared = index.get_level_values("figure").isin(_COMPARED)
    table = table[single & compared & table["difference"].notna()]
    rows = [
        [
            words(group),
            words(feature),
            words(row["reference"]),
            label_of(name),
            difference(name, _kind(report, name), row["difference"]),
            number(row["ratio"]),
        ]
        for (feature, group, name), row in table.iterrows()
        if row["reference"] != group
    ]
    if not rows:
        return []
    columns = ["Group", "Feature", "Compared with", "Figure", "Difference", "Ratio"]
    caption = "Groups beside the largest group of their feature"
    blocks: list[Any] = [Table(caption, columns, rows[:MOST_GROUPS], (4, 5))]
    return blocks + _rest(len(rows) - MOST_GROUPS, "rows")


def _kind(report: Any, name: Any) -> str:
    return str(report.figures["kind"].get(name, "mean"))


def _rest(n: int, what: str) -> list[Any]:
    return [Text(f"{count(n)} more {what} are in the JSON of this audit.")] if n > 0 else []


def notes_section(report: Any) -> Section:
    """Return what could not be judged."""
    notes = [" ".join(note.split()) for note in report.notes] + small_group_notes(report)
    ignored = report.data.get("ignored_columns") or []
    features = [str(name) for name in report.sensitive.columns]
    for said, columns in (
        ("Groups are those of columns that neither model reads", features),
        ("Columns that neither model reads were left out", set(ignored) - set(features)),
    ):
        named = ", ".join(words(one) for one in ignored[:MOST_GROUPS] if one in columns)
        notes += [f"{said}: {named}."] if named else []
    if not notes:
        return Section("notes", "What could not be judged", [Text("The audit noted nothing.")])
    return Section("notes", "What could not be judged", [Items(notes)])


def small_group_notes(report: Any) -> list[str]:
    """Return a sentence for each group that is too small."""
    least = report.parameters["min_group_size"]
    shown = report.small_groups[:MOST_GROUPS]
    notes = [
        f"{words(one['feature'])} = {words(one['group'])} has {counted(one['n'], 'person')}, fewer "
        f"than {count(least)}: named, and not scored."
        for one in shown
    ]
    more = len(report.small_groups) - len(shown)
    if more:
        notes.append(f"{count(more)} more groups are too small; the JSON of this audit has them.")
    return notes
