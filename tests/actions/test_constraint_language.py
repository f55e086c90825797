"""The language of rules across features: what is read is what is written, or refused by place."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skcfq.actions import ActionSet, region_of
from skcfq.actions._conditions import Changes, IsIn, Linear
from skcfq.actions._constraint_language import parse_rule
from skcfq.actions._constraint_tokens import RuleError
from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.exceptions import ActionSetError


def only(text):
    rule = parse_rule(text)
    (condition,) = (*rule.premises, *rule.conclusions)
    return condition


READ = {
    "2 * a + b <= 5": Linear({"a": 2.0, "b": 1.0}, {}, 5.0),
    "a >= -2": Linear({"a": -1.0}, {}, 2.0),
    "-(a - 3) / 4 + 1_000 <= .5 * change(b)": Linear({"a": -0.25}, {"b": -0.5}, -1000.75),
    "2 * (a + change(b)) * -3 <= 1e3": Linear({"a": -6.0}, {"b": -6.0}, 1000.0),
    "((a)) <= (2 + 3)": Linear({"a": 1.0}, {}, 5.0),
    "a <= - - 2": Linear({"a": 1.0}, {}, 2.0),
    "`a <= b` <= 1": Linear({"a <= b": 1.0}, {}, 1.0),
    "`3` <= 1": Linear({3: 1.0}, {}, 1.0),
    "class <= 1": Linear({"class": 1.0}, {}, 1.0),
    "change <= 1": Linear({"change": 1.0}, {}, 1.0),
    "a\n  <=\u00a01": Linear({"a": 1.0}, {}, 1.0),
    "job == 'a `b` c'": IsIn("job", ("a `b` c",), True),
    'job != "it\'s # if a then b"': IsIn("job", ("it's # if a then b",), False),
    r"job == '\'\\ \u00e9\n\d'": IsIn("job", ("'\\ é\n\\d",), True),
    "job in ['a', -1, 2.5, True, None]": IsIn("job", ("a", -1, 2.5, True, None), True),
    "job not in ('a',)": IsIn("job", ("a",), False),
    "job == None": IsIn("job", (None,), True),
    "hours != -40": IsIn("hours", (-40,), False),
    "changes(`a b`)": Changes("a b", True),
    "(stays(a))": Changes("a", False),
}


@pytest.mark.parametrize("text", READ)
def test_a_condition_is_read(text):
    condition = only(text)
    assert condition == READ[text]
    assert repr(condition) == repr(READ[text])  # 1, 1.0 and True differ


def test_conditions_are_joined_and_chained():
    rule = parse_rule("if (a <= 1 and job == 'then') and changes(b) then 1 <= a == b <= 3")
    assert rule.premises == (
        Linear({"a": 1.0}, {}, 1.0),
        IsIn("job", ("then",), True),
        Changes("b", True),
    )
    assert [condition.limit for condition in rule.conclusions] == [-1.0, 0.0, 0.0, 3.0]
    assert rule.names == {"a", "b", "job"}


@pytest.mark.parametrize("name", ["ﬁeld", "ﬀ", "µ", "K", "e\u0301", "名前", "ſ"])
def test_letters_are_not_folded(name):
    assert only(f"{name} <= 1") == Linear({name: 1.0}, {}, 1.0)
    assert only(f"stays({name})") == Changes(name, False)


def test_sums_of_thousands_of_columns():
    names = [f"c{i}" for i in range(3000)]
    text = " + ".join(f"2 * {name}" for name in names)
    assert only(f"{text} <= 1") == Linear(dict.fromkeys(names, 2.0), {}, 1.0)
    assert only("-" * 5000 + "a <= 1") == Linear({"a": 1.0}, {}, 1.0)


REFUSED = {
    # rule: (where, what is said)
    "a <= b # or c": (7, "'#'.*comments"),
    "a ≤ b": (2, "Write <="),
    "a = b": (2, "Write =="),
    "a <= b or c <= d": (7, "'or' and 'not' are not offered"),
    "not a <= b": (0, "'or' and 'not' are not offered"),
    "a < b": (0, "'a < b'.*strict"),
    "a <= 3 b": (7, "'b'.*no condition"),
    "a <= 3b": (5, "'3b'.*neither a number nor a name"),
    "a <=": (4, "no condition"),
    "if a <= 3": (0, "has no 'then'"),
    "if a <= 3 then": (14, "no condition"),
    "if then a <= 3": (3, "no condition"),
    "a <= 1 and": (10, "no condition"),
    "a": (0, "compares nothing"),
    "1 <= 2": (0, "names no column"),
    "a - a <= 2": (0, "names no column"),
    "x + a * b <= 2": (4, "'a \\* b'.*no term of a sum"),
    "a / b <= 2": (0, "'a / b'.*no term"),
    "a / 0 <= 2": (0, "'a / 0'.*no term"),
    "a ** 2 <= 2": (3, "no term"),
    "a <= 'x'": (5, "no term"),
    "'x' == a": (0, "no term"),
    "2 * a == 'x'": (0, "'2 \\* a'.*column is needed"),
    "a in 3": (5, "list of levels"),
    "a in []": (5, "list of levels"),
    "a in ['x' 'y']": (5, "list of levels"),
    "a in [b]": (6, "list of levels"),
    "a != b": (5, "one level is needed"),
    "a == -'x'": (6, "no term"),
    "abs(a) <= 3": (0, "function is unknown"),
    "changes(a) <= 3": (11, "no condition"),
    "changes(a + b)": (0, "needs one column"),
    "changes('a')": (8, "a column is needed"),
    "(a <= 3": (7, "no condition"),
    "a <= 3)": (6, "no condition"),
    "`a <= 3": (0, "backquote is not closed"),
    "`` <= 3": (0, "no name in the backquotes"),
    "job == 'a": (7, "quotation mark is not closed"),
    r"job == '\u00'": (8, "no character"),
    "1e999 * a <= 3": (0, "'1e999'.*too large"),
    "a <= 1e-999": (5, "too large or too small"),
    "a <= 1" + "0" * 400: (5, "too large"),
    "1e200 * (1e200 * a) <= 3": (0, "a product in it is too large"),
    "a / 1e-300 / 1e-300 <= 3": (0, "a product in it is too large"),
    "1e-200 * a * 1e-200 <= 3": (0, "a product in it is too .*small"),
    "1e150 * a <= 3": (0, "has the number 1e\\+150"),
    "a <= 1e150": (0, "has the number"),
    "a + 1e99 * b + 1e-101 * c <= 3": (0, "has the number 1e-101"),
    "(" * 60 + "a" + ")" * 60 + " <= 1": (50, "nested too deeply"),
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_what_cannot_be_read_is_refused_with_its_place(text):
    where, words = REFUSED[text]
    with pytest.raises(RuleError, match=words) as caught:
        parse_rule(text)
    assert caught.value.offset == where
    assert len(str(caught.value)) < 600
    assert pickle.loads(pickle.dumps(caught.value)).offset == where


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab1.e` '\"()[]<>=!+-*/,#\\ué") | st.characters(), max_size=30))
def test_any_text_is_read_or_refused(text):
    rule = place = None
    try:
        rule = parse_rule(text)
    except RuleError as error:
        place = error.offset
    if rule is None:
        assert 0 <= place <= len(text)
    else:
        numbers = [c for c in (*rule.premises, *rule.conclusions) if isinstance(c, Linear)]
        for condition in numbers:
            assert np.isfinite([*condition.values.values(), condition.limit]).all()


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_every_text_can_be_a_level(level):
    written = level.replace("\\", "\\\\").replace("'", "\\'")
    assert only(f"job == '{written}'") == IsIn("job", (level,), True)


@pytest.mark.parametrize("unit", [1.0, 1e-30, 1e-90, 1e30, 1e90])
def test_a_rule_holds_whatever_its_unit(unit):
    X = np.array([[0.0, 0.0], [10.0, 10.0]])
    rule = f"{unit} * `0` + {unit} * `1` <= {15 * unit}"
    rules = ActionSet(constraints=[rule], steps={0: 0, 1: 0})
    region = region_of(rules.compile(FeatureSpace.from_frame(X)), X[:1])
    assert region.contains(torch.full_like(region.origin, 7.4)).all()
    assert not region.contains(torch.full_like(region.origin, 7.6)).any()


def test_a_misspelled_level_is_refused_where_nobody_can_change_it_too():
    X = pd.DataFrame({"job": ["cook", "clerk"] * 3, "hours": [10.0, 40, 20, 30, 25, 35]})
    space = TableEncoder().fit(X).feature_space_
    for held in ((), ["job"]):
        rules = ActionSet(immutable=held, constraints=["if job == 'cok' then hours <= 20"])
        with pytest.raises(ActionSetError, match="'cok' is no level.*'cook'"):
            region_of(rules.compile(space), X)


def test_a_position_that_is_the_name_of_another_column_is_refused():
    X = pd.DataFrame({"a": [1.0, 2.0], "0": [3.0, 5.0]})
    space = TableEncoder().fit(X).feature_space_
    with pytest.raises(ActionSetError, match="`0` is the position of 'a', and the name of another"):
        ActionSet(constraints=["`0` <= 3"]).compile(space)
    ActionSet(constraints=["`1` <= 9"]).compile(space)
    numbered = FeatureSpace.from_frame(pd.DataFrame(np.eye(3), columns=[9, 1, 0]))
    ActionSet(constraints=["`9` + `1` + `0` <= 9"]).compile(numbered)
