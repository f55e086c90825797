"""The audit of two models: its figures from their definitions, and its document."""

from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, PTQClassifier, RecourseSolver, TableEncoder
from skcfq.audit import AuditReport, audit_recourse
from skcfq.audit._groups import joint_limits
from skcfq.datasets import make_credit
from skcfq.exceptions import (
    AuditFileError,
    FeatureSpaceError,
    OptionalDependencyError,
    SpaceMismatchError,
)
from skcfq.metrics import (
    action_overlap,
    counterfactual_recourse_gap,
    direction_similarity,
    feasible_recourse_rate,
    single_precision_drop,
    validity_drop,
    validity_drop_limits,
)
from skcfq.models import as_predictor


@pytest.fixture(scope="module")
def credit():
    return make_credit(700, random_state=0)


@pytest.fixture(scope="module")
def models(credit):
    X, y = credit.data, credit.target
    return [
        make_pipeline(TableEncoder(), LogisticRegression(C=c, max_iter=500)).fit(X, y)
        for c in (1.0, 0.01)
    ]


@pytest.fixture(scope="module")
def asked(credit):
    return credit.data.assign(customer=[f"C{i}" for i in range(len(credit.data))])


@pytest.fixture(scope="module")
def report(models, asked, credit):
    return audit_recourse(
        *models,
        asked,
        credit.target,
        action_set=credit.action_set,
        target=credit.favorable,
        sensitive_features=["sex", "housing"],
        person="customer",
        batch_size=300,
    )


@pytest.fixture(scope="module")
def results(models, credit):
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    return solver.compare(*models, credit.data, background=credit.data)


def test_figures_are_those_of_the_metrics(report, results, models, credit):
    first, second = results
    X, y = credit.data, credit.target
    expected = {
        "accuracy": models[0].score(X, y),
        "accuracy_deployed": models[1].score(X, y),
        "agreement": np.mean(models[0].predict(X) == models[1].predict(X)),
        "acceptance": np.mean(models[0].predict(X) == "granted"),
        "acceptance_deployed": np.mean(models[1].predict(X) == "granted"),
        "feasible_rate": feasible_recourse_rate(first),
        "feasible_rate_deployed": feasible_recourse_rate(second),
        "validity_drop": validity_drop(*models, first),
        "validity_drop_mismatch": validity_drop(*models, first, kind="mismatch"),
        "float32_drop": single_precision_drop(models[0], first, background=X),
        "recourse_gap": counterfactual_recourse_gap(*results),
        "recourse_gap_signed": counterfactual_recourse_gap(*results, kind="signed"),
        "recourse_gap_median": counterfactual_recourse_gap(*results, kind="median"),
        "recourse_gap_ratio": counterfactual_recourse_gap(*results, kind="ratio"),
        "direction_similarity": direction_similarity(*results),
        "action_overlap": action_overlap(*results),
        "cost": first.cost[first.reachable].mean(),
        "cost_deployed": second.cost[second.reachable].mean(),
    }
    assert list(report.figures.index) == list(expected)
    np.testing.assert_allclose(report.figures["value"], list(expected.values()), rtol=1e-9)
    within = report.figures["lower"] <= report.figures["value"]
    assert (within & (report.figures["value"] <= report.figures["upper"])).all()


def test_groups_are_audits_of_their_own(report, models, credit):
    rows = (credit.data["sex"] == "female") & (credit.data["housing"] == "rent")
    alone = audit_recourse(
        *models,
        credit.data[rows],
        credit.target[rows],
        action_set=credit.action_set,
        target=credit.favorable,
        background=credit.data,
    )
    crossed = report.groups.xs(("sex x housing", "female x rent"), level=[0, 1])
    pd.testing.assert_frame_equal(crossed, alone.figures)


def test_limits_hold_together(report, models, results, credit):
    n_statements = len(report.limits)
    each = 1 - 0.05 / n_statements
    groups = credit.data["sex"].to_numpy()
    for sex in ("female", "male"):
        rows = groups == sex
        wanted = validity_drop_limits(
            *models, _only(results[0], rows), confidence=each
        ).limits.item()
        assert report.limits.loc[("sex", sex), "limit"] == pytest.approx(wanted)
    everybody = validity_drop_limits(*models, results[0], confidence=each)
    assert report.limits.loc[("", "everybody"), "limit"] == pytest.approx(everybody.limits.item())


def _only(result, rows):
    """The same people, of whom all others need nothing."""
    from dataclasses import replace

    status = np.where(rows, result.status, "already_favorable")
    return replace(result, status=status)


def test_who_lost_what(report, models, asked):
    lost = report.lost
    assert len(lost) == round(
        report.figures.loc["validity_drop", "value"] * report.figures.loc["validity_drop", "n"]
    )
    assert set(lost["sex"]) == {"female", "male"}
    for person, row in lost.head(20).iterrows():
        before = asked.set_index("customer").loc[[person]]
        after = before.copy()
        for feature, old, new in row["changes"]:
            assert before[feature].item() == old
            after[feature] = [new]
        assert models[0].predict(after[models[0].feature_names_in_]) == "granted"
        assert models[1].predict(after[models[1].feature_names_in_]) == "denied"


