"""Why advice was lost: what retraining and each layer take from its margin (L.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skcfq.audit._people import margin_of
from skcfq.exceptions import SpaceMismatchError, UnsupportedModelError
from skcfq.models import Predictor, as_predictor, second_predictor
from skcfq.results import IssuedAdvice, RecourseResult
from skcfq.theory import layerwise_degradation
from skcfq.utils import check_parameters, take_rows


@check_parameters(advice=[RecourseResult, IssuedAdvice])
def loss_reasons(
    reference: Any,
    deployed: Any,
    advice: RecourseResult | IssuedAdvice,
    *,
    retrained: Any = None,
    background: Any = None,
) -> pd.DataFrame:
    r"""Tell which step from the reference to the deployed model takes the margin of advice.

    The steps are put one after the other (hybrid networks, Eq. 53): the retraining, the rounding of
    the inputs, then each layer of the deployed network in place of the other's. What they take
    adds up to what the margin fell by; which step is charged depends on this order.

    Parameters
    ----------
    reference, deployed : fitted classifier, Predictor, or path
    advice : RecourseResult or IssuedAdvice
        Of the reference.
    retrained : fitted classifier or Predictor, optional
        The same training as the deployed model's, in full precision: the control, which tells the
        retraining from the rounding. Without it, layers differ by both.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics; by default the rows of the advice.

    Returns
    -------
    reasons : DataFrame
        Indexed by ``step``: ``"retraining"`` where the control is given, then ``"inputs"``,
        ``"layer 1"``, …; or ``"all layers"`` where the models are no networks of one shape that can
        be read. ``margin_lost`` (mean over all advice), ``margin_lost_of_failed`` (over advice that
        fails in the end), ``n_largest`` (pieces of failed advice of which this step takes the
        most) and ``validity_drop`` (share of the advice that fails once the steps up to this one
        are made).

    Raises
    ------
    ValueError, UnsupportedModelError, SpaceMismatchError
        There is no advice, or a model gives labels alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import ActionSet, RecourseSolver
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> models = [LogisticRegression().fit(X, X[:, 0] > cut) for cut in (99, 109, 104)]
    >>> advice = RecourseSolver(ActionSet(), target=True).solve(models[0], X, background=X)
    >>> reasons = loss_reasons(models[0], models[1], advice, retrained=models[2])
    >>> reasons["validity_drop"].to_dict()
    {'retraining': 1.0, 'inputs': 1.0, 'layer 1': 1.0}
    """
    rows = np.flatnonzero(advice.reachable)
    if not len(rows):
        raise ValueError("`advice` has nobody who was advised: there is nothing to be lost.")
    background = advice.X if background is None else background
    points, target = take_rows(advice.points, rows), advice.target[rows]
    first = as_predictor(reference, background=background, example=points)
    last = second_predictor(first, deployed, background, points)
    control = retrained
    if retrained is not None:
        control = second_predictor(first, retrained, background, points)
    before = _margins(first, points, target)
    lost = margin_steps(first, last, control, points, target)
    return summary_of(lost, before, ~(before - lost.sum(axis=1) > 0).to_numpy())


def margin_steps(
    first: Predictor, last: Predictor, control: Predictor | None, points: Any, target: np.ndarray
) -> pd.DataFrame:
    """Return what each step takes from the margin at each point, one column a step."""
    margins, taken, start = _margins(first, points, target), {}, first
    if control is not None:
        start, before = control, margins
        margins = _margins(control, points, target)
        taken["retraining"] = before - margins
    return pd.DataFrame(taken | _of_layers(start, last, points, target, margins))


def summary_of(lost: pd.DataFrame, before: np.ndarray, failed: np.ndarray) -> pd.DataFrame:
    """Return the table of :func:`loss_reasons`, given whose advice fails in the end."""
    taken = lost.to_numpy()
    drop = (~(before[:, None] - taken.cumsum(axis=1) > 0)).mean(axis=0)
    # At a tie the model itself decides.
    drop[-1] = failed.mean()
    columns = {
        "margin_lost": taken.mean(axis=0),
        "margin_lost_of_failed": taken[failed].mean(axis=0) if failed.any() else np.nan,
        "n_largest": np.bincount(taken[failed].argmax(axis=1), minlength=taken.shape[1]),
        "validity_drop": drop,
    }
    return pd.DataFrame(columns, index=pd.Index(lost.columns, name="step"))


def _margins(model: Predictor, points: Any, target: np.ndarray) -> np.ndarray:
    if getattr(model.head, "output", "logits") == "labels":
        raise UnsupportedModelError(
            f"{model.name} gives labels alone: it has no margin that a step could take. Give a "
            "model with scores."
        )
    return margin_of(model.row_scores(points), model.classes, target)


def _of_layers(
    start: Predictor, last: Predictor, points: Any, target: np.ndarray, margins: np.ndarray
) -> dict[str, np.ndarray]:
    try:
        steps = layerwise_degradation(start, last, points, target=target)
    except (UnsupportedModelError, SpaceMismatchError):
        return {"all layers": margins - _margins(last, points, target)}
    return dict(zip(steps.names, steps.degradations.T, strict=True))
