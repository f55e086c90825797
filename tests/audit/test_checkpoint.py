"""Audits that are stopped and go on: the same report to the last bit, or a refusal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.audit import audit_recourse
from skcfq.certificates import digest_of
from skcfq.command_line import main
from skcfq.datasets import make_credit
from skcfq.exceptions import AuditFileError
from skcfq.models import as_predictor
from skcfq.utils import streams

SIZE = 100


@pytest.fixture(scope="module")
def credit():
    return make_credit(450, random_state=0)


@pytest.fixture(scope="module")
def models(credit):
    X, y = credit.data, credit.target
    return [
        make_pipeline(TableEncoder(), LogisticRegression(C=c, max_iter=500)).fit(X, y)
        for c in (1.0, 0.01)
    ]


@pytest.fixture
def audited(credit, models):
    """Return an audit of these, some parameters of which may be others."""

    def audit(**changed):
        asked = {
            "reference": models[0],
            "deployed": models[1],
            "X": credit.data,
            "y": credit.target,
            "action_set": credit.action_set,
            "target": credit.favorable,
            "sensitive_features": ["sex", "housing"],
            "background": credit.data,
            "batch_size": SIZE,
        }
        return audit_recourse(**asked | changed)

    return audit


@pytest.fixture
def stopped(monkeypatch):
    """Count the batches that are solved, and press Ctrl-C before one of them."""
    compare, solved = RecourseSolver.compare, []

    def counted(self, *args, **kwargs):
        if len(solved) == counted.most:
            raise KeyboardInterrupt
        solved.append(len(args[2]))
        return compare(self, *args, **kwargs)

    counted.most, counted.solved = None, solved
    monkeypatch.setattr(RecourseSolver, "compare", counted)
    return counted


def test_what_was_stopped_goes_on_to_the_same_report(audited, stopped, tmp_path, capsys):
    whole, folder = audited(), tmp_path / "kept"
    stopped.solved.clear()
    stopped.most = 2
    with pytest.raises(KeyboardInterrupt, match="after 200 of 450 people.*kept"):
        audited(checkpoint=folder)
    stopped.most = None
    report = audited(checkpoint=str(folder), verbose=1)
    assert stopped.solved == [SIZE] * 4 + [50]
    assert "audit: 450 people in" in capsys.readouterr().err
    assert report.to_json() == whole.to_json()
    pd.testing.assert_frame_equal(report.people, whole.people)
    # All is there now, for other groups and another confidence too.
    again = audited(checkpoint=folder, sensitive_features="sex", confidence=0.9)
    assert len(stopped.solved) == 5
    assert again.to_json() == audited(sensitive_features="sex", confidence=0.9).to_json()


def test_without_a_checkpoint_it_is_said_how_to_have_one(audited, stopped):
    stopped.most = 3
    with pytest.raises(KeyboardInterrupt, match=r"300 of 450 .* checkpoint='FOLDER'"):
        audited()


@pytest.mark.slow
def test_a_killed_process_leaves_what_it_finished(tmp_path):
    script = """
        import os, signal, sys
        import numpy as np
        from sklearn.linear_model import LogisticRegression
        from skcfq import RecourseSolver
        from skcfq.audit import audit_recourse
        compare, solved = RecourseSolver.compare, []
        def counted(self, *args, **kwargs):
            if len(solved) == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            solved.append(1)
            return compare(self, *args, **kwargs)
        RecourseSolver.compare = counted
        X = np.random.default_rng(0).normal(size=(300, 3))
        models = [LogisticRegression().fit(X, X @ w > 0) for w in ([1, 2, 0], [1, 1, 1])]
        for folder in (sys.argv[1], None):
            asked = {"target": True, "batch_size": 100, "checkpoint": folder}
            print(audit_recourse(*models, X, **asked).to_json().replace("\\n", ""))
            print(len(solved))
    """

    def run(folder, most):
        command = [sys.executable, "-c", textwrap.dedent(script), str(folder), str(most)]
        return subprocess.run(command, capture_output=True, text=True)

    folder = tmp_path / "kept"
    assert run(folder, 2).returncode == -signal.SIGKILL
    assert sorted(os.listdir(folder)) == [*(f"batch-{i:012d}.npz" for i in (0, 100)), "run.json"]
    rest, of_rest, whole, of_both = run(folder, -1).stdout.splitlines()
    assert (of_rest, of_both) == ("1", "4")
    assert rest == whole and rest.startswith("{")


def test_another_run_is_refused_and_what_differs_is_named(audited, credit, models, tmp_path):
    audited(checkpoint=tmp_path / "kept")
    few = RecourseSolver(max_nodes=9, random_state=0)
    pairs = {
        r"deployed\.fingerprint": {"deployed": models[0]},
        "data": {"X": credit.data.assign(age=credit.data["age"] + 1)},
        "labels": {"y": credit.target[::-1]},
        "background": {"background": credit.data.head(300)},
        r"action_set\.": {"action_set": ActionSet(immutable=["age"])},
        r"solver\.max_nodes \(50000 then\)": {"solver": few},
        r"batch_size \(100 then\)": {"batch_size": 50},
    }
    for named, changed in pairs.items():
        with pytest.raises(AuditFileError, match=rf"of another run: .*{named}.*name another"):
            audited(checkpoint=tmp_path / "kept", **changed)
    # Workers change no answer.
    assert audited(checkpoint=tmp_path / "kept", solver=RecourseSolver(n_jobs=2, random_state=0))


def test_functions_are_known_from_their_answers(tmp_path):
    X = np.linspace(-1, 1, 60).reshape(-1, 1)
    cut = [0.0]
    reference = LogisticRegression().fit(X, X[:, 0] > 0)
    known = as_predictor(reference, background=X)

    def deployed(rows):
        # Its code stays while what it does changes.
        return np.asarray(rows)[:, 0] > cut[0]

    def read():
        return as_predictor(deployed, classes=known.classes, background=X)

    asked = {"target": True, "checkpoint": tmp_path / "kept", "min_group_size": 1}
    audit_recourse(reference, read(), X, **asked)
    cut[0] = 0.3
    with pytest.raises(AuditFileError, match=r"deployed\.fingerprint"):
        audit_recourse(reference, read(), X, **asked)


def test_damage_is_found(audited, tmp_path):
    folder, other = tmp_path / "kept", tmp_path / "other"
    audited(checkpoint=folder)
    audited(checkpoint=other, y=None)
    batch = folder / f"batch-{SIZE:012d}.npz"
    content = batch.read_bytes()
    for wrong in (b"", b"nothing", content[:-100], content[:3000] + b"0" + content[3001:]):
        batch.write_bytes(wrong)
        with pytest.raises(AuditFileError, match="Delete it, and its people are solved again"):
            audited(checkpoint=folder)
    batch.write_bytes((other / batch.name).read_bytes())
    with pytest.raises(AuditFileError, match="belongs to another run"):
        audited(checkpoint=folder)
    batch.unlink()
    assert audited(checkpoint=folder).to_json() == audited().to_json()
    (folder / "run.json").write_text("{}")
    with pytest.raises(AuditFileError, match="no checkpoint of version 1"):
        audited(checkpoint=folder)


def test_what_is_written_in_pieces_is_what_json_writes(monkeypatch, audited):
    monkeypatch.setattr(streams, "_AT_ONCE", 7)
    report = audited()
    document = json.loads(report.to_json())
    assert document == report.to_dict() and document["digest"] == digest_of(document)
    content = {"z": [1.5, None, "é"], "a": {"ß": [], "b": {}}, "n": 0.1}
    for canonical in (True, False):
        whole = json.dumps(
            content, sort_keys=canonical, ensure_ascii=canonical, separators=(",", ":")
        )
        assert "".join(streams.pieces_of_json(content, canonical=canonical)) == whole
    with pytest.raises(ValueError, match="JSON compliant"):
        list(streams.pieces_of_json([float("nan")]))


def test_places_that_are_no_checkpoint(audited, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(AuditFileError, match="folder with other files"):
        audited(checkpoint=tmp_path)
    with pytest.raises(NotADirectoryError, match="is a file"):
        audited(checkpoint=tmp_path / "file")
    with pytest.raises(FileNotFoundError, match="Create it first"):
        audited(checkpoint=tmp_path / "none" / "kept")
    with pytest.raises(ValueError, match=r"random_state=None.*whole number"):
        audited(checkpoint=tmp_path / "kept", solver=RecourseSolver())
    assert not (tmp_path / "kept").exists()


def test_a_shell_says_how_to_go_on(models, credit, stopped, tmp_path, capsys):
    for name, model in zip(("old", "new"), models, strict=True):
        joblib.dump(model, tmp_path / f"{name}.joblib")
    credit.data.to_csv(tmp_path / "X.csv", index=False)
    credit.action_set.to_file(tmp_path / "actions.toml")
    given = {"reference": "old.joblib", "deployed": "new.joblib", "data": "X.csv"}
    given |= {"actions": "actions.toml", "checkpoint": "kept", "json": "audit.json"}
    asked = [one for key, name in given.items() for one in (f"--{key}", str(tmp_path / name))]
    asked = ["audit", *asked, "--target", "granted", "--trust"]
    stopped.most = 0
    assert main(asked) == 130
    assert "stopped after 0 of 450 people. The same call" in capsys.readouterr().err
    stopped.most = None
    assert main(asked) == 0
    assert (tmp_path / "audit.json").exists()
    assert main([*asked, "--dry-run"]) == 0
    assert "would keep what is finished in" in capsys.readouterr().out
