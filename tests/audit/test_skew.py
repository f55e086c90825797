"""Reports on skew: figures against their definitions, groups that cannot be judged, the picture."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from skcfq import ActionSet, PTQClassifier, RecourseSolver, TeacherClassifier
from skcfq.audit import SkewReport, audit_recourse, skew_report
from skcfq.metrics import fairness_violation, group_curvature, group_gradients, logit_figures
from skcfq.models import as_predictor

N = 300


@pytest.fixture(scope="module")
def people():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(N, 3)), columns=["income", "loans", "years"])
    y = np.where(X["income"] - X["loans"] + 0.5 * rng.normal(size=N) > 0, "yes", "no")
    return X, y, np.where(X["years"] > 0.5, "old", "young")


@pytest.fixture(scope="module")
def models(people):
    X, y, _ = people
    teacher = TeacherClassifier(hidden_layer_sizes=(6,), max_iter=30, random_state=0).fit(X, y)
    frozen = FrozenEstimator(teacher)
    rules = {"action_set": ActionSet(immutable=["years"]), "target": "yes"}
    return teacher, [
        PTQClassifier(bits, teacher=frozen, random_state=0, **rules).fit(X, y) for bits in (3, 2)
    ]


@pytest.fixture(scope="module")
def report(people, models):
    X, y, groups = people
    return skew_report(models[0], models[1], X, y, {"age": groups}, n_resamples=200)


def test_figures_are_those_of_their_definitions(people, models, report):
    X, y, groups = people
    teacher, deployed = models
    old = report.figures.loc[("age", "old")]
    own = groups == "old"
    accuracy = np.mean([(m.predict(X) == y)[own].mean() for m in deployed])
    assert old.loc["accuracy", "after"] == pytest.approx(accuracy)
    assert old.loc["accuracy", "n"] == own.sum()
    loss = log_loss(y[own], teacher.predict_proba(X[own]))
    assert old.loc["loss", "before"] == pytest.approx(loss, rel=1e-5)
    logits = [as_predictor(m).row_scores(X) for m in deployed]
    found = np.mean([logit_figures(z, groups).loc["old", "logit_variance"] for z in logits])
    assert old.loc["logit_variance", "after"] == pytest.approx(found)
    norms = [group_gradients(m, X, y, groups).loc["old", "gradient_norm"] for m in deployed]
    assert old.loc["gradient_norm", "after"] == pytest.approx(np.mean(norms))
    tops = [group_curvature(m, X, y, groups).loc["old", "eigenvalue_1"] for m in deployed]
    assert old.loc["eigenvalue", "after"] == pytest.approx(np.mean(tops), rel=1e-3)
    gap = report.gaps.loc[("age", "accuracy")]
    assert gap["before"] == pytest.approx(fairness_violation(y, teacher.predict(X), groups))


def test_figures_of_recourse_are_those_of_audits(people, models, report):
    X, y, groups = people
    audits = [
        audit_recourse(models[0], m, X, y, sensitive_features={"age": groups}) for m in models[1]
    ]
    for group in ("old", "young"):
        for name in ("validity_drop", "recourse_gap"):
            expected = np.mean([a.groups.loc[("age", group, name), "value"] for a in audits])
            assert report.figures.loc[("age", group, name), "after"] == pytest.approx(expected)
        cost = audits[0].groups.loc[("age", group, "cost"), "value"]
        assert report.figures.loc[("age", group, "cost"), "before"] == pytest.approx(cost)


def test_everything_reads_back_and_is_the_same_each_time(people, models, report):
    X, y, groups = people
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    back = SkewReport.from_dict(content)
    for name in ("figures", "layers", "forgotten"):
        pd.testing.assert_frame_equal(getattr(back, name), getattr(report, name))
    assert back.gaps["highest"].tolist() == report.gaps["highest"].tolist()
    assert repr(back) == repr(report)
    again = skew_report(models[0], models[1], X, y, {"age": groups}, n_resamples=200)
    assert again.to_dict() == report.to_dict()
    with pytest.raises(ValueError, match="no report on skew"):
        SkewReport.from_dict({"figures": 1})


def test_the_picture_tells_what_the_frame_does(report):
    display = report.display("age")
    assert display.table["group"].unique().tolist() == ["everybody", "old", "young"]
    change = report.figures.loc[("age", "old", "loss"), "change"]
    assert f"old {change:.3g}" in display.description
    assert report.plot().figure_
    with pytest.raises(ValueError, match="feature="):
        report.display("sex")


def test_who_changes_for_the_worse(report):
    told = report.significant
    assert (told["lower"] * told["upper"] > 0).all()
    decided = told.xs("changed_decisions", level="figure")
    assert decided["worse"].all()
    variance = told[told.index.get_level_values("figure") == "logit_variance"]
    assert variance["worse"].isna().all()


def test_models_that_tell_less(people):
    X, y, groups = people
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    linear = LogisticRegression().fit(X, y)

    labels = as_predictor(linear.predict, classes=["no", "yes"], background=X)
    report = skew_report(tree, labels, X, y, {"age": groups}, n_resamples=100)
    told = set(report.figures.index.get_level_values("figure"))
    assert told == {"accuracy", "changed_decisions"}
    assert report.layers is None and report.forgotten is None
    assert any("labels alone" in note for note in report.notes)
    assert any("No target" in note for note in report.notes)


def test_groups_of_one_without_positives_or_denied(people, models):
    X, y, _ = people
    groups = np.array(["one"] + ["rich"] * 40 + ["rest"] * (N - 41), dtype=object)
    rich = X.copy()
    rich.loc[1:40, "income"] = 9.0
    truth = np.where(np.arange(N) <= 40, "no", y)
    solver = RecourseSolver(random_state=0)
    report = skew_report(
        models[0], models[1][0], rich, truth, {"g": groups}, solver=solver, n_resamples=100
    )
    assert report.small_groups == [{"feature": "g", "group": "one", "n": 1}]
    figures = report.figures.loc[("g", "rich")]
    # Nobody deserves it, nobody is refused.
    assert np.isnan(figures.loc["false_refusals", "before"])
    assert figures.loc["validity_drop", "n"] == 0
    assert np.isnan(figures.loc["validity_drop", ["after", "lower", "upper"]].astype(float)).all()
    alone = skew_report(models[0], models[1][0], X, y, None, recourse=False, n_resamples=100)
    assert alone.gaps.empty
    assert "no groups" in repr(alone)
    json.dumps(alone.to_dict(), allow_nan=False)
    assert SkewReport.from_dict(alone.to_dict()).gaps.empty


@pytest.mark.parametrize(
    ("wrong", "match"),
    [({"y": ["yes"]}, "`y`"), ({"deployed": []}, "empty list"), ({"target": "maybe"}, "maybe")],
)
def test_what_cannot_be_judged_is_refused_by_name(people, models, wrong, match):
    X, y, groups = people
    given = {"reference": models[0], "deployed": models[1][0], "X": X, "y": y}
    with pytest.raises(ValueError, match=match):
        skew_report(**given | {"sensitive_features": {"g": groups}} | wrong)
