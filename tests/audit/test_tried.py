"""Remedies that are solved or fitted, against the same done by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression

from skcfq import ActionSet, RecourseSolver, TeacherClassifier
from skcfq.audit import AuditReport, audit_recourse, skew_report, try_remedies, verify_audit
from skcfq.exceptions import AuditFileError
from skcfq.models import as_predictor


@pytest.fixture(scope="module")
def people():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(400, 3)), columns=["income", "loans", "years"])
    y = np.where(X["income"] - X["loans"] + 0.5 * rng.normal(size=400) > 0, "yes", "no")
    return X, y


@pytest.fixture(scope="module")
def models(people):
    X, y = people
    old = LogisticRegression().fit(X, y)
    new = LogisticRegression(C=0.1).fit(X, np.where(X["income"] > 0.3, y, "no"))
    return old, new


@pytest.fixture(scope="module")
def rules():
    return {"action_set": ActionSet(immutable=["years"]), "target": "yes"}


def test_advice_as_it_is_and_with_margins(people, models, rules):
    X, y = people
    old, new = models
    tried = try_remedies(old, new, X, y, **rules, remedies=["margin"])
    audit = audit_recourse(old, new, X, y, **rules)
    as_it_is = tried.loc[("as it is", "")]
    for name in ("validity_drop", "recourse_gap", "cost"):
        assert as_it_is[name] == pytest.approx(audit.figures.loc[name, "value"])
    advised = audit.people["advised"].to_numpy()
    fell = (audit.people["margin"] - audit.people["margin_deployed"]).to_numpy()
    failed, cost = 0, []
    for half in (0, 1):
        own = np.arange(400) % 2 == half
        # The margin by which all advice of the others fell.
        margin = max(0.0, fell[advised & ~own].max())
        solver = RecourseSolver(**rules, margin=margin, random_state=0)
        result = solver.solve(old, X[own], background=X)
        points = result.points[result.reachable]
        failed += int((new.predict(points) != "yes").sum())
        cost += result.cost[result.reachable].tolist()
    row = tried.loc[("margin", "all")]
    n = int(row["n_advised"])
    assert row["validity_drop"] == failed / n
    assert row["cost"] == pytest.approx(np.mean(cost))
    assert row["upper"] == pytest.approx(beta.ppf(0.975, failed + 1, n - failed))
    assert as_it_is["validity_drop"] > tried.loc[("margin", "90 %"), "validity_drop"]


def test_robust_advice_holds_where_it_was_made_for(people, models, rules):
    X, y = people
    tried = try_remedies(*models, X, y, **rules, remedies=["robust"])
    both = tried.loc[("robust", "both models")]
    assert both["validity_drop"] == 0 < tried.loc[("as it is", ""), "validity_drop"]
    assert both["cost_ratio"] > 1
    roundings = tried.loc[("robust", "8 roundings at 8 bits")]
    assert roundings["cost_ratio"] > 1
    assert pd.isna(roundings["reason"])


def test_models_that_are_fitted_are_those_of_the_library(people, rules):
    X, y = people
    network = TeacherClassifier(hidden_layer_sizes=(4,), max_iter=5, random_state=0).fit(X, y)
    deployed = LogisticRegression(C=0.01).fit(X, y)
    asked = {"remedies": ["bits"], "budgets": [8, 2], "training": (X[:200], y[:200])}
    tried = try_remedies(network, deployed, X[200:], y[200:], **rules, **asked)
    assert tried.index.tolist() == [("as it is", ""), ("bits", "8 bits"), ("bits", "2 bits")]
    assert tried["bits"].tolist()[1:] == [8, 2]
    eight = tried.loc[("bits", "8 bits")]
    assert eight["recourse_gap"] < tried.loc[("bits", "2 bits"), "recourse_gap"]
    alike = (network.predict(X[200:]) == y[200:]).mean()
    assert abs(eight["accuracy"] - alike) < 0.03


def test_what_cannot_be_tried_is_told(people, models, rules):
    X, y = people
    old = models[0]
    labels = as_predictor(models[1].predict, classes=["no", "yes"], background=X)
    tried = try_remedies(old, labels, X[:60], y[:60], **rules)
    assert "labels alone" in tried.loc[("margin", "all"), "reason"]
    assert tried.loc["bits", "reason"].eq("no training rows were given").all()
    assert "no training rows" in tried.loc["retrain", "reason"].iloc[0]
    rich = X[:60].assign(income=20.0)
    nobody = try_remedies(*models, rich, **rules, background=X, remedies=["margin", "robust"])
    assert (nobody["n_advised"].dropna() == 0).all()
    assert "no advice" in nobody.loc[("margin", "90 %"), "reason"]
    assert np.isnan(nobody.loc[("robust", "both models"), "validity_drop"])


def test_what_was_found_beside_an_audit_is_in_its_files_and_pages(people, models, rules, tmp_path):
    X, y = people
    groups = {"age": np.where(X["years"] > 0, "old", "young")}
    report = audit_recourse(*models, X, y, **rules, sensitive_features=groups)
    tried = try_remedies(*models, X, y, **rules, remedies=["margin", "retrain"])
    skew = skew_report(*models, X, y, groups, **rules, n_resamples=100)
    full = report.with_sections(tried=tried).with_sections(skew=skew)
    full.to_json(tmp_path / "audit.json")
    back = AuditReport.read(tmp_path / "audit.json")
    numbers = tried.columns.drop("reason")
    pd.testing.assert_frame_equal(back.tried[numbers], tried[numbers].astype(float))
    pd.testing.assert_frame_equal(back.skew.figures, skew.figures)
    page = full.to_html()
    assert back.to_html() == page
    for said in ("What could be done, and what it costs", "Whom compression changes"):
        assert said in page and said in full.to_markdown() and said not in report.to_html()
    share = f"{100 * tried.loc[('margin', '90 %'), 'validity_drop']:.1f}"
    assert f"{share}\N{NO-BREAK SPACE}%" in page.split('id="tried"')[1].split("</section>")[0]
    assert "not tried, no training rows were given" in page
    checked = verify_audit(full.to_dict(), X, y=y, reference=models[0], deployed=models[1])
    assert checked.ok
    assert any("remedies that were tried" in one for one in checked.not_checked)
    changed = full.to_dict()
    changed["tried"][0]["validity_drop"] = 0.0
    assert not verify_audit(changed, X, y=y).ok
    with pytest.raises(AuditFileError, match="digest"):
        AuditReport.read(json.dumps(changed))
    with pytest.raises(ValueError, match="DataFrame"):
        report.with_sections(tried=report.figures)
