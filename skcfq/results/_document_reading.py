"""Reading the document of a result back, strictly: nothing missing, nothing added, nothing changed.

Version 2 tells how its tables are stored and has a digest. Version 1 has neither: its tables are
what pandas makes of the values, and its points are built from the changes.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skcfq.certificates import digest_of
from skcfq.exceptions import AdviceFileError
from skcfq.results._column_forms import check_form
from skcfq.results._document import FORMAT, VERSION
from skcfq.results._table_forms import check_index_form, check_table_form
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

# An action set in a document is some twelve deep.
_DEEPEST = 40
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
    place, document = _loaded(source)
    try:
        _check_depth(document)
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


def _loaded(source: Any) -> tuple[str, Any]:
    """Return what errors call the source, and the value that it holds."""
    if isinstance(source, Mapping):
        return "the dict", dict(source)
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n")[:1] == "{":
        return "the text", _parsed("the text", source.lstrip("\ufeff"))
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"source is of type {type(source).__name__}: give the path of a file, its text or a "
            "dict, as RecourseResult.to_json and to_dict write them."
        )
    place = os.fspath(source)
    try:
        content = Path(place).read_bytes()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        # A text that is no document may be as long as one.
        named = f"source={reprlib.repr(place)}"
        raise failure(named, f"the file cannot be read, {problem}") from error
    try:
        return str(place), _parsed(str(place), content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise failure(str(place), "it is not UTF-8") from error


def _parsed(place: str, content: str) -> Any:
    try:
        return json.loads(content, parse_constant=_no_constant, object_pairs_hook=_without_twins)
    except RecursionError as error:
        raise failure(place, "it is nested too deep") from error
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno} is no JSON, {error.msg}"
        raise failure(place, problem) from error
    except ValueError as error:
        raise failure(place, error) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of strict JSON")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twin!r} is given twice")
    return table


def _check_depth(document: Any) -> None:
    """Refuse what is nested deeper than any document, or holds itself."""
    level, depth = [document], 0
    while level:
        if depth > _DEEPEST:
            raise ValueError("it is nested too deep")
        inner: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                inner.extend(one for one in value.values() if isinstance(one, (dict, list)))
            elif isinstance(value, list):
                inner.extend(one for one in value if isinstance(one, (dict, list)))
        level, depth = inner, depth + 1


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
