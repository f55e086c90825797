"""ActionSet as a parameter object, and the errors of rules that cannot hold."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer

from skcfq.actions import ActionSet, region_of
from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.exceptions import ActionSetError


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "age": [25, 40, 61, 33],
            "income": [1000.0, 2500.0, np.nan, 1800.0],
            "job": ["clerk", "cook", "clerk", "pilot"],
            "grade": ["low", "high", "mid", "mid"],
            "home_own": [1, 0, 0, 1],
            "home_rent": [0, 1, 0, 0],
            "home_free": [0, 0, 1, 0],
        }
    )


@pytest.fixture
def space(table):
    return TableEncoder().fit(table).feature_space_


HOME = {"home": ["home_own", "home_rent", "home_free"]}


def test_parameters_are_stored_untouched_and_survive_clone_pickle_and_repr():
    bounds, names = {"age": (20, 60)}, np.array(["job"])
    action_set = ActionSet(immutable=names, bounds=bounds, max_changes=2)
    assert action_set.bounds is bounds
    assert action_set.immutable is names
    copy = clone(action_set)
    assert copy is not action_set
    assert copy.get_params()["bounds"] == bounds
    assert pickle.loads(pickle.dumps(action_set)).bounds == bounds
    assert action_set.set_params(max_changes=3).max_changes == 3
    assert repr(ActionSet(max_changes=2)) == "ActionSet(max_changes=2)"


def test_only_parameters_can_be_set():
    with pytest.raises(AttributeError, match="no parameter 'imutable'.*immutable"):
        ActionSet().imutable = ["age"]
    with pytest.raises(ValueError, match="Invalid parameter"):
        ActionSet().set_params(max_chnages=1)
    with pytest.raises(TypeError):
        ActionSet(["age"])


def test_compiling_leaves_the_action_set_as_it_was(space):
    action_set = ActionSet(immutable=["age"])
    before = dict(vars(action_set))
    action_set.compile(space)
    assert vars(action_set) == before


def test_importing_an_action_set_does_not_import_torch():
    code = (
        "import sys; from skcfq.actions import ActionSet; ActionSet(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_of_the_package_are_refused():
    import skcfq.actions

    assert set(skcfq.actions.__all__) <= set(dir(skcfq.actions))
    with pytest.raises(AttributeError, match="project_nothing"):
        skcfq.actions.project_nothing  # noqa: B018  (the access itself is under test)


def test_features_come_numeric_first_in_raw_order(space):
    compiled = ActionSet(immutable=["age", "job"], one_hot=HOME).compile(space)
    assert compiled.feature_names == ("income", "grade", "home")
    assert compiled.n_features == 3
    assert [len(columns) for columns in compiled.feature_columns] == [1, 3, 3]
    assert compiled.mutable_columns.sum() == 7


def test_positions_and_group_names_are_names_too(space):
    compiled = ActionSet(immutable=[0, np.int64(2), "home"], one_hot=HOME).compile(space)
    assert compiled.feature_names == ("income", "grade")


def test_only_what_is_actionable_may_change(space):
    rules = ActionSet(actionable=["income", 2, "home"], one_hot=HOME, bounds={"age": (20, 60)})
    assert rules.compile(space).feature_names == ("income", "job", "home")
    assert ActionSet(actionable=[]).compile(space).n_features == 0
    everything = ActionSet().compile(space).feature_names
    assert ActionSet(actionable=everything).compile(space).feature_names == everything
    with pytest.raises(ActionSetError, match="'age' is named in both actionable and immutable"):
        ActionSet(actionable=["age"], immutable=["age"]).compile(space)
    with pytest.raises(ActionSetError, match="actionable names 'agee', which is no column"):
        ActionSet(actionable=["agee"]).compile(space)


def test_relative_bounds_alone_take_the_place_of_the_observed_range(space, table):
    far = {"age": (-100, 100)}
    alone = region_of(ActionSet(relative_bounds=far).compile(space), table)
    both = region_of(
        ActionSet(relative_bounds=far, bounds={"age": "observed"}).compile(space), table
    )
    youngest = alone.compiled.numeric[0].block.encode(np.array([25.0]))[0, 0]
    assert alone.lower[0, 0] < youngest - 1 and both.lower[0, 0] == pytest.approx(youngest)


def test_columns_that_the_encoder_drops_are_immutable(table):
    from sklearn.compose import ColumnTransformer

    numbers = table[["age", "home_own"]]
    encoder = ColumnTransformer([("keep", "passthrough", ["age"])]).fit(numbers)
    space = FeatureSpace.from_encoder(encoder, numbers)
    assert ActionSet(bounds={"home_own": (0, 1)}).compile(space).feature_names == ("age",)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"immutable": ["agee"]}, ["immutable", "'agee'", "no column", "'age'"]),
        ({"immutable": [7]}, ["immutable", "7", "0 to 6"]),
        ({"immutable": [-1]}, ["immutable", "-1"]),
        ({"immutable": [True]}, ["immutable", "True"]),
        ({"immutable": [["age"]]}, ["immutable", "name"]),
        ({"immutable": "age"}, ["immutable", "'age'", "list"]),
        ({"bounds": {"agee": (0, 1)}}, ["bounds", "'agee'"]),
        ({"bounds": ["age"]}, ["bounds", "dict"]),
        ({"bounds": {"age": (60, 20)}}, ["bounds", "'age'", "(60, 20)", "Swap"]),
        ({"bounds": {"age": (1, 2, 3)}}, ["bounds", "'age'", "3 values"]),
        ({"bounds": {"age": 5}}, ["bounds", "'age'", "5", "pair"]),
        ({"bounds": {"age": "seen"}}, ["bounds", "'age'", "'observed'"]),
        ({"bounds": {"age": ("low", "high")}}, ["bounds", "'age'", "number"]),
        ({"bounds": {"age": (np.nan, 3)}}, ["bounds", "'age'", "nan"]),
        ({"bounds": {"age": (1, 2), 0: (1, 2)}}, ["bounds", "another name"]),
        ({"bounds": {"job": ("clerk", "cook")}}, ["bounds", "'job'", "ordinal"]),
        ({"bounds": {"age": (90, 99)}, "quantile_bounds": {"age": (0, 1)}}, ["'age'", "Widen"]),
        ({"relative_bounds": {"age": (2, 1)}}, ["relative_bounds", "'age'", "Swap"]),
        ({"relative_bounds": {"job": (0, 1)}}, ["relative_bounds", "'job'", "ordinal"]),
        ({"quantile_bounds": {"age": (0.1, 1.5)}}, ["quantile_bounds", "'age'", "[0, 1]"]),
        ({"quantile_bounds": {"age": (0.9, 0.1)}}, ["quantile_bounds", "'age'", "Swap"]),
        ({"quantile_bounds": {"job": (0.1, 0.9)}}, ["quantile_bounds", "'job'", "categories"]),
        ({"steps": {"age": np.inf}}, ["steps", "'age'", "inf", "finite"]),
        ({"steps": {"age": -5}}, ["steps", "'age'", "-5", "not negative"]),
        ({"steps": {"age": "1"}}, ["steps", "'age'", "number"]),
        ({"steps": {"age": 1e-9}}, ["steps", "'age'", "Widen the step"]),
        ({"steps": {"job": 1}}, ["steps", "'job'", "categories"]),
        ({"steps": {"age": 1}, "ordinal": {"age": [20, 30]}}, ["steps", "'age'", "ordinal"]),
        ({"ordinal": {"age": [30, 20]}}, ["ordinal", "'age'", "rise"]),
        ({"ordinal": {"age": [20, np.inf]}}, ["ordinal", "'age'", "infinite"]),
        ({"ordinal": {"grade": ["low", "mid", "low"]}}, ["ordinal", "'grade'", "'low'", "twice"]),
        ({"ordinal": {"grade": ["low", "mod", "high"]}}, ["ordinal", "'grade'", "'mod'", "'mid'"]),
        ({"ordinal": {"grade": []}}, ["ordinal", "'grade'", "no level"]),
        ({"ordinal": {"grade": "low"}}, ["ordinal", "'grade'", "list"]),
        (
            {"ordinal": {"grade": ["low", "mid", "high"]}, "bounds": {"grade": ("high", "low")}},
            ["bounds", "'grade'", "ranks above"],
        ),
        (
            {"ordinal": {"grade": ["low", "mid", "high"]}, "bounds": {"grade": ("low", "top")}},
            ["bounds", "'grade'", "'top'"],
        ),
        ({"transitions": {"job": {"clerk": ["pilott"]}}}, ["transitions", "'job'", "'pilott'"]),
        ({"transitions": {"job": {"clerk": "pilot"}}}, ["transitions", "'job'", "no list"]),
        ({"transitions": {"job": ["clerk"]}}, ["transitions", "'job'", "dict"]),
        ({"transitions": {"job": {"clerk": ["cook", "cook"]}}}, ["transitions", "'cook'", "twice"]),
        ({"transitions": {"age": {20: [30]}}}, ["transitions", "'age'", "numeric"]),
        ({"increasing": ["age"], "decreasing": ["age"]}, ["'age'", "both", "immutable"]),
        ({"increasing": ["job"]}, ["increasing", "'job'", "ordinal"]),
        ({"decreasing": ["job"]}, ["decreasing", "'job'", "ordinal"]),
        ({"immutable": ["home_own"], "one_hot": HOME}, ["immutable", "'home_own'", "'home'"]),
        ({"immutable": [4], "one_hot": HOME}, ["immutable", "4", "'home'"]),
        ({"bounds": {"home_own": (0, 1)}, "one_hot": HOME}, ["bounds", "split the group"]),
        ({"one_hot": {"home": ["home_own"]}}, ["one_hot", "'home'", "two columns"]),
        ({"one_hot": {"home": ["home_own", "home_own"]}}, ["one_hot", "'home'", "twice"]),
        ({"one_hot": {"home": ["home_own", "nope"]}}, ["one_hot", "'nope'"]),
        ({"one_hot": {"age": ["home_own", "home_rent"]}}, ["one_hot", "another column"]),
        ({"one_hot": {"home": ["age", "home_rent"]}}, ["one_hot", "'age'", "0 and 1"]),
        ({"one_hot": {"home": ["job", "home_rent"]}}, ["one_hot", "'job'", "0 and 1"]),
        ({"one_hot": {**HOME, "b": ["home_own", "age"]}}, ["one_hot", "already belongs"]),
        ({"max_changes": 0}, ["max_changes", "0", "at least 1"]),
        ({"max_changes": 1.5}, ["max_changes", "1.5"]),
        ({"max_changes": True}, ["max_changes", "True"]),
    ],
)
def test_rules_that_cannot_hold_are_refused_by_name(space, rules, words):
    with pytest.raises(ActionSetError) as caught:
        ActionSet(**rules).compile(space)
    for word in words:
        assert re.search(re.escape(word), str(caught.value)), (word, str(caught.value))


def test_max_changes_takes_numpy_integers(space):
    assert ActionSet(max_changes=np.int64(2)).compile(space).max_changes == 2
    assert ActionSet().compile(space).max_changes is None


def test_a_level_that_a_small_sample_lacks_is_passed_over(space):
    order = ["none", "low", "mid", "high", "top"]
    rules = ActionSet(ordinal={"grade": order}, increasing=["grade"])
    grade = next(feature for feature in rules.compile(space).categorical if feature.name == "grade")
    assert grade.levels == ("high", "low", "mid")
    np.testing.assert_array_equal(grade.ranks, [3, 1, 2])
    np.testing.assert_array_equal(grade.distance[:3], [[0, 2, 1], [2, 0, 1], [1, 1, 0]])


def test_nobody_moves_into_the_missing_category_unless_a_transition_says_so():
    X = pd.DataFrame({"job": ["clerk", "cook", None]})
    space = TableEncoder().fit(X).feature_space_
    (free,) = ActionSet().compile(space).categorical
    np.testing.assert_array_equal(free.allowed, [[1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 0]])
    moves = {"clerk": [None], None: ["cook"]}
    (ruled,) = ActionSet(transitions={"job": moves}).compile(space).categorical
    np.testing.assert_array_equal(ruled.allowed, [[1, 0, 1], [0, 1, 0], [0, 1, 1], [0, 0, 0]])


def test_bounds_outside_the_domain_of_a_transformation_are_refused():
    X = np.array([[0.0], [3.0]])
    encoder = FunctionTransformer(np.log1p, inverse_func=np.expm1).fit(X)
    space = FeatureSpace.from_encoder(encoder, X)
    with pytest.raises(ActionSetError, match="not defined"):
        region_of(ActionSet(bounds={0: (-5, 3)}).compile(space), X)


def test_rules_that_change_in_place_are_read_again():
    """What was compiled is remembered by content, not by object."""
    space = FeatureSpace.from_frame(pd.DataFrame({"a": [0.0, 9.0], "b": [0.0, 9.0]}))
    rules = ActionSet(bounds={"a": (0, 5)}, immutable=["b"])
    first = rules.compile(space)
    assert ActionSet(bounds={"a": (0, 5)}, immutable=["b"]).compile(space) is first
    rules.bounds["a"] = (0, 7)
    assert region_of(rules.compile(space), np.array([[1.0, 1.0]])).upper.item() == 7
    rules.immutable.append("a")
    assert rules.compile(space).n_features == 0


def test_rules_that_cannot_be_pickled_are_compiled():
    class Name(str):
        def __reduce__(self):
            raise TypeError("no")

    space = FeatureSpace.from_frame(pd.DataFrame({"a": [0.0, 9.0], "b": [0.0, 9.0]}))
    assert ActionSet(immutable=[Name("a")]).compile(space).feature_names == ("b",)


@pytest.mark.parametrize("space", ["x", [1], pd.DataFrame({"age": [1]})])
def test_rules_are_compiled_through_a_feature_space_only(table, space):
    with pytest.raises(TypeError, match="space is of type .*; give a FeatureSpace"):
        ActionSet().compile(space)
    with pytest.raises(TypeError, match="space is of type .*; give a FeatureSpace"):
        ActionSet().validate(table, space)
