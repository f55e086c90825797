"""Columns as JSON, cell by cell, with what it takes to build the same column again."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skcfq.exceptions import FeatureSpaceError
from skcfq.utils import as_objects, from_json, missing_mask, to_json, values_of
from skcfq.utils.schema import boolean, fields, free, listed, one_of, refuse, text

# A column that JSON cannot hold (dates, for instance) is written as text, and read as such.
_NUMPY = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|[<>][iufU]\d+")
_MASKED = re.compile(r"U?Int(8|16|32|64)|Float(32|64)|boolean")
_ARROW = re.compile(r"(u?int(8|16|32|64)|float|double|bool)\[pyarrow\]")
# Text of Arrow's own type, which prints like that of pandas.
_ARROW_TEXT = "ArrowDtype"
# Gaps of a column of objects: the one that most have is null, and any other is marked.
_GAPS: dict[str, Any] = {"None": None, "NaN": math.nan, "NA": pd.NA}
_MARKS = {("$",), ("$tuple",), ("$interval",)}


def column_form(column: Any) -> dict[str, Any]:
    """Tell how a column is stored.

    Parameters
    ----------
    column : array-like of shape (n,)

    Returns
    -------
    form : dict
        ``dtype``, and what else belongs to it: categories and their order, the storage of text,
        the gap of objects. A sparse column is told as a dense one.

    Examples
    --------
    >>> column_form(np.array([1.0, 2.0], dtype=np.float32))
    {'dtype': 'float32'}
    >>> column_form(pd.Series([1, None], dtype="Int64"))
    {'dtype': 'Int64'}
    """
    values = values_of(column)
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        categories = dtype.categories
        inner = column_form(categories)
        if isinstance(categories.dtype, pd.IntervalDtype):
            inner = {"dtype": "interval"}
        cells = None if "text_of" in inner else _cells_or_none(categories, inner)
        if cells is not None:
            told = {"form": inner, "values": cells}
            return {"dtype": "category", "ordered": bool(dtype.ordered), "categories": told}
    elif isinstance(dtype, pd.StringDtype):
        # What stands for a gap is told apart since pandas 2.3.
        missing = "NaN" if isinstance(getattr(dtype, "na_value", pd.NA), float) else "NA"
        return {"dtype": "string", "storage": str(dtype.storage), "gap": missing}
    elif isinstance(dtype, np.dtype) and dtype.kind in "biufU":
        name = dtype.name if dtype.isnative and dtype.kind != "U" else dtype.str
        if _NUMPY.fullmatch(name):
            return {"dtype": name}
    elif isinstance(dtype, np.dtype) and dtype.kind == "O":
        form = {"dtype": "object", "gap": _gap_of(values)}
        if _cells_or_none(values, form) is not None:
            return form
    elif str(dtype) == "string[pyarrow]":
        return {"dtype": "string", "storage": _ARROW_TEXT, "gap": "NA"}
    elif _MASKED.fullmatch(str(dtype)) or _ARROW.fullmatch(str(dtype)):
        return {"dtype": str(dtype)}
    return {"dtype": "object", "gap": "None", "text_of": str(dtype)}


def _gap_of(values: Any) -> str:
    for value in values[missing_mask(values)]:
        return "None" if value is None else "NaN" if isinstance(value, float) else "NA"
    return "None"


def _cells_or_none(column: Any, form: dict[str, Any]) -> list[Any] | None:
    try:
        return column_cells(column, form)
    except FeatureSpaceError:
        return None


def column_cells(column: Any, form: dict[str, Any]) -> list[Any]:
    """Return the values of a column as JSON values.

    Parameters
    ----------
    column : array-like of shape (n,)
    form : dict
        Of the column, as by :func:`column_form`.

    Returns
    -------
    cells : list of n JSON values
        None is a gap. What JSON has no word for is marked, as by :func:`skcfq.utils.to_json`.

    Examples
    --------
    >>> column_cells(np.array([0.5, np.nan, np.inf]), {"dtype": "float64"})
    [0.5, None, {'$': 'inf'}]
    """
    values = values_of(column)
    if "text_of" in form:
        gaps = missing_mask(values)
        return [None if gap else str(v) for v, gap in zip(as_objects(values), gaps, strict=True)]
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuU":
        return values.tolist()
    if isinstance(values, pd.Categorical):
        # Whole numbers with gaps among them would be asked for as floats.
        cells = [*form["categories"]["values"], None]
        return [cells[code] for code in values.codes.tolist()]
    objects = as_objects(values).tolist()
    if form["dtype"] == "object":
        gap = form.get("gap", "None")
        return [None if _is(value, gap) else to_json(value) for value in objects]
    gaps = missing_mask(values).tolist()
    return [None if gap else to_json(v) for v, gap in zip(objects, gaps, strict=True)]


def _is(value: Any, gap: str) -> bool:
    if gap == "NaN":
        return isinstance(value, float) and math.isnan(value)
    return value is _GAPS[gap]


def read_column(cells: Sequence[Any], form: dict[str, Any], place: str) -> Any:
    """Build the column of some cells.

    Parameters
    ----------
    cells : sequence of n JSON values
        As by :func:`column_cells`.
    form : dict
        Of which :func:`check_form` thinks well.
    place : str
        Of the column, for errors.

    Returns
    -------
    values : array of shape (n,)
        A numpy array, or one of pandas.

    Raises
    ------
    ValueError
        A cell does not fit the form.

    Examples
    --------
    >>> read_column([0.5, None], {"dtype": "float32"}, "income")
    array([0.5, nan], dtype=float32)
    """
    dtype = form["dtype"]
    if dtype == "category":
        return _read_categories(cells, form, place)
    if dtype == "string":
        return _read_text(cells, form, place)
    if dtype in ("object", "interval"):
        gap = _GAPS[form.get("gap", "None")]
        values: np.ndarray = np.empty(len(cells), dtype=object)
        for i, cell in enumerate(cells):
            values[i] = gap if cell is None else _unmarked(cell, place)
        return values if dtype == "object" else pd.array(list(values))
    numbers = [None if cell is None else _unmarked(cell, place) for cell in cells]
    return _read_numbers(numbers, dtype, place)


def _unmarked(cell: Any, place: str) -> Any:
    if type(cell) in (str, int, float, bool):
        return cell
    if not isinstance(cell, dict) or tuple(cell) not in _MARKS:
        refuse(place, cell, "text, a number, a boolean or a marked value")
    try:
        return from_json(cell)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{place} is {cell!r}, which marks no value") from error


# Of nullable types, by how their names begin.
_KINDS = {"b": "b", "F": "f", "f": "f", "d": "f"}


def _read_numbers(values: list[Any], dtype: str, place: str) -> Any:
    """Build a column of numbers, truth values or text of fixed width; None is a gap."""
    is_numpy = _NUMPY.fullmatch(dtype)
    kind = np.dtype(dtype).kind if is_numpy else _KINDS.get(dtype[0], "i")
    kinds: tuple[type, ...] = {"b": (bool,), "U": (str,), "f": (int, float)}.get(kind, (int,))
    for value in values:
        if value is None and (not is_numpy or kind == "f"):
            continue
        if type(value) not in kinds:
            refuse(place, value, f"a value of a column of type {dtype}")
    try:
        if is_numpy:
            made = np.array([math.nan if v is None else v for v in values], dtype=dtype)
        else:
            wanted: Any = dtype
            made = pd.array([pd.NA if v is None else v for v in values], dtype=wanted)
    except (OverflowError, TypeError, ValueError, ImportError) as error:
        raise ValueError(f"{place} holds values that are not of type {dtype}: {error}") from error
    if kind == "U" and made.tolist() != values:
        refuse(place, values, f"texts of type {dtype}")
    return made


def _read_text(cells: Sequence[Any], form: dict[str, Any], place: str) -> Any:
    for cell in cells:
        if cell is not None and type(cell) is not str:
            refuse(place, cell, "text")
    gap = _GAPS[form["gap"]]
    return pd.array([gap if cell is None else cell for cell in cells], dtype=_text_dtype(form, gap))


def _text_dtype(form: dict[str, Any], gap: Any) -> Any:
    """Return the type of a column of text.

    Another version of pandas, or one without pyarrow, holds the same text elsewhere.
    """
    storage = form["storage"]
    if storage == _ARROW_TEXT:
        try:
            import pyarrow

            return pd.ArrowDtype(pyarrow.string())
        except ImportError:
            return pd.StringDtype()
    options: dict[str, Any]
    for options in ({"storage": storage, "na_value": gap}, {"na_value": gap}):
        try:
            return pd.StringDtype(**options)
        except (ImportError, TypeError, ValueError):
            continue
    return pd.StringDtype()


def _read_categories(cells: Sequence[Any], form: dict[str, Any], place: str) -> Any:
    told = form["categories"]
    own = read_column(told["values"], told["form"], f"{place}: categories")
    try:
        dtype = pd.CategoricalDtype(pd.Index(own, dtype=own.dtype), ordered=form["ordered"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: categories are not all different values") from error
    # Positions by the cells themselves: 1, 1.0 and True are three, and one value to a dict.
    position = {_key(cell): i for i, cell in enumerate(told["values"])}
    codes = [-1 if cell is None else position.get(_key(cell), -2) for cell in cells]
    if -2 in codes:
        refuse(place, cells[codes.index(-2)], "one of the categories")
    return pd.Categorical.from_codes(codes, dtype=dtype)


def _key(cell: Any) -> tuple[type, str]:
    return type(cell), repr(cell)


_TYPES = text(200)


def _dtype(value: Any, place: str) -> str:
    value = _TYPES(value, place)
    if not any(one.fullmatch(value) for one in (_NUMPY, _MASKED, _ARROW)):
        refuse(place, value, "a type of columns")
    return value


_OBJECT = fields({"dtype": one_of("object")}, {"gap": one_of(*_GAPS), "text_of": _TYPES})
_STRING = fields(
    {"dtype": one_of("string"), "storage": text(20), "gap": one_of("NaN", "NA")},
)
_INTERVAL = fields({"dtype": one_of("interval")})
_PLAIN = fields({"dtype": _dtype})


def check_form(value: Any, place: str) -> dict[str, Any]:
    """Accept what :func:`column_form` returns."""
    kind = value.get("dtype") if isinstance(value, dict) else None
    check = {
        "object": _OBJECT,
        "string": _STRING,
        "interval": _INTERVAL,
        "category": _CATEGORY,
    }.get(kind if isinstance(kind, str) else "", _PLAIN)
    return check(value, place)


_CATEGORY = fields(
    {
        "dtype": one_of("category"),
        "ordered": boolean,
        "categories": fields({"form": check_form, "values": listed(free)}),
    }
)
