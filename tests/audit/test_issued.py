"""Advice that was given, under the next model: each figure from its definition."""

from __future__ import annotations

import copy
import importlib.util
import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, PTQClassifier, RecourseSolver, TableEncoder
from skcfq.audit import IssuedReport, audit_issued
from skcfq.datasets import make_credit
from skcfq.exceptions import AuditFileError, FeatureSpaceError
from skcfq.models import as_predictor
from skcfq.results import IssuedAdvice


@pytest.fixture(scope="module")
def world():
    """Return rows, labels, advice of a model, and the model that comes next."""
    rng = np.random.default_rng(0)
    n = 300
    X = pd.DataFrame(
        {"income": rng.normal(30, 8, n).round(1), "debt": rng.normal(10, 3, n).round(1)},
        index=pd.Index([f"C{i}" for i in range(n)], name="customer"),
    )
    score = X["income"] - 2 * X["debt"]
    y = np.where(score + rng.normal(0, 5, n) > 12, "granted", "denied")
    later = X["income"] - 3 * X["debt"] + rng.normal(0, 5, n) > 1
    later = np.where(later, "granted", "denied")
    old = LogisticRegression(max_iter=1000).fit(X, y)
    new = LogisticRegression(max_iter=1000).fit(X, later)
    rules = ActionSet(increasing=["income"], decreasing=["debt"], bounds={"debt": (0, 40)})
    solver = RecourseSolver(rules, target="granted", margin=0.3, n_alternatives=2, random_state=0)
    result = solver.solve(old, X, background=X)
    days = np.array(["2026-06-30", "2026-12-31"])[rng.integers(2, size=n)].tolist()
    sex = pd.Series(rng.choice(["f", "m"], n), index=X.index, name="sex")
    return X, old, new, result, days, sex


@pytest.fixture(scope="module")
def report(world):
    X, _, new, result, days, sex = world
    return audit_issued(
        result, new, valid_until=days, on="2026-07-01", sensitive_features=sex, background=X
    )


def told(world):
    """Return who was told something, and their rows, points and last days, in plain numbers."""
    X, old, _, result, days, _ = world
    rows = np.flatnonzero((old.predict(X) == "denied") & result.valid)
    return rows, X.iloc[rows], result.points.iloc[rows], np.array(days)[rows]


def test_who_breaks_from_the_model_itself(world, report):
    new, result, sex = world[2], world[3], world[5]
    rows, X, points, days = told(world)
    people = report.people
    assert people.index.equals(X.index)
    assert np.array_equal(people["valid_until"], days)
    outstanding = days == "2026-12-31"
    assert np.array_equal(people["outstanding"], outstanding)
    holds = new.predict(points) == "granted"
    assert np.array_equal(people["holds"], holds) and 0 < holds.sum() < len(holds)
    assert np.array_equal(people["accepted"], new.predict(X) == "granted")
    # The margin of a logistic regression is its decision function.
    np.testing.assert_allclose(people["margin_new"], new.decision_function(points), atol=1e-9)
    other = result.alternatives[0]
    works = other.valid[rows] & (new.predict(other.points.iloc[rows]) == "granted")
    assert np.array_equal(people["options_hold"], holds.astype(int) + works)
    assert np.array_equal(people["options"], 1 + other.valid[rows].astype(int))
    broken = outstanding & ~holds
    assert report.broken.index.tolist() == X.index[broken].tolist()
    assert report.broken["sex"].tolist() == sex.iloc[rows][broken].tolist()
    change = people["changes"].iloc[0][0]
    assert change[2] == points[change[0]].iloc[0]


def test_shares_intervals_and_joint_limits(world, report):
    people, sex = report.people, world[5]
    n, k = int(people["outstanding"].sum()), len(report.broken)
    row = report.figures.loc["broken"]
    assert row["n"] == n and row["value"] == k / n
    assert row["lower"] == pytest.approx(beta.ppf(0.025, k, n - k + 1))
    assert row["upper"] == pytest.approx(beta.ppf(0.975, k + 1, n - k))
    groups = sex.loc[people.index]
    for place, mask in [
        (("", "everybody"), np.ones(len(people), bool)),
        (("sex", "f"), groups == "f"),
        (("sex", "m"), groups == "m"),
    ]:
        part = people[np.asarray(mask) & people["outstanding"]]
        n, k = len(part), int((~part["holds"]).sum())
        limit = report.limits.loc[place]
        assert (limit["n_people"], limit["n_failures"]) == (n, k)
        # Three limits together.
        assert limit["limit"] == pytest.approx(beta.ppf(1 - 0.05 / 3, k + 1, n - k))
    expired = people[~people["outstanding"]]
    assert report.figures.loc["broken_expired", "value"] == (~expired["holds"]).mean()


