"""Two audits of two releases, compared by a table of known people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from skcfq import ActionSet
from skcfq.audit import audit_recourse


@pytest.fixture(scope="module")
def releases():
    """A reference that grants above 3, and releases that grant above 2 and above 4."""
    X = pd.DataFrame({"x": np.arange(8.0)})
    reference, lenient, strict = (
        LogisticRegression(C=100).fit(X, X["x"] > limit) for limit in (3, 2, 4)
    )
    people = X.assign(id=[f"P{i}" for i in range(8)])
    groups = {"half": ["low", "high"] * 4}
    options = {"action_set": ActionSet(), "target": True, "sensitive_features": groups}
    options |= {"person": "id", "min_group_size": 2}
    return [audit_recourse(reference, one, people, **options) for one in (lenient, strict)]


def test_who_newly_lost_and_who_newly_kept(releases):
    first, second = releases
    assert len(first.lost) == 0 and second.lost.index.tolist() == ["P0", "P1", "P2", "P3"]
    there, back = first.compare(second), second.compare(first)
    assert there.newly_lost.index.tolist() == ["P0", "P1", "P2", "P3"]
    assert there.newly_lost["half"].tolist() == ["low", "high"] * 2
    assert len(there.newly_kept) == 0 and len(back.newly_lost) == 0
    assert back.newly_kept.index.tolist() == there.newly_lost.index.tolist()
    assert "4 newly lost, 0 newly kept" in repr(there)
    advice = there.newly_lost
    assert advice["changes"].tolist() == advice["changes_before"].tolist()


def test_figures_and_which_are_worse(releases):
    first, second = releases
    figures = first.compare(second).figures
    drop = figures.loc[("", "everybody", "validity_drop")]
    assert drop.tolist() == [0, 1, 1, True]
    assert figures.loc[("half", "low", "validity_drop")].tolist() == [0, 1, 1, True]
    assert figures.loc[("", "everybody", "acceptance_deployed"), "worse"] is None
    gap = figures.loc[("", "everybody", "recourse_gap_signed")]
    assert gap["before"] < 0 < gap["after"]
    assert gap["worse"] == (abs(gap["after"]) > abs(gap["before"]))
    assert second.compare(first).figures.loc[("", "everybody", "validity_drop"), "worse"] is False
    assert len(figures) == len(first.figures) + len(first.groups)


def test_people_are_matched_by_label_and_not_by_place(releases):
    first, second = releases
    order = ["P3", "P7", "P0"]
    some = replace(second, people=second.people.loc[order], sensitive=second.sensitive.loc[order])
    found = first.compare(some)
    assert sorted(found.newly_lost.index) == ["P0", "P3"]
    assert (found.n_matched, found.n_before, found.n_after) == (3, 8, 3)


def test_what_cannot_be_compared_is_refused(releases):
    first, second = releases
    with pytest.raises(ValueError, match="other=int is no AuditReport"):
        first.compare(1)
    others = [f"Q{i}" for i in range(8)]
    strangers = replace(
        second, people=second.people.set_axis(others), sensitive=second.sensitive.set_axis(others)
    )
    with pytest.raises(ValueError, match="none of the people"):
        first.compare(strangers)
    twice = ["P0"] * 8
    double = replace(
        second, people=second.people.set_axis(twice), sensitive=second.sensitive.set_axis(twice)
    )
    with pytest.raises(ValueError, match="other has two people with the label 'P0'"):
        first.compare(double)
