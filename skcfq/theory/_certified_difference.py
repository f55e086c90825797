"""How far the logits of two networks can be apart on a box: certified, by differential bounds."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from skcfq.exceptions import SpaceMismatchError
from skcfq.models import Predictor, as_predictor, carried_target, resolve_target
from skcfq.theory._difference_bounds import difference_spans
from skcfq.theory._margin_bounds import excess_bound
from skcfq.theory._network_inputs import NetworkInputs
from skcfq.theory._network_pairs import NetworkPair, pair_of
from skcfq.theory._row_boxes import RowBoxes
from skcfq.utils import Interval, StrOptions, as_table, check_parameters

# Rows that are bounded together: their arrays then stay in the cache.
_BLOCK = 512


@dataclass(frozen=True, eq=False, repr=False)
class CertifiedDifference:
    lower: np.ndarray
    upper: np.ndarray
    margin_drop: np.ndarray
    reference_margin: np.ndarray
    deployed_margin: np.ndarray
    radius: float

    @property
    def epsilon(self) -> np.ndarray:
        return np.maximum(-self.lower, self.upper).max(axis=1)

    @property
    def survives(self) -> np.ndarray:
        return self.deployed_margin > 0


@check_parameters(
    radius=[Interval(Real, 0, None, closed="left")], over=[StrOptions({"numbers", "encoded"})]
)
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
    X = as_table(X)
    first = as_predictor(reference, background=background, example=X)
    second = as_predictor(deployed, background=background, example=X)
    pair = pair_of(first, second)
    wanted = carried_target(reference, deployed) if target is None else target
    position = resolve_target(wanted, first.classes, first.predict(X))
    boxes = RowBoxes.of(first, X, radius, over)
    n, k = len(position), len(first.classes)
    lower, upper = np.empty((n, k)), np.empty((n, k))
    drop, own, other = np.empty(n), np.empty(n), np.empty(n)
    for at in range(0, n, _BLOCK):
        part = slice(at, at + _BLOCK)
        lower[part], upper[part], drop[part] = _apart(pair, boxes.take(part), position[part])
    inputs = [NetworkInputs(network, boxes) for network in (pair.reference, pair.deployed)]
    rows = np.arange(n)
    margins = [-excess_bound(i, rows, i.low, i.high, position).excess for i in inputs]
    return CertifiedDifference(
        lower, upper, drop, margins[0], np.maximum(margins[1], margins[0] - drop), float(radius)
    )


def _apart(pair: NetworkPair, boxes: RowBoxes, target: np.ndarray):
    spans = difference_spans(pair, boxes.low, boxes.high)
    n, k = len(target), pair.reference.n_classes
    unit = np.eye(k)
    upper = np.column_stack([spans.most(np.tile(unit[c], (n, 1))) for c in range(k)])
    lower = np.column_stack([-spans.most(np.tile(-unit[c], (n, 1))) for c in range(k)])
    drops = [spans.most(unit[(target + c) % k] - unit[target]) for c in range(1, k)]
    return lower, upper, np.max(drops, axis=0)
