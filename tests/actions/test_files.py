"""Action sets in files: what is written comes back, and what is wrong is told with its position."""

from __future__ import annotations

import json
import math
import pickle
import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcfq.actions import ActionSet
from skcfq.actions.files._labels import read_label, write_key, write_label
from skcfq.actions.files._source_positions import (
    line_and_column,
    read_json,
    read_toml,
    text_positions,
)
from skcfq.datasets import make_credit
from skcfq.encoding import TableEncoder
from skcfq.exceptions import ActionSetError, ActionSetFileError

EVERYTHING = {
    "actionable": ["income", "grade"],
    "immutable": ["age", "a b", 3, ("top", 1), "`x`", "ü.\"q'"],
    "increasing": ["savings", 7],
    "decreasing": ["loan"],
    "bounds": {
        "hours": (10, 60),
        "savings": (0, None),
        "loan": (None, 5.5),
        5: (None, None),
        "debt": (-math.inf, math.inf),
        "grade": ("low", "high"),
        "rate": "observed",
    },
    "relative_bounds": {"income": (-10, 0.25)},
    "quantile_bounds": {"balance": (0.01, 0.99), "other": (None, 0.5)},
    "steps": {"hours": 1, "savings": 0.1},
    "ordinal": {"grade": ["low", "mid", "high"], "rooms": [1, 2, 4.5]},
    "transitions": {"job": {"cook": ["clerk"], "none": [], None: ["cook", 2]}, "home town": {}},
    "one_hot": {"home": ["home_own", "home_rent"]},
    "min_change": {"income": 5},
    "max_change": {"income": 50, "grade": 1},
    "constraints": ["`a b` <= 2 * hours", "if job == 'cook' then hours <= 20"],
    "implied": {
        "age": {"education": 2, "grade": {"low": 0, "mid": 1.5}, "job": {"a": {"b": 3, "c": -1}}}
    },
    "max_changes": 4,
    "cost": "mixed",
    "cost_mix": 0.75,
    "cost_weights": {"income": 2, "grade": 0.5, 3: 1},
}


@pytest.mark.parametrize("extension", ["toml", "json", "TOML"])
def test_everything_comes_back(tmp_path, extension):
    action_set = ActionSet(**EVERYTHING)
    path = tmp_path / f"rules.{extension}"
    action_set.to_file(path)
    assert ActionSet.from_file(path).get_params() == EVERYTHING
    assert ActionSet.from_file(str(path)).to_dict() == action_set.to_dict()


def test_every_parameter_is_covered():
    assert set(EVERYTHING) == set(ActionSet._get_param_names())


def test_dict_is_strict_json_and_comes_back():
    data = ActionSet(**EVERYTHING).to_dict()
    copy = json.loads(json.dumps(data, allow_nan=False))
    assert copy == data
    assert ActionSet.from_dict(copy).get_params() == EVERYTHING


@pytest.mark.parametrize("extension", ["toml", "json"])
def test_a_file_says_that_everything_may_change_on_purpose_or_not_at_all(tmp_path, extension):
    path = tmp_path / f"rules.{extension}"
    ActionSet(immutable=[], bounds={}).to_file(path)
    assert "immutable" in path.read_text()
    assert ActionSet.from_file(path).get_params() == ActionSet().get_params()
    assert ActionSet.from_dict(ActionSet().to_dict()).get_params() == ActionSet().get_params()
    text = {"toml": HEAD + 'cost = "l2"\n[bounds]\n', "json": json.dumps(ActionSet().to_dict())}
    path.write_text(text[extension])
    assert "no rule is stated" in str(_problems(path))


def test_nothing_may_change_is_not_everything_may_change(tmp_path):
    path = tmp_path / "rules.toml"
    ActionSet(actionable=[]).to_file(path)
    assert ActionSet.from_file(path).actionable == []


@pytest.mark.parametrize("extension", ["toml", "json"])
@pytest.mark.parametrize("rules", [EVERYTHING, {}, {"constraints": ["a <= b"]}])
def test_a_file_that_was_cut_off_is_never_read_as_fewer_rules(tmp_path, extension, rules):
    path = tmp_path / f"rules.{extension}"
    ActionSet(**rules).to_file(path)
    whole = path.read_bytes()
    expected = ActionSet.from_file(path).get_params()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        if length >= len(whole.rstrip()):
            assert ActionSet.from_file(path).get_params() == expected
        else:
            with pytest.raises(ActionSetFileError):
                ActionSet.from_file(path)


