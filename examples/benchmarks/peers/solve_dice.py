"""DiCE: random search on the linear model, its gradient method on the network."""

from __future__ import annotations

import logging
import warnings

import dice_ml
import numpy as np
import pandas as pd
import torch
from protocol import Problem, one_by_one, serve
from raiutils.exceptions import UserConfigValidationException
from sklearn.linear_model import LogisticRegression

OUTCOME = "favorable"


def prepare(problem: Problem, variant: str):
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    names = [f"x{j}" for j in range(problem.X.shape[1])]
    frame = pd.DataFrame(problem.background, columns=names)
    frame[OUTCOME] = (problem.score(problem.background) > 0).astype(int)
    data = dice_ml.Data(dataframe=frame, continuous_features=names, outcome_name=OUTCOME)
    if variant == "gradient":
        model = dice_ml.Model(network(problem, frame[names]), backend="PYT", func="ohe-min-max")
        # The defaults; what DiCE offers for sparsity is on.
        options = {}
    else:
        model = dice_ml.Model(logistic(problem, names), backend="sklearn")
        options = {
            "permitted_range": {
                name: [float(low), float(high)]
                for name, low, high in zip(names, problem.low, problem.high, strict=True)
            },
            "random_seed": 0,
        }
    explainer = dice_ml.Dice(data, model, method=variant)
    moving = [name for name, moves in zip(names, problem.mutable, strict=True) if moves]

    def answer(row: np.ndarray) -> np.ndarray | None:
        person = pd.DataFrame(row[None], columns=names)
        found = explainer.generate_counterfactuals(
            person, total_CFs=1, desired_class=1, features_to_vary=moving, verbose=False, **options
        ).cf_examples_list[0]
        points = found.final_cfs_df_sparse
        if points is None or len(points) == 0:
            points = found.final_cfs_df
        if points is None or len(points) == 0:
            return None
        # It rounds to the decimals of the data also what it was told to hold.
        return np.where(problem.mutable, points[names].to_numpy(dtype=float)[0], row)

    return one_by_one(answer, expected=(UserConfigValidationException,))


def logistic(problem: Problem, names: list[str]) -> LogisticRegression:
    coef, intercept = problem.weights[0]
    model = LogisticRegression()
    model.coef_, model.intercept_, model.classes_ = coef.T, intercept, np.array([0, 1])
    model.feature_names_in_, model.n_features_in_ = np.array(names, dtype=object), len(names)
    return model


def network(problem: Problem, frame: pd.DataFrame) -> torch.nn.Module:
    """Rebuild the network behind a layer that undoes DiCE's scaling to [0, 1]."""
    low, high = frame.min().to_numpy(), frame.max().to_numpy()
    scale = np.where(high > low, high - low, 1.0)
    layers: list[torch.nn.Module] = []
    for coef, intercept in [(np.diag(scale), low), *problem.weights]:
        layer = torch.nn.Linear(*coef.shape)
        layer.weight.data = torch.tensor(coef.T, dtype=torch.float32)
        layer.bias.data = torch.tensor(intercept, dtype=torch.float32)
        layers += [layer, torch.nn.ReLU()]
    # No activation after the scaling, a logistic output at the end.
    layers = [layers[0], *layers[2:-1], torch.nn.Sigmoid()]
    return torch.nn.Sequential(*layers)


if __name__ == "__main__":
    serve(prepare, packages=["dice-ml", "torch", "numpy"], warm_up=False)
