"""Biased controls and margins, against a second model that carries the bias, and by counting."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from skcfq import ActionSet, RecourseSolver
from skcfq.audit import AuditReport, audit_recourse
from skcfq.audit._remedies import bias_of_count, bias_to_keep
from skcfq.models import as_predictor


@pytest.fixture(scope="module")
def pair():
    X = np.random.default_rng(0).normal(size=(300, 3))
    y = (X @ [1.0, 0.5, -0.4] > 0.3).astype(int)
    reference = LogisticRegression().fit(X, y)
    deployed = deepcopy(reference)
    deployed.coef_ = np.round(reference.coef_)
    deployed.intercept_ = reference.intercept_ - 0.7
    return reference, deployed, X, y


@pytest.fixture(scope="module")
def report(pair):
    reference, deployed, X, y = pair
    return audit_recourse(reference, deployed, X, y, target=1)


def _biased(model, bias):
    """Add the bias where scikit-learn keeps it."""
    other = deepcopy(model)
    other.intercept_ = model.intercept_ + bias
    return other


@pytest.mark.parametrize("name", ["same_acceptance", "keep_advice"])
def test_controls_are_the_audit_of_a_model_with_the_bias(pair, report, name):
    reference, deployed, X, y = pair
    control = report.bias_controls.loc[(name, "same_people")]
    (bias,) = control["biases"]
    model = _biased(deployed, bias)
    points = RecourseSolver(ActionSet(), target=1, random_state=0).solve(reference, X, background=X)
    reachable = points.reachable
    drop = np.mean(model.predict(points.points[reachable]) != 1)
    assert control["validity_drop"] == pytest.approx(drop, abs=1e-12)
    assert control["acceptance"] == pytest.approx(np.mean(model.predict(X) == 1))
    assert control["accuracy"] == pytest.approx(model.score(X, y))


def test_what_the_controls_are_chosen_for(report):
    table = report.bias_controls
    reference = report.figures.loc["acceptance", "value"]
    assert table.loc[("same_acceptance", "same_people"), "acceptance"] == reference
    assert table.loc[("keep_advice", "same_people"), "validity_drop"] == 0
    assert table.loc[("as_it_is", "nobody"), "validity_drop"] > 0.5
    assert table.loc[("as_it_is", "nobody"), "acceptance"] != reference


def test_crosswise_controls_are_scored_on_people_who_did_not_choose(pair, report):
    X = pair[2]
    row = report.bias_controls.loc[("keep_advice", "other_half")]
    margins, advised = report.people["margin_deployed"].to_numpy(), report.people["advised"]
    even = np.arange(len(X)) % 2 == 0
    failed = 0
    for rows, others, bias in zip((even, ~even), (~even, even), row["biases"], strict=True):
        assert bias == pytest.approx(-margins[others & advised].min(), abs=1e-6)
        failed += (margins[rows & advised] + bias <= 0).sum()
    assert row["validity_drop"] == failed / advised.sum() > 0


def test_margin_holds_the_share_that_it_is_told_for(report):
    people = report.people[report.people["advised"]]
    fell = people["margin"] - people["margin_deployed"]
    for one in report.remedies["margin"]["needed"]:
        assert np.mean(fell <= one["margin"]) >= one["share"]
        assert np.mean(fell < one["margin"]) < one["share"]


def test_reads_back_and_older_documents_have_none(report):
    again = AuditReport.read(report.to_json())
    assert again.remedies == report.remedies
    pd.testing.assert_frame_equal(again.bias_controls, report.bias_controls)
    older = AuditReport(**{k: v for k, v in vars(report).items() if k != "remedies"})
    text = older.to_json()
    assert '"remedies"' not in text
    assert AuditReport.read(text).bias_controls.empty
    assert "What one number would do" not in older.to_markdown()


def test_page_says_what_no_bias_explains(report):
    page = report.to_markdown()
    assert "What one number would do" in page
    assert "The other half of them" in page


def test_without_labels_and_without_scores(pair):
    reference, deployed, X, _ = pair
    assert audit_recourse(reference, deployed, X, target=1).bias_controls["accuracy"].isna().all()

    def labels(rows):
        return deployed.predict(np.asarray(rows))

    small = X[:40]
    told = as_predictor(labels, classes=[0, 1], background=small, output="labels")
    solver = RecourseSolver(random_state=0, n_restarts=1)
    report = audit_recourse(reference, told, small, target=1, solver=solver)
    assert "labels alone" in report.remedies["bias"]["reason"]
    assert report.bias_controls.empty
    assert "Not known: a model gives labels alone" in report.to_markdown()


def test_nobody_advised(pair):
    reference, deployed, X, _ = pair
    accepted = X[reference.predict(X) == 1]
    report = audit_recourse(reference, deployed, accepted, target=1)
    assert report.remedies["bias"]["reason"] == "there is no advice to keep"


@pytest.mark.parametrize("count", range(6))
def test_bias_of_count_by_counting(count):
    leads = np.random.default_rng(count).normal(size=5)
    assert (leads + bias_of_count(leads, count, 1e-6) > 0).sum() == count


def test_bias_of_ties_is_the_nearest_count():
    bias = bias_of_count(np.array([-1.0, -1.0, -1.0, 2.0]), 2, 1e-6)
    assert (np.array([-1.0, 2.0]) + bias > 0).tolist() == [False, True]
    assert bias_to_keep(np.array([]), 0.1) == 0
