"""Does a model give the target wherever a point may in fact end up? Complete answers."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from skcfq.models import Predictor, as_predictor
from skcfq.proofs import readable_network
from skcfq.theory._at_points import RADIUS
from skcfq.theory._bisection import bisect
from skcfq.theory._model_pairs import wanted_classes
from skcfq.theory._network_inputs import NetworkInputs
from skcfq.theory._row_boxes import RowBoxes
from skcfq.utils import Interval, as_table, check_parameters, take_rows


@dataclass(frozen=True, eq=False, repr=False)
class Robustness:
    """What was found out about the boxes around n points.

    Returned by :func:`robustness`, never made by a user.

    Attributes
    ----------
    status : ndarray of shape (n,), str
        ``"robust"``: proved, the model gives the target everywhere in the box. ``"broken"``: the
        model's own ``predict`` gives another class to a raw row in the box. ``"open"``: neither
        was found within the budget.
    counterexamples : DataFrame or ndarray of shape (n_broken, n_raw_columns)
        These raw rows, one for each broken point and in their order; numbers that need not move do
        not.
    n_boxes : int64 ndarray of shape (n,)
        Parts of each box that were looked at.
    radius : float
    """

    status: np.ndarray
    counterexamples: Any
    n_boxes: np.ndarray
    radius: float

    @property
    def robust(self) -> np.ndarray:
        """Which points hold, bool of shape (n,)."""
        return self.status == "robust"

    @property
    def broken(self) -> np.ndarray:
        """Which points have a counterexample, bool of shape (n,)."""
        return self.status == "broken"

    @property
    def open(self) -> np.ndarray:
        """Which points are undecided, bool of shape (n,)."""
        return self.status == "open"

    def __repr__(self) -> str:
        names = ("robust", "broken", "open")
        counts = ", ".join(f"{np.sum(self.status == name)} {name}" for name in names)
        return f"Robustness({counts}; radius={self.radius:g})"


@check_parameters(
    radius=RADIUS,
    max_boxes=[Interval(Integral, 1, 10**9, closed="both")],
)
def robustness(
    model: Any,
    X: Any,
    *,
    radius: float,
    target: Any = None,
    max_boxes: int = 300_000,
    background: Any = None,
) -> Robustness:
    """Decide for each point whether a model gives the target in all of a box around it.

    The box lets every number go up and down by some share of its spread, whole numbers and
    immutable ones included, while categories stay: advice that is carried out inexactly.

    Parameters
    ----------
    model : estimator or Predictor
        A quantized classifier of skcfq, a network of rectifiers, or a linear model.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    radius : float
        In spreads of each number, as the ``perturbation_radius`` of a solver.
    target : label or array-like of shape (n,), optional
        The class that is wanted, or one a row; by default what the model was told, else the last
        of its classes.
    max_boxes : int, default=300000
        Parts of one box that are looked at before its point is left open; 10**9 at most.
    background : DataFrame or ndarray, optional
        Where the model carries no statistics.

    Returns
    -------
    found : Robustness
        ``"robust"`` and ``"broken"`` are certified. The answer to a row does not depend on the
        others.

    Raises
    ------
    UnsupportedModelError
        The model cannot be bounded.

    Notes
    -----
    A quantized model sees codes only, so a box has finitely many points, and given boxes enough
    every point is decided. A box is bounded by intervals and lines around the activations; if a
    rival class may win there, the worst corner by these lines and the middle are tried, and the
    box is cut in two at the column that is to blame most. Few points are simply listed. Under
    rectifiers a point is left open where less than some 1e-9 of the logits decides.

    Samples of the box only find counterexamples, and not all: see the user guide.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> model = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> found = theory.robustness(model, X, radius=0.4, background=X)
    >>> found.status[3:6].tolist()
    ['broken', 'broken', 'robust']
    >>> bool(model.predict(found.counterexamples).any())
    False
    """
    X = as_table(X)
    predictor = as_predictor(model, background=background, example=X)
    inputs = NetworkInputs(readable_network(predictor), RowBoxes.of((predictor,), X, radius))
    position = wanted_classes(target, len(inputs.boxes.origin), predictor)
    return _decided(predictor, X, inputs, position, max_boxes, float(radius))


def _decided(
    predictor: Predictor,
    X: Any,
    inputs: NetworkInputs,
    position: np.ndarray,
    max_boxes: int,
    radius: float,
) -> Robustness:
    """Ask the model about the rows, decide the boxes of the others, and confirm what broke."""
    labels = predictor.classes[position]
    lost = predictor.predict(X) != labels
    # Where the model reads the whole box as one point, it has been asked.
    single = (inputs.low == inputs.high).all(axis=1)
    found = bisect(inputs, position, np.flatnonzero(~lost & ~single), max_boxes)
    status = np.where(found.closed | (single & ~lost), "robust", "open").astype("<U6")
    encoded = inputs.boxes.origin.copy()
    at = np.flatnonzero(found.lost)
    encoded[at] = inputs.encoded(at, found.point[at])
    rows = np.flatnonzero(lost | found.lost)
    points = predictor.space.decode(encoded[rows], take_rows(X, rows))
    if len(rows):
        # What no raw row confirms is not called broken.
        confirmed = predictor.predict(points) != labels[rows]
        rows, points = rows[confirmed], take_rows(points, confirmed)
    status[rows] = "broken"
    return Robustness(status, points, found.n_boxes, radius)