def test_gaps_and_disparities(report):
    drops = report.groups["value"].xs("validity_drop", level="figure").loc["housing"]
    gap = report.gaps.loc[("housing", "validity_drop")]
    assert gap["gap"] == pytest.approx(drops.max() - drops.min())
    assert (gap["worst"], gap["best"]) == (drops.idxmax(), drops.idxmin())
    assert report.gaps.loc[("housing", "acceptance"), "worst"] is None
    table = report.disparities({"housing": "own"})
    row = table.loc[("housing", "rent", "validity_drop")]
    assert row["difference"] == pytest.approx(drops["rent"] - drops["own"])
    assert row["ratio"] == pytest.approx(drops["rent"] / drops["own"])
    with pytest.raises(ValueError, match="'castle'"):
        report.disparities({"housing": "castle"})


def test_the_document_reads_back(report, tmp_path):
    path = tmp_path / "audit.json"
    report.to_json(path)
    found = AuditReport.read(path)
    for name in ("figures", "groups", "limits", "people", "sensitive"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(report, name))
    assert found.to_json() == report.to_json() == path.read_text(encoding="utf-8")
    assert repr(found) == repr(report)


def test_a_changed_document_is_refused(report):
    """Every leaf of it, each with another value."""
    document = json.loads(report.to_json())
    random = np.random.RandomState(0)
    leaves = list(_leaves(document, ()))
    for place in random.choice(len(leaves), 200, replace=False):
        *path, last = leaves[place]
        changed = json.loads(json.dumps(document))
        holder = changed
        for key in path:
            holder = holder[key]
        holder[last] = _another(holder[last])
        with pytest.raises(AuditFileError):
            AuditReport.read(changed)


def _leaves(value, path):
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        if isinstance(inner, (dict, list)):
            yield from _leaves(inner, (*path, key))
        else:
            yield (*path, key)


def _another(value):
    if isinstance(value, bool) or value is None:
        return not value
    return value + 1 if isinstance(value, (int, float)) else value + "x"


def test_batches_change_nothing(models, credit, report):
    whole = audit_recourse(
        *models,
        credit.data,
        credit.target,
        action_set=credit.action_set,
        target=credit.favorable,
        sensitive_features=["sex", "housing"],
    )
    pd.testing.assert_frame_equal(whole.figures, report.figures)
    pd.testing.assert_frame_equal(whole.groups, report.groups)
    assert whole.protocol == report.protocol


def test_small_groups_are_named(models, credit):
    groups = np.where(np.arange(700) == 3, "alone", "others")
    report = audit_recourse(
        *models,
        credit.data,
        action_set=credit.action_set,
        target=credit.favorable,
        sensitive_features={"team": groups},
    )
    assert report.small_groups == [{"feature": "team", "group": "alone", "n": 1}]
    assert set(report.groups.index.get_level_values("group")) == {"others"}
    assert np.isnan(report.gaps["gap"]).all()
    assert "accuracy" not in report.figures.index


def test_groups_without_refused_people(models, credit):
    accepted = models[0].predict(credit.data) == "granted"
    report = audit_recourse(
        *models,
        credit.data,
        action_set=credit.action_set,
        target=credit.favorable,
        sensitive_features={"accepted": accepted},
        min_group_size=1,
    )
    row = report.groups.loc[("accepted", "True", "validity_drop")]
    assert row["n"] == 0
    assert np.isnan(row["value"])
    assert report.limits.loc[("accepted", "True"), "limit"] == 1.0
    nobody = audit_recourse(
        *models,
        credit.data[accepted],
        action_set=credit.action_set,
        target=credit.favorable,
        background=credit.data,
    )
    assert any("no advice to keep" in note for note in nobody.notes)
    assert AuditReport.read(nobody.to_json()).to_json() == nobody.to_json()


def test_models_that_cannot_be_compared(models, credit):
    X = credit.data
    other = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, credit.target == "granted")
    with pytest.raises(SpaceMismatchError, match="classes"):
        audit_recourse(models[0], other, X, target="granted")
    with pytest.raises(FeatureSpaceError, match="housing"):
        audit_recourse(*models, X.drop(columns="housing"), target="granted")
    with pytest.raises(ValueError, match="without rows"):
        audit_recourse(*models, X.head(0), target="granted")


