"""The map: what it returns, what it leaves alone, and what it refuses."""

import json
import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcfq.encoding import FeatureSpace, TableBlock, TableEncoder
from skcfq.exceptions import FeatureSpaceError


def mixed_frame(n=40, seed=0):
    """Return a table with every kind of column that pandas has for people's data."""
    rng = np.random.default_rng(seed)
    words = rng.choice(["cook", "clerk", "pilot"], n)
    objects = words.astype(object)
    objects[[1, 2]] = None, np.nan
    X = pd.DataFrame(
        {
            "float": rng.normal(size=n) * 100,
            "float32": rng.normal(size=n).astype(np.float32),
            "int": rng.integers(0, 90, n),
            "int8": rng.integers(0, 90, n).astype(np.int8),
            "bool": rng.random(n) > 0.5,
            "text": words,
            "object": pd.Series(objects, dtype=object),
            "category": pd.Categorical(words, categories=["pilot", "clerk", "cook", "none"]),
            "ordered": pd.Categorical(rng.choice(["lo", "hi"], n), ["lo", "hi"], ordered=True),
            "Int64": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "Float64": pd.array(rng.normal(size=n), dtype="Float64"),
            "boolean": pd.array(rng.random(n) > 0.5, dtype="boolean"),
            "string": pd.array(words, dtype="string"),
            "codes": pd.Categorical(rng.integers(0, 3, n)),
            "whole_objects": rng.integers(0, 9, n).astype(object),
        }
    ).set_axis(rng.permutation(np.arange(n) * 3))
    X.iloc[3, X.columns.get_loc("whole_objects")] = None
    for name in ["float", "float32", "text", "category", "Int64", "Float64", "boolean", "string"]:
        X.loc[X.index[[4, 7]], name] = None
    return X


def arrow_frame(n=30, seed=0):
    pa = pytest.importorskip("pyarrow")
    X = mixed_frame(n, seed)[["float", "Int64", "boolean", "text"]]
    types = [pa.float64(), pa.int64(), pa.bool_(), pa.string()]
    return X.astype(dict(zip(X.columns, map(pd.ArrowDtype, types), strict=True)))


@pytest.mark.parametrize("make", [mixed_frame, arrow_frame])
def test_round_trip_returns_the_frame(make):
    X = make()
    space = TableEncoder().fit(X).feature_space_
    before = X.copy(deep=True)
    back = space.decode(space.encode(X), X)
    pd.testing.assert_frame_equal(back, X, check_exact=True)
    pd.testing.assert_frame_equal(X, before)
    assert back is not X
    if "object" in X:
        assert back["object"].iloc[1] is None
        assert isinstance(back["object"].iloc[2], float)


@pytest.mark.parametrize("make", [mixed_frame, arrow_frame])
def test_moving_to_another_person_writes_that_person(make):
    """Decoding the codes of other rows gives their values, within the dtype of the column."""
    X = make()
    space = TableEncoder().fit(X).feature_space_
    other = X.iloc[np.roll(np.arange(len(X)), 5)].set_axis(X.index)
    Z = space.encode(other)
    moved = space.decode(Z, X)
    np.testing.assert_allclose(space.encode(moved), Z, atol=1e-6)
    for name in X:
        # A gap in a number is encoded as its fill value, which may not be whole.
        if "int" not in str(X[name].dtype).lower():
            assert moved[name].dtype == X[name].dtype, name


def test_only_changed_blocks_of_changed_rows_are_rewritten():
    X = mixed_frame()
    space = TableEncoder().fit(X).feature_space_
    Z = space.encode(X)
    (column,) = space.block("float").columns
    Z[3, column] += 1.0
    back = space.decode(Z, X)
    pd.testing.assert_frame_equal(back.drop(columns="float"), X.drop(columns="float"))
    kept = np.arange(len(X)) != 3
    pd.testing.assert_series_equal(back["float"][kept], X["float"][kept], check_exact=True)
    expected = X["float"].iloc[3] + 1.0 / space.block("float").scale
    assert back["float"].iloc[3] == pytest.approx(expected)


def test_whole_numbers_stay_whole_until_one_is_not():
    X = pd.DataFrame({"n": [1, 2, 3], "flag": [True, False, True]})
    X["m"] = pd.array([1, None, 3], dtype="Int64")
    space = FeatureSpace.from_frame(X)
    Z = space.encode(X)
    Z[0] += [4.0, -1.0, 2.0]
    back = space.decode(Z, X)
    assert [str(t) for t in back.dtypes] == ["int64", "bool", "Int64"]
    assert back.iloc[0].tolist() == [5, False, 3]
    assert back["m"].isna().tolist() == [False, True, False]
    Z[0] += 0.25
    back = space.decode(Z, X)
    assert [str(t) for t in back.dtypes] == ["float64", "float64", "Float64"]
    assert back.iloc[0].tolist() == [5.25, 0.25, 3.25]
    assert back["n"].tolist()[1:] == [2.0, 3.0]
    assert back["m"].isna().tolist() == [False, True, False]


