"""Reading the document of a result back, strictly: nothing missing, nothing added, nothing changed.

Version 2 tells how its tables are stored and has a digest. Version 1 has neither: its tables are
what pandas makes of the values, and its points are built from the changes.
"""

from __future__ import annotations

import json
import math
from typing import Any

from skcfq.certificates import digest_of
from skcfq.exceptions import AdviceFileError
from skcfq.results._column_forms import check_form
from skcfq.results._document import FORMAT, VERSION
from skcfq.results._table_forms import check_index_form, check_table_form
from skcfq.utils.documents import load_json
from skcfq.utils.schema import (
    boolean,
    fields,
    free,
    integer,
    listed,
    mapping,
    number,
    one_of,
    optional,
    refuse,
    scalar,
    text,
)

_MOST = 1_000_000_000
STATUSES = ("optimal", "feasible", "already_favorable", "infeasible", "not_found", "time_limit")
_VALID = {"optimal": True, "feasible": True, "already_favorable": True}
_VALID |= {"infeasible": False, "not_found": False}

_label = text(10_000)
_number = optional(number())
_CHANGE = {
    "feature": free,
    "from": free,
    "to": free,
    "kind": one_of("change", "implied"),
    "change": _number,
    "cost_share": number(),
    "percentile_from": _number,
    "percentile_to": _number,
}
_ANSWER = {
    "status": one_of(*STATUSES),
    "valid": boolean,
    "cost": _number,
    "lower_bound": _number,
    "margin": _number,
    "changes": listed(fields(_CHANGE)),
}
_FEATURE = fields(
    {"name": free, "weight": number()},
    {"cost_per_raw_unit": _number, "levels": free, "ranks": free},
)
_HEAD = {
    "format": one_of(FORMAT),
    "format_version": integer(1, VERSION),
    "protocol": _label,
    "method": _label,
    "summary": mapping(_number, 100),
    "feature_space": _label,
    "cost": fields({"norm": text(20), "mix": number(), "features": listed(_FEATURE)}),
    "units": mapping(_label, _MOST),
    "provenance": optional(free),
}


def _people(answer: dict[str, Any]) -> Any:
    person = fields(
        {"person": free, "row": integer(0, _MOST), "target": scalar, "input": free} | answer,
        {"alternatives": listed(fields(answer))},
    )
    return listed(person)


_VERSIONS = {
    1: fields(_HEAD | {"people": _people(_ANSWER)}),
    2: fields(
        _HEAD
        | {
            "tables": fields(
                {
                    "index": optional(check_index_form),
                    "input": check_table_form,
                    "points": listed(check_table_form, 1),
                    "target": check_form,
                }
            ),
            "people": _people(_ANSWER | {"point": free}),
            "digest": text(64),
        }
    ),
}


def read_document(source: Any) -> dict[str, Any]:
    """Return the document that a file, a text or a dict holds.

    Parameters
    ----------
    source : path, str or dict
        A text that begins with a brace is the document itself.

    Returns
    -------
    document : dict
        Of one of the versions; its form is right, and its digest where it has one.

    Raises
    ------
    AdviceFileError
        It is damaged, of another kind, nested too deep, of a later version, or was changed.
    """
    place, document = load_json(source, failure)
    try:
        version = _version(document)
        checked = _VERSIONS[version](document, "")
        for i, person in enumerate(checked["people"]):
            _check_person(person, i)
        if version > 1 and digest_of(document) != document["digest"]:
            raise ValueError("the digest is not that of the content: something was changed")
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise failure(place, error) from error
    return checked


def failure(place: str, problem: object) -> AdviceFileError:
    """Return the error of a document that cannot be read."""
    return AdviceFileError(
        f"{place} is no advice that can be read: {problem}. Give what RecourseResult.to_json or "
        "to_dict wrote, unchanged; or solve again."
    )


def _version(document: Any) -> int:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"it does not begin with 'format': {FORMAT!r}")
    version = document.get("format_version")
    if type(version) is int and version > VERSION:
        raise ValueError(
            f"it is of version {version}, and this library reads versions up to {VERSION}; take a "
            "later skcfq"
        )
    return integer(1, VERSION)(version, "format_version")


def _check_person(person: dict[str, Any], i: int) -> None:
    """Refuse statements about one person that contradict each other."""
    place = f"people[{i}]"
    if person["row"] != i:
        refuse(f"{place}.row", person["row"], str(i))
    _check_answer(person, place)
    denied = person["status"] != "already_favorable"
    if denied != ("alternatives" in person):
        raise ValueError(f"{place}.alternatives are those of denied people, and of all of them")
    for k, other in enumerate(person.get("alternatives", ())):
        _check_answer(other, f"{place}.alternatives[{k}]")


def _check_answer(answer: dict[str, Any], place: str) -> None:
    valid, status = answer["valid"], answer["status"]
    if valid != (answer["cost"] is not None):
        raise ValueError(f"{place} has a cost without a valid action, or the other way round")
    if valid != _VALID.get(status, valid):
        raise ValueError(f"{place} is {status!r} and has valid={valid}")
    if answer["changes"] and (not valid or status == "already_favorable"):
        raise ValueError(f"{place} is {status!r} and changes something")
    if answer.get("point") is not None and not valid:
        raise ValueError(f"{place} is {status!r} and has a point")
    names = [json.dumps([change["kind"], change["feature"]]) for change in answer["changes"]]
    if len(set(names)) < len(names):
        raise ValueError(f"{place}.changes name a feature twice")


def number_of(value: float | None, missing: float = math.nan) -> float:
    """Return a number, or what null stands for."""
    return missing if value is None else float(value)
