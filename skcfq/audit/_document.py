"""An audit as strict JSON, and back: figures and groups as records, people by columns."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from skcfq.audit._figures import FIGURES
from skcfq.audit._skew_report import SkewReport
from skcfq.exceptions import AuditFileError
from skcfq.utils import atomic_write, from_json, strict_json, to_json
from skcfq.utils.documents import load_json
from skcfq.utils.schema import (
    Check,
    boolean,
    fields,
    free,
    integer,
    listed,
    mapping,
    number,
    one_of,
    optional,
    text,
)
from skcfq.utils.streams import Pieces, digest_in_pieces, pieces_of_json

SCHEMA, VERSION = "skcfq/audit", 1
MOST = 1_000_000_000
LABEL = text(100_000)
OR_NOTHING = optional(number())
FIGURE_NUMBERS = {
    "value": OR_NOTHING,
    "lower": OR_NOTHING,
    "upper": OR_NOTHING,
    "n": integer(0, MOST),
    "kind": one_of("share", "mean", "median", "ratio"),
}
_FIGURE = {"figure": one_of(*FIGURES)} | FIGURE_NUMBERS
PLACE = {"feature": LABEL, "group": LABEL}
COUNT = {"n_people": integer(0, MOST), "n_failures": integer(0, MOST)}
LIMIT = fields(PLACE | COUNT | {"rate": OR_NOTHING, "limit": number()})
SMALL_GROUP = fields(PLACE | {"n": integer(0, MOST)})
_STATUS = one_of(
    "optimal", "feasible", "already_favorable", "infeasible", "not_found", "time_limit"
)
_LABELS = ("decision_reference", "decision_deployed", "target")
# Columns of the table of people, as they are written.
_PEOPLE: dict[str, Check] = {
    **dict.fromkeys(_LABELS, free),
    "status": _STATUS,
    "status_deployed": _STATUS,
    **dict.fromkeys(
        (
            "accepted_reference",
            "accepted_deployed",
            "advised",
            "advised_deployed",
            "holds",
            "right",
            "right_deployed",
        ),
        boolean,
    ),
    **dict.fromkeys(
        (
            "holds_float32",
            "margin",
            "margin_deployed",
            "cost",
            "cost_deployed",
            "gap",
            "cosine",
            "overlap",
        ),
        OR_NOTHING,
    ),
    "changes": listed(listed(free)),
}
_NUMBERS = {name for name, check in _PEOPLE.items() if check is OR_NOTHING}
_AS_THEY_ARE = (
    "models",
    "data",
    "parameters",
    "rules",
    "protocol",
    "environment",
    "small_groups",
    "notes",
)
_REASON = {"reason": LABEL}
_CONTROL = {
    "name": one_of("as_it_is", "same_acceptance", "keep_advice"),
    "chosen_on": one_of("nobody", "same_people", "other_half"),
    "biases": listed(number()),
    **dict.fromkeys(("validity_drop", "acceptance", "accuracy"), OR_NOTHING),
}
_NEEDED = listed(fields({"share": number(), "margin": number()}))
_REMEDIES = fields(
    {},
    {
        "bias": fields({}, _REASON | {"controls": listed(fields(_CONTROL))}),
        "margin": fields({}, _REASON | {"needed": _NEEDED}),
    },
)
_STEP = {
    "step": LABEL,
    "n_largest": integer(0, MOST),
    **dict.fromkeys(("margin_lost", "validity_drop"), number()),
    "margin_lost_of_failed": OR_NOTHING,
}
_STEPS = {"steps": listed(fields(_STEP)), "of_lost": listed(LABEL)}
_LOSSES = fields({}, _REASON | _STEPS | {"retrained": free})
_OPTIONAL = ("right", "right_deployed")
_DOCUMENT = fields(
    {
        "schema": one_of(SCHEMA),
        "version": integer(1, VERSION),
        "parameters": free,
        "models": fields({"reference": free, "deployed": free}),
        "data": free,
        "rules": free,
        "protocol": mapping(LABEL, 10),
        "environment": mapping(LABEL, 100),
        "notes": listed(LABEL),
        "figures": listed(fields(_FIGURE)),
        "groups": listed(fields(PLACE | _FIGURE)),
        "small_groups": listed(SMALL_GROUP),
        "limits": listed(LIMIT),
        "people": fields(
            {
                "name": free,
                "labels": listed(free),
                "groups": mapping(listed(LABEL), 100),
                "columns": fields(
                    {name: listed(one) for name, one in _PEOPLE.items() if name not in _OPTIONAL},
                    {name: listed(_PEOPLE[name]) for name in _OPTIONAL},
                ),
            }
        ),
        "digest": text(64),
    },
    {"remedies": _REMEDIES, "losses": _LOSSES, "tried": listed(free), "skew": free},
)


def to_document(report: Any) -> dict[str, Any]:
    """Return the document of :meth:`AuditReport.to_json`; of a report that was read, the same.

    Lists of people are :class:`Pieces`, since those of a million take gigabytes.
    """
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "parameters": strict_json(report.parameters),
        "models": strict_json(report.models),
        "data": strict_json(report.data),
        "rules": strict_json(report.rules),
        "protocol": dict(report.protocol),
        "environment": dict(report.environment),
        "notes": list(report.notes),
        "figures": records(report.figures),
        "groups": records(report.groups),
        "small_groups": strict_json(report.small_groups),
        "limits": records(report.limits),
        "people": people_record(report),
    }
    for name in ("remedies", "losses"):
        document |= {name: strict_json(told)} if (told := getattr(report, name)) else {}
    if report.tried is not None:
        document["tried"] = records(report.tried)
    if report.skew is not None:
        document["skew"] = report.skew.to_dict()
    return document | {"digest": digest_in_pieces(document)}


def write_document(document: dict[str, Any], path: Any) -> str | None:
    """Write a document, one line a part; return the text where there is no path."""
    if path is None:
        return "".join(_lines(document))
    atomic_write(path, lambda file: file.writelines(line.encode() for line in _lines(document)))
    return None


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for i, (key, value) in enumerate(document.items()):
        yield f"{',' if i else '{'}\n{json.dumps(key)}: "
        yield from pieces_of_json(value)
    yield "\n}\n"


def read_document(source: Any) -> dict[str, Any]:
    """Return the attributes of the report that was written."""
    place, document = load_json(source, failure)
    try:
        checked = _DOCUMENT(document, "")
        if digest_in_pieces(document) != document["digest"]:
            raise ValueError("the digest is not that of the content: something was changed")
        people, sensitive = read_people(checked["people"])
        return {
            "figures": table_of(checked["figures"], ["figure"]),
            "groups": table_of(checked["groups"], ["feature", "group", "figure"]),
            "limits": table_of(checked["limits"], ["feature", "group"]),
            "people": people,
            "sensitive": sensitive,
            **{name: checked.get(name) or {} for name in ("remedies", "losses")},
            **_added(checked),
            **{name: checked[name] for name in _AS_THEY_ARE},
        }
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise failure(place, error) from error


def _added(document: dict[str, Any]) -> dict[str, Any]:
    """Return what was added to an audit after it was made."""
    tried, skew = document.get("tried"), document.get("skew")
    return {
        "tried": None if tried is None else _tried(tried),
        "skew": None if skew is None else SkewReport.from_dict(skew),
    }


def _tried(rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(rows).set_index(["remedy", "setting"])
    return table.astype({name: np.float64 for name in table.columns if name != "reason"})


def failure(place: str, problem: object) -> AuditFileError:
    """Return the error of a document that cannot be read."""
    return AuditFileError(
        f"{place} is no audit that can be read: {problem}. Give what to_json of the report wrote, "
        "unchanged; or audit again."
    )


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table of figures as JSON values."""
    return strict_json(table.reset_index().to_dict("records"))


