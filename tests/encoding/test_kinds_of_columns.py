"""Columns that are neither plain numbers nor plain text: taken or refused in fit, always alike."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.actions import region_of
from skcfq.encoding import FeatureSpace
from skcfq.exceptions import FeatureSpaceError, ManyLevelsWarning, NumbersAsTextWarning

N = 30
DAYS = np.arange(N) % 5
DATE = datetime.date(2000, 1, 1)
SIZE = pd.CategoricalDtype(["small", "large", "huge"], ordered=True)

DATES = {
    "datetime64": pd.Timestamp(DATE) + pd.to_timedelta(DAYS, "D"),
    "time zone": pd.Timestamp(DATE, tz="UTC") + pd.to_timedelta(DAYS, "D"),
    "date": [DATE + datetime.timedelta(int(day)) for day in DAYS],
    "period": pd.period_range("2000-01", periods=5, freq="M")[DAYS],
    "timedelta": pd.to_timedelta(DAYS, "D"),
    "python timedelta": pd.Series([datetime.timedelta(int(day)) for day in DAYS], dtype=object),
    "categories": pd.Categorical([DATE + datetime.timedelta(int(day)) for day in DAYS]),
    "bins": pd.cut(pd.Series(pd.Timestamp(DATE) + pd.to_timedelta(DAYS, "D")), 3),
}
NUMBERS = {
    "Decimal": [Decimal(int(day)) / 4 for day in DAYS],
    "Fraction": [Fraction(int(day), 3) for day in DAYS],
}


def containers(column):
    """Return a column in a frame and in an array of objects, each beside a number."""
    frame = pd.DataFrame({"c": column, "v": np.arange(N) * 0.3})
    array = np.empty((N, 2), dtype=object)
    array[:, 0], array[:, 1] = list(frame["c"]), frame["v"]
    return [frame, array]


@pytest.mark.parametrize("column", DATES.values(), ids=list(DATES))
def test_dates_are_refused_with_the_remedy(column):
    for X in containers(column):
        with pytest.raises(TypeError, match=r"^Column .* of X holds dates or durations.*age in"):
            TableEncoder().fit(X)
    with pytest.raises(TypeError, match="dates or durations"):
        TableEncoder().fit(np.array([["2000-01-01"]] * N, dtype="datetime64[D]"))


@pytest.mark.parametrize("kind", NUMBERS)
def test_exact_numbers_are_to_be_written_as_floats(kind):
    for X in containers(NUMBERS[kind]):
        with pytest.raises(TypeError, match=rf"Column .* values of type {kind}.*astype\(float\)"):
            TableEncoder().fit(X)
        with pytest.raises(FeatureSpaceError, match=f"type {kind}"):
            FeatureSpace.from_frame(X)


def test_whole_numbers_beyond_all_floats_are_too_large():
    for X in containers([10**400 + int(day) for day in DAYS]):
        with pytest.raises(ValueError, match="too large in column"):
            TableEncoder().fit(X)
        with pytest.raises(FeatureSpaceError, match="too large for float64"):
            FeatureSpace.from_frame(X)


class Foreign:
    """A table of another library, which numpy would take for an array."""

    def __array__(self, dtype=None, copy=None):
        return np.ones((N, 2))

    def to_pandas(self):
        return pd.DataFrame(np.ones((N, 2)))


@pytest.mark.parametrize(
    ("X", "remedy"),
    [
        (Foreign(), r"Foreign; .*X\.to_pandas\(\)"),
        (np.ma.masked_less(np.arange(2.0 * N).reshape(N, 2), 5), r"X\.filled\(numpy\.nan\)"),
    ],
    ids=["another library's", "masked"],
)
def test_containers_that_would_lose_something_are_refused_everywhere(X, remedy):
    table = np.random.default_rng(0).normal(size=(N, 2))
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(table, table[:, 0] > 0)
    space = model[0].feature_space_
    for call in (
        lambda: TableEncoder().fit(X),
        lambda: model.predict(X),
        lambda: space.encode(X),
        lambda: FeatureSpace.from_frame(X),
        lambda: region_of(ActionSet().compile(space), X),
        lambda: ActionSet().validate(X),
        lambda: RecourseSolver(target=True).solve(model, X),
    ):
        with pytest.raises(TypeError, match=remedy):
            call()


@pytest.mark.parametrize("encoder", ["own", "scikit-learn's"])
def test_bins_are_categories_all_the_way(encoder):
    rng = np.random.default_rng(0)
    bins = pd.cut(rng.integers(18, 80, 90), [-np.inf, 30, 50, 99])
    X = pd.DataFrame({"age": bins, "v": rng.normal(size=90)})
    own = TableEncoder()
    other = make_column_transformer((OneHotEncoder(), ["age"]), ("passthrough", ["v"]))
    y = (X["v"] + (X["age"].cat.codes == 1)) > 0
    model = make_pipeline(own if encoder == "own" else other, LogisticRegression()).fit(X, y)
    result = RecourseSolver(ActionSet(immutable=["v"]), target=True).solve(model, X, background=X)
    assert (result.status == "optimal").any()
    assert result.points["age"].dtype == X["age"].dtype
    assert "(30.0, 50.0]" in result.to_json()
    space = result.actions.space
    again = FeatureSpace.from_dict(json.loads(json.dumps(space.to_dict())))
    assert again.fingerprint == space.fingerprint
    np.testing.assert_array_equal(again.encode(X), space.encode(X))
    objects = X.astype(object).to_numpy()
    np.testing.assert_array_equal(
        TableEncoder().fit(objects).transform(objects), own.fit_transform(X)
    )


@pytest.mark.parametrize("encoder", ["own", "scikit-learn's"])
def test_an_ordered_categorical_brings_its_order(encoder):
    X = pd.DataFrame({"size": pd.Categorical(["small", "huge", None, "large"] * 5, dtype=SIZE)})
    own, other = TableEncoder(), OneHotEncoder(drop="first")
    space = FeatureSpace.from_encoder((own if encoder == "own" else other).fit(X), X)
    again = FeatureSpace.from_dict(json.loads(json.dumps(space.to_dict())))
    for known in (space, again):
        (size,) = ActionSet(increasing=["size"], max_change={"size": 1}).compile(known).categorical
        rank = dict(zip(size.levels, size.ranks, strict=True))
        assert (rank["small"], rank["large"], rank["huge"]) == (0, 1, 2)
        small, large, huge = (size.levels.index(level) for level in SIZE.categories)
        assert size.allowed[small, large] and not size.allowed[small, huge]
        assert not size.allowed[large, small]
        assert size.distance[small, huge] == 2
    stated = ActionSet(ordinal={"size": ["huge", "large", "small"]}).compile(space).categorical[0]
    assert stated.ranks[stated.levels.index("huge")] == 0
    unordered = X.astype({"size": pd.CategoricalDtype(SIZE.categories)})
    free = FeatureSpace.from_encoder(own.fit(unordered), unordered).blocks[0]
    assert free.order is None
    assert ActionSet(bounds={"size": ("large", None)}).validate(X, space)["row"].tolist() == [
        0, 4, 8, 12, 16
    ]  # fmt: skip


@pytest.mark.parametrize("container", ["frame", "array"])
def test_columns_that_tell_rows_apart_are_named(container):
    X = pd.DataFrame({"id": [f"P{i}" for i in range(120)], "job": ["cook", "clerk"] * 60})
    X = X if container == "frame" else X.astype(object).to_numpy()
    name = "'id'" if container == "frame" else "0"
    with pytest.warns(ManyLevelsWarning, match=rf"120 rows .* in {name} \(120 levels\)\. Drop"):
        TableEncoder().fit(X)
    TableEncoder().fit(X[:50] if container == "array" else X.head(50))


@pytest.mark.parametrize("gap", [False, True])
def test_numbers_as_text_are_categories_with_a_warning(gap):
    text = pd.Series(np.where(DAYS > 3, "1.5e2", DAYS.astype(str)), dtype=object)
    if gap:
        text[0] = None
    for X, name in zip(containers(text), ("'c'", "0"), strict=True):
        told = rf"in {name} \('0', '1', '1.5e2', \.\.\.\): each"
        with pytest.warns(NumbersAsTextWarning, match=told):
            space = TableEncoder().fit(X).feature_space_
        assert space.blocks[0].n_levels == 5 + gap


@pytest.mark.parametrize(
    "column",
    [
        pd.Categorical(DAYS.astype(str)),
        np.where(DAYS > 2, "1", "0"),
        np.where(DAYS > 2, "more", DAYS.astype(str)),
        np.where(DAYS > 3, "inf", DAYS.astype(str)),
        pd.array(DAYS > 2),
    ],
    ids=["declared", "a flag", "one word", "infinite", "bool"],
)
def test_codes_and_flags_are_categories_without_a_word(column):
    TableEncoder().fit(containers(column)[0])
