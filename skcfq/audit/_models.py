"""What an audit says of the models themselves: which they are, and what they weigh."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.deploy import load
from skcfq.models import RowHead

if TYPE_CHECKING:
    from skcfq.models import Predictor

_PACKAGES = ("skcfq", "numpy", "pandas", "scipy", "sklearn", "torch", "onnxruntime")


def read_columns(model: Any) -> list | None:
    """Return the raw columns that a model reads, None where it does not tell."""
    if isinstance(model, str | os.PathLike):
        # An ONNX graph finds its own columns by their names.
        is_ours = os.path.isfile(model) and not os.fspath(model).endswith(".onnx")
        model = load(model) if is_ours else None
    space = getattr(model, "space", None)
    if space is not None and space.is_frame:
        return list(space.raw_columns)
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else list(names)


def model_record(given: Any, predictor: Predictor) -> dict[str, Any]:
    """Say which model it is, as JSON values.

    Parameters
    ----------
    given : object
        As the caller gave it; the path of a file, for one.
    predictor : Predictor
    """
    model = predictor.model
    content = getattr(model, "content", None)
    record: dict[str, Any] = {
        "name": predictor.name,
        "classes": predictor.classes.tolist(),
        "file": os.path.basename(given) if isinstance(given, str | os.PathLike) else None,
        "differentiable": predictor.differentiable,
        "average_bits": _number(getattr(model, "average_bits_", None)),
        "bit_widths": _list(getattr(model, "bit_widths_", None)),
        "n_weights": None,
        "bytes": None,
    }
    if content is not None:
        record |= {"fingerprint": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    elif isinstance(predictor.head, RowHead):
        record["fingerprint"] = None
    else:
        record["fingerprint"] = predictor.fingerprint
        record["n_weights"] = _n_weights(predictor)
        if record["average_bits"] is not None and record["n_weights"]:
            record["bytes"] = int(np.ceil(record["average_bits"] * record["n_weights"] / 8))
    if isinstance(given, str | os.PathLike):
        record["bytes"] = os.path.getsize(given)
    return record


def data_record(X: Any, ignored: list) -> dict[str, Any]:
    """Say which rows they are: their number, columns and a fingerprint."""
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    columns = [str(name) for name in frame.columns]
    digest = hashlib.sha256(repr(columns).encode())
    digest.update(np.ascontiguousarray(rows).tobytes())
    return {
        "n_rows": len(frame),
        "columns": columns,
        "ignored_columns": [str(name) for name in ignored],
        "fingerprint": digest.hexdigest(),
    }


def environment_record() -> dict[str, str]:
    """Say in which versions of what the work was done."""
    loaded = {name: sys.modules[name] for name in _PACKAGES if name in sys.modules}
    versions = {name: str(getattr(module, "__version__", "")) for name, module in loaded.items()}
    return {"python": platform.python_version(), **versions}


def _n_weights(predictor: Predictor) -> int | None:
    integers = predictor.integers
    if integers is not None:
        return int(sum(layer.matrix.size for layer in integers.layers))
    if predictor.is_linear:
        coef, _ = predictor.linear_arrays
        return int(np.count_nonzero(coef.any(axis=1)) or coef.shape[0])
    state: dict[str, Any] = getattr(predictor.head, "state_dict", dict)()
    sizes = [int(np.prod(value.shape)) for value in state.values() if np.ndim(value) > 1]
    return sum(sizes) or None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _list(value: Any) -> list | None:
    return None if value is None else np.asarray(value, dtype=float).tolist()
