"""How much of a validity drop the arithmetic of floats alone makes."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.metrics._population import row_weights, weighted_mean
from skcfq.models import as_predictor
from skcfq.results import RecourseResult
from skcfq.utils import check_parameters, take_rows


@check_parameters(result=[RecourseResult])
def single_precision_drop(
    reference: Any, result: RecourseResult, *, background: Any = None, sample_weight: Any = None
) -> float:
    """Return the validity drop of a plain float32 copy of the reference.

    A comparison asks for no margin, so the reference's actions end on its boundary, where the last
    digits decide. No quantization is to blame for that: print it beside a validity drop.

    Parameters
    ----------
    reference : estimator
        The fitted model that ``result`` was solved on.
    result : RecourseResult
        Actions of the reference, n rows.
    background : DataFrame or ndarray, optional
        As in :meth:`RecourseSolver.solve`: needed where the model carries no statistics.
    sample_weight : array-like of shape (n,), optional
        Weight of each row of ``result``.

    Returns
    -------
    drop : float
        Between 0 and 1; 0 for a reference of integers, which has no such copy. NaN where the layers
        of the reference cannot be read, and with a warning where the population is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import single_precision_drop
    >>> from skcfq.solvers import RecourseSolver
    >>> X = np.random.RandomState(0).normal(10, 1, size=(80, 2))
    >>> model = LogisticRegression().fit(X, X[:, 0] > 10)
    >>> bare, safe = RecourseSolver(margin=0.0), RecourseSolver()
    >>> bool(single_precision_drop(model, bare.solve(model, X, background=X), background=X) > 0.1)
    True
    >>> single_precision_drop(model, safe.solve(model, X, background=X), background=X)
    0.0
    """
    predictor = as_predictor(reference, background=background)
    weight = row_weights(sample_weight, result)
    rows = result.reachable
    failed = np.zeros(len(rows), dtype=bool)
    if rows.any() and not predictor.is_piecewise_constant:
        encoded = predictor.space.encode(take_rows(result.points, rows))
        logits = predictor.single_precision_logits(encoded)
        if logits is None:
            return float("nan")
        failed[rows] = predictor.classes[logits.argmax(axis=1)] != result.target[rows]
    population = "reachable rows"
    return weighted_mean(
        failed, weight * rows, metric="single_precision_drop", population=population
    )
