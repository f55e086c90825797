"""Tables as JSON, row by row, with what it takes to build the same table again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skcfq.results._column_forms import check_form, column_cells, column_form, read_column
from skcfq.utils import from_json, plain, to_json
from skcfq.utils.schema import fields, free, integer, listed, one_of, refuse, scalar

_MOST_COLUMNS = 1_000_000


def table_form(X: Any) -> dict[str, Any]:
    """Tell how a table is stored.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, p)

    Returns
    -------
    form : dict
        ``kind``; of a frame the names of its columns and how each is stored, of an array its
        width and how all of it is stored. No rows, and no index.

    Examples
    --------
    >>> table_form(np.zeros((3, 2)))
    {'kind': 'array', 'n_columns': 2, 'column': {'dtype': 'float64'}}
    """
    if isinstance(X, pd.DataFrame):
        columns = [column_form(X.iloc[:, j]) for j in range(X.shape[1])]
        axis = index_form(X.columns)
        names = index_cells(X.columns, axis)
        return {"kind": "frame", "names": names, "axis": axis, "columns": columns}
    return {"kind": "array", "n_columns": X.shape[1], "column": column_form(X.reshape(-1))}


def table_rows(X: Any, form: dict[str, Any]) -> list[Any]:
    """Return the rows of a table as JSON values.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, p)
    form : dict
        Of the table, as by :func:`table_form`.

    Returns
    -------
    rows : list of n lists of p cells
    """
    if form["kind"] == "array":
        cells, width = column_cells(X.reshape(-1), form["column"]), form["n_columns"]
        return [cells[i * width : (i + 1) * width] for i in range(len(X))]
    if not form["columns"]:
        return [[] for _ in range(len(X))]
    columns = [column_cells(X.iloc[:, j], one) for j, one in enumerate(form["columns"])]
    return [list(row) for row in zip(*columns, strict=True)]


def names_of(form: dict[str, Any]) -> list[Any]:
    """Return the names of the columns of a table; positions, for an array."""
    if form["kind"] == "array":
        return list(range(form["n_columns"]))
    return read_index(form["names"], form["axis"], "names").tolist()


def keys_of(form: dict[str, Any]) -> list[str] | None:
    """Return the keys under which a row has its cells; None where it is a list.

    That is an array's row, and that of a frame with columns 1 and "1".
    """
    if form["kind"] == "array":
        return None
    keys = [str(plain(name)) for name in names_of(form)]
    return keys if len(set(keys)) == len(keys) else None


def keyed_row(row: list[Any], keys: list[str] | None) -> Any:
    """Return a row as it is written, given its cells."""
    return row if keys is None else dict(zip(keys, row, strict=True))


def row_cells(row: Any, keys: list[str] | None, width: int, place: str) -> list[Any]:
    """Return the cells of a row that was written.

    Raises
    ------
    ValueError
        It is not one of this table.
    """
    if keys is None:
        if not isinstance(row, list) or len(row) != width:
            refuse(place, row, f"a list of {width} cells")
        return row
    if not isinstance(row, dict) or row.keys() != set(keys):
        refuse(place, row, "one cell for each column")
    return [row[key] for key in keys]


def read_table(
    rows: Sequence[Sequence[Any]], form: dict[str, Any], index: pd.Index | None, place: str
) -> Any:
    """Build the table of some rows.

    Parameters
    ----------
    rows : sequence of n sequences of cells
    form : dict
        Of which :data:`check_table_form` thinks well.
    index : Index of length n, or None
        Of a frame.
    place : str
        Of the table, for errors.

    Returns
    -------
    X : DataFrame or ndarray of shape (n, p)

    Raises
    ------
    ValueError
        A cell does not fit the form.
    """
    if form["kind"] == "array":
        flat = [cell for row in rows for cell in row]
        values = read_column(flat, form["column"], place)
        return np.asarray(values).reshape(len(rows), form["n_columns"])
    columns = {}
    for j, one in enumerate(form["columns"]):
        where = f"{place}[{form['names'][j]!r}]"
        values = read_column([row[j] for row in rows], one, where)
        # A Series with an explicit dtype keeps pandas from inferring another one.
        columns[j] = pd.Series(values, index=index, dtype=values.dtype)
    X = pd.DataFrame(columns, index=index)
    X.columns = read_index(form["names"], form["axis"], "names")
    return X


def index_form(index: pd.Index) -> dict[str, Any]:
    """Tell how the labels of people are stored, level by level."""
    levels = [index.get_level_values(k) for k in range(index.nlevels)]
    names = [to_json(plain(name)) for name in index.names]
    return {"names": names, "columns": [column_form(level) for level in levels]}


def index_cells(index: pd.Index, form: dict[str, Any]) -> list[Any]:
    """Return the labels of people as JSON values, a list each where they have several levels."""
    columns = form["columns"]
    levels = [column_cells(index.get_level_values(k), one) for k, one in enumerate(columns)]
    return levels[0] if len(levels) == 1 else [list(label) for label in zip(*levels, strict=True)]


def read_index(labels: list[Any], form: dict[str, Any], place: str) -> pd.Index:
    """Build the index of some labels.

    Raises
    ------
    ValueError
        A label does not fit the form.
    """
    names, columns = [from_json(name) for name in form["names"]], form["columns"]
    if len(columns) == 1:
        values = read_column(labels, columns[0], place)
        return pd.Index(values, dtype=values.dtype, name=names[0], tupleize_cols=False)
    for label in labels:
        if not isinstance(label, list) or len(label) != len(columns):
            refuse(place, label, f"a list of {len(columns)} labels")
    levels = [
        read_column([label[k] for label in labels], one, place) for k, one in enumerate(columns)
    ]
    return pd.MultiIndex.from_arrays([pd.Index(level) for level in levels], names=names)


def _name(value: Any, place: str) -> Any:
    """Accept the name of a level."""
    try:
        scalar(from_json(value), place)
    except (KeyError, TypeError, ValueError):
        refuse(place, value, "a name")
    return value


_INDEX = fields({"names": listed(_name, 1), "columns": listed(check_form, 1)})


def check_index_form(value: Any, place: str) -> dict[str, Any]:
    """Accept what :func:`index_form` returns."""
    value = _INDEX(value, place)
    if len(value["names"]) != len(value["columns"]):
        refuse(place, value["names"], f"the names of {len(value['columns'])} levels")
    return value


_FRAME = fields(
    {
        "kind": one_of("frame"),
        "names": listed(free),
        "axis": check_index_form,
        "columns": listed(check_form),
    }
)
_ARRAY = fields(
    {"kind": one_of("array"), "n_columns": integer(0, _MOST_COLUMNS), "column": check_form}
)


def check_table_form(value: Any, place: str) -> dict[str, Any]:
    """Accept what :func:`table_form` returns."""
    if isinstance(value, dict) and value.get("kind") == "array":
        return _ARRAY(value, place)
    value = _FRAME(value, place)
    if len(value["names"]) != len(value["columns"]):
        refuse(place, value["names"], f"the names of {len(value['columns'])} columns")
    return value
