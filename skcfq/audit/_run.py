"""What a run of an audit is about: all that the advice in it follows from, by fingerprints."""

from __future__ import annotations

import hashlib
import platform
import reprlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq._version import __version__
from skcfq.audit._asking import People
from skcfq.audit._models import data_record
from skcfq.models import RowHead
from skcfq.utils import content_of, strict_json, take_rows

if TYPE_CHECKING:
    from skcfq.models import Predictor

_PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "torch", "onnxruntime")
# Of the solver, what changes no answer, and what has a place of its own.
_ASIDE = {"action_set", "target", "n_jobs", "verbose"}
# Rows whose scores are asked for at once.
_AT_ONCE = 10_000


def run_record(people: People, batch_size: int) -> dict[str, Any]:
    """Say what a run is about, down to what its answers follow from, as JSON values.

    Raises
    ------
    ValueError
        Random starts of the solver cannot be repeated.
    """
    solver = people.solver.get_params(deep=False)
    seed = solver["random_state"]
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise ValueError(
            f"checkpoint: the solver has random_state={reprlib.repr(seed)}, so that a run which "
            "goes on would find other advice. Give a whole number."
        )
    rows, control = {"data": people.X, "background": people.background}, people.control
    return {
        "reference": _model(people.models[0], people.X),
        "deployed": _model(people.models[1], people.X),
        "retrained": None if control is None else _model(control, people.X),
        **{name: data_record(table, [])["fingerprint"] for name, table in rows.items()},
        "labels": None if people.y is None else _digest([people.y]),
        "action_set": _parameter(solver["action_set"]),
        "target": _parameter(solver["target"]),
        "solver": {k: _parameter(one) for k, one in solver.items() if k not in _ASIDE},
        "batch_size": int(batch_size),
        "versions": {"python": platform.python_version(), **dict(_versions())},
    }


def _model(predictor: Predictor, X: Any) -> dict[str, str]:
    # What a function does is known from its answers alone.
    asked = _answers(predictor, X) if isinstance(predictor.head, RowHead) else ()
    fingerprint = predictor.fingerprint + (_digest(asked) if asked else "")
    return {"name": predictor.name, "fingerprint": fingerprint}


def _answers(predictor: Predictor, X: Any) -> Iterator[np.ndarray]:
    labels_alone = getattr(predictor.head, "output", "") == "labels"
    ask = predictor.predict if labels_alone else predictor.row_scores
    for start in range(0, len(X), _AT_ONCE):
        yield ask(take_rows(X, slice(start, start + _AT_ONCE)))


def _digest(arrays: Any) -> str:
    digest = hashlib.sha256()
    for one in arrays:
        digest.update(repr(one.tolist()).encode())
    return digest.hexdigest()


def _parameter(value: Any) -> Any:
    if isinstance(value, str | bool | int | float | np.generic | None):
        return strict_json(value)
    try:
        return value.to_dict()
    except (AttributeError, TypeError, ValueError):
        content = content_of(value)
    return type(value).__name__ if content is None else content.digest.hex()


def _versions() -> Iterator[tuple[str, str]]:
    yield "skcfq", __version__
    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
