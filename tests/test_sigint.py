"""Real Ctrl-C at random moments: nothing finished is lost, nothing untrained is called fitted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import skcfq

SCRIPT = """
import json, os, signal, sys, threading, time, warnings
import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted
from skcfq import CFQClassifier, RecourseSolver, TableEncoder
from skcfq.datasets import make_credit
from skcfq.solvers.exact import _convex

signal.signal(signal.SIGINT, signal.default_int_handler)
warnings.simplefilter("ignore")
torch.set_num_threads(1)
kind, n_moments, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(seed)
credit = make_credit(300, random_state=0)
X, y = credit.data, credit.target
rules = {"action_set": credit.action_set, "target": credit.favorable, "random_state": 0}
solver = RecourseSolver(method="milp", batch_size=8, **rules)
models = []
for C in (1.0, 0.02):
    steps = models[0].steps[0][1:] if models else (TableEncoder().fit(X),)
    models.append(make_pipeline(*steps, LogisticRegression(C=C, max_iter=1000)))
    models[-1].fit(X, y)
people = X.iloc[:60]

# How many people's programs were solved.
solved, original = [], _convex._Program.solve
def solve(self, *given):
    answer = original(self, *given)
    solved.append(1)
    return answer
_convex._Program.solve = solve

def fitted(model):
    assert model.n_iter_ >= 1 and model.average_bits_ <= 4
    assert model.deployed().predict(X).tolist() == model.predict(X).tolist()
    return "kept" if model.interrupted_ else "whole"

def unfitted(model):
    assert not [name for name in vars(model) if name.endswith("_")], vars(model).keys()
    try:
        check_is_fitted(model)
    except NotFittedError:
        return "raised"
    raise AssertionError("called fitted")

def compared(parts, wholes, in_order=True):
    finished = 0
    for part, whole in zip(parts, wholes):
        done = part.status != "time_limit"
        assert done.all() or part.interrupted
        finished += int((done & part.denied).sum())
        if in_order:
            assert part.status[done].tolist() == whole.status[done].tolist()
            np.testing.assert_allclose(part.cost[done], whole.cost[done], rtol=1e-9)
    # The one that Ctrl-C met as it was being written down may be lost.
    assert finished >= len(solved) - 1, (finished, len(solved))
    return "kept" if any(part.interrupted for part in parts) else "whole"

class Fit:
    def __init__(self):
        self.model = CFQClassifier(4, hidden_layer_sizes=(8,), max_iter=15, batch_size=32, **rules)
        self.model.set_params(teacher_actions__max_people=60)
    def run(self):
        self.model.fit(X, y)
    def returned(self, whole):
        return fitted(self.model)
    def raised(self):
        return unfitted(self.model)
    def same(self, other):
        return np.array_equal(self.model.predict_proba(X), other.model.predict_proba(X))

class Solve:
    parts = ()
    def run(self):
        self.parts = [solver.solve(models[0], people)]
    def returned(self, whole):
        return compared(self.parts, whole.parts)
    def raised(self):
        assert not solved
        return "raised"
    def same(self, other):
        pairs = zip(self.parts, other.parts)
        return all(one.status.tolist() == two.status.tolist() for one, two in pairs)

class Compare(Solve):
    def run(self):
        self.parts = solver.compare(*models, people)

class Chunks(Solve):
    def run(self):
        self.parts = []
        chunks = (people.iloc[first : first + 15] for first in range(0, 60, 15))
        for part in solver.solve_chunks(models[0], chunks):
            self.parts.append(part)
    def raised(self):
        # Between two chunks: all that was finished is handed over.
        return "raised" if compared(self.parts, whole.parts) == "whole" else "kept"

work = {"fit": Fit, "solve": Solve, "compare": Compare, "solve_chunks": Chunks}[kind]
work().run()
begin = time.monotonic()
whole = work()
whole.run()
seconds = time.monotonic() - begin
random = torch.get_rng_state(), np.random.get_state()[1].tolist()
counts = {}
for _ in range(n_moments):
    one = work()
    solved.clear()
    timer = threading.Timer(rng.uniform(0, seconds), os.kill, (os.getpid(), signal.SIGINT))
    late = True
    try:
        timer.start()
        one.run()
        late = False
        end = one.returned(whole)
        timer.join()
    except KeyboardInterrupt:
        # Where the call had returned before, the signal came too late to matter.
        end = one.raised() if late else "whole"
    timer.join()
    counts[end] = counts.get(end, 0) + 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert float(torch.tensor(1e-40) * 1) != 0 and torch.get_num_threads() == 1
    assert torch.is_grad_enabled() and torch.equal(torch.get_rng_state(), random[0])
    assert np.random.get_state()[1].tolist() == random[1]
again = work()
again.run()
assert again.same(whole)
print(json.dumps(counts))
"""


@pytest.mark.slow  # two hundred fits and solves
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("kind", ["fit", "solve", "solve_chunks", "compare"])
def test_ctrl_c_at_fifty_random_moments(kind):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind, "50", "0"],
        capture_output=True,
        text=True,
        cwd=Path(skcfq.__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == 50
    assert counts["kept"] > 0
