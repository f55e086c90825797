"""Small tables for the tests of the estimators."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator

from skcfq import TeacherClassifier
from skcfq.datasets import make_credit


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