def test_the_bias_keeps_all_and_less_does_not(world, report):
    X, _, new, _, _, _ = world
    points = told(world)[2][report.people["outstanding"].to_numpy()]
    remedy = report.remedies["bias"]
    with_bias, with_less = copy.deepcopy(new), copy.deepcopy(new)
    with_bias.intercept_ = new.intercept_ + remedy["bias"]
    with_less.intercept_ = new.intercept_ + remedy["bias"] * (1 - 1e-6)
    assert new.classes_.tolist() == ["denied", "granted"]
    assert (with_bias.predict(points) == "granted").all()
    assert (with_less.predict(points) != "granted").sum() == 1
    before, after = new.predict(X) == "granted", with_bias.predict(X) == "granted"
    assert remedy["n_accepted"] == before.sum()
    assert remedy["n_accepted_more"] == (after & ~before).sum() > 0


def test_the_margin_that_was_needed(world, report):
    _, old, new, _, _, _ = world
    points = told(world)[2][report.people["outstanding"].to_numpy()]
    fell = old.decision_function(points) - new.decision_function(points)
    needed = {one["share"]: one["margin"] for one in report.remedies["margin"]["needed"]}
    assert needed[1.0] == pytest.approx(fell.max())
    for share, margin in needed.items():
        assert np.mean(fell <= margin + 1e-9) >= share > np.mean(fell < margin - 1e-9) - 1e-9


def test_new_advice_and_what_it_costs_more(world, report):
    X, _, new, result, _, _ = world
    broken = report.people[~report.people["holds"]]
    assert broken["status_new"].notna().all()
    assert report.people.loc[report.people["holds"], "status_new"].isna().all()
    need = broken[~broken["accepted"]]
    # An oracle: all people, solved anew, without any of the code of this audit.
    rules = IssuedAdvice.of(result).action_set
    solver = RecourseSolver(rules, target="granted", margin="auto", random_state=0)
    again = solver.solve(new, X, background=X)
    rows = [X.index.get_loc(one) for one in need.index]
    np.testing.assert_allclose(need["cost_new"], again.cost[rows], rtol=1e-9)
    np.testing.assert_allclose(need["extra_cost"], again.cost[rows] - result.cost[rows], atol=1e-9)
    outstanding = need[need["outstanding"]]
    remedy = report.remedies["new_advice"]
    assert remedy["n_broken"] == len(report.broken)
    assert remedy["n_advised"] == len(outstanding)
    assert remedy["extra_cost"] == pytest.approx(outstanding["extra_cost"].mean())
    assert remedy["extra_cost_max"] == pytest.approx(outstanding["extra_cost"].max())


def test_result_advice_and_file_are_one(world, report, tmp_path):
    X, _, new, result, days, sex = world
    result.to_json(tmp_path / "advice.json")
    asked = {"valid_until": days, "on": "2026-07-01", "sensitive_features": sex, "background": X}
    for advice in (IssuedAdvice.of(result), tmp_path / "advice.json", result.to_json()):
        assert audit_issued(advice, new, **asked).to_dict() == report.to_dict()


def test_the_document_reads_back_and_a_changed_one_does_not(report):
    again = IssuedReport.read(report.to_json())
    assert again.to_json() == report.to_json()
    pd.testing.assert_frame_equal(again.people, report.people)
    pd.testing.assert_frame_equal(again.limits, report.limits)
    document = json.loads(report.to_json())
    document["people"]["columns"]["holds"][0] ^= True
    with pytest.raises(AuditFileError, match="digest"):
        IssuedReport.read(document)
    with pytest.raises(AuditFileError, match="schema"):
        IssuedReport.read(report.to_dict() | {"schema": "skcfq/audit"})


def test_pages_say_the_same(report):
    pytest.importorskip("jinja2")
    page, text = report.to_html(max_people=3), report.to_markdown()
    for name in ("verdict", "figures", "groups", "limits", "broken", "remedies", "notes", "check"):
        assert f'<section id="{name}"' in page
    assert f"3 of {len(report.broken)} are listed" in page and "http" not in page
    assert all(str(label) in text for label in report.broken.index)
    assert "30 June" not in page and "2026-12-31" in page
    assert "<table>" in report._repr_html_()
    assert IssuedReport.read(report.to_json()).to_html(max_people=3) == page


def test_the_same_model_breaks_nothing_and_needs_nothing(world):
    X, old, _, result, _, _ = world
    report = audit_issued(result, old, background=X)
    assert report.figures.loc["broken", "value"] == 0
    assert report.remedies["bias"]["bias"] == report.remedies["bias"]["n_accepted_more"] == 0
    assert report.remedies["margin"]["needed"][-1]["margin"] == 0
    assert report.remedies["new_advice"]["n_broken"] == 0
    assert any("No last day" in note for note in report.notes)
    pytest.importorskip("jinja2")
    assert "No outstanding promise breaks" in report.to_html()