def table_of(rows: list[dict[str, Any]], index: list[str]) -> pd.DataFrame:
    """Return the table of :func:`records`."""
    columns = ["value", "lower", "upper", "n", "kind"]
    if not rows:
        empty = pd.MultiIndex.from_arrays([[] for _ in index], names=index)
        return pd.DataFrame(columns=columns, index=empty)
    table = pd.DataFrame(rows).set_index(index)
    numbers = [name for name in ("value", "lower", "upper", "rate") if name in table]
    return table.astype(dict.fromkeys(numbers, np.float64))


def people_record(report: Any, labels: Collection[str] = _LABELS) -> dict[str, Any]:
    """Return the people of a report by columns; those of labels keep their types."""
    people, groups = (one.reset_index(drop=True) for one in (report.people, report.sensitive))
    written = dict.fromkeys(people.columns, _values) | dict.fromkeys(labels, _labels)
    written["changes"] = _changes
    return {
        "name": to_json(report.people.index.name),
        "labels": Pieces(report.people.index, _labels),
        "groups": {name: Pieces(groups[name], pd.Series.tolist) for name in groups},
        "columns": {name: Pieces(people[name], written[name]) for name in people},
    }


def _values(part: pd.Series) -> list[Any]:
    values: Any = part.to_numpy()
    if values.dtype.kind == "f":
        return np.where(np.isfinite(values), values, np.array(None)).tolist()
    known = values.tolist()
    return known if {*map(type, known)} <= {str, bool, int} else strict_json(known)


def _labels(part: pd.Series | pd.Index) -> list[Any]:
    return [_label(one) for one in part.tolist()]


def _label(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is bool or kind is int or (kind is float and isfinite(value)):
        return value
    return to_json(value)


def _changes(part: pd.Series) -> list[Any]:
    return [[[*map(_label, change)] for change in one] for one in part.tolist()]


def read_people(
    document: dict[str, Any],
    numbers: Collection[str] = _NUMBERS,
    decisions: Collection[str] = _LABELS,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the people of :func:`people_record`, and the groups of each."""
    labels = [from_json(label) for label in document["labels"]]
    index = pd.Index(labels, name=from_json(document["name"]))
    columns: dict[str, Any] = {}
    for name, values in document["columns"].items():
        if len(values) != len(labels):
            raise ValueError(f"people.columns.{name} has {len(values)} values for {len(labels)}")
        if name == "changes":
            values = [[tuple(map(from_json, change)) for change in one] for one in values]
            if any(len(change) != 3 for one in values for change in one):
                raise ValueError("people.columns.changes has a change without feature, from and to")
        elif name in decisions:
            values = [from_json(value) for value in values]
        elif name in numbers:
            values = np.array(values, dtype=np.float64)
        columns[name] = values
    groups = document["groups"]
    wrong = [name for name, labels_ in groups.items() if len(labels_) != len(labels)]
    if wrong:
        raise ValueError(f"people.groups.{wrong[0]} has another length than the people")
    return pd.DataFrame(columns, index=index), pd.DataFrame(groups, index=index, dtype=object)
