"""How far two models can be apart in a box, and whether advice survives there: upper bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.proofs import Network
from skcfq.theory._at_points import OVER, RADIUS
from skcfq.theory._difference_bounds import difference_spans
from skcfq.theory._model_pairs import ModelPair, read_pair
from skcfq.theory._network_pairs import NetworkPair, pair_of
from skcfq.theory._perturbation import Perturbation
from skcfq.theory._row_boxes import RowBoxes
from skcfq.utils import check_parameters, tile_products

# Rows that are bounded together: their arrays then stay in the cache.
_BLOCK = 512


@dataclass(frozen=True, eq=False, repr=False)
class CertifiedDifference:
    """Bounds over the boxes around n points, in logit units.

    Returned by :func:`certified_difference`, never made by a user.

    Attributes
    ----------
    lower, upper : ndarray of shape (n, n_classes)
        Between these lies what the deployed model adds to each logit.
    margin_drop : ndarray of shape (n,)
        The deployed model takes at most this from the target margin; negative where it is more
        lenient in all of the box.
    reference_margin, deployed_margin : ndarray of shape (n,)
        The target margins of the two models are at least these.
    radius : float
    over : {"numbers", "encoded"}
    """

    lower: np.ndarray
    upper: np.ndarray
    margin_drop: np.ndarray
    reference_margin: np.ndarray
    deployed_margin: np.ndarray
    radius: float
    over: str = "numbers"

    @property
    def perturbation(self) -> Perturbation:
        """The ε of Eq. 44 over the boxes, from above; exact at radius 0."""
        direction = "upper bound" if self.radius else "exact"
        largest = np.maximum(-self.lower, self.upper).max(axis=1)
        return Perturbation(largest, "certified", direction, self.radius, "linf", self.over)

    @property
    def survives(self) -> np.ndarray:
        r"""Whether the deployed model is proved to give the target in all of the box, bool (n,).

        Proposition 5.1 asks for :math:`m_f > 2\epsilon`, which cheapest advice fails by
        construction: its margin is next to 0, and a lenient model has a large :math:`\epsilon` too.
        This is the one-sided condition instead, with the least margin of the reference in the box,

        .. math:: \min_u m_f(u) > \sup_u \, (m_f(u) - m_{f_q}(u)) ,

        or a bound of the deployed margin through both networks at once, where that says more. At
        radius 0 it holds just where the deployed model gives the target, ties excepted.
        """
        return self.deployed_margin > 0

    def __repr__(self) -> str:
        return (
            f"CertifiedDifference({np.sum(self.survives)} of {len(self.survives)} survive; "
            f"radius={self.radius:g})"
        )


@check_parameters(radius=RADIUS, over=OVER)
def certified_difference(
    reference: Any,
    deployed: Any,
    X: Any,
    *,
    radius: float = 0.0,
    over: str = "numbers",
    target: Any = None,
    background: Any = None,
) -> CertifiedDifference:
    r"""Bound how far two networks are apart in boxes around points (ε of Eq. 44, from above).

    What weights, biases, the codes of inputs and the rounding and clipping of activations do is
    followed layer by layer; in the first one by what all units can differ by together, too.

    Parameters
    ----------
    reference : estimator or Predictor
        Linear, or a network of rectifiers.
    deployed : estimator or Predictor
        A network with as many units: a quantized classifier of skcfq, as the integers that it is
        deployed as, or one like the reference.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    radius : float, default=0.0
        Half the width of the boxes. At 0 they are the points, and everything is exact.
    over : {"numbers", "encoded"}, default="numbers"
        What moves. ``"numbers"``: all numbers, by `radius` spreads each, while categories stay:
        what happens when advice is carried out inexactly. ``"encoded"``: all encoded columns, by
        `radius` units each: a box that contains the paper's ball :math:`\mathbb{B}_\rho`.
    target : label or array-like of shape (n,), optional
        The class that is wanted, or one a row; by default what the models were told, else the last
        of their classes.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    difference : CertifiedDifference
        Its attributes are certified: bounds of everything in the box, float64 rounding included.

    Raises
    ------
    UnsupportedModelError
        A model cannot be read, the reference is quantized, or the networks differ in shape.
    SpaceMismatchError
        The models do not share feature space and classes.

    Notes
    -----
    Where the condition of ``survives`` fails, nothing is said: ask :func:`robustness`. The cost is
    :math:`O(n H^3)` for layers of H units.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> found = theory.certified_difference(reference, stricter, X, radius=0.1, background=X)
    >>> found.survives.tolist()
    [False, False, False, False, False, True, True, True]
    """
    pair = read_pair(reference, deployed, X, background)
    networks = pair_of(pair.reference, pair.deployed)
    wanted = pair.wanted(target)
    if radius == 0:
        return _at_points(pair, wanted, over)
    boxes = RowBoxes.of((pair.reference, pair.deployed), pair.X, radius, over)
    lower, upper, drop, own, other = _around_points(networks, boxes, wanted)
    return CertifiedDifference(lower, upper, drop, own, other, float(radius), over)


def _around_points(networks: NetworkPair, boxes: RowBoxes, target: np.ndarray) -> list[np.ndarray]:
    """Return bounds over boxes, block by block."""
    starts = range(0, max(len(target), 1), _BLOCK)
    blocks = [slice(at, at + _BLOCK) for at in starts]
    parts = [_in_boxes(networks, boxes.take(block), target[block]) for block in blocks]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _at_points(pair: ModelPair, target: np.ndarray, over: str) -> CertifiedDifference:
    """Return what is so at the points themselves."""
    before, after = pair.margins_of(target)
    apart = pair.logits[1] - pair.logits[0]
    return CertifiedDifference(apart, apart, before - after, before, after, 0.0, over)


def _in_boxes(networks: NetworkPair, boxes: RowBoxes, target: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return bounds of both logits' difference, and of the margins, over some boxes."""
    spans = difference_spans(networks, boxes.low, boxes.high)
    classes, n = np.eye(networks.reference.n_classes), len(target)
    upper = [spans.most(np.tile(row, (n, 1))) for row in classes]
    lower = [-spans.most(np.tile(-row, (n, 1))) for row in classes]
    strongest = _strongest_rival(networks.reference, boxes, target)
    drop, own, other = (np.full(n, -np.inf) for _ in range(3))
    for offset in range(1, len(classes)):
        rival = (target + offset) % len(classes)
        row = classes[rival] - classes[target]
        # A margin of the reference is at most that over any one rival.
        by_itself = spans.most(row)
        by_strongest = spans.most(row, classes[rival] - classes[strongest])
        drop = np.maximum(drop, np.minimum(by_itself, by_strongest))
        own = np.maximum(own, spans.most(np.zeros_like(row), row))
        other = np.maximum(other, spans.most(row, row))
    return np.stack(lower, 1), np.stack(upper, 1), drop, -own, np.maximum(-other, -own - drop)


def _strongest_rival(network: Network, boxes: RowBoxes, target: np.ndarray) -> np.ndarray:
    """Return which class but the target has the largest logit in the middle of each box."""
    first = network.layers[0]
    middle = tile_products(boxes.origin, first.matrix) + first.offset
    logits = network.logits(middle)
    logits[np.arange(len(target)), target] = -np.inf
    return logits.argmax(axis=1)
