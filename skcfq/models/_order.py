"""A model whose classes are in another order than those of the model it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcfq.models._functions import RowHead
from skcfq.models._predictor import Predictor


@dataclass(frozen=True)
class _Reordered:
    """Logits of raw rows, their columns in another order."""

    head: RowHead
    order: tuple[int, ...]

    def __call__(self, X: Any) -> np.ndarray:
        return self.head(X)[:, self.order]


def in_order_of(classes: np.ndarray, predictor: Predictor) -> Predictor:
    """Return a model that is a function of raw rows with its classes in a given order.

    A file or a function says its scores in an order of its own. Any other model, and one with
    other classes, is returned as it is.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    predictor : Predictor
    """
    own, wanted = predictor.classes.tolist(), classes.tolist()
    head = predictor.head
    if own == wanted or not isinstance(head, RowHead) or predictor.threshold is not None:
        return predictor
    if len(own) != len(wanted) or any(label not in own for label in wanted):
        return predictor
    order = tuple(own.index(label) for label in wanted)
    if head.output == "labels":
        reordered = RowHead(head.function, classes, "labels", head.name, head.reason)
    else:
        function = _Reordered(head, order)
        reordered = RowHead(function, classes, "logits", head.name, head.reason)
    return replace(predictor, classes=classes, head=reordered)
