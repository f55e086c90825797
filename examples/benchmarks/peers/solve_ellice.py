"""ElliCE: gradient descent for one person, with its defaults.

It asks for points that every nearly optimal last layer accepts; the variant is how much more loss
such a layer may have, so that its smallest one asks what the other libraries answer.
"""

from __future__ import annotations

import warnings

import ellice
import numpy as np
import pandas as pd
import torch
from protocol import Problem, serve


def prepare(problem: Problem, variant: str):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    names = [f"x{j}" for j in range(problem.X.shape[1])]
    frame = pd.DataFrame(problem.background, columns=names)
    frame["favorable"] = (problem.score(problem.background) > 0).astype(int)
    data = ellice.Data(dataframe=frame, target_column="favorable")
    explainer = ellice.Explainer(network(problem), data, backend="pytorch", device="cpu")
    moving = [name for name, moves in zip(names, problem.mutable, strict=True) if moves]
    box = zip(names, problem.low, problem.high, strict=True)
    ranges = {name: [float(low), float(high)] for name, low, high in box}

    def solve(rows: np.ndarray) -> np.ndarray:
        torch.manual_seed(0)
        found = explainer.generate_counterfactuals(
            pd.DataFrame(rows, columns=names),
            features_to_vary=moving,
            permitted_range={name: ranges[name] for name in moving},
            robustness_epsilon=float(variant),
            target_class=1,
            progress_bar=False,
        )
        points = np.full_like(rows, np.nan)
        points[found["original_index"]] = found[names]
        # What it did not find it hands back as it was; it computes in single precision.
        stayed = (points == rows.astype(np.float32)).all(axis=1)
        points[stayed] = np.nan
        return np.where(problem.mutable | stayed[:, None], points, rows)

    return solve


def network(problem: Problem) -> torch.nn.Module:
    layers: list[torch.nn.Module] = []
    for coef, intercept in problem.weights:
        layer = torch.nn.Linear(*coef.shape)
        layer.weight.data = torch.tensor(coef.T, dtype=torch.float32)
        layer.bias.data = torch.tensor(intercept, dtype=torch.float32)
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


if __name__ == "__main__":
    # Its ellipsoid is computed once a call: people come ten at a time.
    serve(prepare, packages=["ellice", "torch", "numpy"], batch=10)
