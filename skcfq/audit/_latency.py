"""How long both models take to decide about a row: measured, so no part of what is reproduced."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.models import Predictor

# Rows that are decided at once, and how often each is timed.
_TOGETHER, _ROUNDS = 1000, 15


def latencies(models: tuple[Predictor, ...], X: Any) -> list[dict[str, float]]:
    """Time ``predict`` of some models on the same rows, in turns; the least time of each counts.

    Parameters
    ----------
    models : tuple of Predictor
    X : DataFrame or ndarray of shape (n, p)
        Its first 1,000 rows are decided, all at once and the first alone.

    Returns
    -------
    measured : list of dict
        Of each model ``microseconds_alone``, for one row, and ``microseconds_together``, for each
        row of many, by the clock.
    """
    sizes = {"microseconds_alone": 1, "microseconds_together": _TOGETHER}
    rows = {name: take_rows(X, slice(size)) for name, size in sizes.items()}
    least = [dict.fromkeys(rows, math.inf) for _ in models]
    for _ in range(_ROUNDS):
        for name, part in rows.items():
            for model, known in zip(models, least, strict=True):
                began = time.perf_counter()
                model.predict(part)
                seconds = time.perf_counter() - began
                known[name] = min(known[name], 1e6 * seconds / len(part))
    return least