def test_labels_alone(models, credit):
    def decide(rows):
        return models[1].predict(rows)

    X = credit.data.head(60)
    deployed = as_predictor(decide, classes=["denied", "granted"], background=credit.data)
    report = audit_recourse(
        models[0],
        deployed,
        X,
        action_set=credit.action_set,
        target="granted",
        background=credit.data,
    )
    direct = audit_recourse(
        *models, X, action_set=credit.action_set, target="granted", background=credit.data
    )
    assert (
        report.figures.loc["validity_drop", "value"]
        == (direct.figures.loc["validity_drop", "value"])
    )
    assert report.people["margin_deployed"].isna().all()
    assert any("labels alone" in note for note in report.notes)
    assert any("searched" in note for note in report.notes)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"y": [1, 2]}, "y has the shape"),
        ({"person": "nobody"}, "'nobody' is no column"),
        ({"sensitive_features": "planet"}, "'planet'"),
        ({"sensitive_features": {"a": [1, 2]}}, r"sensitive_features\['a'\]"),
        ({"confidence": 1.0}, "confidence"),
        ({"min_group_size": 0}, "min_group_size"),
    ],
)
def test_wrong_arguments(wrong, message, models, credit):
    with pytest.raises(ValueError, match=message):
        audit_recourse(*models, credit.data, target="granted", **wrong)


def test_an_array_has_positions(models):
    X = np.arange(200.0).reshape(-1, 1)
    model = LogisticRegression().fit(X, X[:, 0] > 99)
    report = audit_recourse(model, model, X, target=True, action_set=ActionSet())
    assert report.figures.loc["validity_drop", "value"] == 0
    assert report.people.index.tolist() == list(range(200))
    assert AuditReport.read(report.to_json()).to_json() == report.to_json()


def test_the_joint_limits_are_covered():
    """Over populations of three groups, all limits hold together as often as they promise."""
    random = np.random.RandomState(0)
    rates, sizes = np.array([0.03, 0.1, 0.3]), [150, 80, 40]
    groups = pd.DataFrame({"team": np.repeat(["a", "b", "c"], sizes)})
    rate = np.repeat(rates, sizes)
    overall = rate.mean()
    held = 0
    n = 1000
    for _ in range(n):
        holds = random.random_sample(len(rate)) >= rate
        table = pd.DataFrame({"advised": True, "holds": holds})
        limits = joint_limits(table, groups, 0.9, 1)["limit"].to_numpy()
        held += (limits[1:] >= rates).all() and limits[0] >= overall
    assert held / n >= 0.9 - 3 * np.sqrt(0.09 / n)
    assert held / n < 0.999


def test_a_model_file_tells_its_columns(credit, tmp_path):
    model = PTQClassifier(budget=4, target="granted", random_state=0).fit(
        credit.data, credit.target
    )
    model.export(tmp_path / "model.skcfq")
    more = credit.data.assign(shoe_size=40)
    report = audit_recourse(
        tmp_path / "model.skcfq",
        model,
        more.head(60),
        action_set=credit.action_set,
        target="granted",
        background=more,
    )
    assert report.data["ignored_columns"] == ["shoe_size"]
    assert report.figures.loc["validity_drop", "value"] == 0
    assert report.models["reference"]["file"] == "model.skcfq"


def test_fairlearn_is_given_the_same_figures(report):
    """The groups of one feature by fairlearn are those of an audit of that feature alone."""
    frame = report.to_metric_frame()
    assert list(frame.overall.index) == list(report.figures.index)
    np.testing.assert_allclose(frame.overall, report.figures["value"], rtol=1e-12)
    people = report.people.reset_index(drop=True)
    told = people[people["advised"]]
    labels = report.sensitive.reset_index(drop=True).loc[told.index]
    lost = (~told["holds"].astype(bool)).groupby([labels[name] for name in labels]).mean()
    by_group = report.to_metric_frame("validity_drop").by_group["validity_drop"].dropna()
    assert by_group.to_dict() == pytest.approx(lost.to_dict())
    for figures in (["nothing"], "nothing", []):
        with pytest.raises(ValueError, match="the report has accuracy, "):
            report.to_metric_frame(figures)


def test_no_metric_frame_without_groups_or_fairlearn(report, monkeypatch):
    alone = dataclasses.replace(report, sensitive=report.sensitive.iloc[:, :0])
    with pytest.raises(ValueError, match="no groups: give sensitive_features"):
        alone.to_metric_frame()
    monkeypatch.setitem(sys.modules, "fairlearn.metrics", None)
    with pytest.raises(OptionalDependencyError, match=r"skcfq\[fairness\]"):
        report.to_metric_frame()


def test_latency_is_measured_where_it_is_asked_for(models, credit, report):
    asked = {"action_set": credit.action_set, "target": credit.favorable}
    timed = audit_recourse(*models, credit.data.head(40), latency=True, **asked)
    names = ["microseconds_alone", "microseconds_together"]
    for role in ("reference", "deployed"):
        alone, together = (timed.models[role][name] for name in names)
        # A row of many costs less than a call of its own.
        assert 0 < together < alone < 1e6
        assert not set(names) & set(report.models[role])
    again = AuditReport.read(timed.to_json())
    assert again.models == timed.models
    assert "Microseconds for one row" in again.to_markdown()
    plain = audit_recourse(*models, credit.data.head(40), **asked)
    for role in ("reference", "deployed"):
        assert {k: v for k, v in timed.models[role].items() if k not in names} == plain.models[role]
    pd.testing.assert_frame_equal(timed.figures, plain.figures)
