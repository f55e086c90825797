"""Progress: a bar where somebody watches, one line a phase in a log, nothing where it is silent."""

from __future__ import annotations

import io
import re
import sys

import pytest
from sklearn.linear_model import LogisticRegression

from skcfq import CFQClassifier, RecourseSolver, TeacherClassifier
from skcfq.utils import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("count", "total", "says"),
    [
        (3, 3, "recourse: 3 people in"),
        (2, 3, "recourse: 2 of 3 people in"),
        (1, 1, "recourse: 1 person in"),
        (7, None, "recourse: 7 people in"),
    ],
)
def test_a_log_has_one_line_a_phase(count, total, says, capsys):
    with Progress("recourse", "person", total) as progress:
        for done in range(count):
            progress.update(figures=f"loss={done}")
    told = capsys.readouterr()
    assert told.out == ""
    assert re.fullmatch(rf"{says} \d+\.\d s, loss={count - 1}\n", told.err)


def test_a_terminal_has_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("rounding", "pass", 2) as progress:
        progress.update(2, "loss=0.5")
    assert "rounding: 100%" in terminal.getvalue() and "loss=0.5" in terminal.getvalue()


@pytest.mark.parametrize("shown", [False, True])
def test_phases_of_a_fit_and_of_a_stream(shown, table, capsys):
    X, y = table
    settings = {"hidden_layer_sizes": (4,), "max_iter": 2, "verbose": int(shown)}
    CFQClassifier(random_state=0, **settings).fit(X, y)
    teacher = LogisticRegression().fit(X, y)
    solver = RecourseSolver(verbose=int(shown), batch_size=9)
    list(solver.solve_chunks(teacher, [X[:40], X[40:]], background=X))
    solver.solve(teacher, X, background=X)
    told = capsys.readouterr()
    assert told.out == ""
    phases = [line.split(":")[0] for line in told.err.splitlines()]
    expected = ["teacher", "recourse", "CFQClassifier", "rounding", "recourse", "recourse"]
    assert phases == shown * expected
    assert told.err.count(" s") >= len(phases) and "\r" not in told.err


def test_a_phase_that_was_interrupted_says_how_far_it_came(capsys):
    def work():
        with Progress("teacher", "epoch", 5) as progress:
            progress.update()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert capsys.readouterr().err.startswith("teacher: 1 of 5 epochs in")


def test_the_teacher_alone(table, capsys):
    TeacherClassifier((4,), max_iter=3, verbose=1, random_state=0).fit(*table)
    assert re.fullmatch(r"teacher: 3 epochs in \d+\.\d s, loss=0\.\d{4}\n", capsys.readouterr().err)
