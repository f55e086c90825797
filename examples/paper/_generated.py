"""Tables of several kinds that no default was chosen on: each has one thing that makes it hard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skcfq import ActionSet

# Columns that people cannot change, of every four.
_FIXED = 4


def make_scores(
    n_samples: int,
    n_columns: int,
    seed: int,
    *,
    tail: float = 0.0,
    accepted: float = 0.6,
    steps: float | None = None,
) -> Bunch:
    """Generate people with a score that is smooth in many columns, cut at a share who pass.

    Parameters
    ----------
    n_samples, n_columns : int
    seed : int
    tail : float, default=0.0
        Columns are standard normal, and with a tail sinh(tail * z) / tail of it.
    accepted : float, default=0.6
        Share of the favorable label.
    steps : float, default=None
        Grid of what people can change, in units of the columns; None leaves it continuous.

    Returns
    -------
    table : Bunch
        ``data``, ``target``, ``favorable`` and ``action_set``.
    """
    rng = np.random.default_rng(seed)
    mixing = np.eye(n_columns) + 0.3 * rng.normal(size=(n_columns, n_columns)) / n_columns**0.5
    z = rng.normal(size=(n_samples, n_columns)) @ mixing
    hidden = np.tanh(z @ rng.normal(size=(n_columns, 8)) / n_columns**0.5)
    score = z @ rng.normal(size=n_columns) / n_columns**0.5 + hidden @ rng.normal(size=8) / 8**0.5
    score += 0.3 * score.std() * rng.normal(size=n_samples)
    values = np.sinh(tail * z) / tail if tail else z
    if steps is not None:
        values = np.round(values / steps) * steps
    names = [f"x{i}" for i in range(n_columns)]
    data = pd.DataFrame(values, columns=names)
    data["region"] = rng.choice(["north", "south", "west"], n_samples)
    passes = score > np.quantile(score, 1 - accepted)
    rules: dict[str, Any] = {"immutable": ["region", *names[::_FIXED]], "max_changes": 4}
    if steps is not None:
        rules["steps"] = {name: steps for name in names if name not in rules["immutable"]}
    return Bunch(
        data=data,
        target=pd.Series(np.where(passes, "yes", "no")),
        favorable="yes",
        action_set=ActionSet(**rules),
    )


GENERATED = {
    "scores": lambda: make_scores(3000, 12, 0),
    "5 columns": lambda: make_scores(2000, 5, 1),
    "60 columns": lambda: make_scores(3000, 60, 2),
    "heavy tails": lambda: make_scores(3000, 12, 3, tail=1.5),
    "1 % accepted": lambda: make_scores(8000, 12, 4, accepted=0.01),
    "small": lambda: make_scores(400, 8, 5, steps=0.1),
}