def test_all_expired_is_no_share(world):
    X, _, new, result, _, _ = world
    report = audit_issued(result, new, valid_until="2026-01-31", on="2026-02-01", background=X)
    assert np.isnan(report.figures.loc["broken", "value"])
    assert len(report.broken) == 0 and "expired" in report.notes[-1]
    assert report.limits["limit"].tolist() == [1.0]
    # The last day counts.
    kept = audit_issued(result, new, valid_until="2026-01-31", on="2026-01-31", background=X)
    assert kept.people["outstanding"].all()


def test_labels_alone(world):
    X, _, new, _, _, _ = world
    labels = as_predictor(new.predict, classes=new.classes_, output="labels", background=X)
    solver = RecourseSolver(target="granted", method="black_box", random_state=0, n_restarts=1)
    few = IssuedAdvice.of(RecourseSolver(target="granted").solve(world[1], X[:40], background=X))
    report = audit_issued(few, labels, background=X, solver=solver)
    assert report.people["margin_new"].isna().all()
    assert "labels alone" in report.remedies["bias"]["reason"]
    assert "labels alone" in report.notes[0]
    assert np.array_equal(
        report.people["holds"],
        new.predict(few.points[few.reachable]) == "granted",
    )


def test_refusals(world):
    X, old, new, result, days, _ = world
    nobody = RecourseSolver(target="granted").solve(
        old, X[old.predict(X) == "granted"], background=X
    )
    with pytest.raises(ValueError, match="nobody was told"):
        audit_issued(nobody, new)
    with pytest.raises(ValueError, match="valid_until is not"):
        audit_issued(result, new, on="2026-01-01")
    with pytest.raises(ValueError, match="299 days for 300"):
        audit_issued(result, new, valid_until=days[1:])
    with pytest.raises(ValueError, match="is no day"):
        audit_issued(result, new, valid_until="end of June")
    other = LogisticRegression().fit(X, np.where(new.predict(X) == "granted", "yes", "no"))
    with pytest.raises(ValueError, match="does not decide"):
        audit_issued(result, other)
    wider = LogisticRegression(max_iter=1000).fit(X.assign(age=1.0), new.predict(X))
    with pytest.raises(FeatureSpaceError, match="age"):
        audit_issued(result, wider)


def test_a_quantized_model_its_file_and_its_graph(tmp_path):
    """Whichever form the next model has, the same promises break."""
    credit = make_credit(200, random_state=0)
    X, y = credit.data, credit.target
    old = make_pipeline(TableEncoder(), LogisticRegression(max_iter=500)).fit(X, y)
    solver = RecourseSolver(credit.action_set, target="granted", margin=0.01, random_state=0)
    advice = solver.solve(old, X, background=X)
    student = PTQClassifier(3, teacher=old, target="granted", action_set=credit.action_set)
    student.fit(X, y).export(tmp_path / "q.skcfq")
    told = np.flatnonzero(advice.reachable)
    holds = student.predict(advice.points.iloc[told]) == "granted"
    forms = [student, str(tmp_path / "q.skcfq")]
    if importlib.util.find_spec("onnxruntime"):
        student.to_onnx(tmp_path / "q.onnx")
        forms.append(str(tmp_path / "q.onnx"))
    for form in forms:
        report = audit_issued(advice, form, background=X)
        assert np.array_equal(report.people["holds"], holds)
        assert 0 < len(report.broken) < len(told)
        assert report.remedies["bias"]["bias"] > 0
        assert report.remedies["new_advice"]["n_broken"] == len(report.broken)


@pytest.mark.parametrize(
    "asked", [{"margin": 2.0}, {"target_proba": 0.9}, {"cost_weights": {0: 2.0, 1: 1.0}}]
)
def test_what_was_asked_of_another_model_is_not_asked_of_this_one(asked):
    """Logits of the next model may be much smaller, or none; some advice can be given."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)).round(2)
    old = LogisticRegression().fit(X, X[:, 0] > X[:, 1])
    new = LogisticRegression(C=0.1).fit(X, X[:, 0] - 2 * X[:, 1] > 0.3)
    labels = as_predictor(new.predict, classes=new.classes_, output="labels", background=X)
    advice = RecourseSolver(target=True, **asked).solve(old, X, background=X).to_json()
    for model in (new, labels):
        remedy = audit_issued(advice, model, background=X).remedies["new_advice"]
        assert remedy["n_broken"] > 0
        assert remedy["n_advised"] > 0.8 * remedy["n_broken"]
    with_margin = RecourseSolver(margin=9.0)
    told = audit_issued(advice, new, background=X, solver=with_margin).remedies["new_advice"]
    assert told["n_advised"] == 0 and "margin=9" in told["protocol"]
