"""The program: each exit code for each reason, and what is written."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcfq import PTQClassifier, TableEncoder
from skcfq.audit import AuditReport, IssuedReport
from skcfq.command_line import main
from skcfq.datasets import make_credit
from skcfq.results import IssuedAdvice


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return paths of models, tables and rules of one small world."""
    folder = tmp_path_factory.mktemp("files")
    credit = make_credit(300, random_state=0)
    for name, c in (("old", 1.0), ("new", 0.01)):
        model = make_pipeline(TableEncoder(), LogisticRegression(C=c, max_iter=500))
        joblib.dump(model.fit(credit.data, credit.target), folder / f"{name}.joblib")
    joblib.dump({"no": "model"}, folder / "dict.joblib")
    people = [f"C{i}" for i in range(300)]
    table = credit.data.assign(customer=people, y=credit.target, note="x")
    table.to_csv(folder / "X.csv", index=False)
    table.head(0).to_csv(folder / "empty.csv", index=False)
    accepted = joblib.load(folder / "old.joblib").predict(credit.data) == "granted"
    table[accepted].to_csv(folder / "granted.csv", index=False)
    credit.action_set.to_file(folder / "actions.toml")
    (folder / "bad.toml").write_text("immutable = [")
    (folder / "broken.joblib").write_bytes(b"nothing")
    (folder / "broken.skcfq").write_bytes(b"nothing")
    (folder / "broken.onnx").write_bytes(b"nothing")
    names = {file.name.replace(".", "_"): str(file) for file in folder.iterdir()}
    return SimpleNamespace(folder=folder, credit=credit, **names)


def audit(files, *more, **changed):
    """Run an audit with some arguments other than usual; None leaves one out."""
    usual = {
        "reference": files.old_joblib,
        "deployed": files.new_joblib,
        "data": files.X_csv,
        "actions": files.actions_toml,
        "target": "granted",
    }
    given = {key.replace("_", "-"): value for key, value in (usual | changed).items()}
    pairs = [(f"--{key}", str(value)) for key, value in given.items() if value is not None]
    return main(["audit", *(part for pair in pairs for part in pair), *more])


def error_of(capsys):
    """Return the one line on stderr."""
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "Traceback" not in told[0], told
    return told[0]


def test_passed_and_what_is_written(files, tmp_path, capsys):
    code = audit(
        files,
        "--trust",
        outcome="y",
        groups="sex,housing",
        person="customer",
        background=files.X_csv,
        max_validity_drop=1,
        max_recourse_gap=1000,
        max_group_gap=1,
        json=tmp_path / "audit.json",
        junit=tmp_path / "out.xml",
    )
    told = capsys.readouterr()
    assert code == 0 and told.err == "" and told.out.splitlines()[-1] == "passed"
    assert "columns that no model reads, left out: note\n" in told.out
    report = AuditReport.read(tmp_path / "audit.json")
    assert report.people.index.name == "customer" and report.people.index[3] == "C3"
    assert [one["file"] for one in report.models.values()] == ["old.joblib", "new.joblib"]
    assert report.data["ignored_columns"] == ["note"]
    assert "accuracy" in report.figures.index
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()
    names = [case.get("name") for case in suite]
    assert names[:2] == ["everybody", "everybody"] and "sex: female" in names
    assert suite.get("failures") == suite.get("errors") == "0"


def test_the_control_takes_what_retraining_does(files, tmp_path, capsys):
    path = tmp_path / "audit.json"
    assert audit(files, "--trust", retrained=files.new_joblib, json=path) == 0
    report = AuditReport.read(path)
    assert report.loss_reasons.index[0] == "retraining" and len(report.lost)
    assert set(report.lost["reason"]) == {"retraining"}
    assert sorted(report.models) == ["deployed", "reference"]
    capsys.readouterr()
    issued = {"reference": None, "data": None, "actions": None, "target": None}
    assert audit(files, issued="advice.json", retrained="a.joblib", **issued) == 2
    assert "--retrained is for audits of two models" in error_of(capsys)


def test_whom_compression_changes(files, tmp_path, capsys):
    path = tmp_path / "audit.json"
    asked = {"outcome": "y", "groups": "sex", "json": path}
    assert audit(files, "--trust", "--skew", **asked) == 0
    report = AuditReport.read(path)
    assert ("sex", "female", "validity_drop") in report.skew.figures.index
    capsys.readouterr()
    assert audit(files, "--trust", "--skew", groups="sex") == 2
    assert "--skew needs the true labels" in error_of(capsys)


