"""A part that was taken away, doubled, renamed or moved is refused, though no digest tells."""

import copy
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder, theory
from skcfq.certificates import check_certificate, digest_of

RULES = ActionSet(
    constraints=[
        "debt <= income",
        "if job == 'boss' and home == 'city' then degree != 'a' and debt <= 12",
        "change(income) + change(debt) >= -30",
        "if changes(degree) then age <= 61",
    ],
    implied={"age": {"degree": {"a": 0, "b": 2, "c": 5}}, "years": {"income": 0.5}},
    immutable=["home", "age", "years"],
    increasing=["degree"],
    ordinal={"degree": ["a", "b", "c"]},
    bounds={"income": (0, 100), "debt": (0, 30)},
    cost_weights={"degree": 0.05},
)


def _people(n):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 60, n),
            "income": rng.normal(30, 10, n).round(1),
            "debt": rng.normal(10, 4, n).round(1),
            "job": rng.choice(["none", "clerk", "boss"], n),
            "degree": rng.choice(["a", "b", "c"], n),
            "home": rng.choice(["city", "land"], n),
            "years": rng.normal(5, 1, n),
        }
    )


X = _people(80)


@pytest.fixture(scope="module")
def models():
    encoder = TableEncoder().fit(X)
    score = X.income - X.debt + (X.job == "boss") * 10 + (X.degree == "c") * 8
    first = make_pipeline(encoder, LogisticRegression().fit(encoder.transform(X), score > 24))
    second = copy.deepcopy(first)
    second[-1].coef_ = np.round(second[-1].coef_, 1)
    return first, second


@pytest.fixture(scope="module")
def check(models):
    reference, deployed = models
    return partial(check_certificate, reference=reference, deployed=deployed, action_set=RULES)


@pytest.fixture(scope="module")
def certificates(models):
    result = RecourseSolver(RULES, target=True, random_state=0).solve(models[0], X[:26])
    return theory.certify(result, *models, radius=0.02)


def _some(certificates):
    """Return one that moves what ties columns together, and a broken one."""
    tied = [c for c in certificates if {"degree", "income"} <= {m["feature"] for m in c["changes"]}]
    models = [c["models"]["deployed"]["robustness"] for c in certificates]
    return tied[0], certificates[models.index("broken")]


def _parts(value, path=()):
    yield path, value
    pairs = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else pairs:
        yield from _parts(item, (*path, key))


def _at(document, path):
    document = copy.deepcopy(document)
    found = document
    for key in path:
        found = found[key]
    return document, found


def _edited(certificate):
    """Yield what is left of a certificate after each edit, and what was edited."""
    for path, value in _parts(certificate):
        if not isinstance(value, (dict, list)):
            continue
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            document, part = _at(certificate, path)
            taken = part.pop(key)
            yield ("taken", *path, key), document
            document, part = _at(certificate, path)
            if isinstance(part, dict):
                part[f"{key}s"] = part.pop(key)
                yield ("renamed", *path, key), document
                continue
            part.insert(key, taken)
            yield ("doubled", *path, key), document
            if key and part[key + 1] != part[key - 1]:
                document, part = _at(certificate, path)
                part[key - 1 : key + 1] = part[key - 1 : key + 1][::-1]
                yield ("moved", *path, key), document


def test_right_ones_are_accepted_and_ties_are_evaluated(certificates, check):
    reports = [check(one) for one in certificates]
    assert [report for report in reports if not report.accepted] == []
    some = [report for report in reports if "cost" in report.evaluated]
    for claim in ("rules across features", "columns that follow from others"):
        assert all(claim in report.evaluated for report in some) and len(some) > 8


def _assert_refused(edits, check):
    for what, document in edits:
        if "digest" in document:
            document["digest"] = digest_of(document)
        assert not check(document).accepted, what


def test_no_edit_of_the_form_is_accepted(certificates, check):
    edits = [edit for one in _some(certificates) for edit in _edited(one)]
    assert len(edits) > 1000
    _assert_refused(edits[::97], check)


@pytest.mark.slow  # models are asked 4,000 times
def test_no_edit_at_all_is_accepted(certificates, check):
    for certificate in _some(certificates):
        _assert_refused(_edited(certificate), check)


@pytest.mark.parametrize("key", ["stated", "evaluation", "proof_by_search"])
def test_a_claim_that_was_left_out_is_missed(certificates, check, key):
    document = copy.deepcopy(_some(certificates)[0])
    document["claims"][key].pop()
    document["digest"] = digest_of(document)
    assert [f.split(":")[0] for f in check(document).failures] == ["claims"]


def test_form_is_told_by_its_place(certificates, check):
    document = copy.deepcopy(certificates[0])
    del document["versions"]["numpy"]
    document["rules"]["features"][0]["weight"] = "much"
    document["models"]["more"] = None
    shown = " ".join(check(document).failures)
    assert "the certificate: versions has no 'numpy'" in shown
    assert "rules: features[0]: weight is 'much', which is no number" in shown
    assert "models has 'more', which is no part of it" in shown


def _resigned(document):
    document["fingerprints"]["rules"] = digest_of(document["rules"])
    document["digest"] = digest_of(document)
    return document


def _advice(document, name, value):
    document["advice"]["values"][list(X).index(name)] = value


TIES = {
    "an inequality": (lambda d: _advice(d, "debt", 99.0), "'debt <= income' is broken"),
    "an if-then rule": (
        lambda d: (
            _advice(d, "job", "boss"),
            d["factual"]["values"].__setitem__(5, "city"),
            _advice(d, "home", "city"),
            _advice(d, "debt", 12.5),
        ),
        "and home == 'city'",
    ),
    "a change": (lambda d: _advice(d, "income", -99.0), "'change(income) + change(debt) >= -30'"),
    "a condition on changes": (lambda d: _advice(d, "age", 62), "'if changes(degree)"),
    "a column that follows": (lambda d: _advice(d, "years", 9.0), "column 6 does not move by"),
    "one that follows a category": (lambda d: _advice(d, "age", 18), "column 0 does not move by"),
}


@pytest.mark.parametrize("name", TIES)
def test_broken_ties_are_refused(certificates, check, name):
    change, told = TIES[name]
    document = copy.deepcopy(_some(certificates)[0])
    assert told not in " ".join(check(document).failures)
    change(document)
    assert told in " ".join(check(_resigned(document)).failures)


def test_who_breaks_a_rule_already_may_stay(certificates, check):
    document = copy.deepcopy(_some(certificates)[0])
    rules = document["rules"]["across_features"]
    (limit,) = rules[0]["conclusions"]
    sides = [
        sum(t["factor"] * document[row]["values"][t["column"]] for t in limit["terms"])
        for row in ("factual", "advice")
    ]
    # Beyond the limit, but no further than before; then further.
    limit["limit"] = min(sides) - 1
    broken = "is broken" in " ".join(check(_resigned(document)).failures)
    assert broken == (sides[1] > sides[0])
    # An if-then rule that nothing touches is waived.
    rules[1] |= {"premises": [], "columns": []}
    rules[1]["conclusions"] = [
        {"kind": "values", "column": 5, "values": ["sea"], "inside": True},
    ]
    assert "and home" not in " ".join(check(_resigned(document)).failures)
    rules[1]["columns"] = [1]
    assert "and home" in " ".join(check(_resigned(document)).failures)


def test_rules_are_those_of_the_action_set(certificates, check):
    document = copy.deepcopy(certificates[0])
    document["rules"]["across_features"].pop()
    assert "not those of the action set" in " ".join(check(_resigned(document)).failures)
