"""What an audit knows of each person: one row, from which every figure follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.results import RecourseResult
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.models import Predictor

# Beside the difference of costs, as everywhere (paper, §3.3).
_EPSILON = 1e-9


def people_table(
    reference: Predictor,
    deployed: Predictor,
    results: tuple[RecourseResult, RecourseResult],
    y: np.ndarray | None,
) -> pd.DataFrame:
    """Tell of each row what both models say of the person and of the reference's advice.

    Parameters
    ----------
    reference, deployed : Predictor
    results : (RecourseResult, RecourseResult)
        Of both models and the same n people, as ``RecourseSolver.compare`` returns them.
    y : ndarray of shape (n,) or None
        True labels.

    Returns
    -------
    people : DataFrame of n rows
        ``decision_reference``, ``decision_deployed``, ``target``; ``status``,
        ``status_deployed``; ``accepted_reference``, ``accepted_deployed``; ``advised`` (denied by
        the reference, which has a valid action) and ``advised_deployed``; ``holds`` (the deployed
        model gives the target at the reference's point), ``holds_float32`` (a float32 copy of the
        reference does; missing where that is not known); ``cost``, ``cost_deployed``, ``gap``,
        ``cosine`` and ``overlap`` (people with advice of the reference, whom the deployed model
        gives the target at a price too); ``margin`` and ``margin_deployed`` of both models at the
        reference's points; ``right`` and ``right_deployed`` where y is known.
    """
    first, second = results
    decisions = reference.predict(first.X), deployed.predict(first.X)
    table: dict[str, Any] = {
        "decision_reference": decisions[0],
        "decision_deployed": decisions[1],
        "target": first.target,
        "status": first.status,
        "status_deployed": second.status,
        "accepted_reference": ~first.denied,
        "accepted_deployed": ~second.denied,
        "advised": first.reachable,
        "advised_deployed": second.reachable,
    }
    table |= _at_points(reference, deployed, first)
    table |= _prices(first, second)
    if y is not None:
        table |= {"right": decisions[0] == y, "right_deployed": decisions[1] == y}
    return pd.DataFrame(table)


def _at_points(
    reference: Predictor, deployed: Predictor, result: RecourseResult
) -> dict[str, np.ndarray]:
    """Return what both models say at the reference's points; nothing of people without one."""
    n, rows = len(result), np.flatnonzero(result.valid)
    holds = np.zeros(n, dtype=bool)
    margins = np.full((2, n), np.nan)
    alike = np.full(n, np.nan)
    if len(rows):
        points, target = take_rows(result.points, rows), result.target[rows]
        holds[rows] = deployed.predict(points) == target
        for margin, model in zip(margins, (reference, deployed), strict=True):
            if getattr(model.head, "output", "logits") == "labels":
                continue
            logits = model.row_scores(points)
            margin[rows] = margin_of(logits, model.classes, target)
        alike[rows] = _float32_holds(reference, points, target)
    return {
        "holds": holds,
        "holds_float32": alike,
        "margin": margins[0],
        "margin_deployed": margins[1],
    }


def margin_of(logits: np.ndarray, classes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return how far the logit of each row's target is above the largest of the others."""
    wanted = target[:, None] == classes[None, :]
    return logits[wanted] - np.where(wanted, -np.inf, logits).max(axis=1)


def _float32_holds(reference: Predictor, points: Any, target: np.ndarray) -> Any:
    if reference.is_piecewise_constant or not reference.differentiable:
        return np.nan
    logits = reference.single_precision_logits(reference.space.encode(points))
    if logits is None:
        return np.nan
    return (reference.classes[logits.argmax(axis=1)] == target).astype(float)


def _prices(first: RecourseResult, second: RecourseResult) -> dict[str, np.ndarray]:
    both = first.reachable & second.valid
    gap = np.where(both, (second.cost - first.cost) / (first.cost + _EPSILON), np.nan)
    cosine, overlap = np.full(len(first), np.nan), np.full(len(first), np.nan)
    rows = np.flatnonzero(both)
    if len(rows):
        ours, theirs = first.delta_of(rows), second.delta_of(rows)
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        cosine[rows] = (ours * theirs).sum(axis=1) / (lengths + _EPSILON)
        shared = (first.changed[rows] & second.changed[rows]).sum(axis=1)
        either = (first.changed[rows] | second.changed[rows]).sum(axis=1)
        overlap[rows] = shared / np.maximum(either, 1)
    return {
        "cost": np.where(first.reachable, first.cost, np.nan),
        "cost_deployed": np.where(second.valid, second.cost, np.nan),
        "gap": gap,
        "cosine": cosine,
        "overlap": overlap,
    }