def test_exceeded(files, tmp_path, capsys):
    junit = tmp_path / "out.xml"
    assert audit(files, "--trust", max_validity_drop=0, junit=junit) == 1
    assert "validity_drop (everybody):" in capsys.readouterr().out
    assert ElementTree.parse(junit).getroot().get("failures") == "1"
    # The estimate is within the limit, and what is known with 99 % is not.
    report, page = tmp_path / "audit.json", tmp_path / "audit.html"
    assert audit(files, "--trust", json=report, report=page) == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    drop = AuditReport.read(report).figures.loc["validity_drop", "value"] + 1e-6
    assert audit(files, "--trust", max_validity_drop=drop) == 0
    assert audit(files, "--trust", max_validity_drop=drop, confidence=0.99) == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"deployed": "old_joblib"}, "the same model"),
        ({"data": "empty_csv"}, "has no rows"),
        ({"data": "granted_csv"}, "nobody was refused"),
        ({"data": "missing.csv"}, "no such file"),
        ({"data": "broken_joblib"}, "has no rows"),
        ({"deployed": "missing.joblib"}, "no such file"),
        ({"deployed": "broken_joblib"}, "error: .+"),
        ({"deployed": "broken_skcfq"}, "no model file|is not|not a"),
        ({"deployed": "broken_onnx"}, "no ONNX file"),
        ({"deployed": "dict_joblib"}, "error: .+"),
        ({"actions": "bad_toml"}, "bad.toml"),
        ({"actions": "missing.toml"}, "missing.toml"),
        ({"target": "maybe"}, "it says denied, granted"),
        ({"groups": "planet"}, "--groups names 'planet'"),
        ({"groups": "sex,,age"}, "no list"),
        ({"person": "planet"}, "--person names 'planet'"),
        ({"outcome": "note"}, "--outcome has 'x'"),
        ({"max_validity_drop": "5 %"}, "no number"),
        ({"max_validity_drop": "nan"}, "no number"),
        ({"max_group_gap": 2}, "from 0 to 1"),
        ({"confidence": 1}, "between"),
        ({"reference": None}, "--reference"),
        ({"json": "missing/audit.json"}, "folder"),
        ({"report": "audit.pdf"}, "neither in .html nor in .md"),
        ({"max_group_gap": 1}, "there are no groups"),
    ],
)
def test_could_not_judge(files, capsys, changed, told):
    changed = {key: getattr(files, str(value), value) for key, value in changed.items()}
    assert audit(files, "--trust", **({"max_validity_drop": 1} | changed)) == 2
    line = error_of(capsys)
    assert line.startswith("skcfq")
    assert pd.Series([line]).str.contains(told)[0], line


def test_wrong_arguments(capsys):
    for argv in ([], ["fly"], ["audit", "--fly"], ["audit"]):
        assert main(argv) == 2
        error_of(capsys)
    assert main(["--help"]) == 0 and main(["--version"]) == 0


def test_a_failure_leaves_no_verdict_of_another_run(files, tmp_path, capsys):
    junit = tmp_path / "out.xml"
    assert audit(files, "--trust", max_validity_drop=1, junit=junit) == 0
    assert ElementTree.parse(junit).getroot().get("errors") == "0"
    for changed in ({"target": "maybe"}, {"data": files.granted_csv}):
        assert audit(files, "--trust", max_validity_drop=1, junit=junit, **changed) == 2
        assert ElementTree.parse(junit).getroot().get("errors") == "1"
    assert audit(files, "--trust", junit=junit) == 2  # there is no verdict without a threshold