def test_integer_arrays_are_promoted_as_a_whole():
    X = np.array([[1, 2], [3, 4]])
    space = FeatureSpace.from_frame(X)
    Z = space.encode(X)
    same = space.decode(Z, X)
    assert same.dtype == X.dtype and same is not X
    Z[0, 0] = 7
    assert space.decode(Z, X).tolist() == [[7, 2], [3, 4]]
    assert space.decode(Z, X).dtype == X.dtype
    Z[0, 0] = 7.5
    assert space.decode(Z, X).tolist() == [[7.5, 2], [3, 4]]


def test_unknown_categories_stay_until_they_are_moved():
    X = pd.DataFrame({"job": ["cook", "clerk", "cook"]})
    space = TableEncoder().fit(X).feature_space_
    new = pd.DataFrame({"job": ["astronaut", "clerk", None]})
    Z = space.encode(new)
    assert Z.tolist() == [[0, 0], [1, 0], [0, 0]]
    pd.testing.assert_frame_equal(space.decode(Z, new), new)
    pd.testing.assert_frame_equal(space.decode(Z + [0.0, 1e-9], new), new)
    Z[0] = [0, 1]
    assert space.decode(Z, new)["job"].tolist()[0] == "cook"


def test_a_category_that_the_dtype_lacks_is_added():
    X = pd.DataFrame({"job": pd.Categorical(["cook", "clerk", "pilot"])})
    space = TableEncoder().fit(X).feature_space_
    one = pd.DataFrame({"job": pd.Categorical(["cook", "cook"], categories=["cook"])})
    back = space.decode(space.encode(X)[1:], one)
    assert back["job"].tolist() == ["clerk", "pilot"]
    assert back["job"].cat.categories.tolist() == ["cook", "clerk", "pilot"]


def test_gaps_of_all_kinds_are_one_category():
    X = pd.DataFrame({"job": pd.Series(["cook", None, np.nan, pd.NA], dtype=object)})
    space = TableEncoder().fit(X).feature_space_
    assert space.encode(X).tolist() == [[1, 0], [0, 1], [0, 1], [0, 1]]
    categorical = pd.DataFrame({"job": pd.Categorical([None, "cook"])})
    assert space.encode(categorical).tolist() == [[0, 1], [1, 0]]


def test_categories_match_by_value_across_dtypes():
    X = pd.DataFrame({"level": pd.Categorical([1, 2, 3]), "yes": [True, False, True]})
    space = TableEncoder().fit(X).feature_space_
    expected = space.encode(X)
    for dtype in ["int64", "float64", "Int64", object]:
        np.testing.assert_array_equal(space.encode(X.astype({"level": dtype})), expected)
    for dtype in ["boolean", object, "category"]:
        np.testing.assert_array_equal(space.encode(X.astype({"yes": dtype})), expected)


def test_object_arrays_keep_their_columns():
    X = np.array([[1, "a", 0.5], [2, None, 1.5], [3, "b", np.nan]], dtype=object)
    space = TableEncoder().fit(X).feature_space_
    assert [block.kind for block in space.blocks] == ["affine", "table", "affine"]
    assert space.raw_columns == (0, 1, 2)
    back = space.decode(space.encode(X), X)
    assert back.dtype == object
    assert all(a is b or a == b for a, b in zip(back.ravel(), X.ravel(), strict=True))
    Z = space.encode(X)
    Z[0, 0] = Z[1, 0]
    assert space.decode(Z, X)[0].tolist() == [2, "a", 0.5]
    assert type(space.decode(Z, X)[0, 0]) is int


def test_frames_are_read_by_name():
    X = mixed_frame()
    space = TableEncoder().fit(X).feature_space_
    Z = space.encode(X)
    shuffled = X[X.columns[::-1]].assign(extra="kept")
    np.testing.assert_array_equal(space.encode(shuffled), Z)
    pd.testing.assert_frame_equal(space.decode(Z, shuffled), shuffled)
    Z[:, space.block("int").columns] += 1.0
    back = space.decode(Z, shuffled)
    assert back.columns.tolist() == shuffled.columns.tolist()
    assert (back["int"] != shuffled["int"]).all()


