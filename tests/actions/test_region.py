"""Regions of real-looking tables: bounds of every kind, gaps, containers, and raw rows."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skcfq.actions import ActionSet, raw_rows, region_of
from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.exceptions import ActionSetError

# One fraction keeps "a" from being a column of whole numbers.
NUMBERS = pd.DataFrame({"a": np.arange(101.0), "b": np.arange(101) * 2}).replace({"a": {50: 50.5}})


def raw_limits(rules, X=NUMBERS, space=None):
    region = region_of(rules.compile(space or FeatureSpace.from_frame(NUMBERS)), X)
    return region.raw_lower, region.raw_upper


def person(a, b=0):
    return pd.DataFrame({"a": [float(a)], "b": [b]})


@pytest.mark.parametrize(
    ("rules", "own", "expected"),
    [
        ({}, 50, (0, 100)),
        ({}, 130, (0, 130)),
        ({"bounds": {"a": "observed"}}, 50, (0, 100)),
        ({"bounds": {"a": "observed"}, "relative_bounds": {"a": (-10, 70)}}, 50, (40, 100)),
        ({"bounds": {"a": (None, None)}}, 50, (-np.inf, np.inf)),
        ({"bounds": {"a": (60, None)}}, 50, (50, np.inf)),
        ({"bounds": {"a": (-5, 40)}}, 50, (-5, 50)),
        ({"relative_bounds": {"a": (-10, 20)}}, 50, (40, 70)),
        ({"relative_bounds": {"a": (5, 20)}}, 50, (50, 70)),
        ({"relative_bounds": {"a": (None, 3)}}, 50, (-np.inf, 53)),
        ({"quantile_bounds": {"a": (0.1, 0.9)}}, 50, (10, 90)),
        ({"quantile_bounds": {"a": (0.1, 0.9)}}, 95, (10, 95)),
        ({"quantile_bounds": {"a": (0.1, 0.9)}, "bounds": {"a": (20, 95)}}, 50, (20, 90)),
        ({"increasing": ["a"]}, 50, (50, 100)),
        ({"decreasing": ["a"]}, 50, (0, 50)),
        ({"increasing": ["a"]}, 130, (130, 130)),
        ({"steps": {"a": 30}}, 50, (0, 90)),
        ({"steps": {"a": 30}, "bounds": {"a": (None, 65)}}, 50, (0, 60)),
        ({"steps": {"a": 30}, "increasing": ["a"]}, 95, (95, 95)),
        ({"ordinal": {"a": [10, 40, 200]}}, 50, (10, 200)),
        ({"ordinal": {"a": [10, 40, 200]}, "bounds": {"a": (0, 100)}}, 50, (10, 50)),
    ],
)
def test_limits_in_raw_units(rules, own, expected):
    lower, upper = raw_limits(ActionSet(immutable=["b"], **rules), person(own))
    assert (lower[0, 0], upper[0, 0]) == expected


def test_an_impossible_range_of_relative_and_absolute_bounds_still_lets_people_stay():
    rules = ActionSet(bounds={"a": (80, 90)}, relative_bounds={"a": (-10, 20)}, immutable=["b"])
    lower, upper = raw_limits(rules, person(50))
    assert (lower[0, 0], upper[0, 0]) == (50, 70)


def test_steps_that_are_decimals_reach_the_bound_as_it_is_written():
    rules = ActionSet(steps={"a": 0.1}, bounds={"a": (0.3, 0.7)}, immutable=["b"])
    region = region_of(rules.compile(FeatureSpace.from_frame(NUMBERS)), person(0.5))
    np.testing.assert_array_equal(region.raw_grids[0], [0.3, 0.4, 0.5, 0.6, 0.7])
    relative = ActionSet(steps={"a": 0.1}, relative_bounds={"a": (-0.1, 0.1)}, immutable=["b"])
    lower, upper = raw_limits(relative, person(0.7))
    assert (lower[0, 0], upper[0, 0]) == (0.6, 0.8)


def test_large_whole_numbers_stay_whole():
    X = pd.DataFrame({"price": [100_000_001, 100_000_020, 100_000_050]})
    region = region_of(ActionSet().compile(FeatureSpace.from_frame(X)), X)
    np.testing.assert_array_equal(region.raw_grids[0], 1e8 + np.arange(1, 51))
    for change in (1.0, 9.0):
        rows = raw_rows(region, region.project(region.origin + change))
        assert rows["price"].dtype == X["price"].dtype
        assert rows["price"].tolist() == [100_000_001 + change, 100_000_020 + change, 100_000_050]


def test_one_person_far_outside_does_not_make_the_grid_endless():
    rules = ActionSet(steps={"a": 1}, bounds={"a": (0, 50)}, immutable=["b"])
    X = pd.concat([person(1e15), person(3)], ignore_index=True)
    region = region_of(rules.compile(FeatureSpace.from_frame(NUMBERS)), X)
    assert len(region.raw_grids[0]) == 51
    u = region.project(torch.full_like(region.origin, 49.6))
    np.testing.assert_array_equal(raw_rows(region, u)["a"], [50.0, 50.0])


@pytest.mark.parametrize("far", [999_999.0, 1_000_000.0, 1_000_001.0])
def test_one_person_just_so_far_outside_does_not_stop_the_others(far):
    X = pd.DataFrame({"loans": np.arange(30.0) % 4})
    actions = ActionSet().compile(FeatureSpace.from_frame(X))
    region = region_of(actions, pd.DataFrame({"loans": [far, 1.0]}))
    assert region.raw_lower[:, 0].tolist() == [0, 0]
    assert region.raw_upper[:, 0].tolist() == [far, 3]


def test_people_who_together_span_more_than_one_may_do_not_stop_each_other():
    X = pd.DataFrame({"loans": np.arange(30.0) % 4})
    actions = ActionSet().compile(FeatureSpace.from_frame(X))
    region = region_of(actions, pd.DataFrame({"loans": [-600_000.0, 600_000.0, 2.0]}))
    assert region.raw_lower[:, 0].tolist() == [-600_000, 0, 0]
    assert region.raw_upper[:, 0].tolist() == [3, 600_000, 3]


def test_an_open_side_of_one_person_is_closed_by_offsets_from_the_own_value():
    X = pd.DataFrame({"loans": np.arange(30.0) % 4})
    rules = ActionSet(bounds={"loans": (0, 3)}, relative_bounds={"loans": (None, 2)})
    actions = rules.compile(FeatureSpace.from_frame(X))
    region = region_of(actions, X[:3], overrides={2: {"bounds": {"loans": (1, None)}}})
    assert region.raw_lower[:, 0].tolist() == [0, 0, 1]
    assert region.raw_upper[:, 0].tolist() == [2, 3, 4]


def test_gaps_are_read_as_the_fill_and_left_alone_by_those_who_stay():
    X = pd.DataFrame({"income": [1.0, np.nan, 9.0, 4.0], "job": ["x", None, "y", "x"]})
    encoder = TableEncoder().fit(X)
    near = ActionSet(relative_bounds={"income": (-1, 1)})
    region = region_of(near.compile(encoder.feature_space_), X)
    np.testing.assert_array_equal(region.raw_lower[:, 0], [0, 3, 8, 3])
    rows = raw_rows(region, region.origin)
    pd.testing.assert_frame_equal(rows, X)
    u = region.project(region.origin + 100.0)
    np.testing.assert_array_equal(raw_rows(region, u)["income"], [2, 5, 10, 5])


def test_a_gap_that_the_encoder_leaves_open_stays_open():
    X = np.array([[1.0, np.nan], [2.0, 5.0]])
    region = region_of(ActionSet(max_changes=1).compile(FeatureSpace.from_frame(X)), X)
    u = region.project(torch.full_like(region.origin, 1.7))
    np.testing.assert_array_equal(raw_rows(region, u), [[1.7, np.nan], [1.7, 5.0]])
    assert region.contains(u).all()
    assert region.changed(u).tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize("container", [pd.DataFrame, pd.DataFrame.to_numpy])
def test_rounding_leaves_no_change_short_of_the_smallest_one(container):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.lognormal(3, 2, (500, 3)), columns=list("abc"))
    sizes = {0: 0.3, 1: 7.1, 2: 1e-3}
    X = container(X)
    space = TableEncoder().fit(X).feature_space_
    region = region_of(ActionSet(min_change=sizes, bounds={2: (None, None)}).compile(space), X)
    least = region.min_change
    short = region.values + least * torch.tensor(rng.choice([-1, 1], X.shape)) * (1 - 3e-9)
    points = np.asarray(raw_rows(region, region.project(region.assemble(short, region.levels))))
    moves = np.abs(points - np.asarray(X))
    assert ((moves == 0) | (moves >= list(sizes.values()))).all()
    assert (moves > 0).mean() > 0.8
    assert np.allclose(moves[moves > 0], (moves > 0).dot(np.diag([*sizes.values()]))[moves > 0])


def test_an_unrecognized_category_may_stay_or_move():
    X = pd.DataFrame({"job": ["cook", "clerk", "pilot"]})
    space = TableEncoder().fit(X).feature_space_
    stranger = pd.DataFrame({"job": ["diver"]})
    free = region_of(ActionSet().compile(space), stranger)
    assert free.levels.item() == -1
    pd.testing.assert_frame_equal(raw_rows(free, free.project(free.origin)), stranger)
    moved = free.project(free.origin + torch.tensor([0, 0, 1.0]))
    assert raw_rows(free, moved)["job"][0] == "pilot"
    order = {"job": ["clerk", "cook", "pilot"]}
    for rules in (
        ActionSet(ordinal=order, increasing=["job"]),
        ActionSet(transitions={"job": {"cook": ["pilot"]}}),
    ):
        held = region_of(rules.compile(space), stranger)
        assert not held.allowed[0].any()
        assert torch.equal(held.project(held.origin + 5.0), held.origin)


def test_dtypes_index_and_order_of_a_frame_survive():
    X = pd.DataFrame(
        {
            "age": pd.array([25, None, 61], dtype="Int64"),
            "sum": np.array([10, 20, 30], dtype=np.int16),
            "flag": [True, False, True],
            "job": pd.Categorical(["cook", "clerk", None]),
            "rest": ["kept", "as", "is"],
        },
        index=["p", "q", "r"],
    )
    space = TableEncoder().fit(X).feature_space_
    rules = ActionSet(
        steps={"age": 1, "sum": 5}, bounds={"age": (20, 70), "sum": (0, 100)}, immutable=["rest"]
    )
    shuffled = X[["job", "rest", "sum", "flag", "age"]]
    region = region_of(rules.compile(space), shuffled)
    pd.testing.assert_frame_equal(raw_rows(region, region.origin), shuffled)
    levels = region.levels.clone()
    levels[:, 0] = 1 - levels[:, 0]
    levels[2, 1] = 0
    rows = raw_rows(region, region.assemble(region.snap(region.values + 0.7), levels))
    assert rows.dtypes.equals(shuffled.dtypes)
    assert rows.index.equals(shuffled.index)
    assert rows["flag"].tolist() == [False, True, False]
    assert rows["job"].tolist() == ["cook", "clerk", "clerk"]
    assert (rows["sum"] % 5 == 0).all()
    assert (rows["sum"] > X["sum"]).all()
    np.testing.assert_allclose(
        space.encode(rows),
        region.assemble(region.snap(region.values + 0.7), levels).numpy(),
        atol=1e-12,
    )


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64, object])
def test_arrays_come_back_as_arrays(dtype):
    X = np.array([[1, 20], [2, 40], [3, 61]]).astype(dtype)
    space = FeatureSpace.from_frame(X)
    region = region_of(ActionSet(steps={1: 10}, immutable=[0]).compile(space), X)
    rows = raw_rows(region, region.project(region.origin + 9.0))
    assert rows.dtype == X.dtype
    assert rows.tolist() == [[1, 30], [2, 50], [3, 61]]
    free = region_of(ActionSet(immutable=[0], steps={1: 0}).compile(space), X)
    rows = raw_rows(free, free.project(free.origin + 0.5))
    assert rows.dtype == (np.float64 if dtype == np.int64 else X.dtype)
    assert rows.tolist() == [[1, 20.5], [2, 40.5], [3, 61]]


def test_whole_numbers_move_in_whole_numbers_unless_freed():
    X = pd.DataFrame({"loans": [1, 5], "score": [1.0, 5.0]})
    space = FeatureSpace.from_frame(X)
    whole = region_of(ActionSet().compile(space), X)
    rows = raw_rows(whole, whole.project(whole.origin + 2.7))
    assert rows.to_numpy().tolist() == [[4, 3.7], [5, 5.0]]
    assert rows["loans"].dtype == X["loans"].dtype
    freed = region_of(ActionSet(steps={"loans": 0}).compile(space), X)
    assert raw_rows(freed, freed.project(freed.origin + 2.7))["loans"].tolist() == [3.7, 5.0]
    near = region_of(ActionSet(relative_bounds={"loans": (-2.5, 2.5)}).compile(space), X)
    assert raw_rows(near, near.project(near.origin + 9.0))["loans"].tolist() == [3, 7]


def test_monotone_columns_keep_bounds_grids_and_directions_in_raw_units():
    X = pd.DataFrame({"gain": [0.0, 100.0, 5000.0]})
    log = FunctionTransformer(np.log1p, inverse_func=np.expm1, feature_names_out="one-to-one")
    flip = FunctionTransformer(np.negative, inverse_func=np.negative)
    space = FeatureSpace.from_encoder(make_pipeline(log, flip, StandardScaler()).fit(X), X)
    rules = ActionSet(steps={"gain": 50}, bounds={"gain": (0, 1000)}, increasing=["gain"])
    region = region_of(rules.compile(space), X)
    np.testing.assert_array_equal(region.raw_lower[:, 0], [0, 100, 5000])
    np.testing.assert_array_equal(region.raw_upper[:, 0], [1000, 1000, 5000])
    assert torch.equal(region.upper, region.origin)
    u = region.project(region.origin - 0.2)
    moved = raw_rows(region, u)["gain"]
    assert (moved % 50 == 0).all()
    assert moved.tolist()[2] == 5000
    everything = region.project(region.origin - 1e6)
    assert raw_rows(region, everything)["gain"].tolist() == [1000.0, 1000.0, 5000.0]


def test_one_hot_groups_behind_a_preprocessing_step():
    rng = np.random.default_rng(0)
    codes = np.eye(3)[rng.integers(0, 3, 40)]
    X = np.column_stack([rng.normal(size=40), codes])
    space = FeatureSpace.from_encoder(StandardScaler().fit(X), X)
    rules = ActionSet(
        one_hot={"job": [3, 1, 2]}, immutable=[0], transitions={"job": {1: [2], 2: [1]}}
    )
    compiled = rules.compile(space)
    (job,) = compiled.categorical
    assert job.levels == (1, 2, 3)
    region = region_of(compiled, X)
    np.testing.assert_array_equal(region.levels[:, 0], codes.argmax(axis=1))
    u = region.project(region.origin + torch.from_numpy(rng.normal(size=X.shape)) * 4)
    rows = raw_rows(region, u)
    assert (rows[:, 1:].sum(axis=1) == 1).all()
    assert np.isin(rows[:, 1:], (0, 1)).all()
    np.testing.assert_array_equal(rows[codes[:, 2] == 1], X[codes[:, 2] == 1])
    assert (rows != X).any()


def test_dropped_reference_level_is_a_level_like_any_other():
    X = pd.DataFrame({"job": ["a", "b", "c", "a"]})
    encoder = ColumnTransformer(
        [("job", OneHotEncoder(drop="first", sparse_output=False), ["job"])]
    ).fit(X)
    region = region_of(ActionSet().compile(FeatureSpace.from_encoder(encoder, X)), X)
    back = raw_rows(region, region.project(torch.zeros_like(region.origin)))
    assert back["job"].tolist() == ["a"] * 4


def test_a_change_counts_once_for_a_group_and_exactly_for_numbers():
    X = pd.DataFrame({"a": [1.0, 2.0], "job": ["x", "y"]})
    region = region_of(ActionSet().compile(TableEncoder().fit(X).feature_space_), X)
    u = region.origin.flip(0)
    assert region.changed(u).tolist() == [[True, True]] * 2
    u[0, 0] = region.origin[0, 0] + 1e-12
    assert region.changed(u).tolist() == [[True, True]] * 2
    assert region.contains(region.origin + 1e-10).all()
    assert not region.contains(region.origin + 1e-3).any()


def test_ten_thousand_people_are_quick():
    rng = np.random.default_rng(0)
    n = 10_000
    X = pd.DataFrame({f"n{i}": rng.integers(0, 100, n) for i in range(6)})
    for i in range(8):
        X[f"c{i}"] = rng.choice([f"level {j}" for j in range(6 + 2 * i)], n)
    compiled = ActionSet(
        steps={"n0": 1, "n1": 5}, relative_bounds={"n2": (-5, 5)}, max_changes=3
    ).compile(TableEncoder().fit(X).feature_space_)
    times = []
    for _ in range(3):
        start = time.process_time()
        region = region_of(compiled, X)
        times.append(time.process_time() - start)
    assert min(times) < 0.3
    noise = torch.from_numpy(rng.normal(size=tuple(region.origin.shape)))
    start = time.process_time()
    u = region.project(region.origin + noise)
    rows = raw_rows(region, u)
    assert time.process_time() - start < 1.0
    assert region.contains(u).all()
    assert len(rows) == n


def test_to_raw_keeps_the_dtype_of_an_object_column():
    X = pd.DataFrame({"job": pd.Series(["cook", "clerk", "cook"], dtype=object), "age": [1, 2, 3]})
    space = TableEncoder().fit(X).feature_space_
    region = region_of(ActionSet(immutable=["age"]).compile(space), X)
    moved = region.assemble(region.values, torch.tensor([[0], [0], [1]]))
    points = raw_rows(region, moved)
    assert points["job"].dtype == object
    assert points["job"].tolist() == ["clerk", "clerk", "cook"]


def test_people_far_apart_each_have_their_own_stretch_of_the_grid():
    rules = ActionSet(steps={"a": 1}, relative_bounds={"a": (-2, 2)}, immutable=["b"])
    X = pd.concat([person(1e12), person(3), person(5), person(9)], ignore_index=True)
    region = region_of(rules.compile(FeatureSpace.from_frame(NUMBERS)), X)
    near, far = np.arange(1, 12), 1e12 + np.arange(-2, 3)
    np.testing.assert_array_equal(region.raw_grids[0], np.concatenate([near, far]))
    up = raw_rows(region, region.project(region.origin + 1.6))["a"]
    np.testing.assert_array_equal(up, X["a"] + 2)


def test_overrides_hold_for_all_rows_of_a_label_and_contain_the_own_value():
    X = pd.concat([person(50), person(20), person(5)]).set_axis(["ann", "bob", "ann"])
    rules = ActionSet(bounds={"a": (0, 90)}, steps={"a": 0}, decreasing=["b"])
    actions = rules.compile(FeatureSpace.from_frame(NUMBERS))
    free = region_of(actions, X)
    own = {"ann": {"bounds": {"a": (10, 40)}}, "bob": {"immutable": ["a"]}}
    region = region_of(actions, X, own)
    np.testing.assert_array_equal(region.raw_lower[:, 0], [10, 0, 5])
    np.testing.assert_array_equal(region.raw_upper[:, 0], [50, 90, 40])
    np.testing.assert_array_equal(region.lower[:, 0], [10, 20, 5])
    np.testing.assert_array_equal(region.upper[:, 0], [50, 20, 40])
    # All else stays, and so do those who are not named.
    assert torch.equal(region.lower[:, 1], free.lower[:, 1])
    assert torch.equal(region.upper[:, 1], free.upper[:, 1])
    assert free.upper[:, 0].tolist() == [90, 90, 90]


# Columns that hold whole numbers, whatever they are stored as.
LOANS = {
    "int": pd.Series(np.arange(40) % 7 + 2),
    "gap": pd.Series(np.arange(40) % 7 + 2.0).mask(np.arange(40) == 3),
    "Int64": pd.Series(np.arange(40) % 7 + 2).astype("Int64").mask(np.arange(40) == 3),
    "object": pd.Series((np.arange(40) % 7 + 2.0).tolist(), dtype=object),
}


def moved(rules, column, own, far, overrides=None):
    """Return where one person ends who wants to go far away, by rules on the column alone."""
    space = FeatureSpace.from_frame(pd.DataFrame({"loans": column}))
    X = pd.DataFrame({"loans": [float(own)]})
    region = region_of(ActionSet(**rules).compile(space), X, overrides)
    return raw_rows(region, region.project(region.origin + far))["loans"].item()


@pytest.mark.parametrize("column", LOANS.values(), ids=list(LOANS))
@pytest.mark.parametrize(
    ("bounds", "down", "up"),
    [
        (None, 2, 8),
        ((None, 5), 2, 5),
        ((0, None), 0, 8),
        ((None, None), 2, 8),
        ((9, None), 2, 9),
        ((0, 20), 0, 20),
    ],
)
def test_observed_whole_numbers_end_at_the_observed_range(column, bounds, down, up):
    rules = {} if bounds is None else {"bounds": {"loans": bounds}}
    assert moved(rules, column, 4, -99) == (down if bounds != (9, None) else 4)
    assert moved(rules, column, 4, 99) == up
    assert moved(rules, column, 4, 0.6) == 5
    # What one person is allowed is read as what everybody is.
    if bounds is not None:
        override = {0: {"bounds": {"loans": bounds}}}
        assert moved({}, column, 4, 99, override) == up


def test_only_a_stated_bound_leads_beyond_what_was_observed():
    column = LOANS["gap"]
    assert moved({"max_change": {"loans": 3}}, column, 3, -99) == 2
    assert moved({"relative_bounds": {"loans": (-3, 3)}}, column, 3, -99) == 0
    assert moved({"steps": {"loans": 2}, "max_change": {"loans": 4}}, column, 3, -99) == 2
    assert moved({"steps": {"loans": 0}, "bounds": {"loans": (None, 9)}}, column, 3, -9.5) == -6.5


def test_whole_numbers_are_whole_with_a_million_of_them_between_the_ends_too():
    sentinel = pd.Series([*range(40), -999_999_999]) + 0.0
    assert moved({}, sentinel, 4, 2.3) == 7
    assert moved({}, sentinel, 4, -2.3) == 1
    assert moved({}, sentinel, 4, 1e12) == 39
    assert moved({"max_change": {"loans": 2.5}}, sentinel, 4, 2.3) == 6
    assert moved({"bounds": {"loans": (3.2, None)}}, sentinel, 3.5, -0.2) == 3.5
    assert moved({"min_change": {"loans": 4.5}}, sentinel, 4, 4) == 9
    assert moved({"steps": {"loans": 0}}, sentinel, 4, 2.25) == 6.25
    assert moved({"bounds": {"loans": (0, 10**7)}}, LOANS["gap"], 4, 0.6) == 5


@pytest.mark.parametrize(
    "column",
    [
        LOANS["gap"].head(20),
        LOANS["gap"].where(LOANS["gap"] > 2, 2.5),
        pd.Series(np.arange(40) * 2.0**60),
    ],
    ids=["19 rows", "a fraction", "too large to be fractions"],
)
def test_columns_that_are_not_known_to_be_whole_stay_continuous(column):
    assert moved({}, column, 4, 0.6) == 4.6


@pytest.mark.parametrize("pair", [(0.0, 1.0), (0.25, 1.5), (12.0, 24.0)])
def test_a_column_of_two_values_moves_between_them(pair):
    low, high = pair
    column = pd.Series(np.where(np.arange(30) % 3 == 0, high, low)).mask(np.arange(30) == 4)
    size = high - low
    for rules in (
        {},
        {"bounds": {"loans": (low, None)}},
        {"relative_bounds": {"loans": (-99, 99)}},
    ):
        assert moved(rules, column, low, 0.4 * size) == low
        assert moved(rules, column, low, 0.6 * size) == high
        assert moved(rules, column, high, -99) == low
    for rules in ({"steps": {"loans": 0}}, {"bounds": {"loans": (low - 0.5, high + 0.5)}}):
        if pair == (0.25, 1.5) or "steps" in rules:
            assert moved(rules, column, low, 0.25 * size) == low + 0.25 * size
    beyond = {"bounds": {"loans": (low, high + 3)}}
    assert moved(beyond, column, low, 99) == high + 3


@pytest.mark.parametrize(
    ("rule", "value"),
    [("bounds", (0.2, 0.8)), ("max_change", 0.5), ("relative_bounds", (-0.5, 0.5))],
)
def test_limits_that_leave_a_flag_nothing_are_refused(rule, value):
    flag = pd.Series(np.arange(30) % 2)
    with pytest.raises(ActionSetError, match=rf"{rule} .*0 and 1 only.*steps=\{{'loans': 0\}}"):
        moved({rule: {"loans": value}}, flag, 0, 1)
    assert 0 < moved({rule: {"loans": value}, "steps": {"loans": 0}}, flag, 0, 1) < 1


def test_the_nature_of_a_column_goes_with_its_weights_not_with_their_unit():
    X = pd.DataFrame({"loans": np.append(np.arange(30) % 4, 0.5)})
    weights = np.append(np.full(30, 1e-9), 0.0)
    (block,) = FeatureSpace.from_frame(X, weights).blocks
    assert block.statistics.is_whole
    assert not FeatureSpace.from_frame(X).blocks[0].statistics.is_whole
