"""What all tests share: one torch thread, the folder of the real data, small tables."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from skcfq import TeacherClassifier
from skcfq.datasets import make_credit

# Two threads are many times slower than one on small tensors and a busy machine.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that tell an address: every process of a parallel run has others."""
    named = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if named:
        raise pytest.UsageError(f"give these parameters names (ids=...): {named}")


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder of the real datasets; the test is skipped where there is none."""
    folder = os.environ.get("SKCFQ_DATA")
    if not folder:
        pytest.skip("real data needed: set SKCFQ_DATA to a folder such as ../shared/data")
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        pytest.skip(f"real data needed: SKCFQ_DATA={folder} is not a folder")
    return path


@pytest.fixture(scope="session")
def credit():
    """Lending table of 240 people: numbers, text and gaps."""
    return make_credit(240, random_state=0)


@pytest.fixture(scope="session")
def small():
    """Parameters that make every estimator learn the tables here in half a second."""
    return {"hidden_layer_sizes": (8,), "max_iter": 30, "batch_size": 16}


@pytest.fixture(scope="session")
def quick():
    """Parameters for tests that need a teacher with recourse, but not a good one."""
    return {"hidden_layer_sizes": (8,), "max_iter": 10, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def short_teachers():
    """Let teachers whose length is open learn in 200 updates, where none need be good."""

    def passes(network, rows, settings, seed):
        return math.ceil(200 / math.ceil(len(rows) / settings.batch_size))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skcfq.estimators._teacher.settled_passes", passes)
        yield


@pytest.fixture(scope="session")
def taught(credit):
    """Parameters of students of one teacher of the lending table, who need no good one."""
    teacher = TeacherClassifier((8,), max_iter=20, batch_size=16, random_state=0)
    return {
        "teacher": FrozenEstimator(teacher.fit(credit.data, credit.target)),
        "action_set": credit.action_set,
        "target": credit.favorable,
        "hidden_layer_sizes": (8,),
        "random_state": 0,
    }


@pytest.fixture(scope="session")
def table():
    """Array of 90 rows of four numbers, and labels that a line through two of them separates."""
    X = np.random.default_rng(0).normal(size=(90, 4))
    return X, (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)


@pytest.fixture(scope="session")
def people():
    """Table of 120 people with every kind of column, and a score that decides about them."""
    rng = np.random.default_rng(0)
    n = 120
    income = rng.normal(3000, 800, n).round()
    years = rng.integers(0, 20, n)
    job = rng.choice(["cook", "clerk", "pilot"], n)
    member = rng.random(n) < 0.5
    score = (income - 3000) / 800 + 0.1 * (years - 10) + 0.8 * (job == "pilot") + 0.5 * member
    frame = pd.DataFrame(
        {
            "income": income,
            "years": years,
            "job": job,
            "level": pd.Categorical(rng.choice(["low", "high"], n), categories=["low", "high"]),
            "member": member,
            "loans": pd.array(rng.integers(0, 4, n), dtype="Int64"),
            "owner": pd.array(rng.random(n) < 0.3, dtype="boolean"),
            "savings": pd.array(rng.gamma(2.0, 900, n), dtype="Float64"),
            "city": pd.array(rng.choice(["Rome", "Oslo"], n), dtype="string"),
        },
        index=pd.Index(rng.permutation(n) + 1000, name="id"),
    )
    for position, name in enumerate(frame.columns.drop(["years", "member"])):
        frame.loc[frame.index[position:120:25], name] = pd.NA if name != "income" else np.nan
    return frame, score