def test_wrong_tables_are_refused_with_a_remedy():
    X = mixed_frame()[["float", "int", "text"]]
    space = TableEncoder().fit(X).feature_space_
    with pytest.raises(FeatureSpaceError, match=r"lacks the columns \['int'\]"):
        space.encode(X.drop(columns="int"))
    with pytest.raises(FeatureSpaceError, match="'int' appears more than once.*duplicated"):
        space.encode(pd.concat([X, X[["int"]]], axis=1))
    with pytest.raises(FeatureSpaceError, match="has 2 columns, but the feature space has 3"):
        space.encode(X.to_numpy()[:, :2])
    with pytest.raises(FeatureSpaceError, match="2 dimensions"):
        space.encode(np.zeros(3))
    with pytest.raises(FeatureSpaceError, match="'int' must hold numbers"):
        space.encode(X.assign(int="many"))
    with pytest.raises(FeatureSpaceError, match="Z must have shape"):
        space.decode(np.zeros((1, 1)), X)
    with pytest.raises(FeatureSpaceError, match="'text' is not numeric.*TableEncoder"):
        FeatureSpace.from_frame(X)
    with pytest.raises(FeatureSpaceError, match="'when' is not numeric"):
        FeatureSpace.from_frame(pd.DataFrame({"when": pd.to_datetime(["2020-01-01"])}))


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (
            lambda space, X: space.encode(X.assign(text=[{}] * len(X))),
            "'text' holds what is no",
        ),
        (lambda space, X: space.decode("many", X), "Z must hold encoded rows"),
        (lambda space, X: space.block([1]), r"name=\[1\] is no column"),
        (lambda space, X: space.with_statistics(np.array([])), r"level=array\(\[\].* is unknown"),
        (lambda space, X: space.described_by(X, 1j), "`sample_weight` is 1j"),
        (lambda space, X: space.described_by(X, object()), "`sample_weight` is <object"),
        (lambda space, X: FeatureSpace.from_dict(None), "no stored space"),
        (lambda space, X: FeatureSpace.from_dict(space.to_dict() | {"blocks": [3]}), "damaged"),
        (lambda space, X: FeatureSpace.from_dict({"version": 1}), "damaged: KeyError"),
    ],
)
def test_wrong_values_are_refused_by_name(ask, told):
    X = mixed_frame()[["float", "int", "text"]]
    with pytest.raises(ValueError, match=told):
        ask(TableEncoder().fit(X).feature_space_, X)


def test_a_wide_space_prints_in_a_few_lines():
    shown = repr(FeatureSpace.from_frame(np.eye(500)))
    assert "500 raw columns (500 affine), 500 encoded" in shown
    assert len(shown.splitlines()) <= 2 and len(shown) < 300


def test_blocks_by_name_and_position():
    X = mixed_frame()
    space = TableEncoder().fit(X).feature_space_
    assert space.block("int") is space.blocks[2] is space.block(2)
    assert space.block(-1) is space.blocks[-1]
    with pytest.raises(FeatureSpaceError, match="no column 'bol'. Did you mean 'bool'"):
        space.block("bol")
    with pytest.raises(FeatureSpaceError, match="no column 99"):
        space.block(99)
    numbered = pd.DataFrame([[1.0, 2.0]], columns=[1, 0])
    assert FeatureSpace.from_frame(numbered).block(0).columns.tolist() == [1]


def test_storage_and_pickle_keep_the_map():
    X = mixed_frame()
    space = TableEncoder().fit(X).feature_space_
    Z = space.encode(X)
    text = json.dumps(space.to_dict(), allow_nan=False)
    for twin in (FeatureSpace.from_dict(json.loads(text)), pickle.loads(pickle.dumps(space))):
        assert twin.fingerprint == space.fingerprint
        assert twin.raw_columns == space.raw_columns
        np.testing.assert_array_equal(twin.encode(X), Z)
        pd.testing.assert_frame_equal(twin.decode(Z[::-1], X), space.decode(Z[::-1], X))
    with pytest.raises(FeatureSpaceError, match="version=2"):
        FeatureSpace.from_dict({"version": 2})


def test_fingerprint_tells_maps_and_populations_apart():
    X = mixed_frame()
    space = TableEncoder().fit(X).feature_space_
    again = TableEncoder().fit(X.copy()).feature_space_
    assert again.fingerprint == space.fingerprint
    fewer = FeatureSpace.from_encoder(TableEncoder().fit(X), X.iloc[:-1])
    renamed = TableEncoder().fit(X.rename(columns={"int": "age"})).feature_space_
    assert len({space.fingerprint, fewer.fingerprint, renamed.fingerprint}) == 3


