"""A program that prints its own lines finds none of HiGHS between them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading

import highspy
import pytest

from skcfq.solvers.exact import _highs

SOLVES = """
import json
import numpy as np
from sklearn.linear_model import LogisticRegression
from skcfq import ActionSet, RecourseSolver

X = np.random.default_rng(0).normal(size=(60, 4))
model = LogisticRegression().fit(X, X @ [1, -1, 2, 0.5] > 1)
methods = []
rules = {"lp": "change(`0`) + change(`2`) <= 0.6", "milp": "if changes(`0`) then stays(`2`)"}
for method, rule in rules.items():
    solver = RecourseSolver(ActionSet(constraints=[rule]), target=True, method=method)
    methods.append(solver.solve(model, X[:5], background=X).method)
print(json.dumps(methods))
"""


def test_linear_and_integer_programs_leave_standard_output_alone():
    done = subprocess.run(
        [sys.executable, "-c", SOLVES], capture_output=True, text=True, check=True
    )
    assert done.stdout == '["lp", "milp"]\n'


@pytest.fixture
def chatty(monkeypatch):
    """A HiGHS whose constructor prints, as that of version 1.16 does; returns its calls."""
    built = []

    def constructor():
        ctypes.CDLL(None).puts(b"Running HiGHS, as the C library prints")
        os.write(1, b"Running HiGHS, past the C library\n")
        built.append(threading.get_ident())

    monkeypatch.setattr(highspy, "Highs", constructor)
    monkeypatch.setattr(_highs, "_started", False)
    return built


@pytest.mark.skipif(os.name == "nt", reason="puts of the C library that Python itself uses")
def test_the_banner_is_swallowed_and_what_was_held_back_is_not(chatty, capfd):
    library = ctypes.CDLL(None)
    library.puts(b"held back by the C library")
    _highs.start_highs_quietly()
    library.puts(b"afterwards")
    library.fflush(None)
    assert capfd.readouterr().out == "held back by the C library\nafterwards\n"


@pytest.mark.skipif(os.name == "nt", reason="puts of the C library that Python itself uses")
def test_threads_build_one_solver_between_them(chatty, capfd):
    threads = [threading.Thread(target=_highs.start_highs_quietly) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(chatty) == 1
    os.write(1, b"open again\n")
    assert capfd.readouterr().out == "open again\n"
