"""What a metric is for each person, so that its mean over any group is the metric of the group."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import clone

from skcfq.metrics import counterfactual_recourse_gap
from skcfq.plotting._tables import named
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.utils import take_rows

_EPSILON = 1e-9
Pair = tuple[RecourseResult, RecourseResult]


def solve_pairs(
    reference: Any, deployed: Any, X: Any, solver: RecourseSolver | None, background: Any
) -> tuple[dict[str, Any], dict[str, Pair]]:
    """Compare a reference with each of some deployed models.

    Parameters
    ----------
    reference : fitted estimator
    deployed : fitted estimator, or dict from the names of methods to such
    X, solver, background
        As the displays take them.

    Returns
    -------
    models, pairs : dict
        By the names of methods.
    """
    models = models_of(deployed)
    asked = RecourseSolver(random_state=0) if solver is None else clone(solver)
    compare = {
        name: asked.compare(reference, model, X, background=background, keep_partial=False)
        for name, model in models.items()
    }
    return models, compare


def models_of(deployed: Any) -> dict[str, Any]:
    """Return models by name: those of a dict, or a single one under the name of its class."""
    if hasattr(deployed, "predict") and not isinstance(deployed, type):
        return {type(deployed).__name__: deployed}
    models = named(deployed, "deployed", "a fitted model")
    for name, model in models.items():
        check_model(model, f"deployed[{name!r}]")
    return models


def check_model(model: Any, name: str) -> None:
    """Refuse what cannot predict.

    Raises
    ------
    ValueError
    """
    if not hasattr(model, "predict") or isinstance(model, type):
        raise ValueError(f"{name}={reprlib.repr(model)} is no fitted model.")


def values_of(metric: str, deployed: Any, pair: Pair) -> np.ndarray:
    """Return a metric for each person, shape (n,); NaN for who is not in its population.

    Raises
    ------
    ValueError
        No such metric is known for single people, or the results cannot be compared.
    """
    if metric not in METRICS:
        raise ValueError(
            f"metric={metric!r} is not computed here; give one of {sorted(METRICS)}, or figures of "
            "your own to from_predictions."
        )
    population, values = METRICS[metric](deployed, *pair)
    found = np.full(len(population), np.nan)
    found[population] = values
    return found


def failed(deployed: Any, reference: RecourseResult) -> np.ndarray:
    """Return whom of all people the deployed model refuses after the advice, shape (n,), bool."""
    rows = reference.reachable
    refused = np.zeros(len(rows), dtype=bool)
    if rows.any():
        given = np.asarray(deployed.predict(take_rows(reference.points, rows)))
        refused[rows] = given != reference.target[rows]
    return refused


def _validity_drop(
    deployed: Any, first: RecourseResult, second: RecourseResult
) -> tuple[np.ndarray, np.ndarray]:
    return first.reachable, failed(deployed, first)[first.reachable]


def _signed_gap(
    deployed: Any, first: RecourseResult, second: RecourseResult
) -> tuple[np.ndarray, np.ndarray]:
    rows = both(first, second)
    return rows, (second.cost[rows] - first.cost[rows]) / (first.cost[rows] + _EPSILON)


def _absolute_gap(
    deployed: Any, first: RecourseResult, second: RecourseResult
) -> tuple[np.ndarray, np.ndarray]:
    rows, signed = _signed_gap(deployed, first, second)
    return rows, np.abs(signed)


def _similarity(
    deployed: Any, first: RecourseResult, second: RecourseResult
) -> tuple[np.ndarray, np.ndarray]:
    rows = both(first, second)
    a, b = first.delta_of(rows), second.delta_of(rows)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return rows, np.sum(a * b, axis=1) / (lengths + _EPSILON)


def _overlap(
    deployed: Any, first: RecourseResult, second: RecourseResult
) -> tuple[np.ndarray, np.ndarray]:
    rows = both(first, second)
    a, b = first.changed[rows], second.changed[rows]
    return rows, np.sum(a & b, axis=1) / np.maximum(np.sum(a | b, axis=1), 1)


def both(first: RecourseResult, second: RecourseResult) -> np.ndarray:
    """Return the people who reach the target under both models, shape (n,), bool.

    Raises
    ------
    ValueError
        The two results cannot be compared, as the metric itself says.
    """
    rows = first.reachable & second.valid if len(first) == len(second) else np.array([True])
    if rows.any():
        counterfactual_recourse_gap(first, second)
    return rows


METRICS: Mapping[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "validity_drop": _validity_drop,
    "counterfactual_recourse_gap": _absolute_gap,
    "signed_recourse_gap": _signed_gap,
    "direction_similarity": _similarity,
    "action_overlap": _overlap,
}


def protocol_of(pairs: Mapping[str, Pair]) -> str:
    """Return the protocol of comparisons with one reference: that of its results."""
    return next(iter(pairs.values()))[0].protocol
