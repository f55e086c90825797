"""The feasible recourse rate beside a model is the reference's; the model's own is named so."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.metrics import single_precision_drop

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no examples here")


def load(path):
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scene():
    """Within the bounds everybody can persuade the reference, and half of them the other."""
    X = pd.DataFrame({"income": np.arange(16.0), "height": np.tile([0.0, 1.0], 8)})
    encoder = TableEncoder().fit(X)
    grants = (X.income > 5.5, X.income + 3 * X.height > 8.5)
    reference, stricter = (
        make_pipeline(encoder, LogisticRegression(C=1e4).fit(encoder.transform(X), y))
        for y in grants
    )
    stricter.average_bits_, stricter.bit_widths_ = 4.0, np.array([4])
    rules = ActionSet(actionable=["income"], bounds={"income": (0, 7)})
    solver = RecourseSolver(rules, target=True)
    return X, reference, stricter, solver


def test_the_scene_tells_the_two_apart(scene):
    X, reference, stricter, solver = scene
    first, second = solver.compare(reference, stricter, X)
    rates = [one.summary()["feasible_rate"] for one in (first, second)]
    assert rates[0] == 1.0 > rates[1] > 0


def test_tables_of_the_paper(scene):
    X, reference, stricter, solver = scene
    protocol = load(EXAMPLES / "paper" / "_protocol.py")
    found = protocol.measure(reference, stricter, X, X, X.income > 5.5, solver)
    deployed = solver.solve(stricter, X).summary()["feasible_rate"]
    assert (found["FRR"], found["FRR deployed"]) == (1.0, deployed)
    assert found["float noise"] == single_precision_drop(reference, solver.solve(reference, X))


def test_table_of_the_demonstration(scene, capsys):
    X, reference, stricter, solver = scene
    job = load(EXAMPLES / "main_job.py")
    results = {"CFQ": solver.compare(reference, stricter, X)}
    names = ("LSQ-QAT", job.BIASED, "CFQ")
    models, results = dict.fromkeys(names, stricter), dict.fromkeys(names, results["CFQ"])
    rows = job.table_of(reference, models, results, X, X.income > 5.5, True)
    assert not rows.isna().any(axis=None) and "float noise" in rows
    assert rows.loc["teacher", ["FRR", "FRR deployed"]].tolist() == [1.0, 1.0]
    deployed = results["CFQ"][1].summary()["feasible_rate"]
    assert rows.loc["CFQ", ["FRR", "FRR deployed"]].tolist() == [1.0, deployed]
    assert rows["accepted"].tolist() == [10 / 16, *[np.mean(stricter.predict(X))] * 3]
    job.print_what_is_seen(rows)
    told = capsys.readouterr().out
    assert f"{rows.loc['CFQ', '|CRG|']:.1%} and accepts {rows.loc['CFQ', 'accepted']:.1%}" in told


@pytest.mark.parametrize(("arguments", "verbose"), [([], 1), (["--quiet"], 0)])
def test_the_demonstration_tells_how_far_it_is_unless_asked_not_to(arguments, verbose, monkeypatch):
    job = load(EXAMPLES / "main_job.py")

    def begin(**given):
        raise InterruptedError(given["verbose"])

    monkeypatch.setattr(job, "CFQClassifier", lambda budget, **given: begin(**given))
    monkeypatch.setattr(sys, "argv", ["main_job.py", *arguments])
    with pytest.raises(InterruptedError, match=str(verbose)):
        job.main()
