"""The verifier: honest audits pass, and no changed claim does, whatever its digest says."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import betaincinv
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import TableEncoder
from skcfq.actions import ActionSet
from skcfq.audit import audit_recourse, verify
from skcfq.audit._figures import FIGURES, figures_of
from skcfq.audit.verify import verify_audit
from skcfq.certificates import digest_of
from skcfq.datasets import make_credit
from skcfq.utils.intervals import mean_interval, median_interval

# What nothing can check without the models, or at all. Mutations of these are not made.
UNCHECKED = {
    "models": "names, files, sizes, bits, fingerprints",
    "protocol, notes, environment": "words and versions",
    "people.margin, people.margin_deployed": "their size; the sign is checked",
    "losses": "steps between the models, which need their weights",
    "people.status": "optimal or feasible; that there is advice is checked",
    "people.holds_float32": "of people without advice, whom no figure counts",
    "parameters.min_group_size": "another one that parts the same groups",
    "rules.action_set": "rules that nobody touches, and wider ones",
    "rules.cost": "of features that nobody changes",
}


@pytest.fixture(scope="module")
def credit():
    return make_credit(200, random_state=0)


def _linear(share, seed):
    return LogisticRegression(C=share, max_iter=500)


def _network(share, seed):
    return MLPClassifier((4,), solver="lbfgs", max_iter=5000, random_state=seed)


@pytest.fixture(scope="module", params=[_linear, _network])
def audited(request, credit):
    X, y = credit.data, credit.target
    made = [request.param(share, seed) for seed, share in enumerate((1.0, 0.01))]
    models = [make_pipeline(TableEncoder(), one).fit(X, y) for one in made]
    report = audit_recourse(
        *models,
        X,
        y,
        action_set=credit.action_set,
        target=credit.favorable,
        sensitive_features=["sex", "housing"],
    )
    return models, json.loads(report.to_json())


def test_an_honest_audit_has_no_problem(audited, credit):
    models, document = audited
    named = dict(zip(("reference", "deployed"), models, strict=True))
    report = verify_audit(document, credit.data, y=credit.target, **named)
    assert report.ok, report
    assert report.checked["pieces of advice"] == 200
    assert report.checked["groups"] > 500
    alone = verify_audit(document, credit.data)
    assert alone.ok
    assert any("decisions of the deployed" in one for one in alone.not_checked)


@pytest.fixture
def quick(monkeypatch):
    """Bootstraps of the same people are drawn once."""
    known, plain = quick.known, verify._value

    def value(kind, values, weights, confidence):
        key = kind, values.tobytes(), weights.tobytes(), confidence
        if key not in known:
            known[key] = plain(kind, values, weights, confidence)
        return known[key]

    monkeypatch.setattr(verify, "_value", value)


quick.known = {}


def _of_figures(part, name):
    def change(document, random):
        known = [one for one in document[part] if one[name] is not None]
        record = known[random.randint(len(known))]
        if name == "kind":
            record[name] = "mean" if record[name] == "share" else "share"
        elif name.startswith("n"):
            record[name] += 1
        else:
            record[name] = record[name] * 1.01 + 1e-3
        return f"{part}.{name}"

    return change


def _of_record(part, act):
    def change(document, random):
        records = document[part]
        act(records, random.randint(len(records)))

    return change


def _of_people(name, new, whom=lambda columns, i: True):
    def change(document, random):
        columns = document["people"]["columns"]
        rows = [i for i, v in enumerate(columns[name]) if v is not None and whom(columns, i)]
        i = rows[random.randint(len(rows))]
        columns[name][i] = new(columns[name][i])

    return change


def _of_advice(new):
    return _of_people("changes", new, lambda columns, i: columns["advised"][i])


def _number(new):
    def change(told):
        for k, (feature, before, after) in enumerate(told):
            if not isinstance(after, str):
                return [*told[:k], new(feature, before, after), *told[k + 1 :]]
        return told[1:]

    return change


def _of_needed(k):
    def change(document, random):
        document["remedies"]["margin"]["needed"][k - 2]["margin"] += 1e-3

    return change


def _of_control(k, name):
    def change(document, random):
        control, add = document["remedies"]["bias"]["controls"][k], 1e-3
        told = control[name]
        control[name] = [told[0] + add, *told[1:]] if name == "biases" else told + add

    return change


def _put(*path, value):
    def change(document, random):
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value(place[path[-1]]) if callable(value) else value

    return change


def _of_weight(document, random):
    changes = document["people"]["columns"]["changes"]
    told = [change[0] for one in changes for change in one]
    name = told[random.randint(len(told))]
    record = next(one for one in document["rules"]["cost"]["features"] if one["name"] == name)
    for key in ("weight", "cost_per_raw_unit"):
        if key in record:
            record[key] *= 1.001


def _held(document, random):
    told = [change[0] for one in document["people"]["columns"]["changes"] for change in one]
    document["rules"]["action_set"]["immutable"].append(told[random.randint(len(told))])


def _of_group(document, random):
    labels = document["people"]["groups"]["sex"]
    i = random.randint(len(labels))
    labels[i] = "male" if labels[i] == "female" else "female"


def _advised(columns, i):
    return columns["advised"][i]


def _negate(value):
    return not value


def _swap(label):
    return "denied" if label == "granted" else "granted"


MUTATIONS = [
    *(_of_figures("figures", name) for name in ("value", "lower", "upper", "n", "kind")),
    *(_of_figures("groups", name) for name in ("value", "lower", "upper", "n", "kind")),
    *(_of_figures("limits", name) for name in ("n_people", "n_failures", "rate", "limit")),
    _of_figures("small_groups", "n"),
    *(
        _of_record(p, lambda r, i: r.pop(i))
        for p in ("figures", "groups", "small_groups", "limits")
    ),
    *(_of_record(p, lambda r, i: r.append(dict(r[i]))) for p in ("figures", "groups", "limits")),
    *(
        _of_people(name, _negate)
        for name in (
            "accepted_reference",
            "accepted_deployed",
            "advised",
            "advised_deployed",
            "holds",
            "right",
            "right_deployed",
        )
    ),
    *(_of_people(name, _swap) for name in ("decision_reference", "decision_deployed", "target")),
    _of_people("holds", _negate, _advised),
    _of_people("holds_float32", lambda v: 1 - v, _advised),
    *(_of_people(name, lambda v: v * 1.01 + 1e-3) for name in ("cost", "cost_deployed", "gap")),
    *(_of_people(name, lambda v: v / 2 + 0.01) for name in ("cosine", "overlap")),
    *(_of_people(name, lambda v: None) for name in ("cost", "gap", "cosine", "overlap")),
    *(_of_people(name, lambda v: -v - 1e-3) for name in ("margin", "margin_deployed")),
    _of_people("status", lambda v: "infeasible"),
    _of_people("status_deployed", lambda v: "already_favorable" if v == "optimal" else "optimal"),
    _of_advice(lambda told: []),
    _of_advice(lambda told: told[1:]),
    _of_advice(lambda told: [*told, ["age", 30, 31]]),
    _of_advice(lambda told: [["no such column", *told[0][1:]], *told[1:]]),
    _of_advice(_number(lambda feature, before, after: [feature, before, after + 0.5])),
    _of_advice(_number(lambda feature, before, after: [feature, before + 1, after])),
    _of_advice(_number(lambda feature, before, after: [feature, before, 2 * before - after])),
    _of_advice(_number(lambda feature, before, after: [feature, before, after + 1e7])),
    *(_of_needed(k) for k in range(2)),
    *(_of_control(k, "validity_drop") for k in range(5)),
    *(_of_control(k, "biases") for k in (0, 3, 4)),
    *(_of_control(0, name) for name in ("acceptance", "accuracy")),
    _of_group,
    _of_weight,
    _held,
    _put("rules", "cost", "norm", value="l2"),
    _put("rules", "action_set", "max_changes", value=0.5),
    _put("rules", "action_set", "steps", "income", value=70),
    _put("parameters", "confidence", value=0.9),
    _put("parameters", "min_group_size", value=60),
    _put("parameters", "with_labels", value=False),
    _put("parameters", "target", value="denied"),
    _put("parameters", "sensitive_features", value=["sex"]),
    _put("data", "n_rows", value=201),
    _put("data", "fingerprint", value=lambda old: old[::-1]),
    _put("data", "columns", value=lambda old: old[::-1]),
    _put("models", "deployed", "classes", value=["denied"]),
    _put("people", "labels", value=lambda old: old[1:]),
]


@pytest.mark.usefixtures("quick")
def test_mutated_audits_are_refused(audited, credit):
    document, missed, made = audited[1], [], 0
    for seed in range(100):
        # Both kinds of models, 100 each.
        changed = copy.deepcopy(document)
        MUTATIONS[seed % len(MUTATIONS)](changed, np.random.RandomState(seed))
        if digest_of(changed) == document["digest"]:
            continue
        made += 1
        changed["digest"] = digest_of(changed)
        report = verify_audit(changed, credit.data)
        assert not any(one.startswith("digest") for one in report.problems)
        if report.ok:
            missed.append(seed % len(MUTATIONS))
    assert missed == []
    assert made == 100


def test_models_are_asked(audited, credit):
    """What only a model can tell: decisions that fit each other, and not the model."""
    document = audited[1]

    def other(rows):
        return np.resize(["denied", "granted"], len(rows))

    report = verify_audit(document, credit.data, reference=other, deployed=other)
    told = " ".join(report.problems)
    for place in ("decision_reference", "decision_deployed", "advised", "holds"):
        assert f"people.{place}" in told


def test_other_rows_and_labels_are_seen(audited, credit):
    document = audited[1]
    other = credit.data.copy()
    other.loc[3, "savings"] += 1
    assert "data.fingerprint" in verify_audit(document, other).problems[0]
    assert not verify_audit(document, credit.data.head(50)).ok
    labels = np.where(np.arange(200) == 7, "granted", "denied")
    assert "people.right" in verify_audit(document, credit.data, y=labels).problems[0]


def test_a_changed_audit_without_a_new_digest(audited, credit):
    changed = audited[1] | {"notes": ["all is well"]}
    assert verify_audit(changed, credit.data).problems == ["digest: it is not that of the content"]


def test_rules_of_orders_groups_and_norms(credit):
    """Rules that the credit data does not have."""
    random = np.random.RandomState(0)
    X = pd.DataFrame(random.randint(0, 5, size=(120, 2)), columns=["a", "b"]).astype(float)
    grade = random.randint(3, size=120)
    X = X.assign(**{f"grade_{k}": (grade == k).astype(int) for k in range(3)})
    y = X["a"] - X["b"] + 2 * X["grade_2"] > 1
    models = [LogisticRegression(C=c).fit(X, y) for c in (1.0, 0.1)]
    rules = ActionSet(
        one_hot={"grade": ["grade_0", "grade_1", "grade_2"]},
        steps={"a": 0.5},
        max_change={"a": 2},
        min_change={"b": 1},
        cost="mixed",
        cost_mix=0.25,
    )
    document = audit_recourse(*models, X, action_set=rules, target=True).to_dict()
    named = dict(zip(("reference", "deployed"), models, strict=True))
    report = verify_audit(document, X, **named)
    assert report.ok, report
    assert report.checked["prices"] > 20
    assert any(c[0] == "grade" for told in document["people"]["columns"]["changes"] for c in told)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_intervals_are_those_of_the_library(confidence):
    """Two implementations of one definition, few and equal values included."""
    random = np.random.RandomState(1)
    for n in (2, 3, 5, 8, 30, 200):
        for values in (random.standard_normal(n), random.choice([-1.0, 0.1, 0.1, 3.0], n)):
            weights = random.random_sample(n) + 0.1
            own = verify._value("ratio", values, weights, confidence)[1:]
            wanted = mean_interval(values, confidence, weights=weights)
            np.testing.assert_allclose(np.array(own, dtype=float), wanted, rtol=1e-7, atol=1e-9)
            own = verify._value("median", values, np.ones(n), confidence)[1:]
            wanted = median_interval(values, confidence)
            np.testing.assert_array_equal(np.array(own, dtype=float), wanted)


def test_no_interval_ends_beyond_what_a_value_can_be(credit):
    """Of five people, resampling alone says prices of -5 and prices that fall by 108 %."""
    X = credit.data.head(150)
    models = [
        make_pipeline(TableEncoder(), LogisticRegression(C=c, max_iter=500)).fit(
            credit.data, credit.target
        )
        for c in (1.0, 0.003)
    ]
    report = audit_recourse(
        *models,
        X,
        action_set=credit.action_set,
        target=credit.favorable,
        sensitive_features={"tenth": np.arange(150) % 12},
        min_group_size=1,
    )
    table = report.groups.reset_index()
    ends = {
        "direction_similarity": (-1, 1),
        "action_overlap": (0, 1),
        "recourse_gap_signed": (-1, np.inf),
        "cost": (0, np.inf),
    }
    for name, (least, most) in ends.items():
        own = table[table["figure"] == name]
        known = own[["lower", "upper"]].dropna()
        assert len(known) > 6
        assert (known["lower"] >= least).all() and (known["upper"] <= most).all()
        assert (known["lower"] == least).any() or (known["upper"] == most).any() or name == "cost"
    verified = verify_audit(report.to_dict(), X)
    assert verified.ok, verified


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_few_who_differ_among_many_leave_a_narrow_interval(confidence):
    """Resampling finds no end where one of 400 has another cosine; Hoeffding's inequality does."""
    cosine = np.r_[0.2, np.ones(399)]
    low, high = mean_interval(cosine, confidence)
    assert not low > -1 or not high < 1
    told = pd.DataFrame({"gap": np.zeros(400), "cosine": cosine})
    own = figures_of(told, confidence, {"own": FIGURES["direction_similarity"]}).loc["own"]
    far = 2 * np.sqrt(np.log(2 / (1 - confidence)) / 800)
    assert own["lower"] == low > -1 or own["lower"] == pytest.approx(cosine.mean() - far)
    assert own["upper"] == high < 1 or own["upper"] == 1
    assert own["upper"] - own["lower"] < 0.15


