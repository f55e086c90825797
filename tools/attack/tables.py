"""What the subjects work on: one small table, and models that are fitted once."""

from __future__ import annotations

import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from odd_values import Odd, literal
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import (
    ActionSet,
    FeatureSpace,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    TableEncoder,
    TeacherClassifier,
)

NETWORK = {"hidden_layer_sizes": (4,), "max_iter": 2, "batch_size": 16, "random_state": 0}


@cache
def people() -> pd.DataFrame:
    """Return 60 people with an age, an income, loans, a job and a grade."""
    rng = np.random.RandomState(0)
    n = 60
    return pd.DataFrame(
        {
            "age": rng.randint(20, 60, n),
            "income": rng.normal(50.0, 20.0, n),
            "loans": rng.randint(0, 5, n),
            "job": rng.choice(["cook", "clerk", "pilot"], n),
            "grade": rng.choice(["low", "mid", "high"], n),
        }
    )


@cache
def labels() -> np.ndarray:
    """Return labels that income and jobs decide about."""
    score = people()["income"] / 20 - people()["loans"] / 2 + (people()["job"] == "pilot")
    return np.where(score > score.median(), "yes", "no")


def rules() -> ActionSet:
    """Return rules that leave most people a way."""
    return ActionSet(immutable=["age"], ordinal={"grade": ["low", "mid", "high"]})


@cache
def space() -> FeatureSpace:
    """Return the map of the table."""
    encoder = TableEncoder().fit(people())
    return FeatureSpace.from_encoder(encoder, people())


