"""The gate: limits compared with counts worked out by hand, and JUnit that a parser reads."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression

from skcfq.audit import AuditVerdict, audit_recourse, check_audit


@pytest.fixture(scope="module")
def report():
    X = np.arange(200.0).reshape(-1, 1)
    reference = LogisticRegression().fit(X, X[:, 0] > 99)
    deployed = LogisticRegression().fit(X, X[:, 0] > 109)
    groups = {"side": np.where(X[:, 0] % 2 == 0, "even", "odd")}
    return audit_recourse(
        reference, deployed, X, target=True, sensitive_features=groups, min_group_size=5
    )


def with_counts(report, counts, n_failures):
    """Return the report with other counts, by hand: everybody first."""
    index = pd.MultiIndex.from_tuples(
        [("", "everybody"), *(("side", name) for name in counts)], names=["feature", "group"]
    )
    people = np.array([sum(counts.values()), *counts.values()])
    failed = np.array([sum(n_failures), *n_failures])
    with np.errstate(invalid="ignore"):
        columns = {
            "n_people": people,
            "n_failures": failed,
            "rate": failed / people,
            "limit": np.where(people > 0, 0.5, 1.0),
        }
    return replace(report, limits=pd.DataFrame(columns, index=index))


def test_estimates_are_compared(report):
    made = with_counts(report, {"a": 50, "b": 40, "c": 10}, [5, 8, 1])
    assert check_audit(made, max_validity_drop=0.14).passed
    assert check_audit(made, max_validity_drop=0.1399).passed is False
    verdict = check_audit(made, max_group_gap=0.05)
    told = verdict.to_frame().set_index("group")
    assert told["value"].round(12).to_dict() == {"a": 0.0, "b": 0.1, "c": 0.0}
    assert told["outcome"].to_dict() == {"a": "passed", "b": "exceeded", "c": "passed"}
    assert verdict.passed is False


def test_upper_limits_are_compared(report):
    made = with_counts(report, {"a": 50, "b": 40}, [5, 8])
    verdict = check_audit(made, max_validity_drop=0.4, max_group_gap=0.3, confidence=0.95)
    value = verdict.to_frame().set_index(["criterion", "group"])["value"]
    assert value["validity_drop", "everybody"] == 0.5  # the joint limit of the report
    each = 1 - 0.05 / 4
    highest = {"a": beta.ppf(each, 6, 45), "b": beta.ppf(each, 9, 32)}
    least = {"a": beta.ppf(1 - each, 5, 46), "b": beta.ppf(1 - each, 8, 33)}
    assert value["group_gap", "a"] == pytest.approx(highest["a"] - least["b"])
    assert value["group_gap", "b"] == pytest.approx(highest["b"] - least["a"])


def test_the_limit_of_the_gap_holds(report):
    """Over simulated populations with a known gap; 0.9 is promised."""
    random = np.random.default_rng(0)
    made = replace(report, parameters=dict(report.parameters) | {"confidence": 0.9})
    held = []
    for _ in range(200):
        failed = [int(random.binomial(40, 0.3)), int(random.binomial(60, 0.05))]
        one = with_counts(made, {"a": 40, "b": 60}, failed)
        table = check_audit(one, max_group_gap=1, confidence=0.9).to_frame()
        held.append(table["value"][0] >= 0.25)
    assert np.mean(held) >= 0.9


def test_recourse_gap(report):
    figures = report.figures.loc["recourse_gap"]
    assert check_audit(report, max_recourse_gap=figures["value"]).passed
    with_limit = check_audit(report, max_recourse_gap=figures["value"], confidence=0.95)
    assert with_limit.passed is False
    assert with_limit.to_frame()["value"][0] == figures["upper"]


def test_what_cannot_be_judged_is_neither(report):
    nobody = with_counts(report, {"a": 0, "b": 0}, [0, 0])
    verdict = check_audit(nobody, max_validity_drop=1, max_group_gap=1, confidence=0.95)
    assert verdict.passed is None and verdict.outcome == "not judged"
    assert set(verdict.to_frame()["outcome"]) == {"not judged"}
    one = with_counts(report, {"a": 40, "b": 0, "c": 30}, [4, 0, 3])
    verdict = check_audit(one, max_group_gap=0.1)
    assert verdict.passed and verdict.to_frame()["outcome"].tolist()[1] == "not judged"
    alone = with_counts(report, {"a": 40, "b": 0}, [4, 0])
    assert check_audit(alone, max_group_gap=0.1).passed is None
    # What is exceeded stays exceeded, whatever else could not be judged.
    assert check_audit(alone, max_group_gap=0.1, max_validity_drop=0.01).passed is False
    without = replace(report, limits=report.limits.iloc[:1], sensitive=report.sensitive.iloc[:, :0])
    assert check_audit(without, max_group_gap=0.1).passed is None


def test_errors(report):
    with pytest.raises(ValueError, match="No limit is given"):
        check_audit(report)
    with pytest.raises(ValueError, match=r"audit again with confidence=0\.9"):
        check_audit(report, max_validity_drop=0.1, confidence=0.9)
    with pytest.raises(ValueError, match="max_validity_drop"):
        check_audit(report, max_validity_drop=1.5)
    with pytest.raises(TypeError, match="reason="):
        AuditVerdict.not_judged(None)


def test_junit_is_read_by_a_parser(report, tmp_path):
    made = with_counts(report, {"a<&\x00": 50, "b": 40, "c": 0}, [5, 8, 0])
    verdict = check_audit(made, max_validity_drop=0.2, max_group_gap=0.05)
    verdict.to_junit(tmp_path / "out.xml")
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert ElementTree.fromstring(verdict.to_junit().encode()).attrib == suite.attrib
    assert suite.attrib == {
        "name": "skcfq audit",
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases == {
        "everybody": [],
        "side: a<&\\x00": [],
        "side: b": ["failure"],
        "side: c": ["skipped"],
    }
    unknown = ElementTree.fromstring(AuditVerdict.not_judged("why").to_junit().encode())
    assert unknown.get("errors") == "1" and unknown[0][0].get("message") == "not judged: why"
