"""Does a model still say the target wherever a point may in fact end up? Complete answers."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from skcfq.models import as_predictor, carried_target, resolve_target
from skcfq.theory._bisection import bisect
from skcfq.theory._network_inputs import NetworkInputs
from skcfq.theory._reading import readable_network
from skcfq.theory._row_boxes import RowBoxes
from skcfq.utils import Interval, as_table, check_parameters, take_rows

# A box is given up after so many parts.
_MAX_BOXES = 2000


@dataclass(frozen=True, eq=False, repr=False)
class Robustness:
    """What was decided about the box around each of n points.

    Attributes
    ----------
    status : ndarray of shape (n,), str
        ``"robust"``: proved, the model says the target everywhere in the box. ``"broken"``: the
        model's own ``predict`` says something else for a raw row in the box. ``"open"``: neither,
        the budget was spent.
    counterexamples : DataFrame or ndarray of shape (n_broken, n_raw_columns)
        Raw rows in the boxes of the broken points, in their order, for which ``predict`` does not
        say the target; a DataFrame has the index of X.
    n_boxes : ndarray of shape (n,), int64
        Parts of each box that were looked at.
    radius : float
    """

    status: np.ndarray
    counterexamples: Any
    n_boxes: np.ndarray
    radius: float

    @property
    def robust(self) -> np.ndarray:
        """Whether each point is proved to hold, bool of shape (n,)."""
        return self.status == "robust"

    @property
    def broken(self) -> np.ndarray:
        """Whether each point has a counterexample, bool of shape (n,)."""
        return self.status == "broken"

    @property
    def decided(self) -> float:
        """Share of the points that are robust or broken; NaN without any."""
        return float(np.mean(self.status != "open")) if len(self.status) else float("nan")

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{np.sum(self.status == name)} {name}" for name in ("robust", "broken", "open")
        )
        return f"Robustness({counts}; radius={self.radius:g})"


@check_parameters(
    radius=[Interval(Real, 0, None, closed="left")],
    max_boxes=[Interval(Integral, 1, None, closed="left")],
)
def robustness(
    model: Any,
    X: Any,
    *,
    radius: float,
    target: Any = None,
    max_boxes: int = _MAX_BOXES,
    background: Any = None,
) -> Robustness:
    predictor = as_predictor(model, background=background, example=X)
    X = as_table(X)
    network = readable_network(predictor)
    decisions = predictor.predict(X)
    wanted = carried_target(model) if target is None else target
    position = resolve_target(wanted, predictor.classes, decisions)
    labels = predictor.classes[position]
    inputs = NetworkInputs(network, RowBoxes.of(predictor, X, radius))
    status = np.full(len(labels), "open", dtype="<U6")
    lost = decisions != labels
    # The box is a single point to the model, which was asked about it.
    status[(inputs.low == inputs.high).all(axis=1)] = "robust"
    found = bisect(inputs, position, np.flatnonzero((status == "open") & ~lost), max_boxes)
    status[found.closed] = "robust"
    encoded = inputs.boxes.origin.copy()
    at = np.flatnonzero(found.lost)
    encoded[at] = inputs.encoded(at, found.point[at])
    rows = np.flatnonzero(lost | found.lost)
    points = predictor.space.decode(encoded[rows], take_rows(X, rows))
    if len(rows):
        # What a raw row does not confirm is not called broken.
        confirmed = predictor.predict(points) != labels[rows]
        rows, points = rows[confirmed], take_rows(points, confirmed)
    status[rows] = "broken"
    return Robustness(status, points, found.n_boxes, float(radius))
