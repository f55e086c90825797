"""Tables come back from JSON as they were: values, gaps, dtypes and labels."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcfq.results._column_forms import check_form, column_cells, column_form, read_column
from skcfq.results._table_forms import (
    check_index_form,
    check_table_form,
    index_cells,
    index_form,
    keyed_row,
    keys_of,
    names_of,
    read_index,
    read_table,
    row_cells,
    table_form,
    table_rows,
)


def through_json(value):
    return json.loads(json.dumps(value, allow_nan=False))


def written_and_read(X):
    index, form = None, table_form(X)
    rows = [keyed_row(row, keys_of(form)) for row in table_rows(X, form)]
    if isinstance(X, pd.DataFrame):
        told = index_form(X.index)
        told, labels = through_json([told, index_cells(X.index, told)])
        index = read_index(labels, check_index_form(told, "index"), "person")
    form, rows = through_json([form, rows])
    form = check_table_form(form, "X")
    cells = [row_cells(row, keys_of(form), len(names_of(form)), "row") for row in rows]
    return read_table(cells, form, index, "X")


def objects(column):
    """Return each value with its type; NaN, None and NA differ, and so do 1, 1.0 and True."""
    return [(type(value), repr(value)) for value in np.asarray(column, dtype=object).ravel()]


def assert_same(X, again):
    assert type(again) is type(X)
    if isinstance(X, np.ndarray):
        assert again.dtype == X.dtype and again.shape == X.shape
        assert objects(again) == objects(X)
        return
    pd.testing.assert_frame_equal(again, X, check_exact=True)
    for j in range(X.shape[1]):
        assert objects(again.iloc[:, j]) == objects(X.iloc[:, j]), X.columns[j]


MIXED = pd.DataFrame(
    {
        "float": [0.1, np.nan, -0.0, np.inf],
        "single": np.array([0.1, 2, 3, np.nan], dtype=np.float32),
        "half": np.array([0.1, 2, 3, np.nan], dtype=np.float16),
        "whole": [1, 2, 3, -4],
        "byte": np.array([1, 2, 3, 4], dtype=np.int8),
        "huge": np.array([2**64 - 1, 0, 1, 2], dtype=np.uint64),
        "yes": [True, False, True, True],
        "whole with gaps": pd.array([1, None, 2**62 + 1, 4], dtype="Int64"),
        "yes with gaps": pd.array([True, None, False, True], dtype="boolean"),
        "float with gaps": pd.array([0.5, None, 1, 2], dtype="Float32"),
        "text": ["a", None, "b\n", "\u00e4"],
        "string": pd.array(["a", None, "b", "c"], dtype="string"),
        "objects": pd.Series(["a", None, 1, True], dtype=object),
        "gaps": pd.Series(["a", np.nan, None, pd.NA], dtype=object),
        "tuples": pd.Series([("a", 1), ("b", 2.0), None, ("a", None)], dtype=object),
        "levels": pd.Categorical(["x", "y", None, "x"], categories=["y", "x", "z"]),
        "ranks": pd.Categorical([1, 2, None, 1], categories=[2, 1], ordered=True),
        "float levels": pd.Categorical([1.5, 2.0, None, 1.5]),
        "truths": pd.Categorical([True, False, None, True]),
        "bins": pd.cut(pd.Series([1, 5, 9, 2]), 3),
        "mixed levels": pd.Categorical(pd.Series([1, "1", None, "x"], dtype=object)),
    },
    index=["p", "q", "r", "s"],
)
NAMED = MIXED[["float", "whole"]]
TABLES = {
    "mixed": MIXED,
    "nobody": MIXED.iloc[:0],
    "positions": MIXED.reset_index(drop=True),
    "two levels": MIXED.set_index(["whole", "text"]),
    "labels twice": NAMED.set_axis(pd.Index([3, 1, 3, 4], name="id")),
    "float labels": MIXED.set_index("float"),
    "1 and '1'": NAMED.set_axis([1, "1"], axis=1),
    "a name twice": NAMED.set_axis(["a", "a"], axis=1),
    "numbers as names": NAMED.set_axis(pd.Index([5, 6], name="k"), axis=1),
    "tuples as names": NAMED.set_axis(
        pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None]), axis=1
    ),
    "no column": MIXED[[]],
    "whole": np.array([[1, 2], [3, 4]]),
    "float": np.array([[1.0, np.nan], [-0.0, np.inf]]),
    "single": np.array([[0.1, 2]], dtype=np.float32),
    "other order": np.array([[0.1, 2]], dtype=">f8"),
    "text": np.array([["a", "bcd"]]),
    "objects": np.array([["a", 1, None, np.nan]], dtype=object),
    "truths": np.array([[True, False]]),
    "empty": np.zeros((0, 3)),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_come_back_bit_by_bit(name):
    assert_same(TABLES[name], written_and_read(TABLES[name]))


_CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just(pd.NA),
    st.tuples(st.text(), st.integers()),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(_CELLS, max_size=6))
def test_columns_of_anything_come_back(values):
    column: np.ndarray = np.empty(len(values), dtype=object)
    column[:] = values
    form, cells = through_json([column_form(column), column_cells(column, column_form(column))])
    again = read_column(cells, check_form(form, "form"), "column")
    assert objects(again) == objects(column)


def test_what_json_has_no_word_for_is_text():
    day = datetime.date(2020, 1, 1)
    X = pd.DataFrame(
        {
            "day": pd.to_datetime(["2020-01-01", None]),
            "date": pd.Series([day, None], dtype=object),
            "level": pd.Categorical(pd.to_datetime(["2020-01-01", None])),
        }
    )
    again = written_and_read(X)
    assert again["date"].tolist() == [str(day), None]
    assert again["day"].tolist() == [str(X["day"][0]), None] == again["level"].tolist()
    assert table_form(X)["columns"][0]["text_of"] == str(X["day"].dtype)
    sparse = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0])})
    assert written_and_read(sparse)["a"].tolist() == [0.0, 1.0]


def test_columns_of_arrow_come_back():
    pa = pytest.importorskip("pyarrow")
    X = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], dtype="int64[pyarrow]"),
            "float": pd.array([1.5, None, 3], dtype="double[pyarrow]"),
            "truth": pd.array([True, None, False], dtype="bool[pyarrow]"),
            "text": pd.array(["a", None, "b"], dtype=pd.ArrowDtype(pa.string())),
            "string": pd.array(["a", None, "b"], dtype="string[pyarrow]"),
        }
    )
    assert_same(X, written_and_read(X))
    days = pd.array(pd.to_datetime(["2020-01-01", None]), dtype=pd.ArrowDtype(pa.timestamp("s")))
    again = written_and_read(pd.DataFrame({"day": days}))["day"].tolist()
    assert again == ["2020-01-01 00:00:00", None]


@pytest.mark.parametrize(
    ("cells", "form", "message"),
    [
        ([1.5], {"dtype": "int64"}, "is 1.5"),
        ([True], {"dtype": "int64"}, "is True"),
        ([1], {"dtype": "bool"}, "is 1"),
        ([None], {"dtype": "int64"}, "is None"),
        (["1"], {"dtype": "float64"}, "is '1'"),
        ([300], {"dtype": "uint8"}, "not of type uint8"),
        ([300], {"dtype": "Int8"}, "not of type Int8"),
        (["abc"], {"dtype": "<U2"}, "texts of type <U2"),
        ([1], {"dtype": "string", "storage": "python", "gap": "NA"}, "expected text"),
        ([{"$": "nothing"}], {"dtype": "object"}, "marks no value"),
        ([{"a": 1}], {"dtype": "object"}, "is {'a': 1}"),
        (
            ["z"],
            column_form(pd.Categorical(["x", "y"])),
            "'z', expected one of the categories",
        ),
        (
            [True],
            column_form(pd.Categorical([1, 2])),
            "True, expected one of the categories",
        ),
    ],
)
def test_cells_that_do_not_fit_are_refused(cells, form, message):
    with pytest.raises(ValueError, match=f"here.*{message.replace('$', '.')}"):
        read_column(cells, check_form(form, "form"), "here")


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        {},
        {"dtype": "datetime64[ns]"},
        {"dtype": ["float64"]},
        {"dtype": "float64", "more": 1},
        {"dtype": "object", "gap": "nothing"},
        {"dtype": "category", "ordered": False},
    ],
)
def test_forms_of_no_column_are_refused(form):
    with pytest.raises(ValueError, match="form"):
        check_form(form, "form")
