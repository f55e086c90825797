"""What became of each piece of advice that was given: one row a person who was told something."""

from __future__ import annotations

import datetime
import reprlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.audit._people import margin_of
from skcfq.results import IssuedAdvice
from skcfq.utils import is_list, plain, take_rows

if TYPE_CHECKING:
    from skcfq.models import Predictor


def promises_table(
    advice: IssuedAdvice, model: Predictor, rows: np.ndarray, until: list[str | None], on: Any
) -> pd.DataFrame:
    """Tell of each promise whether it is outstanding, and whether the next model keeps it.

    Parameters
    ----------
    advice : IssuedAdvice
    model : Predictor
        The next model.
    rows : ndarray of int
        Positions of the people who were told something.
    until : list of str or None
        Last day of each of the rows, as ISO 8601; None where none was promised.
    on : str or None
        The day on which the promises are looked at.

    Returns
    -------
    promises : DataFrame
        ``target``, ``decision`` (of the next model at the point that was advised), ``valid_until``,
        ``outstanding`` (its last day is not before ``on``), ``holds``, ``accepted`` (the next model
        gives the target without any change), ``margin`` (when it was told), ``margin_new``,
        ``cost``, and ``options`` and ``options_hold``: how many ways were told, and still work.
    """
    target = advice.target[rows]
    points = take_rows(advice.points, rows)
    decision = model.predict(points)
    options, hold = np.ones(len(rows), dtype=int), (decision == target).astype(int)
    for other in advice.alternatives:
        told = np.flatnonzero(other.valid[rows])
        options[told] += 1
        if len(told):
            labels = model.predict(take_rows(other.points, rows[told]))
            hold[told] += labels == target[told]
    margin = np.full(len(rows), np.nan)
    if getattr(model.head, "output", "logits") != "labels":
        margin = margin_of(model.row_scores(points), model.classes, target)
    return pd.DataFrame(
        {
            "target": target,
            "decision": decision,
            "valid_until": pd.Series(until, dtype=object),
            "outstanding": [day is None or on is None or day >= on for day in until],
            "holds": decision == target,
            "accepted": model.predict(take_rows(advice.X, rows)) == target,
            "margin": advice.margin[rows],
            "margin_new": margin,
            "cost": advice.cost[rows],
            "options": options,
            "options_hold": hold,
        }
    )


def last_days(valid_until: Any, n: int) -> list[str | None]:
    """Return the last day of each person's advice as ISO 8601.

    Parameters
    ----------
    valid_until : date, str, list-like of n of them, or None
    n : int

    Raises
    ------
    ValueError
        It is none, or there are more or fewer.
    """
    if not is_list(valid_until):
        return [day_of(valid_until, "valid_until")] * n
    days = list(valid_until)
    if len(days) != n:
        raise ValueError(f"valid_until has {len(days)} days for {n} people: give one for each.")
    return [day_of(day, "valid_until") for day in days]


def day_of(value: Any, name: str) -> str | None:
    """Return a day as ISO 8601, None for a missing one.

    Raises
    ------
    ValueError
        It is neither a date nor such a text.
    """
    value = plain(value)
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    try:
        if isinstance(value, datetime.datetime):
            return value.date().isoformat()
        if isinstance(value, datetime.date):
            return value.isoformat()
        if isinstance(value, str):
            return datetime.date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise ValueError(
        f"{name}={reprlib.repr(value)} is no day: give a date, or a text such as '2026-12-31'."
    )
