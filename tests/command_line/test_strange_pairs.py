"""The program over models and groups of which something is missing: clear words, and no crash."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import TableEncoder
from skcfq.audit import AuditReport
from skcfq.command_line import main
from skcfq.datasets import make_credit

CARD = """
def decide(people):
    return ["granted" if one > 2200 else "denied" for one in people["income"]]

def points(people):
    granted = people["income"].to_numpy() / 1000 - 2.2
    return [[one, -one] for one in granted]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with models, tables and rules."""
    folder = tmp_path_factory.mktemp("pairs")
    credit = make_credit(250, random_state=0)
    X, y = credit.data, credit.target
    for name, labels in (("old", y), ("upper", y.str.upper()), ("three", np.arange(250) % 3)):
        model = make_pipeline(TableEncoder(), LogisticRegression(max_iter=500))
        joblib.dump(model.fit(X, labels), folder / f"{name}.joblib")
    new = make_pipeline(TableEncoder(), LogisticRegression(C=0.01)).fit(X, y)
    joblib.dump(new, folder / "new.joblib")
    (folder / "card.py").write_text(CARD, encoding="utf-8")
    accepted = joblib.load(folder / "old.joblib").predict(X) == "granted"
    groups = {
        # Nobody of "lucky" was refused, everybody else was or not.
        "luck": np.where(accepted & (np.arange(250) % 2 == 0), "lucky", "mixed"),
        "alone": ["one" if i == 7 else "others" for i in range(250)],
        "name": [f"P{i}" for i in range(250)],
    }
    table = X.assign(**groups)
    table.to_csv(folder / "X.csv", index=False)
    table[accepted].to_csv(folder / "granted.csv", index=False)
    credit.action_set.to_file(folder / "actions.toml")
    return folder


@pytest.fixture
def audit(folder, tmp_path):
    """Return a function that audits and returns the exit code."""

    def run(*more, **changed):
        given = {"reference": "old.joblib", "deployed": "new.joblib", "data": "X.csv"}
        given |= {"actions": "actions.toml"} | changed
        parts = [part for k, v in given.items() for part in (f"--{k}", str(folder / v))]
        outputs = ["--json", str(tmp_path / "a.json"), "--report", str(tmp_path / "a.html")]
        return main(["audit", "--trust", "--target", "granted", *parts, *outputs, *more])

    return run


def test_groups_of_one_and_groups_without_refused_people(audit, folder, tmp_path, capsys):
    groups = ["--groups", "luck,alone", "--min-group-size", "1", "--person", "name"]
    assert audit(*groups, "--max-validity-drop", "1") == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "groups are of columns that no model reads: luck, alone\n" in told.out
    report = AuditReport.read(tmp_path / "a.json")
    lucky = report.groups.xs(("luck", "lucky"), level=("feature", "group"))
    assert lucky.loc["validity_drop", "n"] == 0 and np.isnan(lucky.loc["validity_drop", "value"])
    assert report.limits["limit"].to_dict()["luck", "lucky"] == 1
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "luck, alone" in page and "nan" not in page.lower().replace("finance", "")
    assert main(["verify", str(tmp_path / "a.json"), "--data", str(folder / "X.csv")]) == 0
    capsys.readouterr()
    assert audit(*groups, "--max-group-gap", "1") == 2
    told = "could not judge: group_gap (luck: lucky): nobody was advised"
    assert told in capsys.readouterr().err.replace("skcfq audit: ", "")


def test_groups_that_are_too_small_are_named(audit, tmp_path):
    assert audit("--groups", "alone") == 0
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "alone = one has 1 person, fewer than 30: named, and not scored." in page


def test_nobody_was_refused(audit, tmp_path, capsys):
    assert audit("--groups", "luck", "--max-validity-drop", "0.1", data="granted.csv") == 2
    assert "could not judge: nobody was refused and could be advised" in capsys.readouterr().err
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "There is no advice that could be kept or lost." in page


@pytest.mark.parametrize("deployed", ["upper.joblib", "three.joblib"])
def test_models_of_other_classes(audit, deployed, capsys):
    assert audit(deployed=deployed) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "LogisticRegression has the classes ['denied', 'granted']" in line
    assert "cannot be compared" in line


def test_a_function_that_gives_labels_alone(audit, folder, tmp_path, capsys):
    classes = ["--classes", "denied,granted"]
    assert audit(*classes, "--groups", "luck", deployed="card.py:decide") == 0
    told = capsys.readouterr().out
    assert "decide gives labels alone: its margins are not known" in told
    report = AuditReport.read(tmp_path / "a.json")
    table, advised = pd.read_csv(folder / "X.csv"), report.people["advised"]
    for i in np.flatnonzero(advised)[:40]:
        told = {name: new for name, _, new in report.people["changes"].iloc[i]}
        wanted = told.get("income", table["income"].iloc[i]) > 2200
        assert report.people["holds"].iloc[i] == wanted
    assert report.models["deployed"]["file"] == "card.py:decide"
    verified = ["verify", str(tmp_path / "a.json"), "--data", str(folder / "X.csv"), "--trust"]
    card = str(folder / "card.py:decide")
    assert main([*verified, *classes, "--deployed", card]) == 0
    assert main([*verified, *classes, "--deployed", str(folder / "old.joblib")]) == 1


def test_a_function_that_says_its_scores_in_another_order(audit, folder, tmp_path):
    decisions = []
    for classes in ("denied,granted", "granted,denied"):
        assert audit("--classes", classes, deployed="card.py:points") == 0
        people = AuditReport.read(tmp_path / "a.json").people
        decisions.append(people["decision_deployed"].to_numpy())
        incomes = pd.read_csv(folder / "X.csv")["income"]
        granted = (incomes > 2200) == (classes == "granted,denied")
        assert (decisions[-1] == np.where(granted, "granted", "denied")).all()


@pytest.mark.parametrize(
    ("deployed", "more", "told"),
    [
        ("card.py:decide", [], "give them with --classes"),
        ("card.py:decide", ["--classes", "no,yes"], "--classes is 'no'"),
        ("card.py", [], "name the model in it"),
        ("card.py:other", [], "has nothing of the name 'other'"),
        ("new.joblib:decide", [], "no such file"),
    ],
)
def test_functions_that_cannot_be_asked(audit, deployed, more, told, capsys):
    assert audit(*more, deployed=deployed) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_function_needs_trust(folder, capsys):
    files = [
        "--reference",
        str(folder / "old.joblib"),
        "--deployed",
        str(folder / "card.py:decide"),
    ]
    assert main(["audit", *files, "--data", str(folder / "X.csv"), "--trust", "--dry-run"]) == 0
    assert main(["audit", *reversed(files), "--data", str(folder / "X.csv")]) == 2
    capsys.readouterr()
    files[1] = str(folder / "card.py:decide")
    assert main(["audit", *files, "--data", str(folder / "X.csv")]) == 2
    assert "executes code" in capsys.readouterr().err


def test_rules_that_nobody_gave_are_missed(folder, tmp_path, capsys):
    files = ["--reference", str(folder / "old.joblib"), "--deployed", str(folder / "new.joblib")]
    argv = ["--target", "granted", "--data", str(folder / "X.csv"), "--trust"]
    assert main(["audit", *files, *argv]) == 0
    assert "note: No rules were given, and no model carries any" in capsys.readouterr().out
    assert main(["audit", *files, *argv, "--actions", str(folder / "actions.toml")]) == 0
    assert "No rules" not in capsys.readouterr().out
    model = ["--model", str(folder / "old.joblib"), "--out", str(tmp_path / "advice.json")]
    assert main(["solve", *model, *argv]) == 0
    assert "note: no rules were given" in capsys.readouterr().out


def test_columns_between_semicolons(folder, tmp_path, capsys):
    text = (folder / "X.csv").read_text(encoding="utf-8").replace(",", ";")
    (tmp_path / "X.csv").write_text(text, encoding="utf-8")
    files = ["--reference", str(folder / "old.joblib"), "--deployed", str(folder / "new.joblib")]
    assert main(["audit", *files, "--trust", "--data", str(tmp_path / "X.csv")]) == 2
    assert "has semicolons between its columns: write it with commas" in capsys.readouterr().err
