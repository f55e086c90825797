"""What a result writes is true, and enough to read and to repeat it."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from advised_people import RULES, SCHOOL, UNITS, first, solve, with_status
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.models import as_predictor
from skcfq.results import _export, _percentiles
from skcfq.results._percentiles import number_percentiles
from skcfq.utils import strict_json


@pytest.mark.parametrize("norm", ["l1", "l2", "mixed"])
def test_contributions_make_up_the_cost(model, people, norm):
    answer = solve(model, people, cost=norm, method="gradient")
    parts = answer.contributions
    assert parts.shape == (len(people), len(answer.feature_names))
    # Asked for again and again, and kept nowhere.
    assert "contributions" not in vars(answer)
    costs = answer.cost_function.combine(torch.from_numpy(parts)).numpy()
    np.testing.assert_allclose(costs[answer.valid], answer.cost[answer.valid], rtol=1e-9)
    np.testing.assert_array_equal((parts > 0)[answer.valid], answer.changed[answer.valid])
    assert not parts[~answer.denied].any()


def test_contributions_of_nobody_found_are_missing(model, people):
    held = ActionSet(immutable=list(people))
    answer = solve(model, people, action_set=held)
    assert set(answer.status[answer.denied]) == {"infeasible"}
    assert answer.contributions.shape == (len(people), 0)
    some = solve(model, people, action_set=ActionSet(immutable=["income"], max_changes=1))
    assert not some.valid.all() and some.reachable.any()
    assert np.isnan(some.contributions[~some.valid]).all()


def test_blocks_do_not_matter(result, monkeypatch):
    parts, frame = result.contributions, result.to_frame(details=True)
    shifts = result.percentile_shifts()
    monkeypatch.setattr("skcfq.results._actions.BLOCK", 7)
    monkeypatch.setattr(_export, "BLOCK", 7)
    monkeypatch.setattr(_percentiles, "BLOCK", 7)
    np.testing.assert_array_equal(result.contributions, parts)
    pd.testing.assert_frame_equal(result.to_frame(details=True), frame)
    pd.testing.assert_frame_equal(result.percentile_shifts(), shifts)
    rows = np.array([5, 3, 5])
    np.testing.assert_array_equal(result.contributions_of(rows), parts[rows])
    np.testing.assert_array_equal(
        result.contributions_of(result.reachable), parts[result.reachable]
    )


@pytest.mark.parametrize("norm", ["l1", "l2", "mixed"])
def test_a_share_is_what_the_cost_loses_with_the_contribution(result, norm):
    cost = replace(result.cost_function, norm=norm, mix=0.3)
    parts = np.array([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0], [1.0, 1.0, 5.0]])
    shares = _export.cost_shares(cost, parts)
    whole = cost.combine(torch.from_numpy(parts)).numpy()
    slopes = np.empty_like(parts)
    for j in range(3):
        nudge = np.zeros(3)
        nudge[j] = 1e-6
        up = cost.combine(torch.from_numpy(parts + nudge)).numpy()
        slopes[:, j] = (up - whole) / 1e-6
    expected = parts * slopes / np.where(whole > 0, whole, 1)[:, None]
    np.testing.assert_allclose(shares, expected, atol=1e-5)
    np.testing.assert_allclose(shares.sum(axis=1), [1, 0, 1])


def test_the_short_table_keeps_its_columns_and_says_nothing_of_implied_changes(result):
    frame = result.to_frame()
    assert list(frame) == ["person", "feature", "from", "to", "cost", "margin", "status"]
    assert len(frame.dropna(subset=["feature"])) == result.changed.sum()
    assert set(frame["person"]) == set(result.X.index)


def test_the_long_table_tells_the_truth(result, people):
    frame = result.to_frame(details=True)
    changes = frame.dropna(subset=["feature"])
    own, implied = (changes[changes["kind"] == kind] for kind in ("change", "implied"))
    assert len(own) == result.changed.sum()
    np.testing.assert_array_equal(frame["person"], people.index[frame["row"]])
    colors = np.array(["red", "green", "blue"])
    for _, line in own.iterrows():
        before, after = people.iloc[line["row"]], result.points.iloc[line["row"]]
        if line["feature"] == "color":
            assert before[line["from"]] == 1 and after[line["to"]] == 1
            assert line["to"] in colors
        else:
            assert after[line["feature"]] == line["to"]
            assert before[line["feature"]] == line["from"] or pd.isna(line["from"])
    assert {"income", "school"} <= set(own["feature"])
    shares = own.groupby("row")["cost_share"].sum()
    np.testing.assert_allclose(shares, 1.0)
    # A degree takes two years a rank: the age follows, at no cost.
    moved = people["age"] != result.points["age"]
    assert moved.any()
    assert implied["person"].tolist() == people.index[moved].tolist()
    assert set(implied["feature"]) == {"age"} and set(implied["cost_share"]) == {0.0}
    np.testing.assert_array_equal(implied["change"], (result.points["age"] - people["age"])[moved])
    units = own.set_index("feature")["unit"]
    assert set(units["income"]) == {"kEUR"} and set(implied["unit"]) == {"years"}
    assert "savings" not in units.index or units[["savings"]].isna().all()
    school = own[own["feature"] == "school"]
    ranks = school["to"].map(SCHOOL.index) - school["from"].map(SCHOOL.index)
    np.testing.assert_array_equal(school["change"], ranks)


def test_units_come_with_the_result_or_with_the_question(result):
    assert all(other.units == UNITS for other in result.alternatives)
    bare = replace(result, units=None)
    assert bare.to_frame(details=True)["unit"].isna().all()
    frame = bare.to_frame(units={"income": "dollars", "job": "category"})
    assert set(frame["unit"].dropna()) == {"dollars"}
    row = first(result, result.changed[:, result.feature_names.index("income")])
    assert "dollars" in bare.explain(row=row, units={"income": "dollars"})
    with pytest.raises(ValueError, match="'wage', which is no column"):
        result.with_units({"wage": "EUR"})
    with pytest.raises(ValueError, match="dict from columns"):
        result.to_frame(units="EUR")


def test_columns_are_found_by_name(people):
    predictor = as_predictor(
        lambda X: np.where(X["income"] + 9 * X["green"] > 35, "grant", "refuse"),
        classes=["grant", "refuse"],
        background=people,
        output="labels",
    )
    shuffled = people[people.columns[::-1]].head(12)
    shuffled.insert(3, "note", "-")
    solver = RecourseSolver(ActionSet(**RULES), target="grant", random_state=0)
    answer = solver.solve(predictor, shuffled)
    assert answer.reachable.any()
    own = answer.to_frame(details=True).query("kind == 'change' and feature != 'color'")
    assert len(own)
    for _, line in own.iterrows():
        assert shuffled[line["feature"]].iloc[line["row"]] == line["from"]
        assert answer.points[line["feature"]].iloc[line["row"]] == line["to"]
    parts = torch.from_numpy(answer.contributions)
    costs = answer.cost_function.combine(parts).numpy()
    np.testing.assert_allclose(costs[answer.valid], answer.cost[answer.valid])


def test_percentiles_are_shares_of_the_background(people, result):
    frame = result.to_frame(details=True)
    for name in ("income", "savings"):
        lines = frame[(frame["feature"] == name) & frame["from"].notna()]
        background = people[name].dropna().to_numpy()
        for end in ("from", "to"):
            values = lines[end].to_numpy(dtype=float)
            share = 100 * (background[None, :] <= values[:, None]).mean(axis=1)
            # Between values that nobody has, the share is interpolated.
            slack = 100 * np.unique(background, return_counts=True)[1].max() / len(background)
            assert (np.abs(lines[f"percentile_{end}"] - share) <= slack + 1.0).all()
    school = frame[frame["feature"] == "school"]
    shares = people["school"].value_counts(normalize=True)
    below = 100 * shares[SCHOOL].cumsum()
    np.testing.assert_allclose(school["percentile_to"], school["to"].map(below))
    assert frame.loc[frame["feature"] == "job", "percentile_to"].isna().all()


def test_percentiles_of_ties_and_of_strangers():
    quantiles = np.quantile(np.repeat([0.0, 5.0, 10.0], [90, 5, 5]), np.linspace(0, 1, 101))
    values = np.array([-1.0, 0.0, 5.0, 10.0, 99.0, np.nan])
    percentiles = number_percentiles(values, quantiles)
    np.testing.assert_allclose(percentiles, [0, 90, 95, 100, 100, np.nan], atol=1)
    assert np.isnan(number_percentiles(values, None)).all()


def test_percentile_shifts_sum_up_the_table(result):
    shifts = result.percentile_shifts()
    assert shifts.index.equals(result.X.index)
    frame = result.to_frame(details=True)
    own = frame[frame["kind"] == "change"]
    moved = (own["percentile_to"] - own["percentile_from"]).abs()
    rows = np.unique(own["row"])
    np.testing.assert_allclose(shifts["total"].iloc[rows], moved.groupby(own["row"]).sum())
    np.testing.assert_allclose(
        shifts["max"].iloc[rows], moved.fillna(0.0).groupby(own["row"]).max()
    )
    np.testing.assert_array_equal(
        shifts["unordered"].iloc[rows], moved.isna().groupby(own["row"]).sum()
    )
    assert shifts["total"].iloc[rows].max() > 0
    assert (shifts.loc[~result.denied, "total"] == 0).all()
    lost = with_status(result, first(result), "not_found")
    assert np.isnan(lost.percentile_shifts().loc[~lost.valid, "total"]).all()


def strict(text: str):
    def refuse(name):
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


def test_json_is_strict_and_can_be_repeated(model, people, tmp_path):
    tight = ActionSet(**(RULES | {"max_changes": 1, "bounds": {"income": (0, 20)}}))
    solver = RecourseSolver(
        tight, target="grant", cost="l1", margin=0.2, n_alternatives=2, random_state=3
    )
    answer = solver.solve(model, people)
    assert {"infeasible", "optimal", "already_favorable"} <= set(answer.status)
    assert answer.to_json(tmp_path / "answer.json") is None
    document = strict((tmp_path / "answer.json").read_text(encoding="utf-8"))
    assert document == strict(answer.to_json())
    assert document == answer.to_dict()
    rows = document["people"]
    lost = rows[int(np.flatnonzero(answer.status == "infeasible")[0])]
    assert lost["cost"] is None and lost["lower_bound"] is None and lost["changes"] == []
    # Everything that is needed to repeat stands in the document.
    parameters = dict(document["provenance"]["solver"])
    rules = ActionSet.from_dict(document["provenance"]["action_set"])
    again = RecourseSolver(rules, **parameters).solve(
        model, pd.DataFrame([row["input"] for row in rows], index=[row["person"] for row in rows])
    )
    assert again.status.tolist() == [row["status"] for row in rows]
    costs = [np.nan if row["cost"] is None else row["cost"] for row in rows]
    np.testing.assert_allclose(again.cost, costs, rtol=1e-12)
    assert document["provenance"]["seed"] == 3
    assert document["provenance"]["required_margin"] == 0.2
    row = first(answer, answer.alternatives[0].valid)
    assert rows[row]["alternatives"][0]["cost"] == answer.alternatives[0].cost[row]
    assert {c["feature"] for c in rows[row]["changes"] if c["kind"] == "change"} == set(
        np.array(answer.feature_names, dtype=object)[answer.changed[row]]
    )


def test_the_cost_can_be_worked_out_from_its_definition(result):
    document = result.to_dict()
    features = {feature["name"]: feature for feature in document["cost"]["features"]}
    for person in document["people"]:
        total = 0.0
        for change in person["changes"]:
            if change["kind"] == "implied":
                continue
            feature = features[change["feature"]]
            if "levels" not in feature:
                total += feature["cost_per_raw_unit"] * abs(change["change"])
            elif feature["ranks"] is None:
                total += feature["weight"]
            else:
                total += feature["weight"] * abs(change["change"])
        if person["valid"]:
            assert total == pytest.approx(person["cost"], rel=1e-9, abs=1e-12)


def test_provenance_names_versions_and_models(model, people, result):
    record = result.to_dict()["provenance"]
    assert record["versions"]["numpy"] == np.__version__
    assert ("cvxpy" in record["versions"]) == ("cvxpy" in sys.modules)
    assert record["model"]["fingerprint"] == as_predictor(model).fingerprint
    assert record["model"]["name"] == "LogisticRegression"
    other = make_pipeline(TableEncoder(), LogisticRegression(C=0.1))
    other.fit(people, model.predict(people))
    prints = {
        solve(m, people.head(5), method="gradient").provenance["model"]["fingerprint"]
        for m in (model, pickle.loads(pickle.dumps(model)), other)
    }
    assert len(prints) == 2
    network = make_pipeline(
        TableEncoder(), MLPClassifier((4,), solver="lbfgs", max_iter=3000, random_state=0)
    )
    network.fit(people, model.predict(people))
    assert len(solve(network, people.head(5)).provenance["model"]["fingerprint"]) == 64
    forest = make_pipeline(TableEncoder(), RandomForestClassifier(5, random_state=0))
    forest.fit(people, model.predict(people))
    closed = solve(forest, people.head(5)).provenance["model"]
    assert closed["fingerprint"] is None and "no fingerprint" in closed["reason"]


def test_a_seed_that_cannot_be_written_says_so(model, people):
    drawn = solve(model, people.head(5), random_state=None).provenance
    assert drawn["seed"] is None and "random_state=None" in drawn["seed_reason"]
    held = solve(model, people.head(5), random_state=np.random.RandomState(0))
    assert "generator" in held.to_dict()["provenance"]["seed_reason"]
    strict(held.to_json())


def test_the_record_is_of_the_moment_of_solving(model, people):
    rules = ActionSet(immutable=["age"], max_changes=2)
    answer = solve(model, people.head(5), action_set=rules)
    before = answer.to_json()
    rules.set_params(max_changes=5)
    assert answer.to_json() == before


def test_labels_that_json_does_not_know():
    odd = {1: float("nan"), "a": [np.float64(np.inf), np.int64(2)], ("x", 1): pd.NA}
    assert strict_json(odd) == {"1": None, "a": [None, 2], "('x', 1)": None}
    assert strict_json({1: "a", "1": "b"}) == [[1, "a"], ["1", "b"]]
    stamp = pd.Timestamp("2026-01-02")
    assert strict_json({"day": stamp, "none": pd.NaT}) == {"day": str(stamp), "none": None}


def test_results_survive_pickle(result):
    again = pickle.loads(pickle.dumps(result))
    assert repr(again) == repr(result) and again.to_json() == result.to_json()
    assert again.explain(row=first(result)) == result.explain(row=first(result))
