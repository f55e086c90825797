"""The tables and arrays of a document that was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skcfq.results._column_forms import read_column
from skcfq.results._table_forms import keys_of, names_of, read_index, read_table, row_cells


def read_tables(document: dict[str, Any]) -> tuple[Any, list[Any], np.ndarray]:
    """Return X, the points of the answer and of each alternative, and the targets.

    Raises
    ------
    ValueError
        A row is none of its table, or somebody has more or fewer alternatives than others.
    """
    if document["format_version"] == 1:
        return _inferred_tables(document)
    people, tables = document["people"], document["tables"]
    if len({table["kind"] for table in (tables["input"], *tables["points"])}) > 1:
        raise ValueError("tables are not all of one kind")
    if (tables["index"] is None) != (tables["input"]["kind"] == "array"):
        raise ValueError("tables.index belongs to frames")
    index = None
    if tables["index"] is not None:
        index = read_index([one["person"] for one in people], tables["index"], "people.person")
    elif [one["person"] for one in people] != list(range(len(people))):
        raise ValueError("people.person are not the positions of the rows of an array")
    before = _rows([one["input"] for one in people], tables["input"], "input")
    X = read_table(before, tables["input"], index, "input")
    points = []
    for k, form in enumerate(tables["points"]):
        told = [_of_rank(one, k, len(tables["points"])) for one in people]
        if names_of(form) != names_of(tables["input"]):
            raise ValueError("tables.points are not of the columns of tables.input")
        cells = [own if one is None else one for one, own in zip(told, before, strict=True)]
        rows = _rows(cells, form, "point", as_read=[one is None for one in told])
        points.append(read_table(rows, form, index, "point"))
    target = read_column([one["target"] for one in people], tables["target"], "people.target")
    return X, points, np.asarray(target)


def _of_rank(person: dict[str, Any], k: int, n_ranks: int) -> Any:
    """Return the point of a person in the answer, or in one of the alternatives."""
    others = person.get("alternatives")
    if others is not None and len(others) != n_ranks - 1:
        raise ValueError(f"people[{person['row']}] has not {n_ranks - 1} alternatives")
    return person["point"] if k == 0 else None if others is None else others[k - 1]["point"]


def _rows(
    rows: list[Any], form: dict[str, Any], place: str, as_read: Sequence[bool] | None = None
) -> list[list[Any]]:
    keys, width = keys_of(form), len(names_of(form))
    return [
        row
        if as_read is not None and as_read[i]
        else row_cells(row, keys, width, f"people[{i}].{place}")
        for i, row in enumerate(rows)
    ]


def _inferred_tables(document: dict[str, Any]) -> tuple[Any, list[Any], np.ndarray]:
    """Return the tables of version 1, which did not tell how they were stored."""
    people = document["people"]
    rows = [_named_cells(person["input"]) for person in people]
    if any(row.keys() != rows[0].keys() for row in rows):
        raise ValueError("people.input are not all of the same columns")
    n_ranks = 1 + max((len(one.get("alternatives", ())) for one in people), default=0)
    told = [rows]
    for k in range(n_ranks):
        pairs = zip(rows, people, strict=True)
        told.append([_moved(row, _answer(person, k)) for row, person in pairs])
    # Keys of an array's rows are positions.
    names = list(rows[0]) if rows else []
    if names == list(range(len(names))):
        tables: list[Any] = [_array(table) for table in told]
    else:
        index = pd.Index([_label(person["person"]) for person in people])
        tables = [pd.DataFrame(table, index=index) for table in told]
    return tables[0], tables[1:], np.array([person["target"] for person in people])


def _named_cells(row: Any) -> dict[Any, Any]:
    """Return a row by the names of its columns, or by positions."""
    if isinstance(row, dict):
        return row
    if not isinstance(row, list):
        raise ValueError("people.input are neither lists nor named values")
    # Columns 1 and "1" were written as pairs.
    pairs = row and all(isinstance(cell, list) and len(cell) == 2 for cell in row)
    return {_label(name): cell for name, cell in row} if pairs else dict(enumerate(row))


def _array(rows: list[dict[Any, Any]]) -> np.ndarray:
    cells = [list(row.values()) for row in rows]
    flat = [cell for row in cells for cell in row]
    if all(cell is None or type(cell) in (int, float) for cell in flat):
        values = [[np.nan if cell is None else cell for cell in row] for row in cells]
        return np.array(values).reshape(len(rows), -1)
    return np.array(cells, dtype=object)


def _label(value: Any) -> Any:
    return tuple(map(_label, value)) if isinstance(value, list) else value


def _answer(person: dict[str, Any], k: int) -> dict[str, Any] | None:
    """Return the answer of one rank that was found; version 1 leaves the others out."""
    if k == 0:
        return person
    others = person.get("alternatives", ())
    return others[k - 1] if k <= len(others) else None


def _moved(row: dict[Any, Any], answer: dict[str, Any] | None) -> dict[Any, Any]:
    """Return a row after the changes of an answer of version 1."""
    row = dict(row)
    for change in () if answer is None else answer["changes"]:
        name = own_name(change["feature"], row)
        if name is not None:
            row[name] = change["to"]
            continue
        # A declared one-hot group: both ends are names of its columns.
        for end, hot in (("from", False), ("to", True)):
            column = None if change[end] is None else own_name(change[end], row)
            if column is not None:
                row[column] = type(row[column])(hot)
            elif change[end] is not None:
                raise ValueError(f"changes name {change['feature']!r}, which is no column")
    return row


def own_name(name: Any, names: Any) -> Any:
    """Return what a column is called among some names; None where it is none of them."""
    name = _label(name)
    try:
        return next(one for one in (name, str(name)) if one in names)
    except (StopIteration, TypeError):
        return None
