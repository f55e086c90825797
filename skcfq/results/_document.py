"""The JSON document of a result: what is needed to read and to repeat the answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.certificates import digest_of
from skcfq.results._column_forms import column_cells, column_form
from skcfq.results._export import changes_of
from skcfq.results._table_forms import (
    index_cells,
    index_form,
    keyed_row,
    keys_of,
    table_form,
    table_rows,
)
from skcfq.utils import atomic_write, strict_json, to_json

if TYPE_CHECKING:
    from skcfq.results._result import RecourseResult

FORMAT, VERSION = "skcfq.RecourseResult", 2
# What is known of each answer, beside its changes.
ANSWER = ("status", "valid", "cost", "lower_bound", "margin")


def to_dict(result: RecourseResult) -> dict[str, Any]:
    """Return the document of :meth:`RecourseResult.to_dict`."""
    is_frame = isinstance(result.X, pd.DataFrame)
    target = np.asarray(result.target)
    tables = {
        "index": index_form(result.X.index) if is_frame else None,
        "input": table_form(result.X),
        "points": [table_form(answer.points) for answer in (result, *result.alternatives)],
        "target": column_form(target),
    }
    document = {
        "format": FORMAT,
        "format_version": VERSION,
        "protocol": result.protocol,
        "method": result.method,
        "summary": strict_json(result.summary().to_dict()),
        "feature_space": result.space_fingerprint,
        "cost": cost_record(result),
        "units": strict_json(dict(result.units or {})),
        "provenance": strict_json(result.provenance),
        "tables": tables,
        "people": _people(result, tables),
    }
    return document | {"digest": digest_of(document)}


def cost_record(result: RecourseResult) -> dict[str, Any]:
    """Return the definition of the cost; distances of categories follow from their ranks."""
    cost, actions = result.cost_function, result.actions
    weights = cost.weights.tolist()
    features: list[dict[str, Any]] = []
    for numeric, weight in zip(actions.numeric, weights, strict=False):
        # An affine column has a price per raw unit; others cost by their encoded change.
        scale = getattr(numeric.block, "scale", None)
        per_unit = None if scale is None else weight * abs(scale)
        features.append({"name": numeric.name, "weight": weight, "cost_per_raw_unit": per_unit})
    for category, weight in zip(actions.categorical, weights[len(actions.numeric) :], strict=True):
        ranks = None if category.ranks is None else category.ranks.tolist()
        levels = list(category.levels)
        features.append({"name": category.name, "weight": weight, "levels": levels, "ranks": ranks})
    return strict_json({"norm": cost.norm, "mix": cost.mix, "features": features})


def _people(result: RecourseResult, tables: dict[str, Any]) -> list[dict[str, Any]]:
    form, n = tables["input"], len(result)
    labels = range(n) if tables["index"] is None else index_cells(result.X.index, tables["index"])
    before, keys = table_rows(result.X, form), keys_of(form)
    target = column_cells(np.asarray(result.target), tables["target"])
    answers, *others = (
        _answers(answer, before, point_form)
        for answer, point_form in zip((result, *result.alternatives), tables["points"], strict=True)
    )
    denied = result.denied.tolist()
    people = []
    for i in range(n):
        person = {"person": labels[i], "row": i, "target": target[i]}
        person["input"] = keyed_row(before[i], keys)
        person |= answers[i]
        if denied[i]:
            person["alternatives"] = [other[i] for other in others]
        people.append(person)
    return people


def _answers(
    result: RecourseResult, before: list[Any], form: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return what is known of everybody; a point that is the own row is None."""
    after, keys = table_rows(result.points, form), keys_of(form)
    columns = [strict_json(getattr(result, name)) for name in ANSWER]
    reachable = result.reachable.tolist()
    answers: list[dict[str, Any]] = []
    for i, values in enumerate(zip(*columns, strict=True)):
        moved = reachable[i] or after[i] != before[i]
        point = keyed_row(after[i], keys) if moved else None
        answers.append({**dict(zip(ANSWER, values, strict=True)), "point": point, "changes": []})
    changes = changes_of(result, np.arange(len(result)))
    rows = changes.pop("row").tolist()
    del changes["is_number"]
    named = changes.pop("feature")
    columns = [strict_json(values) for values in changes.values()]
    for position, values in enumerate(zip(*columns, strict=True)):
        if named[position] is not None:
            change = {"feature": to_json(named[position])} | dict(zip(changes, values, strict=True))
            answers[rows[position]]["changes"].append(change)
    return answers


def write_json(document: dict[str, Any], path: Any = None) -> str | None:
    """Write a document as strict JSON, one line for each person."""
    # An indented person would take a screen, and Python's fast encoder knows no indentation.
    lines = [_dumps(person) for person in document["people"]]
    parts = []
    for name, value in document.items():
        text = "[\n    " + ",\n    ".join(lines) + "\n  ]" if lines else "[]"
        if name != "people":
            text = _dumps(value, indent=2).replace("\n", "\n  ")
        parts.append(f"  {_dumps(name)}: {text}")
    text = "{\n" + ",\n".join(parts) + "\n}"
    if path is None:
        return text
    atomic_write(path, text + "\n")
    return None


def _dumps(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent)
