"""What a result says of people in words and short tables is true."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from advised_people import RULES, first, solve, with_status
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.exceptions import UnsupportedModelError
from skcfq.models import as_predictor
from skcfq.results._report import STATUSES, number_text


def test_a_flipset_lists_other_ways_cheapest_first(result):
    row = first(result, result.alternatives[0].valid)
    table = result.flipset(row=row)
    assert table.index.tolist() == list(range(1, len(table) + 1)) and len(table) >= 2
    assert table["cost"].is_monotonic_increasing
    assert table["cost"].iloc[0] == result.cost[row]
    assert len({frozenset(features) for features in table["features"]}) == len(table)
    names = np.array(result.feature_names, dtype=object)
    assert set(table["features"].iloc[0]) == set(names[result.changed[row]])
    assert (table["margin"] >= 0.1).all()
    favored = int(np.flatnonzero(~result.denied)[0])
    empty = result.flipset(result.X.index[favored])
    assert len(empty) == 0 and list(empty) == list(table)


def test_the_sentence_names_features_units_shares_and_what_is_proved(result):
    age = result.points["age"] != result.X["age"]
    income = result.changed[:, result.feature_names.index("income")]
    row = first(result, age.to_numpy() & income)
    text = result.explain(result.X.index[row])
    frame = result.to_frame(details=True)
    for _, line in frame[frame["row"] == row].iterrows():
        assert f"{line['feature']} from " in text
    assert "kEUR (" in text and "% of the cost)" in text
    assert "also moves age from" in text and "years, at no cost" in text
    assert "proved to be the least possible" in text
    assert f"cost is {result.cost[row]:.4g}" in text
    assert f"a margin of {result.margin[row]:.3g} logits, of which 0.1 was asked for" in text
    shown = 1 / (1 + np.exp(-result.margin[row]))
    assert f"(probability {shown:.1%})" in text


def test_every_status_has_its_own_words(result):
    row = first(result)
    assert "proved that no permitted change" in with_status(result, row, "infeasible").explain(
        row=row
    )
    words = with_status(result, row, "not_found").explain(row=row)
    assert "search found no permitted change" in words and "proves nothing" in words
    words = with_status(result, row, "time_limit").explain(row=row)
    assert "time ran out" in words and "nothing is proved" in words
    words = with_status(result, row, "feasible", lower_bound=0.5 * result.cost).explain(row=row)
    assert "not proved to be the least" in words and "no permitted change costs less" in words
    words = result.explain(row=int(np.flatnonzero(~result.denied)[0]))
    assert "needs no change" in words and "already says 'grant'" in words
    assert all(name in STATUSES for name in set(result.status))


@pytest.mark.parametrize(
    ("label", "words"),
    [(1.0, "class 1"), (True, "class True"), (2, "class 2"), (0.5, "class 0.5")],
    ids=repr,
)
def test_a_label_that_is_no_text_is_called_a_class(label, words, result):
    named = replace(result, target=np.full(len(result), label))
    assert f"the model says {words} after" in named.explain(row=first(result))


def test_other_ways_are_told_with_their_costs(result):
    row = first(result, result.alternatives[0].valid)
    text = result.explain(row=row)
    told = text.split("Instead, it is enough to change ")[1]
    assert f"(cost {result.alternatives[0].cost[row]:.4g})" in told
    alone = replace(result, alternatives=())
    assert "Instead" not in alone.explain(row=row)
    assert text.startswith(alone.explain(row=row))


def test_advice_on_the_boundary_is_called_that(model, people):
    held = [column for column in people if column != "income"]
    # Whole numbers rarely lie on the boundary.
    free = ActionSet(bounds={"income": (0, 200)}, steps={"income": 0}, immutable=held)
    answer = solve(model, people, action_set=free)
    text = answer.explain(row=first(answer))
    assert "decision boundary" in text and "target_proba" in text


def test_a_probability_is_told_where_the_model_gives_one(model, people, result):
    row = first(result)
    share = model.predict_proba(result.points.iloc[[row]])[0, list(model.classes_).index("grant")]
    assert f"(probability {share:.1%})" in result.explain(row=row)
    assert result.explain(row=row, model=model) == result.explain(row=row)
    bare = replace(result, provenance=None)
    assert "probability" not in bare.explain(row=row)
    assert f"(probability {share:.1%})" in bare.explain(row=row, model=model)
    machine = make_pipeline(TableEncoder(), LinearSVC(random_state=0))
    machine.fit(people, model.predict(people))
    answer = solve(machine, people)
    text = answer.explain(row=first(answer))
    assert "probability" not in text and "proved to be the least" in text
    with pytest.raises(UnsupportedModelError, match="predict_proba"):
        answer.explain(row=first(answer), model=machine)


def test_labels_alone_have_no_margin(people):
    def rule(X):
        return np.where(X["income"] > 40, "grant", "refuse")

    predictor = as_predictor(rule, classes=["grant", "refuse"], background=people, output="labels")
    answer = RecourseSolver(ActionSet(**RULES), target="grant", random_state=0).solve(
        predictor, people.head(12)
    )
    text = answer.explain(row=first(answer))
    assert "not proved to be the least" in text and "labels alone" in text
    record = answer.to_dict()["provenance"]["model"]
    assert record["fingerprint"] is None and "function" in record["reason"]


def test_numbers_are_rounded_away_from_where_the_person_stands():
    assert number_text(1234567.0) == "1,234,567"
    assert number_text(2.34567812, toward=1) == "2.34568"
    assert number_text(2.34567112, toward=1) == "2.34568"
    assert number_text(2.34567812, toward=-1) == "2.34567"
    # A short way is a way too.
    assert number_text(0.001155123787, toward=7.7e-5) == "0.00115513"
    assert number_text(0.001155127787, toward=-7.7e-5) == "0.00115512"
    assert number_text(-0.25, toward=-1) == "-0.25"
    assert number_text(0.0) == "0" and number_text(-3.0) == "-3"
    assert number_text(123456.75, toward=1) == "123,457"
    rng = np.random.RandomState(0)
    for value in rng.lognormal(0, 4, 300) * rng.choice([-1, 1], 300):
        up, down = (float(number_text(value, s).replace(",", "")) for s in (1, -1))
        assert down <= value + 1e-9 * abs(value) and value - 1e-9 * abs(value) <= up
        assert up - down <= 1.1e-5 * abs(value)


def test_labels_and_positions(result, people):
    assert result.explain("P3") == result.explain(row=3)
    with pytest.raises(ValueError, match="person='Q1' is no index label.*'P0', 'P1', 'P2', …"):
        result.explain("Q1")
    with pytest.raises(ValueError, match="no index label"):
        result.explain(3)
    with pytest.raises(ValueError, match=f"row={len(people)} is no position.*159"):
        result.explain(row=len(people))
    for wrong in (-1, 1.0, True, "P1"):
        with pytest.raises(ValueError, match="no position"):
            result.flipset(row=wrong)
    with pytest.raises(ValueError, match="give one of the two"):
        result.explain()
    with pytest.raises(ValueError, match="give one of the two"):
        result.explain("P1", row=1)


def test_a_label_of_several_rows_is_not_guessed(model, people):
    twins = people.head(6).set_axis(["a", "b", "a", "c", "d", "e"])
    answer = solve(model, twins)
    with pytest.raises(ValueError, match=r"label of 2 rows of X \(0, 2\).*row=0"):
        answer.explain("a")
    assert answer.explain(row=2).lower().count("person a") == 1
    assert answer.explain("b") == answer.explain(row=1)
    frame = answer.to_frame(details=True)
    assert set(frame.loc[frame["person"] == "a", "row"]) == {0, 2}
    assert answer.percentile_shifts().index.tolist() == list("abacde")
    assert [person["row"] for person in answer.to_dict()["people"]] == list(range(6))


def test_arrays_are_asked_by_position():
    rng = np.random.RandomState(0)
    X = rng.randn(80, 3)
    model = LogisticRegression().fit(X, (X[:, 0] + X[:, 1] > 0.3).astype(int))
    answer = RecourseSolver(target=1).solve(model, X, background=X)
    row = first(answer)
    assert answer.explain(row) == answer.explain(row=row)
    assert f"person {row}," in answer.explain(row)
    assert answer.to_frame(details=True)["person"].tolist()[0] == 0
    with pytest.raises(ValueError, match="person=80 is no position among the 80 rows"):
        answer.explain(80)
    assert answer.to_dict()["people"][row]["input"] == X[row].tolist()
    assert "<table>" in answer._repr_html_()


def test_tuples_as_labels(model, people):
    labels = pd.MultiIndex.from_product([["north", "south"], range(3)])
    answer = solve(model, people.head(6).set_index(labels))
    assert answer.explain(("south", 1)) == answer.explain(row=4)
    with pytest.raises(ValueError, match="label of 3 rows"):
        answer.explain("north")
    json.loads(answer.to_json())


def test_repr_and_summary_count_the_same(result):
    numbers = result.summary()
    assert numbers["people"] == len(result) and numbers["denied"] == result.denied.sum()
    assert sum(numbers[name] for name in STATUSES) == len(result)
    assert numbers["feasible_rate"] == result.reachable.sum() / result.denied.sum()
    assert numbers["median_cost"] == np.median(result.cost[result.reachable])
    text = repr(result)
    for part in ("optimal", "target='grant'", "method=exact", "cost=l1", "margin=0.1"):
        assert part in text
    assert f"already_favorable {numbers['already_favorable']}" in text
    assert "infeasible" not in text.split(";")[0] or numbers["infeasible"]


def test_nobody_to_count(model, people):
    favored = people[model.predict(people) == "grant"]
    answer = solve(model, favored)
    numbers = answer.summary()
    assert numbers["denied"] == 0 and np.isnan(numbers["feasible_rate"])
    assert "<table>" not in answer._repr_html_()
    assert answer.to_frame(details=True)["feature"].isna().all()
    assert answer.percentile_shifts()["total"].eq(0).all()
    assert json.loads(answer.to_json())["summary"]["mean_cost"] is None


def test_notebooks_get_a_short_escaped_table(model, people):
    wild = people.rename(index={label: f"<b>{label}</b>" for label in people.index})
    wild = wild.assign(job=wild["job"].replace({"cook": "<i>cook</i>"}))
    encoder = TableEncoder().fit(wild)
    refit = make_pipeline(encoder, LogisticRegression()).fit(wild, model.predict(people))
    answer = solve(refit, wild)
    page = answer._repr_html_()
    assert "<b>P" not in page and "&lt;b&gt;P" in page and "<i>" not in page
    shown = np.flatnonzero(answer.denied)
    assert f"&lt;b&gt;P{shown[9]}&lt;" in page and f"&lt;b&gt;P{shown[10]}&lt;" not in page
    assert f"and {len(shown) - 10} more" in page
    assert page.count("<tr>") == page.count("</tr>") and "style=" in page
