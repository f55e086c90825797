"""Reasons why advice was lost, against hybrid networks that scikit-learn itself evaluates."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from skcfq import ActionSet, RecourseSolver
from skcfq.audit import AuditReport, audit_recourse, loss_reasons
from skcfq.certificates import digest_of
from skcfq.exceptions import AuditFileError, UnsupportedModelError
from skcfq.models import as_predictor


@pytest.fixture(scope="module")
def asked():
    X = np.random.default_rng(0).normal(size=(150, 3))
    y = (X @ [1.0, 0.5, -0.4] > 0.3).astype(int)
    reference = LogisticRegression().fit(X, y)
    solver = RecourseSolver(ActionSet(), target=1, random_state=0)
    return X, y, reference, solver.solve(reference, X, background=X)


def _network(X, y, seed):
    model = MLPClassifier((4,), max_iter=30, random_state=seed)
    with pytest.warns(match="reached"):
        return model.fit(X, y)


def _score(model, points):
    """The logit, which scikit-learn does not tell: that of the probability."""
    p = model.predict_proba(points)
    return np.log(p[:, 1]) - np.log(p[:, 0])


def test_steps_are_hybrids_that_scikit_learn_evaluates(asked):
    X, y, reference, advice = asked
    retrained = _network(X, y, 0)
    deployed = deepcopy(retrained)
    deployed.coefs_ = [np.round(w * 2) / 2 for w in retrained.coefs_]
    hybrid = deepcopy(retrained)
    hybrid.coefs_ = [deployed.coefs_[0], retrained.coefs_[1]]
    points = advice.points[advice.reachable]
    stages = [_score(one, points) for one in (reference, retrained, hybrid, deployed)]
    told = loss_reasons(reference, deployed, advice, retrained=retrained)
    assert told.index.tolist() == ["retraining", "inputs", "layer 1", "layer 2"]
    steps = ["retraining", "layer 1", "layer 2"]
    taken = [old - new for old, new in pairwise(stages)]
    found = told.loc[steps]
    np.testing.assert_allclose(found["margin_lost"], np.mean(taken, axis=1), atol=1e-9)
    drops = [np.mean(one <= 0) for one in stages[1:]]
    np.testing.assert_allclose(found["validity_drop"], drops)
    failed = stages[-1] <= 0
    assert 0 < failed.sum() == told["n_largest"].sum()
    most = np.argmax(np.stack(taken)[:, failed], axis=0)
    assert found["n_largest"].tolist() == np.bincount(most, minlength=3).tolist()
    assert told.loc["inputs", "margin_lost"] == pytest.approx(0, abs=1e-12)


def test_models_that_are_no_networks_are_one_step(asked):
    X, y, reference, advice = asked
    trees = GradientBoostingClassifier(n_estimators=5, random_state=0).fit(X, y)
    told = loss_reasons(reference, trees, advice)
    assert told.index.tolist() == ["all layers"]
    drop = np.mean(trees.predict(advice.points[advice.reachable]) != 1)
    assert told.loc["all layers", "validity_drop"] == pytest.approx(drop)


def test_the_same_model_loses_nothing(asked):
    _, _, reference, advice = asked
    told = loss_reasons(reference, deepcopy(reference), advice)
    assert (told[["n_largest", "validity_drop"]] == 0).all(axis=None)
    assert told["margin_lost"].abs().max() < 1e-12
    assert told["margin_lost_of_failed"].isna().all()


def test_refused_with_a_reason(asked):
    X, _, reference, advice = asked
    told = as_predictor(reference.predict, classes=[0, 1], background=X, output="labels")
    with pytest.raises(UnsupportedModelError, match="labels alone"):
        loss_reasons(reference, told, advice)
    nobody = RecourseSolver(ActionSet(), target=1).solve(
        reference, X[reference.predict(X) == 1], background=X
    )
    with pytest.raises(ValueError, match="nobody who was advised"):
        loss_reasons(reference, reference, nobody)
    with pytest.raises(ValueError, match="advice"):
        loss_reasons(reference, reference, "advice")


@pytest.fixture(scope="module")
def audited(asked):
    X, y, reference, _ = asked
    retrained = _network(X, y, 0)
    deployed = deepcopy(retrained)
    deployed.coefs_ = [np.round(w * 2) / 2 for w in retrained.coefs_]
    models = {"reference": reference, "deployed": deployed, "retrained": retrained}
    solver = RecourseSolver(random_state=0)
    rules = {"action_set": ActionSet(), "target": 1, "solver": solver, "batch_size": 40}
    return models, audit_recourse(X=X, **models, **rules)


def test_an_audit_in_batches_tells_the_same_as_all_advice_at_once(asked, audited):
    X, *_ = asked
    models, report = audited
    # As in an audit: without a margin.
    solver = RecourseSolver(ActionSet(), target=1, margin=0.0, random_state=0)
    advice = solver.solve(models["reference"], X, background=X)
    told = loss_reasons(**models, advice=advice)
    pd.testing.assert_frame_equal(report.loss_reasons, told, rtol=1e-9, atol=1e-12)
    counted = report.lost["reason"].value_counts().reindex(told.index, fill_value=0)
    assert counted.tolist() == told["n_largest"].tolist()
    assert told["validity_drop"].iloc[-1] == report.figures.loc["validity_drop", "value"]


def test_the_reason_of_a_person_is_the_step_that_scikit_learn_says(asked, audited):
    models, report = audited
    points = asked[-1].points[report.lost.index]
    hybrid = deepcopy(models["retrained"])
    hybrid.coefs_ = [models["deployed"].coefs_[0], models["retrained"].coefs_[1]]
    stages = [models["reference"], models["retrained"], hybrid, models["deployed"]]
    taken = [old - new for old, new in pairwise(_score(one, points) for one in stages)]
    names = np.array(["retraining", "layer 1", "layer 2"])
    assert report.lost["reason"].tolist() == names[np.argmax(taken, axis=0)].tolist()


def test_reasons_are_written_read_and_shown(audited):
    _, report = audited
    back = AuditReport.read(report.to_dict())
    assert back.to_dict() == report.to_dict()
    pd.testing.assert_frame_equal(back.loss_reasons, report.loss_reasons)
    assert "Which step broke it" in report.to_markdown()
    old = report.to_dict() | {"losses": {}}
    old = {name: value for name, value in old.items() if name not in ("losses", "digest")}
    before = AuditReport.read(old | {"digest": digest_of(old)})
    assert before.loss_reasons.empty and "reason" not in before.lost
    assert "Which step broke it" not in before.to_markdown()


def test_a_checkpoint_of_another_control_is_refused(asked, audited, tmp_path):
    X, *_ = asked
    models, report = audited
    rules = {"action_set": ActionSet(), "target": 1, "batch_size": 40}
    rules |= {"solver": RecourseSolver(random_state=0), "checkpoint": tmp_path / "kept"}
    for _ in range(2):
        again = audit_recourse(X=X, **models, **rules)
        pd.testing.assert_frame_equal(again.loss_reasons, report.loss_reasons)
    with pytest.raises(AuditFileError, match="retrained"):
        audit_recourse(models["reference"], models["deployed"], X, **rules)


def test_an_audit_of_labels_alone_says_why_there_are_no_reasons(asked):
    X, _, reference, _ = asked
    labels = as_predictor(reference.predict, classes=[0, 1], background=X, output="labels")
    report = audit_recourse(reference, labels, X[:20], action_set=ActionSet(), target=1)
    assert "labels alone" in report.losses["reason"]
    assert report.loss_reasons.empty