def test_empty_selection_of_rows_passes_through():
    X = mixed_frame()
    space = TableEncoder().fit(X).feature_space_
    none = X.iloc[:0]
    assert space.encode(none).shape == (0, space.n_encoded)
    pd.testing.assert_frame_equal(space.decode(space.encode(none), none), none)


def test_tuple_column_names_are_stored():
    X = pd.DataFrame(
        [[1.0, 2.0], [2.0, 4.0]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    )
    space = FeatureSpace.from_frame(X)
    twin = FeatureSpace.from_dict(json.loads(json.dumps(space.to_dict())))
    np.testing.assert_array_equal(twin.encode(X), X.to_numpy())


def test_sparse_columns_are_read():
    X = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 0.0, 2.0]), "b": [1.0, 2.0, 3.0]})
    space = FeatureSpace.from_frame(X)
    Z = space.encode(X)
    pd.testing.assert_frame_equal(space.decode(Z, X), X)
    Z[0, 0] = 1.0
    assert space.decode(Z, X)["a"].tolist() == [1.0, 0.0, 2.0]


def test_large_tables_are_encoded_fast():
    """50,000 rows by 14 columns; the bound is far above what it takes on a quiet machine."""
    rng = np.random.default_rng(0)
    n = 50_000
    X = pd.DataFrame({f"number{i}": rng.normal(size=n) for i in range(6)})
    for i in range(8):
        X[f"word{i}"] = rng.choice([f"level {k}" for k in range(5 + i)], n)
    space = TableEncoder().fit(X).feature_space_
    Z = space.encode(X)
    start = time.process_time()
    Z = space.encode(X)
    encoding = time.process_time() - start
    Z[:, 0] += 1.0
    start = time.process_time()
    space.decode(Z, X)
    decoding = time.process_time() - start
    assert encoding < 0.5 and decoding < 1.0


def test_encoding_does_not_import_torch():
    code = "import sys, skcfq.encoding, skcfq.utils; assert 'torch' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


_texts = st.sampled_from(["a", "b", "cc", "1", "nan", ""])
_columns = {
    "float": st.one_of(st.none(), st.floats(-1e9, 1e9)),
    "int": st.integers(-(2**40), 2**40),
    "bool": st.booleans(),
    "text": st.one_of(st.none(), _texts),
    "mixed": st.one_of(st.none(), _texts, st.integers(-3, 3), st.just(float("nan"))),
}


@st.composite
def tables(draw):
    n = draw(st.integers(1, 12))
    kinds = draw(st.lists(st.sampled_from(sorted(_columns)), min_size=1, max_size=5))
    data = {}
    for i, kind in enumerate(kinds):
        values = draw(st.lists(_columns[kind], min_size=n, max_size=n))
        dtype = {"float": "float64", "int": "int64", "bool": "bool"}.get(kind, object)
        series = pd.Series(values, dtype=dtype)
        if kind == "text" and draw(st.booleans()):
            series = series.astype(draw(st.sampled_from(["str", "string", "category"])))
        data[f"{kind}{i}"] = series
    return pd.DataFrame(data)


@settings(max_examples=60, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_any_mixed_table_survives_the_round_trip(X, random):
    encoder = TableEncoder().fit(X)
    space = encoder.feature_space_
    Z = space.encode(X)
    assert np.isfinite(Z).all()
    np.testing.assert_array_equal(encoder.transform(X), Z)
    pd.testing.assert_frame_equal(space.decode(Z, X), X, check_exact=True)
    order = list(range(len(X)))
    random.shuffle(order)
    moved = space.decode(Z[order], X)
    np.testing.assert_allclose(space.encode(moved), Z[order], atol=1e-6)
    twin = FeatureSpace.from_dict(json.loads(json.dumps(space.to_dict(), allow_nan=False)))
    assert twin.fingerprint == space.fingerprint
    np.testing.assert_array_equal(twin.encode(X), Z)


def test_few_rows_have_the_levels_that_many_have():
    words = ["clerk", "cook", "pilot", "", "1", "nan"]
    odd = [None, np.nan, pd.NA, 1, 1.0, True, np.str_("cook")]
    categories = ("clerk", "cook", 1, "1", None)
    block = TableBlock(
        name="job", columns=np.arange(5), categories=categories, codes=np.eye(5), fill=None
    )
    values = np.empty(26, dtype=object)
    values[:] = [*words, *odd, *words, *odd]
    many = block.level_of(values)
    assert many[:6].tolist() == [0, 1, -1, -1, 3, -1]
    for size in (1, 2, 6, 13):
        for start in range(0, 26 - size):
            part = values[start : start + size]
            np.testing.assert_array_equal(block.level_of(part), many[start : start + size])