def _quietly(model: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(people(), labels())


@cache
def linear_model() -> Any:
    """Return a fitted pipeline with a linear head."""
    return _quietly(make_pipeline(TableEncoder(), LogisticRegression()))


@cache
def teacher() -> Any:
    """Return a fitted network of full precision."""
    return _quietly(TeacherClassifier(**NETWORK))


def teaching() -> dict[str, Any]:
    """Return parameters of students that are fitted in a moment."""
    return {"teacher": FrozenEstimator(teacher()), "action_set": rules(), "target": "yes"}


@cache
def quantized() -> Any:
    """Return a fitted quantized network."""
    return _quietly(PTQClassifier(**teaching(), random_state=0))


@cache
def trained() -> Any:
    """Return a fitted quantized network that was trained."""
    return _quietly(QATClassifier(**teaching(), **NETWORK))


def solver(**parameters: Any) -> RecourseSolver:
    """Return a solver of the table."""
    return RecourseSolver(
        **{"action_set": rules(), "target": "yes", "random_state": 0} | parameters
    )


@cache
def result() -> Any:
    """Return what the linear model advises."""
    return solver().solve(linear_model(), people())


@cache
def network_result() -> Any:
    """Return what the teacher advises, and its quantized form."""
    return solver().compare(teacher(), quantized(), people())


@cache
def folder() -> Path:
    """Return a folder that outlives all cases."""
    return Path(tempfile.mkdtemp(prefix="attack-"))


@cache
def model_file() -> Path:
    """Return a packed model."""
    path = folder() / "model.skcfq"
    quantized().export(path)
    return path


# Tables that are not the one that was fitted.
ODD_TABLES = [
    Odd("no rows", lambda: people().head(0)),
    Odd("one row", lambda: people().head(1)),
    Odd("a column less", lambda: people().drop(columns="income")),
    Odd("a column more", lambda: people().assign(more=1)),
    Odd("columns in another order", lambda: people()[people().columns[::-1]]),
    Odd("renamed columns", lambda: people().rename(columns=str.upper)),
    Odd("a column twice", lambda: pd.concat([people(), people()[["age"]]], axis=1)),
    Odd("all gaps", lambda: people().map(lambda value: None)),
    Odd("a column of gaps", lambda: people().assign(income=np.nan)),
    Odd("infinite income", lambda: people().assign(income=np.inf)),
    Odd("income 1e300", lambda: people().assign(income=1e300)),
    Odd("income as text", lambda: people().assign(income=people()["income"].astype(str))),
    Odd("income as words", lambda: people().assign(income="much")),
    Odd("income as dates", lambda: people().assign(income=pd.Timestamp("2020-01-01"))),
    Odd("income as lists", lambda: people().assign(income=[[1]] * 60)),
    Odd("income with 400 digits", lambda: _with(people(), "income", 10**400)),
    Odd("income, mixed types", lambda: _with(people(), "income", "x")),
    Odd("job as numbers", lambda: people().assign(job=1.5)),
    Odd("job with unseen levels", lambda: people().assign(job="actor")),
    Odd("job with dicts", lambda: people().assign(job=[{}] * 60)),
    Odd("the same label on all rows", lambda: people().set_axis([7] * 60)),
    Odd("labels with gaps", lambda: people().set_axis([None] * 60)),
    Odd(
        "column levels",
        lambda: people().set_axis(pd.MultiIndex.from_product([["a"], people()]), axis=1),
    ),
    Odd("array of objects", lambda: people().to_numpy()),
    Odd("array of numbers", lambda: np.zeros((60, 5))),
    Odd("array, 1-d", lambda: np.zeros(60)),
    Odd("array, 3-d", lambda: np.zeros((60, 5, 1))),
    Odd("list of lists", lambda: people().to_numpy().tolist()),
    Odd("dict of columns", lambda: people().to_dict("list")),
    Odd("complex income", lambda: people().assign(income=1j)),
    Odd("masked array", lambda: np.ma.masked_all((60, 5))),
    Odd("categories of intervals", lambda: people().assign(job=pd.cut(people()["age"], 3))),
]
ODD_LABELS = [
    Odd("59 labels", lambda: labels()[:59]),
    Odd("one class", lambda: np.full(60, "yes")),
    Odd("gaps", lambda: _with_gap(labels())),
    Odd("NaN", lambda: np.where(labels() == "yes", 1.0, np.nan)),
    Odd("mixed types", lambda: np.array([1, "x"] * 30, dtype=object)),
    Odd("booleans", lambda: labels() == "yes"),
    Odd("floats", lambda: np.where(labels() == "yes", 1.0, 0.0)),
    Odd("continuous", lambda: np.linspace(0, 1, 60)),
    Odd("a column", lambda: labels()[:, None]),
    Odd("two columns", lambda: np.column_stack([labels(), labels()])),
    Odd("60 classes", lambda: np.arange(60)),
    Odd("lists", lambda: [[1]] * 60),
    Odd("nullable", lambda: pd.array([1, None] * 30, dtype="Int64")),
    Odd("infinite", lambda: np.full(60, np.inf)),
    Odd("dates", lambda: np.array(["2020-01-01", "2021-01-01"] * 30, dtype="datetime64[D]")),
]
ODD_WEIGHTS = [
    *literal("balanced", {"yes": 1.0}),
    Odd("59 weights", lambda: np.ones(59)),
    Odd("all zero", lambda: np.zeros(60)),
    Odd("negative", lambda: np.full(60, -1.0)),
    Odd("one negative", lambda: np.append(np.ones(59), -1.0)),
    Odd("one NaN", lambda: np.append(np.ones(59), np.nan)),
    Odd("one infinite", lambda: np.append(np.ones(59), np.inf)),
    Odd("1e308", lambda: np.full(60, 1e308)),
    Odd("1e-300", lambda: np.full(60, 1e-300)),
    Odd("words", lambda: np.full(60, "x")),
    Odd("a column", lambda: np.ones((60, 1))),
    Odd("zero but for one", lambda: np.append(np.zeros(59), 1.0)),
    Odd("booleans", lambda: np.arange(60) % 2 == 0),
]


def _with(frame: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    values = frame[column].astype(object)
    values.iloc[3] = value
    return frame.assign(**{column: values})


def _with_gap(values: np.ndarray) -> np.ndarray:
    values = values.astype(object)
    values[3] = None
    return values
