"""Right certificates are accepted, and those that were changed in one place are refused."""

import copy
import json
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer

from skcfq import ActionSet, RecourseSolver, theory
from skcfq.certificates import check_certificate, digest_of

RULES = ActionSet(
    immutable=[4],
    increasing=[1],
    steps={2: 0.5},
    bounds={0: (-9, 9), 2: (-9, 9)},
    one_hot={"job": [5, 6, 7]},
    transitions={"job": {5: [6, 7], 6: [7], 7: []}},
    max_changes=3,
    relative_bounds={1: (0, 0.5)},
    cost_weights={"job": 0.3, 1: 0.5},
)


def _table(n):
    rng = np.random.default_rng(0)
    return np.hstack([rng.normal(size=(n, 5)), np.eye(3)[rng.integers(3, size=n)]])


X = _table(300)
REFERENCE = LogisticRegression().fit(X, X @ [1, 1, 1, 0, 2, 0, 1, 2] > 2.4)
DEPLOYED = copy.deepcopy(REFERENCE)
DEPLOYED.coef_ = np.round(DEPLOYED.coef_)
check = partial(check_certificate, reference=REFERENCE, deployed=DEPLOYED, action_set=RULES)


@pytest.fixture(scope="module")
def certificates():
    solver = RecourseSolver(RULES, margin=0.1, target=True)
    result = solver.solve(REFERENCE, X, background=X)
    return theory.certify(result, REFERENCE, DEPLOYED, radius=0.02, background=X)


def test_right_certificates_are_accepted(certificates):
    assert len(certificates) == 300
    reports = [check(json.dumps(one, allow_nan=False)) for one in certificates]
    assert [report for report in reports if not report.accepted] == []
    kinds = {one["models"]["deployed"]["robustness"] for one in certificates}
    assert kinds >= {"robust", "broken"}
    advised = [i for i, one in enumerate(certificates) if one["status"] == "optimal"]
    assert len(advised) > 50
    report = reports[advised[0]]
    assert {"cost", "rules of single features", "margin of the deployed"} <= {*report.evaluated}
    assert "lower bound of the cost" in report.proof_by_search
    assert "the reference is robust in the box" in {
        claim for report in reports for claim in report.proof_by_search
    }


@pytest.mark.parametrize("cost", ["l2", "mixed"])
def test_other_norms(cost):
    rules = ActionSet(increasing=[1], cost=cost, cost_weights={0: 2.0}, cost_mix=0.3)
    model = LogisticRegression().fit(X[:, :3], X[:, :3].sum(axis=1) > 0)
    result = RecourseSolver(rules).solve(model, X[:9, :3], background=X[:, :3])
    written = theory.certify(result, model, background=X[:, :3])
    assert all(check_certificate(one, reference=model).accepted for one in written)
    one = _signed(next(one for one in written if len(one["changes"]) > 1) | {"norm": "l1"})
    (failure,) = check_certificate(one, reference=model).failures
    assert failure.startswith("cost")


def test_an_encoding_that_is_no_straight_line_leaves_the_cost_stated():
    table = np.exp(X[:, :2])
    model = make_pipeline(PowerTransformer(), LogisticRegression())
    model.fit(table, X[:, :2].sum(axis=1) > 0)
    result = RecourseSolver(random_state=0).solve(model, table[:9], background=table)
    assert result.reachable.any()
    for one in theory.certify(result, model, radius=0.05, background=table):
        report = check_certificate(one, reference=model)
        assert report.accepted and "cost" in report.stated, report


def _signed(document):
    """Count fingerprint and digest again, as a forger would."""
    document = copy.deepcopy(document)
    document["fingerprints"]["rules"] = digest_of(document["rules"])
    return document | {"digest": digest_of(document)}


def _leaves(value, path=()):
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        if isinstance(item, (dict, list)):
            yield from _leaves(item, (*path, key))
        else:
            yield (*path, key)


def _changed(document, path, change):
    document = copy.deepcopy(document)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = change(at[path[-1]])
    return document


def _other(value):
    if isinstance(value, bool) or value is None:
        return not value
    return value + "x" if isinstance(value, str) else value + 1e-9 + abs(value) * 1e-9


