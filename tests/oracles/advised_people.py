"""People with advice, whose results are read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder

SCHOOL = ["primary", "secondary", "master"]
RULES = {
    "immutable": ["age"],
    "bounds": {"income": (0, 60), "savings": (0, 40)},
    "steps": {"income": 0.5},
    "ordinal": {"school": SCHOOL},
    "increasing": ["school"],
    "one_hot": {"color": ["red", "green", "blue"]},
    "implied": {"age": {"school": 2}},
    "max_changes": 3,
}
# So cheap that degrees and colors are part of the advice.
CHEAP = {"school": 0.2, "color": 0.1}
UNITS = {"income": "kEUR", "age": "years"}


def draw_people(n: int = 160, seed: int = 0) -> pd.DataFrame:
    rng = np.random.RandomState(seed)
    color = rng.randint(0, 3, n)
    X = pd.DataFrame(
        {
            "age": rng.randint(18, 70, n),
            "income": rng.randint(5, 50, n).astype(float),
            "savings": rng.randint(0, 30, n).astype(float),
            "job": rng.choice(["cook", "clerk", "pilot"], n),
            "school": rng.choice(SCHOOL, n),
            "red": (color == 0).astype(int),
            "green": (color == 1).astype(int),
            "blue": (color == 2).astype(int),
        },
        index=[f"P{i}" for i in range(n)],
    )
    X.loc[rng.rand(n) < 0.1, "savings"] = np.nan
    return X


def fit_model(people):
    """Return a linear model that grants to somewhat less than half."""
    score = 0.2 * people["income"] + 0.1 * people["savings"].fillna(15) + people["green"]
    score = score + 2.0 * people["school"].map(SCHOOL.index) + (people["job"] == "pilot")
    return make_pipeline(TableEncoder(), LogisticRegression()).fit(
        people, np.where(score > score.median() + 1, "grant", "refuse")
    )


def solve(model, people, **parameters):
    rules = parameters.pop("action_set", ActionSet(**RULES))
    given = {"target": "grant", "random_state": 0} | parameters
    return RecourseSolver(rules, **given).solve(model, people)


def first(result, mask=True):
    return int(np.flatnonzero(result.reachable & mask)[0])


def with_status(result, row, status, **values):
    """Return the same result, but for what is said of one person."""
    held = result.status.copy()
    held[row] = status
    found = result.valid.copy()
    found[row] = status in ("optimal", "feasible", "already_favorable")
    return replace(result, status=held, valid=found, **values)