def test_the_error_of_a_cut_off_file_says_what_to_do(tmp_path):
    path = tmp_path / "rules.toml"
    ActionSet(immutable=["age"], bounds={"savings": (0, None)}).to_file(path)
    lines = path.read_text().split("\n")
    path.write_text("\n".join(lines[:6]))
    problem = _problems(path).problems[0]
    assert problem[0] == 5 and "'# end skcfq/action-set'" in problem[2]
    path.write_text("\n".join(lines[1:6]))  # as written by hand
    assert ActionSet.from_file(path).get_params() == ActionSet(immutable=["age"]).get_params()


def test_arrays_sets_and_numpy_scalars_are_written_as_plain_values():
    data = ActionSet(
        immutable=np.array(["b", "a"]),
        increasing={"d", "c"},
        bounds={"e": (np.int64(1), np.float64(2.5))},
        max_changes=np.int64(3),
        ordinal={"f": pd.Index([1, 2])},
    ).to_dict()
    assert data["immutable"] == ["b", "a"] and data["increasing"] == ["c", "d"]
    assert data["bounds"] == {"e": [1, 2.5]} and data["ordinal"] == {"f": [1, 2]}
    assert type(data["max_changes"]) is int
    json.dumps(data)


def _described(compiled):
    numeric = [
        (f.name, f.low, f.high, f.relative, f.direction, f.step, f.min_change)
        for f in compiled.numeric
    ]
    categorical = [
        (f.name, f.levels, f.allowed.tolist(), f.distance.tolist()) for f in compiled.categorical
    ]
    return numeric, categorical, compiled.max_changes, compiled.rules


@pytest.mark.parametrize("extension", ["toml", "json"])
def test_compiles_to_the_same(tmp_path, extension):
    data = make_credit(200, random_state=0)
    action_set = data.action_set
    action_set.set_params(constraints=["savings <= 10 * income"], max_changes=3)
    path = tmp_path / f"rules.{extension}"
    action_set.to_file(path)
    space = TableEncoder().fit(data.data).feature_space_
    again = ActionSet.from_file(path)
    assert again.get_params() == action_set.get_params()
    assert _described(again.compile(space)) == _described(action_set.compile(space))


