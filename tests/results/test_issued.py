"""Advice reads back as it was given, or not at all."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from advised_people import CHEAP, RULES, SCHOOL, UNITS, first, solve
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.certificates import digest_of
from skcfq.exceptions import AdviceFileError
from skcfq.models import as_predictor
from skcfq.results import IssuedAdvice

DATA = Path(__file__).parent / "data"
# Nobody under these rules gets everything: some cannot be helped, most have fewer ways than asked.
TIGHT = RULES | {
    "immutable": ["age", "job"],
    "max_changes": 2,
    "bounds": {"income": (0, 20), "savings": (0, 20)},
}


@pytest.fixture(scope="module")
def tight(model, people):
    answer = solve(
        model,
        people,
        action_set=ActionSet(**TIGHT),
        n_alternatives=3,
        margin=0.1,
        cost_weights=CHEAP,
    )
    return answer.with_units(UNITS)


def assert_equal(advice, other):
    for name in ("target", "status", "valid", "cost", "lower_bound", "margin"):
        np.testing.assert_array_equal(getattr(advice, name), getattr(other, name), err_msg=name)
    for name in ("denied", "reachable", "gap"):
        np.testing.assert_array_equal(getattr(advice, name), getattr(other, name), err_msg=name)
    for name in ("X", "points"):
        one, two = getattr(advice, name), getattr(other, name)
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, two, check_exact=True)
        else:
            assert one.dtype == two.dtype
            np.testing.assert_array_equal(one, two)
    assert len(advice) == len(other)
    assert advice.space_fingerprint == other.space_fingerprint
    assert (advice.protocol, advice.method) == (other.protocol, other.method)
    assert (advice.units or {}) == (other.units or {})
    for details in (False, True):
        frames = [one.to_frame(details=details) for one in (advice, other)]
        pd.testing.assert_frame_equal(*frames, check_exact=True)
    assert len(advice.alternatives) == len(other.alternatives)
    for one, two in zip(advice.alternatives, other.alternatives, strict=True):
        assert_equal(one, two)


def assert_reads_back(result):
    read = IssuedAdvice.read(result.to_json())
    assert_equal(read, result)
    direct = IssuedAdvice.of(result)
    assert_equal(read, direct)
    pd.testing.assert_frame_equal(read.changes, direct.changes, check_exact=True)
    pd.testing.assert_index_equal(read.people, direct.people, exact="equiv")
    assert read.cost_definition == direct.cost_definition
    assert read.provenance == direct.provenance
    assert repr(read.action_set) == repr(direct.action_set)
    return read


def test_everything_reads_back(tight, tmp_path):
    assert {"infeasible", "optimal", "already_favorable"} <= set(tight.status)
    assert {"infeasible", "optimal"} <= set(tight.alternatives[1].status)
    read = assert_reads_back(tight)
    assert (
        read.action_set.get_params()
        == ActionSet.from_dict(ActionSet(**TIGHT).to_dict()).get_params()
    )
    assert read.units == UNITS and np.isinf(read.lower_bound[tight.status == "infeasible"]).all()
    tight.to_json(tmp_path / "advice.json")
    for source in (tmp_path / "advice.json", str(tmp_path / "advice.json"), tight.to_dict()):
        assert_equal(IssuedAdvice.read(source), tight)
    told = repr(read)
    assert f"{tight.reachable.sum()} with advice" in told and "LogisticRegression" in told


def mixed_people(n=60):
    rng = np.random.RandomState(1)
    gaps = rng.rand(n) < 0.15
    return pd.DataFrame(
        {
            "income": pd.array(np.where(gaps, None, rng.randint(5, 50, n)), dtype="Int64"),
            "debt": rng.randint(0, 9, n).astype(np.int16),
            "rate": rng.rand(n).astype(np.float32),
            "owner": pd.array(np.where(gaps, None, rng.rand(n) < 0.5), dtype="boolean"),
            "job": pd.Categorical(rng.choice(["cook", "clerk"], n), categories=["cook", "clerk"]),
            "school": pd.Categorical(rng.choice(SCHOOL, n), SCHOOL, ordered=True),
            "town": pd.array(np.where(gaps, None, rng.choice(["A", "B"], n)), dtype="string"),
            "pet": np.where(gaps, np.nan, rng.choice(["cat", "dog"], n).astype(object)),
            "married": rng.rand(n) < 0.5,
        },
        index=pd.MultiIndex.from_product([["x", "y"], range(n // 2)], names=["branch", None]),
    )


def fit_mixed(X):
    score = X["income"].fillna(20).astype(float) - 4.0 * X["debt"] + 6 * X["married"]
    score += 5.0 * (X["job"] == "cook") + 3.0 * X["school"].cat.codes + 4.0 * (X["pet"] == "cat")
    score += 4.0 * X["owner"].fillna(False).astype(float) + 9.0 * X["rate"]
    return make_pipeline(TableEncoder(), LogisticRegression()).fit(X, score > score.median() + 5)


def test_columns_of_every_type_read_back():
    X = mixed_people()
    solver = RecourseSolver(
        ActionSet(immutable=["married"]),
        cost_weights=dict.fromkeys(["job", "school", "pet", "owner", "rate"], 0.1),
        target=True,
        n_alternatives=3,
        margin=0.1,
        random_state=0,
    )
    answer = solver.solve(fit_mixed(X), X)
    assert answer.changed.any(axis=0).sum() >= 5 and answer.reachable.any()
    read = assert_reads_back(answer)
    assert read.target.dtype == bool and read.X.index.names == ["branch", None]
    # What the model does not read is kept too, dates as text.
    day = pd.Timestamp("2026-01-02")
    dated = replace(answer, X=X.assign(day=day), points=answer.points.assign(day=day))
    again = IssuedAdvice.read(replace(dated, alternatives=()).to_dict())
    pd.testing.assert_frame_equal(again.points.drop(columns="day"), answer.points)
    assert set(again.X["day"]) == {str(day)}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, object])
def test_arrays_read_back(dtype):
    X = np.random.RandomState(0).randint(0, 9, (40, 3)).astype(dtype)
    model = LogisticRegression().fit(X.astype(float), X.sum(axis=1).astype(float) > 14)
    answer = RecourseSolver(n_alternatives=2, margin=0.1).solve(model, X, background=X)
    assert answer.reachable.any()
    read = assert_reads_back(answer.with_units({0: "EUR"}))
    assert read.units == {0: "EUR"} and isinstance(read.X, np.ndarray)


def test_one_kind_of_people_only(model, people, tight):
    for rows in (np.flatnonzero(~tight.denied)[:3], np.flatnonzero(tight.reachable)[:3]):
        assert_reads_back(solve(model, people.iloc[rows], n_alternatives=2))


def test_names_and_labels_that_are_easily_mixed_up():
    X = pd.DataFrame({1: [0.0, 1, 2, 3], 2: [1.0, 3, 2, 0], ("a", 2): [0.0, 1, 0, 1]})
    X.index = pd.Index([7, 7, "7", 7.5], dtype=object)
    predictor = as_predictor(
        lambda T: (T[1] + T[2] > 3.5).to_numpy(),
        classes=[False, True],
        background=X,
        output="labels",
    )
    answer = RecourseSolver(target=True, random_state=0, n_alternatives=2).solve(predictor, X)
    assert answer.reachable.any()
    read = assert_reads_back(answer)
    assert read.people.tolist() == [7, 7, "7", 7.5]


def test_rules_that_no_file_holds_are_none(model, people):
    answer = solve(model, people.head(9), action_set=ActionSet(immutable=["age"]))
    odd = dict(answer.provenance) | {"action_set": {"immutable": "text"}}
    for provenance in (odd, None):
        told = replace(answer, provenance=provenance)
        assert IssuedAdvice.of(told).action_set is None
        assert IssuedAdvice.read(told.to_dict()).action_set is None


def test_version_1_is_read(model, people):
    read = IssuedAdvice.read(DATA / "advice_v1.json")
    document = json.loads((DATA / "advice_v1.json").read_text())
    assert document["format_version"] == 1 and len(read) == len(document["people"]) == 10
    own = people.loc[read.people]
    pd.testing.assert_frame_equal(read.X, own, check_exact=True)
    # Points were not written: they have to be those that lead to a yes, at the costs told.
    assert set(model.predict(read.points[read.reachable])) == {"grant"}
    again = solve(
        model, own, action_set=read.action_set, n_alternatives=3, margin=0.1, cost_weights=CHEAP
    )
    pd.testing.assert_frame_equal(read.points, again.points)
    np.testing.assert_allclose(read.cost, again.cost)
    np.testing.assert_array_equal(
        read.lower_bound,
        [
            np.inf if one["lower_bound"] is None else one["lower_bound"]
            for one in document["people"]
        ],
    )
    for one, two in zip(read.alternatives, again.alternatives, strict=True):
        np.testing.assert_array_equal(one.valid[one.denied], two.valid[two.denied])
        pd.testing.assert_frame_equal(one.points, two.points)
    moved = read.changes.set_index("feature")
    assert {"color", "school", "age", "income"} <= set(moved.index)
    assert set(moved.loc["age", "kind"]) == {"implied"}
    array = IssuedAdvice.read(DATA / "advice_v1_array.json")
    assert array.points.dtype == np.float64 and array.reachable.tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert array.to_frame()["feature"].tolist()[:2] == [0, 0]


def leaves(value, path=()):
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from leaves(one, (*path, i))
    else:
        yield path


def with_leaf(document, path, change):
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = change(inner[path[-1]])
    return document


def other(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return "x" if value is None else value + "x"


def document_of(model, X, **parameters):
    given = {"action_set": ActionSet(**TIGHT), "n_alternatives": 2, "margin": 0.1}
    return solve(model, X, **given, cost_weights=CHEAP, **parameters).to_dict()


def test_no_leaf_can_be_changed(model, tight):
    rows = [first(tight), int(np.flatnonzero(tight.status == "infeasible")[0])]
    document = document_of(model, tight.X.iloc[rows])
    IssuedAdvice.read(document)
    paths = list(leaves(document))
    assert len(paths) > 200
    for path in paths:
        with pytest.raises(AdviceFileError):
            IssuedAdvice.read(with_leaf(document, path, other))


CONTRADICTIONS = {
    "another row": lambda d: d["people"][0].update(row=1),
    "valid without a cost": lambda d: d["people"][0].update(cost=None),
    "not found, and valid": lambda d: d["people"][0].update(status="not_found"),
    "a status of none": lambda d: d["people"][0].update(status="perhaps"),
    "no alternatives": lambda d: d["people"][0].pop("alternatives"),
    "one alternative less": lambda d: d["people"][0]["alternatives"].pop(),
    "a change less": lambda d: d["people"][0]["changes"].pop(),
    "a change twice": lambda d: d["people"][0]["changes"].append(d["people"][0]["changes"][0]),
    "a change to elsewhere": lambda d: d["people"][0]["changes"][0].update(to=12345.0),
    "a change of nothing": lambda d: d["people"][0]["changes"][0].update(feature="nothing"),
    "no point": lambda d: d["people"][0].update(point=None),
    "a cell too many": lambda d: d["people"][0]["input"].update(more=1),
    "a cell of another type": lambda d: d["people"][0]["input"].update(age="old"),
    "a column less": lambda d: d["tables"]["input"]["columns"].pop(),
    "another column": lambda d: d["tables"]["points"][0]["names"].__setitem__(0, "nothing"),
    "an array": lambda d: d["tables"].update(
        input={"kind": "array", "n_columns": 8, "column": {"dtype": "float64"}}
    ),
    "no index": lambda d: d["tables"].update(index=None),
    "rules of no action set": lambda d: d["provenance"]["action_set"].update(more=1),
    "no people": lambda d: d.pop("people"),
    "something more": lambda d: d.update(more=1),
    "no number": lambda d: d["people"][0].update(margin="large"),
}


@pytest.fixture(scope="module")
def of_two_people(model, tight):
    rows = np.flatnonzero(tight.reachable & (tight.changed.sum(axis=1) == 2))[:2]
    assert len(rows) == 2
    return document_of(model, tight.X.iloc[rows])


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused_whatever_the_digest(name, of_two_people):
    document = copy.deepcopy(of_two_people)
    document["digest"] = digest_of(document)
    IssuedAdvice.read(document)
    CONTRADICTIONS[name](document)
    document["digest"] = digest_of(document)
    with pytest.raises(AdviceFileError, match="no advice that can be read"):
        IssuedAdvice.read(document)


def test_files_that_are_no_advice(tight, tmp_path):
    whole = tight.to_json()
    path = tmp_path / "advice.json"
    for end in np.linspace(1, len(whole) - 1, 40).astype(int):
        path.write_text(whole[:end])
        with pytest.raises(AdviceFileError, match=r"advice.json is no advice.*no JSON"):
            IssuedAdvice.read(path)
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(AdviceFileError, match="not UTF-8"):
        IssuedAdvice.read(path)
    with pytest.raises(AdviceFileError, match="cannot be read, No such file"):
        IssuedAdvice.read(tmp_path / "nothing.json")
    assert len(IssuedAdvice.read("\ufeff" + whole)) == len(tight)
    with pytest.raises(AdviceFileError, match="cannot be read") as caught:
        IssuedAdvice.read("[" + whole)
    assert len(str(caught.value)) < 500
    path.write_text("\ufeff" + whole, encoding="utf-8")
    assert len(IssuedAdvice.read(path)) == len(tight)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "does not begin with 'format'"),
        ('{"format": "skcfq/action-set"}', "does not begin with 'format'"),
        ('{"format": "skcfq.RecourseResult"}', "format_version"),
        ('{"format": "skcfq.RecourseResult", "format_version": 3}', "take a later skcfq"),
        ('{"format": "skcfq.RecourseResult", "format_version": true}', "format_version"),
        ('{"format": "skcfq.RecourseResult", "format_version": 2}', "is missing"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ('{"a": ' + "[" * 100 + "]" * 100 + "}", "nested too deep"),
        ('{"a": ' + "[" * 100_000, "nested too deep|no JSON"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
    ],
)
def test_texts_that_are_no_advice(text, message):
    with pytest.raises(AdviceFileError, match=message):
        IssuedAdvice.read(text)


@pytest.mark.parametrize("source", [None, 3, [], b"{}", object()])
def test_sources_of_no_kind(source):
    with pytest.raises(TypeError, match="source is of type"):
        IssuedAdvice.read(source)
    with pytest.raises(TypeError, match="result is of type"):
        IssuedAdvice.of(source)


def test_a_dict_that_holds_itself():
    loop = {"format": "skcfq.RecourseResult", "format_version": 2}
    loop["people"] = [loop]
    with pytest.raises(AdviceFileError, match="nested too deep"):
        IssuedAdvice.read(loop)


def test_units_of_columns_that_are_not_there(tight):
    advice = IssuedAdvice.of(tight)
    assert set(advice.to_frame(units={"income": "francs"})["unit"].dropna()) == {"francs"}
    with pytest.raises(ValueError, match="'wage', which is no column"):
        advice.to_frame(units={"wage": "EUR"})
    with pytest.raises(ValueError, match="details=2"):
        advice.to_frame(details=2)
