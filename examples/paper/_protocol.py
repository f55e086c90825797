"""What the experiments on training share: splits, refused people, and how a model is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from skcfq import RecourseSolver
from skcfq.datasets import fetch_adult, fetch_compas, fetch_german_credit, make_credit
from skcfq.metrics import (
    counterfactual_recourse_gap,
    direction_similarity,
    feasible_recourse_rate,
    single_precision_drop,
    validity_drop,
)

DATASETS = {
    "adult": fetch_adult,
    "compas": fetch_compas,
    "german": fetch_german_credit,
    "generated": lambda: make_credit(1200, random_state=0),
}


def split(data: Any, seed: int) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
    """Return X, y, X_test and y_test: the official split, or 70 to 30 by the seed."""
    if "train_indices" in data:
        train, test = data.train_indices, data.test_indices
    else:
        rows = np.arange(len(data.target))
        train, test = train_test_split(rows, test_size=0.3, stratify=data.target, random_state=seed)
    frames = [part.iloc[rows] for rows in (train, test) for part in (data.data, data.target)]
    return frames[0], frames[1], frames[2], frames[3]


def draw_refused(
    teacher: Any, favorable: Any, X: pd.DataFrame, seed: int, count: int
) -> pd.DataFrame:
    """Draw people whom the teacher refuses, in their order."""
    refused = np.flatnonzero(teacher.predict(X) != favorable)
    return X.iloc[np.sort(np.random.RandomState(seed).permutation(refused)[:count])]


def measure(
    teacher: Any,
    model: Any,
    people: pd.DataFrame,
    X: pd.DataFrame,
    y: pd.Series,
    solver: RecourseSolver,
) -> dict[str, float]:
    """Return what is reported of one model on one draw of refused test people."""
    reference, deployed = solver.compare(teacher, model, people)
    return {
        "accuracy": model.score(X, y),
        "accuracy - teacher": model.score(X, y) - teacher.score(X, y),
        "accepted": float(np.mean(model.predict(X) == solver.target)),
        "VD": validity_drop(teacher, model, reference),
        "float noise": single_precision_drop(teacher, reference),
        "|CRG|": counterfactual_recourse_gap(reference, deployed),
        "CRG": counterfactual_recourse_gap(reference, deployed, kind="signed"),
        "DirSim": direction_similarity(reference, deployed),
        # The paper's (Eq. 34): for whom the reference has an action.
        "FRR": feasible_recourse_rate(reference),
        "FRR deployed": feasible_recourse_rate(deployed),
        "average bits": getattr(model, "average_bits_", float("nan")),
    }


def mean_and_sd(rows: pd.DataFrame, by: list[str], columns: list[str]) -> pd.DataFrame:
    """Return "mean ± sd" over seeds."""
    groups = rows.groupby(by, sort=False)
    mean, sd = groups[columns].mean(), groups[columns].std()
    return mean.apply(
        lambda column: [
            f"{m:.3f} ± {s:.3f}" if np.isfinite(s) else f"{m:.3f}"
            for m, s in zip(column, sd[column.name], strict=True)
        ]
    )


def paired_interval(differences: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return mean and Student interval of paired differences; NaN bounds for one pair."""
    from scipy.stats import t

    n = len(differences)
    middle = float(np.mean(differences))
    if n < 2:
        return middle, float("nan"), float("nan")
    half = t.ppf((1 + level) / 2, n - 1) * np.std(differences, ddof=1) / np.sqrt(n)
    return middle, middle - float(half), middle + float(half)