def test_toml_reads_as_people_would_write_it(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_bytes(
        b"\xef\xbb\xbf# reviewed\r\n"
        b'schema = "skcfq/action-set" # ours\r\n'
        b"version = 1\r\n"
        b"immutable = [\r\n  'age', # never\r\n  3,\r\n]\r\n"
        b'constraints = ["""\r\na <= b"""]\r\n'
        b"bounds.hours = [10, inf]\r\n"
        b"[steps]\r\nhours = 1_000\r\n"
        b'[transitions]\r\njob = { "cook" = ["clerk"], clerk = [] }\r\n'
    )
    assert (
        ActionSet.from_file(path).get_params()
        == ActionSet(
            immutable=["age", 3],
            constraints=["a <= b"],
            bounds={"hours": (10, math.inf)},
            steps={"hours": 1000},
            transitions={"job": {"cook": ["clerk"], "clerk": []}},
        ).get_params()
    )


def test_json_null_is_an_open_side(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text(
        '{"schema": "skcfq/action-set", "version": 1,'
        ' "bounds": {"a": [null, 3]}, "max_changes": null}'
    )
    assert ActionSet.from_file(path).bounds == {"a": (None, 3)}


HEAD = 'schema = "skcfq/action-set"\nversion = 1\n'  # faults below begin in line 3

TOML_FAULTS = {
    # name: (lines from line 3 on, [(line, column, part of the message), ...])
    "unknown key": ("boundz = {}", [(3, 1, "'boundz' is unknown. Did you mean 'bounds'")]),
    "unknown table": ("[rules]\na = 1", [(3, 2, "'rules' is unknown")]),
    "names are text": ("immutable = 'age'", [(3, 13, "immutable is 'age': it must be a list")]),
    "a name is a list": ("increasing = ['a', [1]]", [(3, 20, "a name or a position")]),
    "a date": ("immutable = [2020-01-01]", [(3, 14, "is a date. Write it as text")]),
    "a table is a number": ("bounds = 5", [(3, 10, "bounds is 5: it must be a table")]),
    "no pair": ("[bounds]\na = 5", [(4, 5, "bounds for 'a' is 5: a pair (low, high)")]),
    "three sides": ("[bounds]\na = [1, 2, 3]", [(4, 5, "it has 3 values")]),
    "crossed": ("[bounds]\na = [60, 20]", [(4, 5, "lower side 60 is above the upper side 20")]),
    "low above high": ("[bounds]\na = { high = 1, low = 2 }", [(4, 5, "is above the upper")]),
    "no such side": ("[bounds]\na = { lo = 1 }", [(4, 7, "'lo' is unknown. Did you mean 'low'")]),
    "word": ("[bounds]\na = 'seen'", [(4, 5, "bounds for 'a' is 'seen': no such bounds")]),
    "text side": ("[relative_bounds]\na = [1, 'two']", [(4, 9, "a number is needed")]),
    "text bounds": ("[bounds]\na = [1, 'two']", [(4, 1, "'two' is no number")]),
    "strange level": (
        "[bounds]\na = ['x', 'z']\n[ordinal]\na = ['x', 'y']",
        [(4, 1, "'z' is no level of its ordinal rule")],
    ),
    "levels crossed": (
        "[bounds]\na = ['y', 'x']\n[ordinal]\na = ['x', 'y']",
        [(4, 1, "ranks above the upper")],
    ),
    "quantiles": ("[quantile_bounds]\na = [0, 99]", [(4, 5, "outside [0, 1]")]),
    "step": ("[steps]\na = 1\nb = -5", [(5, 5, "steps for 'b' is -5: a step must be finite")]),
    "bool": ("[min_change]\na = true", [(4, 5, "min_change for 'a' is True: a number")]),
    "level twice": ("[ordinal]\na = ['x', 'y', 'x']", [(4, 16, "level 'x' is listed twice")]),
    "no levels": ("[ordinal]\na = 'x'", [(4, 5, "a list of levels is needed")]),
    "level is a list": ("[ordinal]\na = ['x', ['y']]", [(4, 11, "one value is needed")]),
    "targets": ("[transitions.job]\na = ['b']\nb = 'a'", [(5, 5, "targets of 'b' are no list")]),
    "target twice": ("[transitions.job]\na = ['b', 'b']", [(4, 11, "lists 'b' twice")]),
    "moves": ("[transitions]\njob = ['b']", [(4, 7, "a dict is needed")]),
    "small group": ("[one_hot]\nhome = ['a']", [(4, 8, "at least two columns")]),
    "member twice": ("[one_hot]\nhome = ['a', 'b', 'a']", [(4, 19, "listed twice")]),
    "two groups": (
        "[one_hot]\nhome = ['a', 'b']\ntown = ['b', 'c']",
        [(5, 8, "'b' already belongs to the group 'home'")],
    ),
    "rule on a member": (
        "immutable = ['a']\n[one_hot]\nhome = ['a', 'b']",
        [(3, 14, "one column of the one-hot group 'home'")],
    ),
    "count": ("max_changes = 2.5", [(3, 15, "max_changes is 2.5: it must be an integer")]),
    "count of true": ("max_changes = true", [(3, 15, "max_changes is True")]),
    "no causes": ("[implied]\nage = 2", [(4, 7, "a table of causes")]),
    "implied text": ("[implied.age]\nedu = 'two'", [(4, 7, "a finite number is needed")]),
    "implied infinite": ("[implied.age]\nedu = inf", [(4, 7, "a finite number is needed")]),
    "implied mixed": ("[implied.age]\nedu = { a = 1, b = { c = 1 } }", [(4, 7, "mixes positions")]),
    "implied deep": ("[implied.age]\nedu = { a = { b = { c = 1 } } }", [(4, 19, "finite number")]),
    "up and down": (
        "increasing = ['x', 'a']\ndecreasing = [\n  'a',\n]",
        [(5, 3, "decreasing names 'a', which increasing (line 3) names too")],
    ),
    "fixed and growing": (
        "increasing = ['a']\nimmutable = ['b', 'a']",
        [(4, 19, "immutable names 'a', which increasing (line 3) names too")],
    ),
    "fixed and moving": (
        "immutable = ['job']\n[transitions.job]\na = ['b']",
        [(4, 14, "transitions names 'job', which immutable (line 3)")],
    ),
    "grid twice": ("[steps]\na = 1\n[ordinal]\na = [1, 2]", [(6, 1, "which steps (line 4)")]),
    "sizes": ("[min_change]\na = 3\n[max_change]\na = 1", [(4, 1, "above its max_change 1")]),
    "backquotes": ("immutable = ['`age`']", [(3, 14, "the backquotes in '`age`' hold no")]),
    "same name": ("[steps]\n'`1`' = 1\n'`1.0`' = 2", [(5, 1, "a second time")]),
    "key twice": ("[steps]\na = 1\nb = 2\na = 3", [(6, 1, "'a' is given twice, first in line 4")]),
    "table twice": ("[steps]\na = 1\n[steps]\nb = 1", [(5, 2, "'steps' is given twice, first in")]),
    "inline key twice": ("bounds = { a = [1, 2], a = [1, 3] }", [(3, 24, "'a' is given twice")]),
    "dotted twice": ("steps.a = 1\nsteps.a = 2", [(4, 7, "'a' is given twice, first in line 3")]),
    "syntax": ("immutable = ['a'", [(3, 17, "not valid TOML")]),
    "no value": ("[steps]\na =\nb = 1", [(4, 4, "not valid TOML: Invalid value")]),
    "no quotes": ("immutable = [age]", [(3, 14, "not valid TOML")]),
    "strict rule": ("constraints = ['a <= b', 'b < c']", [(3, 27, "Use <= or >=")]),
    "position in a rule": ("constraints = ['x + y * z <= 3']", [(3, 21, "'y * z' cannot be read")]),
    "behind escapes": (
        'constraints = ["if j == \\"\\u00e9\\" then x*y <= 3"]',
        [(3, 41, "'x*y' cannot be read")],
    ),
    "behind backquotes": ("constraints = ['`a b` <= 3 *']", [(3, 28, "no condition")]),
    "empty conclusion": ("constraints = ['if a <= 3 then']", [(3, 30, "no condition")]),
    "long text": (
        'constraints = ["""\na <=\\\n   b or c"""]',
        [(5, 6, "'or' and 'not' are not offered")],
    ),
    "rule is a number": ("constraints = ['a <= 1', 5]", [(3, 26, "constraints holds 5")]),
    "rules are text": ("constraints = 'a <= 1'", [(3, 15, "must be a list of rules")]),
    "nothing hides": (
        "max_changes = 0\nimutable = []\n[bounds]\na = [2, 1]\n[step]\nb = 0",
        [
            (3, 15, "max_changes is 0"),
            (4, 1, "Did you mean 'immutable'"),
            (6, 5, "above the upper"),
            (7, 2, "Did you mean 'steps'"),
        ],
    ),
}


def _problems(path):
    with pytest.raises(ActionSetFileError) as caught:
        ActionSet.from_file(path)
    return caught.value


@pytest.mark.parametrize("name", TOML_FAULTS)
def test_faults_in_toml(tmp_path, name):
    text, expected = TOML_FAULTS[name]
    path = tmp_path / "rules.toml"
    path.write_text(f"{HEAD}{text}\n", encoding="utf-8")
    error = _problems(path)
    assert [problem[:2] for problem in error.problems] == [fault[:2] for fault in expected]
    for (line, column, part), message in zip(expected, str(error).split("\n"), strict=True):
        assert message.startswith(f"{path}:{line}:{column}: ")
        assert part in message
    assert (error.path, error.line, error.column) == (str(path), *expected[0][:2])
    assert isinstance(error, ActionSetError)


def _is_valid(text):
    try:
        return bool(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        return False


@pytest.mark.parametrize("name", [n for n, (text, _) in TOML_FAULTS.items() if _is_valid(text)])
def test_the_same_faults_are_found_in_a_dict(name):
    data = tomllib.loads(HEAD + TOML_FAULTS[name][0])
    with pytest.raises(ActionSetError) as caught:
        ActionSet.from_dict(data)
    for _, _, part in TOML_FAULTS[name][1]:
        # Without positions, a contradiction has no first and second rule.
        wanted = "the two contradict each other" if "(line" in part else part
        assert wanted in str(caught.value)


JSON_FAULTS = {
    "unknown key": ('"boundz": {}', [(3, 1, "Did you mean 'bounds'")]),
    "crossed": ('"bounds": {\n  "a": [60,\n  20]}', [(4, 8, "lower side 60")]),
    "key twice": ('"steps": {"a": 1,\n "a": 2}', [(4, 2, "'a' is given twice, first in line 3")]),
    "side": ('"relative_bounds": {"a": [1, "two"]}', [(3, 30, "a number is needed")]),
    "up and down": (
        '"increasing": ["a"],\n"decreasing": ["a"]',
        [(4, 16, "which increasing (line 3) names too")],
    ),
    "position in a rule": (
        '"constraints": ["if j == \\"\\ud83d\\ude00\\" then x*y <= 3"]',
        [(3, 48, "'x*y' cannot be read")],
    ),
    "comma": ('"immutable": ["a" "b"]', [(3, 19, "not valid JSON")]),
    "not finite": ('"steps": {"a": Infinity}', [(3, 16, "finite and not negative")]),
    "two at once": (
        '"max_changes": "2",\n"implied": {"age": {"a": "b"}}',
        [(3, 16, "max_changes is '2'"), (4, 26, "finite number")],
    ),
}


@pytest.mark.parametrize("name", JSON_FAULTS)
def test_faults_in_json(tmp_path, name):
    text, expected = JSON_FAULTS[name]
    path = tmp_path / "rules.json"
    path.write_text(f'{{"schema": "skcfq/action-set",\n"version": 1,\n{text}\n}}', encoding="utf-8")
    error = _problems(path)
    assert [problem[:2] for problem in error.problems] == [fault[:2] for fault in expected]
    for (_, _, part), (_, _, message) in zip(expected, error.problems, strict=True):
        assert part in message


HEAD_FAULTS = {
    "no schema": ("version = 1", (1, 1, "schema is missing. Add schema = 'skcfq/action-set'")),
    "no version": ('schema = "skcfq/action-set"', (1, 1, "version is missing")),
    "other schema": ('version = 1\nschema = "x"\na = 1', (2, 10, "schema is 'x': it must be")),
    "newer": (
        'schema = "skcfq/action-set"\nversion = 2\nfuture = 1',
        (2, 11, "version is 2: this skcfq reads version 1. Update skcfq"),
    ),
    "no version number": ('schema = "skcfq/action-set"\nversion = "1"', (2, 11, "must be 1")),
    "empty": ("\n \n", (1, 1, "the file is empty. Begin with")),
}


@pytest.mark.parametrize("name", HEAD_FAULTS)
def test_faults_of_the_head(tmp_path, name):
    text, (line, column, part) = HEAD_FAULTS[name]
    path = tmp_path / "rules.toml"
    path.write_text(text)
    error = _problems(path)
    assert [problem[:2] for problem in error.problems] == [(line, column)]
    assert part in str(error)


def test_json_that_is_no_table(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text("[1]")
    assert "a table of rules is needed" in str(_problems(path))


DEEP = {
    "lists.json": '{"schema": "skcfq/action-set", "version": 1, "immutable": %s}',
    "lists.toml": 'schema = "skcfq/action-set"\nversion = 1\nimmutable = %s',
}


@pytest.mark.parametrize("depth", [20, 900, 100_000])
@pytest.mark.parametrize("name", [*DEEP, "keys.toml", "header.toml"])
def test_what_is_nested_deeper_than_any_rule_is_refused(tmp_path, name, depth):
    path = tmp_path / name
    if name in DEEP:
        path.write_text(DEEP[name] % ("[" * depth + "]" * depth))
    else:
        key = "implied" + ".a" * depth
        path.write_text(HEAD + (f"{key} = 1" if name == "keys.toml" else f"[{key}]\nx = 1"))
    assert "nested deeper" in str(_problems(path))


def test_data_that_hold_themselves_are_refused():
    data = ActionSet(implied={"age": {"degree": 2}}).to_dict()
    data["implied"]["age"]["job"] = data["implied"]
    with pytest.raises(ActionSetError, match="nested deeper"):
        ActionSet.from_dict(data)


def test_faults_of_the_file_itself(tmp_path):
    error = _problems(tmp_path / "rules.toml")
    assert (error.line, error.column) == (None, None)
    assert str(error).startswith(
        f"{tmp_path / 'rules.toml'}: the file cannot be read: no such file"
    )
    assert "extension '.yaml' is unknown" in str(_problems(tmp_path / "rules.yaml"))
    with pytest.raises(ActionSetFileError, match="extension '' is unknown"):
        ActionSet().to_file(tmp_path / "rules")
    path = tmp_path / "latin.toml"
    path.write_bytes(HEAD.encode() + "immutable = ['é', 'größe']".encode("latin-1"))
    error = _problems(path)
    assert (error.line, error.column) == (3, 15)
    assert "0xe9 is not UTF-8" in str(error)


def test_the_error_survives_pickling(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(f"{HEAD}a = 1\nb = 2\n")
    error = _problems(path)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.line, copy.problems) == (str(error), 3, error.problems)


@pytest.mark.parametrize(
    ("parameters", "part"),
    [
        ({"immutable": ["a"], "increasing": ["a"]}, "contradict each other"),
        ({"immutable": "age"}, "must be a list of names"),
        ({"constraints": "a <= b"}, "must be a list of rules"),
        ({"bounds": {"a": (2, 1)}}, "above the upper"),
        ({"immutable": [pd.Timestamp("2020-01-01")]}, "cannot be written to a file"),
        ({"immutable": ["\ud800"]}, "no valid Unicode"),
    ],
)
def test_what_cannot_be_read_is_not_written(tmp_path, parameters, part):
    path = tmp_path / "rules.toml"
    with pytest.raises(ActionSetError, match=part):
        ActionSet(**parameters).to_file(path)
    assert not path.exists()


def test_unknown_attributes_name_the_nearest_parameter():
    with pytest.raises(AttributeError, match="Did you mean 'bounds'"):
        ActionSet().boundz = {}


# -------- properties

ODD = st.sampled_from(
    ["`", "``", "`a`", "```", "`1`", "", "a.b", "a b", '"', "'", "\\", "#", "é", "\x7f"]
)
TEXTS = ODD | st.text(st.characters(codec="utf-8"), max_size=6)
SCALARS = (
    TEXTS | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.none() | st.booleans()
)
NAMES = TEXTS | st.integers(0, 50) | st.tuples(TEXTS, st.integers(0, 9) | TEXTS)
SIZES = st.floats(1e-3, 1e6) | st.integers(1, 1000)
LEVELS = st.lists(SCALARS, min_size=1, max_size=4, unique=True)
PAIR = st.tuples(
    st.none() | st.floats(-1e9, 0) | st.just(-math.inf),
    st.none() | st.integers(0, 10**9) | st.just(math.inf),
)
POSITIONS = st.dictionaries(SCALARS, st.floats(-9, 9), min_size=1, max_size=3)
AMOUNTS = (
    st.floats(-1e3, 1e3) | POSITIONS | st.dictionaries(SCALARS, POSITIONS, min_size=1, max_size=2)
)


@st.composite
def action_sets(draw):
    """Draw consistent parameters; each rule has features of its own."""
    names = draw(st.lists(NAMES, unique=True, max_size=16))

    def some(k=3):
        taken = [names.pop() for _ in range(min(draw(st.integers(0, k)), len(names)))]
        return taken

    def table(values):
        return {name: draw(values) for name in some()} or None

    members = some()
    return {
        "actionable": draw(st.none() | st.just(some(2))),
        "immutable": some() or (),
        "increasing": some() or (),
        "decreasing": some() or (),
        "bounds": table(PAIR | st.just("observed")),
        "relative_bounds": table(PAIR),
        "quantile_bounds": table(st.tuples(st.none() | st.just(0.1), st.none() | st.just(0.9))),
        "steps": table(SIZES),
        "ordinal": table(LEVELS),
        "transitions": table(st.dictionaries(SCALARS, LEVELS, max_size=3)),
        "one_hot": {("group", 0): members} if len(members) > 1 else None,
        "min_change": table(SIZES),
        "max_change": table(SIZES),
        "constraints": draw(st.lists(st.sampled_from(["a <= b", "`c d` >= 2"]), max_size=2)) or (),
        "implied": table(st.dictionaries(NAMES, AMOUNTS, min_size=1, max_size=2)),
        "max_changes": draw(st.none() | st.integers(1, 9)),
        "cost": draw(st.sampled_from(["l1", "l2", "mixed"])),
        "cost_mix": draw(st.floats(0, 1)),
        "cost_weights": table(st.floats(1e-9, 1e9)) or draw(st.sampled_from(["std", "mad"])),
    }


@settings(max_examples=150, deadline=None)
@given(parameters=action_sets(), extension=st.sampled_from(["toml", "json"]))
def test_random_action_sets_come_back(tmp_path_factory, parameters, extension):
    path = tmp_path_factory.mktemp("files") / f"rules.{extension}"
    ActionSet(**parameters).to_file(path)
    again = ActionSet.from_file(path).get_params()
    assert again == parameters
    assert repr(sorted(again.items())) == repr(sorted(parameters.items()))  # 1, 1.0 and True differ


@settings(max_examples=300, deadline=None)
@given(value=SCALARS | NAMES | st.just(math.nan))
def test_labels_come_back(value):
    for text in (write_label(value), write_key(value)):
        assert repr(read_label(text)) == repr(value)
    assert isinstance(write_key(value), str)


def _plain(node):
    if isinstance(node.value, dict):
        return {key: _plain(entry.node) for key, entry in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(item) for item in node.value]
    return node.value


@settings(max_examples=150, deadline=None)
@given(parameters=action_sets())
def test_the_scanners_see_what_the_parsers_see(tmp_path_factory, parameters):
    folder = tmp_path_factory.mktemp("files")
    for name, parse, read in (
        ("a.toml", tomllib.loads, read_toml),
        ("a.json", json.loads, read_json),
    ):
        ActionSet(**parameters).to_file(folder / name)
        text = (folder / name).read_text(encoding="utf-8")
        tree, faults = read(text)
        assert not faults
        assert _plain(tree) == parse(text)


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_places_in_a_text_follow_its_escapes(text):
    source = json.dumps(text)
    positions = text_positions(source)
    assert len(positions) == len(text)
    ends = [*positions[1:], len(source) - 1]
    characters = [source[a:b] for a, b in zip(positions, ends, strict=True)]
    assert [json.loads(f'"{c}"') for c in characters] == list(text)


@settings(max_examples=400, deadline=None)
@given(
    extension=st.sampled_from(["toml", "json"]),
    spot=st.floats(0, 1),
    cut=st.integers(0, 3),
    patch=st.sampled_from(
        ["", '"', "'", "[", "]", "{", "}", "=", ",", ":", "\n", "`", "\\", "#", "0"]
    )
    | st.text(st.characters(codec="utf-8"), max_size=3),
)
def test_a_damaged_file_is_read_or_refused_with_places(
    tmp_path_factory, extension, spot, cut, patch
):
    path = tmp_path_factory.mktemp("files") / f"rules.{extension}"
    ActionSet(**EVERYTHING).to_file(path)
    text = path.read_bytes().decode()
    at = int(spot * len(text))
    text = text[:at] + patch + text[at + cut :]
    path.write_bytes(text.encode())
    try:
        again = ActionSet.from_file(path)
    except ActionSetFileError as error:
        lines = text.replace("\r\n", "\n").split("\n")
        positions = [problem[:2] for problem in error.problems]
        in_file = [
            line <= len(lines) and column <= len(lines[line - 1]) + 1 for line, column in positions
        ]
        assert all(in_file) and positions == sorted(positions)
    else:
        assert ActionSet.from_dict(again.to_dict()).get_params() == again.get_params()


def test_line_and_column_count_from_one():
    assert [line_and_column("ab\nc", position) for position in range(5)] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
        (2, 2),
    ]


def test_the_guide_shows_what_the_library_says(tmp_path, monkeypatch):
    guide = Path(__file__).parents[2] / "docs" / "user_guide" / "action_files.md"
    blocks = re.findall(r"```(\w+)\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    written, bad = [text for language, text in blocks if language == "toml"]
    code = next(text for language, text in blocks if language == "python")
    said = next(text for language, text in blocks if language == "text")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert Path("rules.toml").read_text() == written
    Path("rules.toml").write_text(bad)
    assert f"{_problems('rules.toml')}\n" == said