def test_a_change_in_any_one_place_is_refused_by_its_digest(certificates):
    rng = np.random.default_rng(1)
    for one in certificates[:150]:
        paths = list(_leaves(one))
        changed = _changed(one, paths[rng.integers(len(paths))], _other)
        assert not check(changed).accepted


def _in_feature(name, key, change):
    """Return what changes the rules of a feature that moves, by name."""

    def of(one):
        for i, feature in enumerate(one["rules"]["features"]):
            moved = any(feature["name"] == other["feature"] for other in one["changes"])
            if feature["name"] == name and moved:
                return ("rules", "features", i, key), change
        return None

    return of


def _at(*path, change):
    return lambda one: (path, change)


def _counterexample(one):
    name = next((n for n, m in one["models"].items() if m["counterexample"]), None)
    return name and (("models", name, "counterexample", "values", 3), lambda value: value + 9)


# A change, and the claim that it breaks, though the digest was counted again.
LIES = {
    "a cheaper cost": (_at("cost", change=lambda v: 0.9 * v), "cost"),
    "a bound above the cost": (_at("lower_bound", change=lambda v: v + 1), "lower bound"),
    "a bound below it": (_at("lower_bound", change=lambda v: 0.9 * v), "lower bound"),
    "the other target": (_at("target", change=lambda v: not v), "status"),
    "favorable": (_at("status", change=lambda v: "already_favorable"), "status"),
    "infeasible": (_at("status", change=lambda v: "infeasible"), "status"),
    "an unknown status": (_at("status", change=lambda v: "best"), "status"),
    "a margin": (
        _at("models", "reference", "margin", change=lambda v: v + 0.01),
        "margin of the reference",
    ),
    "a deployed margin": (
        _at("models", "deployed", "margin", change=lambda v: v - 0.01),
        "margin of the deployed",
    ),
    "a wider margin asked": (_at("asked", "margin", change=lambda v: 1e3), "margin of"),
    "a deployed answer": (
        _at("models", "deployed", "advice", change=lambda v: not v),
        "answers of the deployed",
    ),
    "who was asked": (_at("models", "reference", "factual", change=lambda v: True), "answers"),
    "an immutable": (_at("advice", "values", 4, change=lambda v: v + 1e-3), "rules"),
    "another norm": (_at("norm", change=lambda v: "mixed"), "cost"),
    "fewer changes": (_at("rules", "max_changes", change=lambda v: 0), "max_changes"),
    "a rule less": (_at("rules", "immutable", change=lambda v: []), "rules"),
    "no changes": (_at("changes", change=lambda v: []), "changes"),
    "other rules": (_at("fingerprints", "action_set", change=lambda v: "0"), "fingerprint"),
    "a proof as an evaluation": (
        _at("claims", "proof_by_search", change=lambda v: []),
        "claims",
    ),
    "no radius": (_at("models", "deployed", "box", "radius", change=lambda v: -1.0), "box"),
    "no box": (_at("models", "reference", "box", change=lambda v: None), "robustness"),
    "another schema": (_at("version", change=lambda v: 99), "schema"),
    "no advice": (_at("advice", change=lambda v: None), "status"),
    "no word of the reference": (_at("models", "reference", change=lambda v: None), ""),
    "a counterexample elsewhere": (_counterexample, "counterexample"),
    "a higher weight": (_in_feature(0, "weight", lambda v: 2 * v), "cost"),
    "a scale": (_in_feature(1, "scale", lambda v: 2 * v), "cost"),
    "a tighter bound": (_in_feature(0, "low", lambda v: 99.0), "rules"),
    "another direction": (_in_feature(1, "direction", lambda v: -1), "rules"),
    "another step": (_in_feature(2, "step", lambda v: 0.7123), "rules"),
    "few values": (_in_feature(2, "values", lambda v: [-77.0]), "rules"),
    "a least change": (_in_feature(0, "min_change", lambda v: 1e3), "rules"),
    "another start": (_in_feature(1, "own", lambda v: v - 1), "cost"),
    "no such move": (_in_feature("job", "allowed", lambda v: [False] * len(v)), "rules"),
    "other distances": (_in_feature("job", "distance", lambda v: [5.0] * len(v)), "cost"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_with_a_right_digest_is_refused_for_what_it_is(name, certificates):
    lie, claim = LIES[name]
    found = 0
    for one in certificates:
        told = lie(one) if one["status"] == "optimal" else None
        if told is None or (name == "another norm" and len(one["changes"]) < 2):
            continue
        path, change = told
        changed = _signed(_changed(one, path, change))
        report = check(changed)
        assert any(claim in failure for failure in report.failures), (name, report)
        assert not any(failure.startswith("digest") for failure in report.failures)
        found += 1
        if found == 5:
            break
    assert found == 5


def test_frames_with_text_gaps_exceptions_and_one_label_for_all(tmp_path):
    from skcfq import PTQClassifier, TeacherClassifier, load
    from skcfq.datasets import make_credit

    credit = make_credit(60, random_state=0)
    data = credit.data.set_axis([7] * 59 + ["last"])
    people = data.tail(20).copy()
    people.iloc[3, people.columns.get_loc("income")] = np.nan
    network = {"hidden_layer_sizes": (4,), "max_iter": 40, "batch_size": 16, "random_state": 0}
    teacher = TeacherClassifier(**network).fit(data, credit.target)
    told = {"action_set": credit.action_set, "target": credit.favorable}
    deployed = PTQClassifier(teacher=teacher, budget=4, random_state=0, **told)
    deployed.fit(data, credit.target)
    deployed.export(tmp_path / "model.skcfq")
    solver = RecourseSolver(**told, method="gradient", random_state=0)
    held = {"last": {"immutable": ["income"]}}
    result = solver.solve(teacher, people, background=data, overrides=held)
    assert result.reachable.any() and people.isna().any(axis=None)
    written = theory.certify(result, teacher, deployed, radius=0.01)
    file = load(tmp_path / "model.skcfq")
    for one in written:
        text = json.dumps(one, allow_nan=False)
        report = check_certificate(text, reference=teacher, deployed=file)
        assert report.accepted, report
    assert written[-1]["person"] == "last"


def test_functions_and_models_without_logits(certificates):
    one = next(one for one in certificates if one["status"] == "optimal")
    report = check_certificate(one, reference=REFERENCE.predict)
    assert report.accepted
    assert {"margin of the reference", "answers of the deployed"} <= {*report.stated}
    assert not check_certificate(one, reference=lambda rows: [False]).accepted
    forest = RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, REFERENCE.predict(X))
    result = RecourseSolver(RULES, random_state=0).solve(forest, X[:20], background=X)
    written = theory.certify(result, forest, background=X)
    assert all(check_certificate(one, reference=forest).accepted for one in written)
    assert result.reachable.any()


@pytest.mark.parametrize("broken", [{}, {"digest": 1}, {"models": 3, "advice": None}])
def test_what_is_no_certificate_is_refused_in_the_report(broken):
    report = check_certificate(broken, reference=REFERENCE)
    assert not report.accepted and "cannot be read" in repr(report)


def test_errors_name_their_parameter(certificates):
    with pytest.raises(ValueError, match="certificate is no strict JSON"):
        check('{"cost": NaN}')
    with pytest.raises(TypeError, match="certificate is 5"):
        check(5)
    with pytest.raises(TypeError, match="reference is 5"):
        check_certificate(certificates[0], reference=5)
    with pytest.raises(TypeError, match="action_set is 5"):
        check_certificate(certificates[0], reference=REFERENCE, action_set=5)
    result = RecourseSolver(RULES).solve(REFERENCE, X[:3], background=X)
    with pytest.raises(ValueError, match="another model"):
        theory.certify(result, DEPLOYED, background=X)
    frame = pd.DataFrame({2.5: X[:, 0]})
    model = LogisticRegression().fit(X[:, :1], X[:, 0] > 0)
    odd = RecourseSolver().solve(model, X[:3, :1], background=X[:, :1])
    with pytest.raises(ValueError, match="has the column 2.5"):
        theory.certify(replace(odd, X=frame[:3]), model, background=X[:, :1])


def test_the_checker_knows_nothing_of_what_it_checks():
    code = (
        "import sys; from skcfq.certificates import check_certificate; "
        "names = {name.split('.')[1] for name in sys.modules if name.startswith('skcfq.')}; "
        "print(sorted(names)); print('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rooms, heavy = done.stdout.splitlines()
    assert rooms == "['_version', 'certificates']"
    assert heavy == "False"
