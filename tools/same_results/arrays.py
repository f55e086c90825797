"""What is kept of a result: arrays by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from names import attribute, old_solver_method

Arrays = dict[str, Any]
Case = Callable[[Path], Arrays]


def as_text(value: Any) -> str:
    """Return a value of a mixed column as text that tells values apart."""
    if isinstance(value, str):
        return value
    missing = value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))
    return "<missing>" if missing else repr(value)


def as_array(value: Any) -> np.ndarray:
    """Return anything that is no table as an array without objects."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, bytes):
        return np.frombuffer(value, np.uint8)
    if isinstance(value, dict):
        return np.array(json.dumps(value, sort_keys=True, default=str))
    array = value.to_numpy() if isinstance(value, pd.Series | pd.Index) else np.asarray(value)
    if array.dtype.kind not in "OT":
        return array
    return np.array([as_text(one) for one in array.ravel()], dtype=np.str_).reshape(array.shape)


def flat(prefix: str, value: Any) -> Arrays:
    """Return a value as named arrays; a table has one for each column."""
    if isinstance(value, pd.DataFrame):
        index = {f"{prefix}/index": as_array(value.index)}
        return index | {f"{prefix}/{name}": as_array(value[name]) for name in value.columns}
    return {prefix: as_array(value)}


def joined(**values: Any) -> Arrays:
    """Return all arrays of some values."""
    arrays: Arrays = {}
    for name, value in values.items():
        arrays |= flat(name, value)
    return arrays


def under(prefix: str, arrays: Arrays) -> Arrays:
    """Return arrays with a word before their names."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def answers(result: Any) -> Arrays:
    """Return what a result says about each person."""
    arrays = joined(
        status=result.status,
        cost=result.cost,
        margin=result.margin,
        bound=attribute(result, "lower_bound"),
        valid=result.valid,
        changed=result.changed,
        points=result.points,
        target=result.target,
        method=old_solver_method(result.method),
    )
    for position, other in enumerate(result.alternatives, start=1):
        arrays |= under(f"alternative {position}", answers(other))
    return arrays