class Bomb:
    """What executes code when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("suffix", ["joblib", "pkl", "PICKLE"])
def test_code_is_not_executed_without_trust(files, tmp_path, capsys, suffix):
    bomb, mark = tmp_path / f"bomb.{suffix}", tmp_path / "exploded"
    joblib.dump(Bomb(mark), bomb)
    for more in ([], ["--dry-run"], ["--dry-run", "--trust"]):
        expected = 0 if "--trust" in more else 2
        assert audit(files, *more, deployed=bomb, reference=files.new_joblib) == expected
        assert not mark.exists()
    assert main(["inspect", str(bomb)]) == 2
    assert main(["export", "--model", str(bomb), "--out", str(tmp_path / "m.skcfq")]) == 2
    assert not mark.exists()
    disguised = tmp_path / "bomb.skcfq"
    bomb.rename(disguised)
    assert audit(files, "--trust", deployed=disguised) == 2 and not mark.exists()
    capsys.readouterr()


def test_dry_run_says_what_would_be_done(files, tmp_path, capsys):
    report = tmp_path / "audit.json"
    given = {"max_validity_drop": 0.1, "confidence": 0.9, "groups": "sex", "json": report}
    assert audit(files, "--trust", "--dry-run", **given) == 0
    told = capsys.readouterr().out
    for part in ("old.joblib", "new.joblib", "17 columns", "upper limit", "sex", str(report)):
        assert part in told
    assert not report.exists()
    for changed in ({"groups": "planet"}, {"actions": files.bad_toml}, {"data": "missing.csv"}):
        assert audit(files, "--trust", "--dry-run", **changed) == 2
        error_of(capsys)


def test_skops_needs_no_trust_for_what_it_knows(tmp_path, capsys):
    io = pytest.importorskip("skops.io")
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(120, 2)), columns=["income", "debt"])
    y = np.where(X["income"] > X["debt"], "yes", "no")
    X.to_csv(tmp_path / "X.csv", index=False)
    for name, c in (("a", 1.0), ("b", 0.01)):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c)).fit(X, y)
        io.dump(model, tmp_path / f"{name}.skops")
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, y)
    io.dump(model, tmp_path / "ours.skops")
    common = ["--data", str(tmp_path / "X.csv"), "--target", "yes"]
    argv = ["audit", "--reference", str(tmp_path / "a.skops"), *common, "--deployed"]
    assert main([*argv, str(tmp_path / "b.skops")]) == 0
    capsys.readouterr()
    assert main([*argv, str(tmp_path / "ours.skops")]) == 2
    assert "does not trust" in error_of(capsys)
    assert main([*argv, str(tmp_path / "ours.skops"), "--trust"]) == 0


def test_a_pipeline_and_its_onnx_export(tmp_path, capsys):
    skl2onnx = pytest.importorskip("skl2onnx")
    quantization = pytest.importorskip("onnxruntime.quantization")
    from skl2onnx.common.data_types import FloatTensorType

    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(150, 3)), columns=["income", "debt", "years"])
    y = np.where(X["income"] + X["years"] > X["debt"], 1, 0)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    joblib.dump(model, tmp_path / "f.joblib")
    given = [("X", FloatTensorType([None, 3]))]
    graph = skl2onnx.convert_sklearn(model, initial_types=given, options={"zipmap": False})
    (tmp_path / "f.onnx").write_bytes(graph.SerializeToString())
    X.assign(y=y, extra=1).to_csv(tmp_path / "X.csv", index=False)
    argv = ["audit", "--reference", str(tmp_path / "f.joblib"), "--deployed"]
    argv += [str(tmp_path / "f.onnx"), "--data", str(tmp_path / "X.csv"), "--target", "1"]
    argv += ["--outcome", "y", "--trust", "--max-validity-drop"]
    assert main([*argv, "1"]) == 0
    assert "columns that no model reads, left out: extra" in capsys.readouterr().out
    assert main([*argv, "1", "--require-quantized"]) == 2
    assert "not quantized" in error_of(capsys)
    assert main(["inspect", str(tmp_path / "f.onnx")]) == 0
    assert json.loads(capsys.readouterr().out)["quantized"] is False
    network = MLPClassifier((4,), max_iter=5, random_state=0)
    with pytest.warns(ConvergenceWarning):
        network.fit(X, y)
    graph = skl2onnx.convert_sklearn(network, initial_types=given, options={"zipmap": False})
    (tmp_path / "n.onnx").write_bytes(graph.SerializeToString())
    quantization.quantize_dynamic(tmp_path / "n.onnx", tmp_path / "n8.onnx")
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "n8.onnx")]) == 0
    assert json.loads(capsys.readouterr().out)["quantized"] is True


def test_quantized_model_from_training_to_letters(files, tmp_path, capsys):
    pytest.importorskip("jinja2")
    credit = files.credit
    student = PTQClassifier(4, teacher=joblib.load(files.old_joblib), target="granted")
    joblib.dump(student.fit(credit.data, credit.target), tmp_path / "q.joblib")
    shipped, graph = tmp_path / "q.skcfq", tmp_path / "q.onnx"
    for out in (shipped, graph):
        argv = ["export", "--model", str(tmp_path / "q.joblib"), "--out", str(out), "--trust"]
        assert main(argv) == 0
    gate = {"max_validity_drop": 1, "deployed": shipped, "json": tmp_path / "audit.json"}
    assert audit(files, "--trust", "--require-quantized", **gate) == 0
    record = AuditReport.read(tmp_path / "audit.json").models["deployed"]
    assert record["file"] == "q.skcfq" and record["bytes"] == shipped.stat().st_size
    assert "columns that no model reads, left out: customer, y, note" in capsys.readouterr().out
    for file in (shipped, graph, tmp_path / "audit.json"):
        assert main(["inspect", str(file)]) == 0
        assert json.loads(capsys.readouterr().out)["kind"] in ("skcfq", "onnx", "audit")

    argv = ["solve", "--model", str(shipped), "--data", files.X_csv, "--person", "customer"]
    argv += ["--actions", files.actions_toml, "--target", "granted", "--margin", "0.01"]
    argv += ["--background", files.X_csv, "--out", str(tmp_path / "advice.json")]
    assert main(argv) == 0
    advice = IssuedAdvice.read(tmp_path / "advice.json")
    assert advice.people[0] == "C0" and advice.reachable.any()
    folder = tmp_path / "letters"
    argv = ["letters", str(tmp_path / "advice.json"), "--unit", "income=EUR", "--out", str(folder)]
    assert main(argv) == 0
    written = sorted(folder.iterdir())
    assert len(written) == advice.denied.sum() or len(written) == advice.reachable.sum()
    assert "granted" in written[0].read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(argv) == 2  # the folder is full
    error_of(capsys)
    assert main(["inspect", str(tmp_path / "advice.json")]) == 0


def test_as_a_process(files, tmp_path):
    argv = [sys.executable, "-m", "skcfq", "audit", "--reference", files.old_joblib, "--deployed"]
    argv += [files.new_joblib, "--data", files.X_csv, "--target", "granted"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "--trust" in done.stderr
    done = subprocess.run(
        [*argv, "--trust", "--max-validity-drop", "0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stderr == "", done.stderr


def test_help_is_light():
    code = (
        "import sys; from skcfq.command_line import main; main(['--help']); "
        "sys.exit(bool({'torch', 'pandas', 'sklearn', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0


@pytest.fixture(scope="module")
def issued(files):
    """Return the path of advice under the lenient model, told with dates of its own."""
    path = files.folder / "advice.json"
    argv = ["solve", "--model", files.new_joblib, "--trust", "--data", files.X_csv, "--person"]
    argv += ["customer", "--actions", files.actions_toml, "--target", "granted", "--out", str(path)]
    assert main([*argv, "--background", files.X_csv, "--margin", "0.5"]) == 0
    table = pd.read_csv(files.X_csv).sample(frac=1, random_state=0)
    days = np.where(np.arange(len(table)) % 3, "2026-12-31", "2026-01-31")
    table.assign(until=days).to_csv(files.folder / "days.csv", index=False)
    return str(path)


def audit_advice(files, path, /, *more, **changed):
    """Run an audit of advice with some arguments other than usual; None leaves one out."""
    given = {"reference": None, "data": None, "actions": None, "target": None, "issued": path}
    given["deployed"] = files.old_joblib
    return audit(files, "--trust", *more, **(given | changed))


def test_advice_that_was_given(files, issued, tmp_path, capsys):
    days = str(files.folder / "days.csv")
    given = {
        "data": days,
        "person": "customer",
        "groups": "sex",
        "background": files.X_csv,
        "min_group_size": 5,
    }
    given |= {"valid_until": "until", "on": "2026-06-30", "json": tmp_path / "issued.json"}
    given |= {"report": tmp_path / "issued.html", "junit": tmp_path / "out.xml"}
    assert audit_advice(files, issued, max_validity_drop=1, max_group_gap=1, **given) == 0
    assert "outstanding promises" in capsys.readouterr().out
    report = IssuedReport.read(tmp_path / "issued.json")
    table = pd.read_csv(days).set_index("customer").loc[report.people.index]
    assert report.people["valid_until"].tolist() == table["until"].tolist()
    assert report.sensitive["sex"].tolist() == table["sex"].tolist()
    assert 0 < len(report.broken) < report.people["outstanding"].sum() < len(report.people)
    assert ElementTree.parse(tmp_path / "out.xml").getroot().get("failures") == "0"
    assert (tmp_path / "issued.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "issued.json")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "issued audit" and told["remedies"]["bias"]["bias"] > 0
    share = report.figures.loc["broken", "value"] + 1e-6
    assert audit_advice(files, issued, max_validity_drop=share, **given) == 0
    assert audit_advice(files, issued, max_validity_drop=share, confidence=0.95, **given) == 1
    assert audit_advice(files, issued, max_validity_drop=0, **given) == 1
    assert ElementTree.parse(tmp_path / "out.xml").getroot().get("failures") == "1"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"issued": "missing.json"}, "no such file"),
        ({"issued": "X_csv"}, "no advice|cannot be read|document"),
        ({"deployed": "missing.joblib"}, "no such file"),
        ({"deployed": "new_joblib"}, "the model that gave the advice"),
        ({"deployed": "dict_joblib"}, "error: .+"),
        ({"reference": "old_joblib"}, "--reference says nothing"),
        ({"target": "granted"}, "--target says nothing"),
        ({"max_recourse_gap": 1}, "--max-recourse-gap says nothing"),
        ({"groups": "sex"}, "--data, which is not given"),
        ({"data": "X_csv", "groups": "planet"}, "planet"),
        ({"data": "granted_csv", "person": "customer"}, "people who were told something"),
        ({"data": "granted_csv"}, "name the column"),
        ({"valid_until": "soon"}, "is no day"),
        ({"on": "2026-06-30"}, "valid_until is not"),
        ({"valid_until": "2026-01-31", "on": "2026-02-01"}, "no promise is outstanding"),
        ({"max_group_gap": 1}, "there are no groups"),
    ],
)
def test_advice_that_could_not_be_judged(files, issued, capsys, changed, told):
    changed = {key: getattr(files, str(value), value) for key, value in changed.items()}
    assert audit_advice(files, issued, **({"max_validity_drop": 1} | changed)) == 2
    line = error_of(capsys)
    assert pd.Series([line]).str.contains(told)[0], line
    assert audit(files, "--trust", on="2026-01-31") == 2  # dates are those of --issued
    capsys.readouterr()


def test_advice_needs_a_quantized_model_where_it_is_asked_for(files, issued, capsys):
    assert audit_advice(files, issued, "--require-quantized") == 2
    assert "not quantized" in error_of(capsys)
    assert audit_advice(files, issued, "--dry-run", max_validity_drop=0.1) == 0
    assert "would read the advice" in capsys.readouterr().out


def test_verify(files, tmp_path, capsys):
    path = tmp_path / "audit.json"
    assert audit(files, "--trust", outcome="y", groups="sex", person="customer", json=path) == 0
    models = ["--reference", files.old_joblib, "--deployed", files.new_joblib]
    argv = ["verify", str(path), "--data", files.X_csv]
    assert main([*argv, "--outcome", "y", *models, "--trust"]) == 0
    told = capsys.readouterr().out
    assert "0 problems" in told and "taken from the document" not in told
    assert main(argv) == 0
    assert "decisions of the deployed: taken from the document" in capsys.readouterr().out
    # The other way round, the models are not those of the audit.
    swapped = ["--reference", files.new_joblib, "--deployed", files.old_joblib, "--trust"]
    assert main([*argv, *swapped]) == 1
    assert "people.holds" in capsys.readouterr().out
    document = json.loads(path.read_text(encoding="utf-8"))
    document["figures"][0]["value"] = 0.5
    path.write_text(json.dumps(document), encoding="utf-8")
    assert main(argv) == 1
    assert "digest" in capsys.readouterr().out
    for wrong in (
        ["verify", files.X_csv, "--data", files.X_csv],
        ["verify", str(path), "--data", "missing.csv"],
        [*argv, "--outcome", "planet"],
        [*argv, *models],
        ["verify", str(path)],
    ):
        assert main(wrong) == 2
        error_of(capsys)
