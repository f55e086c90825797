"""Reads fitted one-hot and ordinal encoders as tables from categories to codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from skcfq.encoding._expressions import Expression, look_up
from skcfq.utils import plain


def read_one_hot(step: OneHotEncoder, columns: list[Expression], context: Any) -> list[Expression]:
    """Turn every column into the one-hot group of its categories."""
    infrequent = _infrequent(step)
    out: list[Expression] = []
    start = 0
    codes = _codes(step)
    for i, (column, categories) in enumerate(zip(columns, step.categories_, strict=True)):
        rare = 0 if infrequent is None or infrequent[i] is None else len(infrequent[i])
        dropped = step.drop_idx_ is not None and step.drop_idx_[i] is not None
        width = len(categories) - max(0, rare - 1) - dropped
        table = codes[: len(categories), start : start + width]
        start += width
        unknown = None if step.handle_unknown == "error" else np.zeros(width)
        if step.handle_unknown in ("infrequent_if_exist", "warn") and rare:
            unknown = table[list(categories).index(infrequent[i][0])]
        out += look_up(column, _labels(categories), table, unknown, path=context.name)
    return out


def read_ordinal(step: OrdinalEncoder, columns: list[Expression], context: Any) -> list[Expression]:
    """Turn every column into the rank of its category."""
    codes = _codes(step)
    out: list[Expression] = []
    for i, (column, categories) in enumerate(zip(columns, step.categories_, strict=True)):
        table = codes[: len(categories), i : i + 1]
        unknown = None
        if step.handle_unknown == "use_encoded_value":
            unknown = np.array([step.unknown_value], dtype=np.float64)
        out += look_up(column, _labels(categories), table, unknown, path=context.name)
    return out


def _labels(categories: np.ndarray) -> tuple:
    return tuple(plain(category) for category in categories)


def _codes(step: Any) -> np.ndarray:
    """Return the encoder's own output for a table whose row i holds every column's category i.

    Asking ``transform`` covers dropped, infrequent and missing categories without repeating
    their rules here.
    """
    n = max((len(categories) for categories in step.categories_), default=0)
    padded = [
        np.asarray(categories)[np.minimum(np.arange(n), len(categories) - 1)]
        for categories in step.categories_
    ]
    names = getattr(step, "feature_names_in_", None)
    rows: Any
    if names is not None:
        series = [pd.Series(values, dtype=values.dtype) for values in padded]
        rows = pd.DataFrame(dict(zip(names, series, strict=True)))
    elif all(values.dtype.kind in "fiub" for values in padded):
        rows = np.column_stack(padded)
    else:
        rows = np.empty((n, len(padded)), dtype=object)
        for i, values in enumerate(padded):
            rows[:, i] = values
    codes = step.transform(rows)
    return np.asarray(codes.toarray() if issparse(codes) else codes, dtype=np.float64)


def _infrequent(step: OneHotEncoder) -> Any:
    try:
        return step.infrequent_categories_
    except AttributeError:
        return None
