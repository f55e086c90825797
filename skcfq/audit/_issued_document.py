"""What became of issued advice as strict JSON, and back."""

from __future__ import annotations

from typing import Any

import pandas as pd

from skcfq.audit._document import (
    FIGURE_NUMBERS,
    LABEL,
    LIMIT,
    MOST,
    OR_NOTHING,
    PLACE,
    SMALL_GROUP,
    failure,
    people_record,
    read_people,
    records,
    table_of,
)
from skcfq.audit._issued_figures import ISSUED_FIGURES
from skcfq.utils import strict_json
from skcfq.utils.documents import load_json
from skcfq.utils.schema import (
    boolean,
    fields,
    free,
    integer,
    listed,
    mapping,
    one_of,
    optional,
    text,
)
from skcfq.utils.streams import digest_in_pieces

SCHEMA, VERSION = "skcfq/issued-audit", 1
_DECISIONS = ("target", "decision")
_NUMBERS = ("margin", "margin_new", "cost", "cost_new", "extra_cost")
_TEXTS = ("valid_until", "status_new")
_PEOPLE = {
    **dict.fromkeys(_DECISIONS, free),
    **dict.fromkeys(("outstanding", "holds", "accepted"), boolean),
    **dict.fromkeys(("options", "options_hold"), integer(0, MOST)),
    **dict.fromkeys(_NUMBERS, OR_NOTHING),
    **dict.fromkeys(_TEXTS, optional(LABEL)),
    "changes": listed(listed(free)),
}
_AS_THEY_ARE = (
    "parameters",
    "model",
    "advice",
    "environment",
    "notes",
    "small_groups",
    "remedies",
)
_FIGURE = {"figure": one_of(*ISSUED_FIGURES)} | FIGURE_NUMBERS
_DOCUMENT = fields(
    {
        "schema": one_of(SCHEMA),
        "version": integer(1, VERSION),
        "parameters": free,
        "model": free,
        "advice": free,
        "environment": mapping(LABEL, 100),
        "notes": listed(LABEL),
        "small_groups": listed(SMALL_GROUP),
        "remedies": fields(dict.fromkeys(("bias", "margin", "new_advice"), free)),
        "figures": listed(fields(_FIGURE)),
        "groups": listed(fields(PLACE | _FIGURE)),
        "limits": listed(LIMIT),
        "people": fields(
            {
                "name": free,
                "labels": listed(free),
                "groups": mapping(listed(LABEL), 100),
                "columns": fields({name: listed(check) for name, check in _PEOPLE.items()}),
            }
        ),
        "digest": text(64),
    }
)


def to_issued_document(report: Any) -> dict[str, Any]:
    """Return the document of :meth:`IssuedReport.to_json`; of a report that was read, the same."""
    document = {"schema": SCHEMA, "version": VERSION}
    document |= {name: strict_json(getattr(report, name)) for name in _AS_THEY_ARE}
    document |= {name: records(getattr(report, name)) for name in ("figures", "groups", "limits")}
    document["people"] = people_record(report, _DECISIONS)
    return document | {"digest": digest_in_pieces(document)}


def read_issued(source: Any) -> dict[str, Any]:
    """Return the attributes of the report that was written."""
    place, document = load_json(source, failure)
    try:
        checked = _DOCUMENT(document, "")
        if digest_in_pieces(document) != document["digest"]:
            raise ValueError("the digest is not that of the content: something was changed")
        people, sensitive = read_people(checked["people"], _NUMBERS, _DECISIONS)
        # pandas would write a missing text as NaN.
        columns = checked["people"]["columns"]
        texts = {name: pd.Series(columns[name], people.index, dtype=object) for name in _TEXTS}
        return {
            "figures": table_of(checked["figures"], ["figure"]),
            "groups": table_of(checked["groups"], ["feature", "group", "figure"]),
            "limits": table_of(checked["limits"], ["feature", "group"]),
            "people": people.assign(**texts),
            "sensitive": sensitive,
            **{name: checked[name] for name in _AS_THEY_ARE},
        }
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise failure(place, error) from error
