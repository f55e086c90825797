"""Asking a model about the raw rows of a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

# Beyond it a probability has lost the digits of its logit.
_SATURATED = 1e-6


def table_of(row: Mapping[str, Any], columns: list | None) -> Any:
    """Return a raw row as the table of one row that a model reads.

    Parameters
    ----------
    row : dict
        ``values`` and ``dtypes``, one a column, or one for an array.
    columns : list or None
        Names; None for an array.
    """
    values, dtypes = row["values"], row["dtypes"]
    if columns is None:
        return np.array([values], dtype=np.dtype(dtypes))
    # Only a model that was fitted on frames needs one.
    import pandas as pd

    parts = [pd.Series([v], dtype=d) for v, d in zip(values, dtypes, strict=True)]
    table = pd.concat(parts, axis=1)
    table.columns = pd.Index(columns)
    return table


def answer_of(model: Any, table: Any) -> Any:
    """Return the label that a model, or a function that returns labels, gives the only row."""
    predict = getattr(model, "predict", model)
    return as_json(np.asarray(predict(table)).ravel()[0])


def as_json(label: Any) -> Any:
    """Return a label as JSON has it."""
    label = label.item() if isinstance(label, np.generic) else label
    return label if isinstance(label, (str, bool, int, float)) else str(label)


def scores_margin(
    model: Any, table: Any, classes: list, targets: list, output: str
) -> np.ndarray | None:
    """Return the target margins of a model by its own scores.

    Parameters
    ----------
    model : estimator
    table : DataFrame or ndarray of shape (n, n_raw_columns)
    classes : list
        Labels, in the order of the scores.
    targets : list of n labels
    output : {"logits", "probabilities"}
        What is wanted: ``decision_function`` (or the logarithms of ``predict_proba`` where there
        is none), or ``predict_proba``.

    Returns
    -------
    margins : ndarray of shape (n,) or None
        NaN where probabilities are too close to 0 and 1 for a logit; None where the model has no
        scores.
    """
    if output == "logits" and hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(table), dtype=np.float64)
        if scores.ndim == 1:
            scores = np.column_stack([np.zeros_like(scores), scores])
    elif hasattr(model, "predict_proba"):
        scores = np.asarray(model.predict_proba(table), dtype=np.float64)
        if output == "logits":
            kept = (scores > _SATURATED).all(axis=1, keepdims=True)
            scores = np.log(np.where(kept, scores, np.nan))
    else:
        return None
    margins = np.empty(len(scores))
    for i, target in enumerate(targets):
        position = classes.index(target)
        margins[i] = scores[i, position] - np.delete(scores[i], position).max()
    return margins
