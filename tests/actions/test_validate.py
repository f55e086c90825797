"""Which rows break which rule as they stand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skcfq.actions import ActionSet, region_of
from skcfq.datasets import make_credit
from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.exceptions import ActionSetError

COLUMNS = ["row", "rule", "columns", "value", "message"]


@pytest.fixture
def people():
    return pd.DataFrame(
        {
            "hours": [40, 75, 8, 20],
            "rate": [0.3, 0.25, 0.7, np.nan],
            "rooms": [1, 2, 7, 3],
            "job": ["cook", "clerk", "cook", "pilot"],
            "grade": ["low", "high", "odd", "mid"],
            "own": [1, 0, 1, 0],
            "rent": [0, 1, 1, 0],
        },
        index=["ann", "bob", "cem", "dia"],
    )


@pytest.fixture
def space(people):
    return TableEncoder().fit(people).feature_space_


def _broken(action_set, X, space=None):
    """Return {(row, rule, columns)} of the broken rules."""
    table = action_set.validate(X, space)
    assert list(table.columns) == COLUMNS
    assert all(isinstance(message, str) and message for message in table["message"])
    return {(row, rule, columns) for row, rule, columns, _, _ in table.itertuples(index=False)}


CASES = {
    "bounds": ({"bounds": {"hours": (10, 60)}}, {("bob", "hours"), ("cem", "hours")}),
    "bounds of a gap": ({"bounds": {"rate": (0.3, None)}}, {("bob", "rate")}),
    "bounds by level": (
        {"ordinal": {"grade": ["low", "mid", "high", "odd"]}, "bounds": {"grade": ("mid", "high")}},
        {("ann", "grade"), ("cem", "grade")},
    ),
    "open bounds": ({"bounds": {"hours": (None, None)}}, set()),
    "quantile_bounds": (
        {"quantile_bounds": {"hours": (0.0, 0.5)}},
        {("ann", "hours"), ("bob", "hours")},
    ),
    "steps": ({"steps": {"hours": 20}}, {("bob", "hours"), ("cem", "hours")}),
    "decimal steps": ({"steps": {"rate": 0.1}}, {("bob", "rate")}),
    "ordinal": ({"ordinal": {"rooms": [1, 2, 3]}}, {("cem", "rooms")}),
    "one_hot": (
        {"one_hot": {"home": ["own", "rent"]}},
        {("cem", ("own", "rent")), ("dia", ("own", "rent"))},
    ),
    "constraints": ({"constraints": ["rooms + 10 <= hours"]}, {("cem", ("rooms", "hours"))}),
    "an equality": (
        {"constraints": ["own == rent"]},
        {
            ("ann", ("own", "rent")),
            ("bob", ("own", "rent")),
        },
    ),
    "if then": (
        {"constraints": ["if job == 'cook' and own >= 1 then rooms <= 3"]},
        {("cem", ("job", "own", "rooms"))},
    ),
    "membership": (
        {"constraints": ["if job in ['cook', 'clerk'] then grade not in ['odd', 'high']"]},
        {("bob", ("job", "grade")), ("cem", ("job", "grade"))},
    ),
    "changes alone": ({"constraints": ["change(hours) + change(rooms) <= 5"]}, set()),
    "what changes must": ({"constraints": ["if changes(job) then stays(grade)"]}, set()),
    "gap in a premise": (
        {"constraints": ["if rate <= 0.5 then rooms <= 1"]},
        {("bob", ("rate", "rooms"))},
    ),
    "immutable": ({"immutable": ["hours"], "bounds": {"hours": (10, None)}}, {("cem", "hours")}),
    "rules on changes": (
        {
            "increasing": ["hours"],
            "relative_bounds": {"rooms": (0, 1)},
            "min_change": {"rate": 0.1},
            "transitions": {"job": {"cook": ["clerk"]}},
            "max_changes": 1,
        },
        set(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rules(people, space, name):
    parameters, expected = CASES[name]
    found = _broken(ActionSet(**parameters), people, space)
    columns = {c if isinstance(c, tuple) else (c,) for _, c in expected}
    assert {(row, names) for row, _, names in found} == {
        (row, c if isinstance(c, tuple) else (c,)) for row, c in expected
    }
    assert {names for _, _, names in found} == columns
    assert {rule for _, rule, _ in found} <= set(parameters)


def test_an_order_that_leaves_out_a_level_is_refused(people, space):
    action_set = ActionSet(ordinal={"grade": ["low", "mid", "high"]})
    with pytest.raises(ActionSetError, match=r"leaves out 'odd', .* best a gap"):
        action_set.validate(people, space)
    gap = people.assign(grade=people["grade"].where(people["grade"] != "odd"))
    assert action_set.validate(gap).empty


def test_categories_that_the_space_does_not_know(people, space):
    new = people.assign(job=["cook", "baker", None, "pilot"])
    assert _broken(ActionSet(), new, space) == {("bob", "category", ("job",))}
    table = ActionSet().validate(new, space)
    assert table["value"].tolist() == ["baker"]
    assert table["message"].tolist() == ["job is baker, no category that is known"]


def test_observed_range_is_that_of_the_space(people, space):
    action_set = ActionSet(bounds={"hours": "observed"})
    assert _broken(action_set, people, space) == set()
    later = people.assign(hours=[40, 90, 8, 0])
    assert _broken(action_set, later, space) == {
        ("bob", "bounds", ("hours",)),
        ("dia", "bounds", ("hours",)),
    }
    assert _broken(action_set, later) == set()
    assert "above the upper observed bound 75" in action_set.validate(later, space)["message"][0]


def test_table_lists_people_in_their_order_with_values_and_reasons(people, space):
    action_set = ActionSet(
        bounds={"hours": (10, 60)},
        one_hot={"home": ["own", "rent"]},
        constraints=["rooms + 10 <= hours"],
    )
    table = action_set.validate(people, space)
    assert table["row"].tolist() == ["bob", "cem", "cem", "cem", "dia"]
    assert table["rule"].tolist() == ["bounds", "bounds", "one_hot", "constraints", "one_hot"]
    assert table["value"].tolist() == [75, 8, (1, 1), (7, 8), (0, 0)]
    assert table["message"].tolist() == [
        "hours is 75, above the upper bound 60",
        "hours is 8, below the lower bound 10",
        "own is 1, rent is 1: exactly one of the group 'home' must be 1",
        "rooms is 7, hours is 8: 'rooms + 10 <= hours' is broken",
        "own is 0, rent is 0: exactly one of the group 'home' must be 1",
    ]


def test_nothing_broken_is_an_empty_frame(people, space):
    for X in (people, people.iloc[:0]):
        table = ActionSet(bounds={"hours": (0, 99)}).validate(X, space)
        assert table.shape == (0, 5)
        assert list(table.columns) == COLUMNS


def test_arrays_and_positions():
    X = np.array([[1.0, 5.0], [4.0, 3.0]])
    action_set = ActionSet(bounds={1: (0, 4)}, constraints=["`0` <= `1`"])
    expected = {(0, "bounds", (1,)), (1, "constraints", (0, 1))}
    assert _broken(action_set, X) == expected
    assert _broken(action_set, X, FeatureSpace.from_frame(X)) == expected
    assert _broken(action_set, X.tolist()) == expected
    mixed = np.array([["a", 5], ["b", 3]], dtype=object)
    assert _broken(ActionSet(bounds={1: (0, 4)}), mixed) == {(0, "bounds", (1,))}


def test_labels_may_repeat(people, space):
    twice = pd.concat([people, people])
    table = ActionSet(bounds={"hours": (None, 60)}).validate(twice, space)
    assert table["row"].tolist() == ["bob", "bob"]
    nested = people.set_index(pd.MultiIndex.from_tuples([("x", i) for i in range(4)]))
    assert ActionSet(bounds={"hours": (None, 60)}).validate(nested, space)["row"][0] == ("x", 1)


def test_a_rule_on_a_one_hot_group(people, space):
    action_set = ActionSet(
        one_hot={"home": ["own", "rent"]}, constraints=["if home == 'own' then rooms >= 2"]
    )
    found = _broken(action_set, people, space)
    assert ("ann", "constraints", ("own", "rent", "rooms")) in found
    assert ("bob", "constraints", ("own", "rent", "rooms")) not in found


def test_rules_that_do_not_fit_are_refused(people, space):
    with pytest.raises(ActionSetError, match="'hour', which is no column"):
        ActionSet(bounds={"hour": (0, 1)}).validate(people, space)
    with pytest.raises(ActionSetError, match="'job' cannot stand there, it holds categories"):
        ActionSet(constraints=["job <= 3"]).validate(people, space)


def test_people_of_the_dataset_obey_its_rules_but_for_the_grids():
    data = make_credit(300, random_state=0)
    space = TableEncoder().fit(data.data).feature_space_
    rules = set(data.action_set.validate(data.data, space)["rule"])
    assert rules <= {"steps", "bounds"}


RULES = [
    "hours <= 3 * rooms",
    "if job == 'a' then hours <= 5",
    "if hours >= 5 and job != 'b' then rooms >= 3",
    "if rooms <= 2 then job in ['a', 'b']",
    "2 * hours - rooms >= 1 ",
]


@pytest.mark.parametrize("seed", range(3))
def test_broken_rules_are_those_that_the_solvers_waive(seed):
    """The region works in encoded units and tensors; this table in raw units and arrays."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "hours": rng.integers(0, 10, 60),
            "rooms": rng.integers(0, 6, 60).astype(float),
            "job": rng.choice(["a", "b", "c"], 60),
        }
    )
    action_set = ActionSet(constraints=RULES)
    space = TableEncoder().fit(X).feature_space_
    found = {
        (row, message.split(": ", 1)[1])
        for row, message in action_set.validate(X, space)[["row", "message"]].itertuples(
            index=False
        )
    }
    linking = region_of(action_set.compile(space), X).linking
    expected = {
        (i, f"{rule.text!r} is broken")
        for rule in linking.implications
        for i in torch.nonzero(rule.broken).ravel().tolist()
    }
    hours, rooms = X["hours"], X["rooms"]
    expected |= {(i, f"{RULES[0]!r} is broken") for i in X.index[hours > 3 * rooms]}
    expected |= {(i, f"{RULES[4]!r} is broken") for i in X.index[2 * hours - rooms < 1]}
    assert found == expected
    assert len({rule for _, rule in found}) == len(RULES)
