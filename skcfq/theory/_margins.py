"""Target margins, and what quantization takes from them (Eq. 42, 43, 63, 67)."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.models import as_predictor
from skcfq.theory._model_pairs import margins_at, read_pair, wanted_classes
from skcfq.utils import as_table


def target_margin(model: Any, X: Any, *, target: Any = None, background: Any = None) -> np.ndarray:
    r"""Return how far above its strongest rival the target is at each point (Eq. 42, 43, 63).

    .. math:: m_f(u; y) = g(u)_y - \max_{y' \neq y} g(u)_{y'}

    Parameters
    ----------
    model : estimator or Predictor
        The reference (Eq. 42) or the deployed model (Eq. 43): any fitted classifier that
        :func:`~skcfq.models.as_predictor` reads.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points`` (Eq. 63).
    target : label or array-like of shape (n,), optional
        The class that is wanted, or one a row; by default what the model was told, else the last
        of its classes.
    background : DataFrame or ndarray, optional
        As in :func:`~skcfq.models.as_predictor`, where the model carries no statistics.

    Returns
    -------
    margin : ndarray of shape (n,)
        In logit units; computed, so certified up to float64 rounding. Where it is positive the
        model predicts the target; where it is 0, the first of the tied classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> model = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> margin = theory.target_margin(model, X, background=X)
    >>> bool(((margin > 0) == model.predict(X)).all())
    True
    """
    X = as_table(X)
    predictor = as_predictor(model, background=background, example=X)
    logits = predictor.row_scores(X)
    return margins_at(logits, wanted_classes(target, len(logits), predictor))


def margin_degradation(
    reference: Any, deployed: Any, X: Any, *, target: Any = None, background: Any = None
) -> np.ndarray:
    r"""Return what the deployed model takes from the target margin (Eq. 67).

    .. math:: \Delta m(u) = m_f(u; y) - m_{f_q}(u; y)

    Parameters
    ----------
    reference, deployed : estimator or Predictor
        Fitted classifiers of one feature space.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    target : label or array-like of shape (n,), optional
        As in :func:`target_margin`.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    degradation : ndarray of shape (n,)
        In logit units; negative where the deployed model is more lenient. Computed at the point,
        so certified there, and nowhere else.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> bool((theory.margin_degradation(reference, stricter, X, background=X)[2:] > 0).all())
    True
    """
    before, after = read_pair(reference, deployed, X, background).margins(target)
    return before - after
