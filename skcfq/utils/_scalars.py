"""Labels and categories as Python scalars, and as JSON values that keep them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skcfq.exceptions import FeatureSpaceError

_SPECIAL: dict[str, Any] = {
    "None": None,
    "NaN": float("nan"),
    "NA": pd.NA,
    "inf": math.inf,
    "-inf": -math.inf,
}


def plain(value: Any) -> Any:
    """Return a label or category as a Python scalar: numpy scalars are unwrapped."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return tuple(plain(v) for v in value)
    return value


def has_text(labels: np.ndarray) -> bool:
    """Tell whether labels are text, whose order says nothing of what people want.

    Examples
    --------
    >>> has_text(np.array(["approve", "reject"])), has_text(np.array([0, 1]))
    (True, False)
    """
    return any(isinstance(label, str) for label in labels.tolist())


def to_json(value: Any) -> Any:
    """Write a scalar, list or dict so that JSON keeps it apart from every other one."""
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [to_json(item) for item in value]}
    if isinstance(value, pd.Interval):
        return {"$interval": [to_json(value.left), to_json(value.right), value.closed]}
    value = plain(value)
    if value is None or value is pd.NA or value is pd.NaT:
        return {"$": "None" if value is None else "NA"}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$": "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, (str, bool, int, float)):
        return value
    raise FeatureSpaceError(
        f"The value {value!r} of type {type(value).__name__} cannot be written to a file; use "
        "text, numbers, booleans or bins of numbers as column names and categories."
    )


def from_json(value: Any) -> Any:
    """Read what :func:`to_json` wrote."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        if "$" in value:
            return _SPECIAL[value["$"]]
        if "$interval" in value:
            left, right, closed = value["$interval"]
            return pd.Interval(from_json(left), from_json(right), closed=closed)
        if "$tuple" in value:
            return tuple(from_json(item) for item in value["$tuple"])
        return {key: from_json(item) for key, item in value.items()}
    return value


def strict_json(value: Any) -> Any:
    """Return a value as what JSON knows: no number is NaN or infinite, every key is text.

    Examples
    --------
    >>> strict_json({"a": (1, float("inf")), 2: None})
    {'a': [1, None], '2': None}
    """
    kind = type(value)
    if kind is str or kind is int or (kind is float and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        keys = [str(plain(key)) for key in value]
        if len(set(keys)) < len(keys):
            return [[strict_json(key), strict_json(item)] for key, item in value.items()]
        return {key: strict_json(item) for key, item in zip(keys, value.values(), strict=True)}
    if isinstance(value, (np.ndarray, pd.Series, pd.Index)):
        value = value.tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [strict_json(item) for item in value]
    value = plain(value)
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, bool, int)) else str(value)