def test_ends_of_shares_are_quantiles_of_beta():
    for k, n in ((0, 1), (0, 300), (41, 48), (3000, 10_000), (0, 100_000), (99_999, 100_000)):
        for tail in (0.001, 0.025, 0.5):
            upper, lower = verify._share_with(k + 1, n, tail), verify._share_with(k, n, 1 - tail)
            assert upper == pytest.approx(betaincinv(k + 1, n - k, 1 - tail), rel=1e-7)
            assert lower == pytest.approx(betaincinv(k, n - k + 1, tail) if k else 0.0, rel=1e-7)


def test_it_imports_numpy_and_pandas_alone():
    tree = ast.parse(Path(verify.__file__).read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module.partition(".")[0])
    assert names - set(sys.stdlib_module_names) == {"numpy", "pandas"}


def test_a_copy_of_the_file_is_a_program(audited, credit, tmp_path):
    for name in ("verify.py", "audit.json", "X.csv"):
        assert not (tmp_path / name).exists()
    (tmp_path / "verify.py").write_bytes(Path(verify.__file__).read_bytes())
    (tmp_path / "audit.json").write_text(json.dumps(audited[1]), encoding="utf-8")
    credit.data.assign(granted=credit.target).to_csv(tmp_path / "X.csv", index=False)
    (tmp_path / "mine.py").write_text("def nobody(X):\n    return ['denied'] * len(X)\n")

    def run(*arguments):
        command = [sys.executable, "verify.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    good = run("audit.json", "--data", "X.csv", "--outcome", "granted")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "0 problems" in good.stdout and good.stderr == ""
    bad = run("audit.json", "--data", "X.csv", "--deployed", "mine:nobody")
    assert bad.returncode == 1
    assert "people.holds" in bad.stdout
    for arguments in (("no.json", "--data", "X.csv"), ("audit.json", "--data", "no.csv")):
        unknown = run(*arguments)
        assert unknown.returncode == 2
        assert "cannot be judged" in unknown.stderr


@pytest.mark.parametrize("source", ["{}", {}, {"schema": "skcfq/audit", "version": 2}, 3, "{"])
def test_what_is_no_audit_is_refused(source, credit):
    with pytest.raises(ValueError, match="document"):
        verify_audit(source, credit.data)
