"""What would keep promises that a model breaks, and its price: a figure for each remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.audit._remedies import BEYOND, bias_to_keep, needed_margins
from skcfq.utils import plain, take_rows
from skcfq.utils.intervals import share_interval

if TYPE_CHECKING:
    from skcfq.models import Predictor
    from skcfq.results import IssuedAdvice, RecourseResult
    from skcfq.solvers import RecourseSolver


def bias_remedy(
    model: Predictor, promises: pd.DataFrame, population: Any, confidence: float
) -> dict[str, Any]:
    r"""Return the smallest bias on the target's score that keeps all outstanding promises.

    Adding :math:`b` to the score of the target raises each margin by :math:`b`, so
    :math:`b = \max_i (-m_i)` over the promises, and a billionth of the scores, keeps them all.

    Parameters
    ----------
    model : Predictor
    promises : DataFrame
        As :func:`promises_table` returns.
    population : DataFrame or ndarray
        Of whom the bias would accept more.
    confidence : float

    Returns
    -------
    remedy : dict
        ``bias``; ``n_people`` of the population, ``n_accepted`` before and ``n_accepted_more`` with
        it, ``share``, ``lower`` and ``upper`` of these; or the ``reason`` why it is not known.
    """
    outstanding = promises[promises["outstanding"]]
    targets = pd.unique(outstanding["target"])
    if len(targets) > 1:
        return {"reason": "people want different decisions, and one bias favors one of them"}
    if outstanding["margin_new"].isna().any():
        return {"reason": "the model gives labels alone: there is no score to add to"}
    if not len(outstanding):
        return {"reason": "no promise is outstanding"}
    scores = model.row_scores(population)
    margins = outstanding["margin_new"].to_numpy(dtype=float)
    if not (np.isfinite(scores).all() and np.isfinite(margins).all()):
        return {"reason": "the model gives scores without end, which no bias moves"}
    slack = BEYOND * max(1.0, float(np.abs(scores).max()))
    bias = 0.0 if outstanding["holds"].all() else bias_to_keep(margins, slack)
    wanted = model.classes == targets[0]
    before = model.predict(population) == targets[0]
    after = model.classes[(scores + bias * wanted).argmax(axis=1)] == targets[0]
    n, more = len(before), int((after & ~before).sum())
    lower, upper = share_interval(more, n, confidence)
    return {
        "bias": bias,
        "n_people": n,
        "n_accepted": int(before.sum()),
        "n_accepted_more": more,
        "share": more / n if n else np.nan,
        "lower": lower,
        "upper": upper,
    }


def margin_remedy(promises: pd.DataFrame) -> dict[str, Any]:
    """Return the margin that the advice would have needed, as its points are.

    Parameters
    ----------
    promises : DataFrame

    Returns
    -------
    remedy : dict
        ``given``: the least margin that was told with; ``needed``: for shares of the outstanding
        promises, the margin from which on this share of them would hold, by how much each margin
        fell; or the ``reason`` why it is not known.
    """
    outstanding = promises[promises["outstanding"]]
    if not len(outstanding):
        return {"reason": "no promise is outstanding"}
    if not np.isfinite(outstanding[["margin", "margin_new"]]).all(axis=None):
        return {"reason": "a model gives labels alone, or scores without end"}
    table = outstanding.assign(advised=True, margin_deployed=outstanding["margin_new"])
    return {"given": float(outstanding["margin"].min()), "needed": needed_margins(table)}


def new_advice(
    advice: IssuedAdvice,
    model: Predictor,
    rows: np.ndarray,
    solver: RecourseSolver,
    population: Any,
) -> tuple[pd.DataFrame, str]:
    """Look for advice under the next model, for people whose promise it breaks.

    Parameters
    ----------
    advice : IssuedAdvice
    model : Predictor
    rows : ndarray of int
        Positions of these people; each stands where they stood when they were told.
    solver : RecourseSolver
    population : DataFrame or ndarray
        That prices refer to.

    Returns
    -------
    found : DataFrame
        ``status_new``; ``cost_new``; and ``extra_cost``: beyond what the broken advice cost, at the
        prices of today, NaN where there is no new advice or none is needed.
    protocol : str
        How it was found.
    """
    if not len(rows):
        return pd.DataFrame({"status_new": [], "cost_new": [], "extra_cost": []}), ""
    result = solver.solve(
        model, take_rows(advice.X, rows), background=population, keep_partial=False
    )
    old = _price(result, take_rows(advice.points, rows))
    cost = np.where(result.valid, result.cost, np.nan)
    found = {
        "status_new": result.status.tolist(),
        "cost_new": cost,
        "extra_cost": np.where(result.reachable, cost - old, np.nan),
    }
    return pd.DataFrame(found), result.protocol


def _price(result: RecourseResult, points: Any) -> np.ndarray:
    """Return what it costs to go from the rows of a result to other points."""
    import torch

    n = len(result)
    there = replace(
        result,
        points=points,
        valid=np.ones(n, dtype=bool),
        changed=np.ones_like(result.changed, dtype=bool),
    )
    parts = torch.from_numpy(there.contributions_of(np.arange(n)))
    return result.cost_function.combine(parts).numpy()


def advice_record(promises: pd.DataFrame, protocol: str) -> dict[str, Any]:
    """Count what new advice would do for those whose outstanding promise breaks.

    Parameters
    ----------
    promises : DataFrame
        With the columns of :func:`new_advice`.
    protocol : str

    Returns
    -------
    remedy : dict
        ``n_broken``; ``n_accepted`` (need nothing), ``n_advised``, ``n_impossible`` (proved) and
        ``n_not_found`` of these; ``cost``, ``extra_cost`` (means over the advised) and
        ``extra_cost_max``.
    """
    broken = promises[promises["outstanding"] & ~promises["holds"]]
    status = broken["status_new"]
    extra = broken["extra_cost"].dropna()
    advised = broken["cost_new"].notna() & (status != "already_favorable")
    counted = {
        "n_broken": len(broken),
        "n_accepted": int((status == "already_favorable").sum()),
        "n_advised": int(advised.sum()),
        "n_impossible": int((status == "infeasible").sum()),
    }
    rest = counted["n_accepted"] + counted["n_advised"] + counted["n_impossible"]
    return counted | {
        "n_not_found": len(broken) - rest,
        "cost": plain(broken.loc[advised, "cost_new"].mean()),
        "extra_cost": plain(extra.mean()),
        "extra_cost_max": plain(extra.max()),
        "protocol": protocol,
    }
