"""Boxes around rows, in encoded space: how inexactly a point may be carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.encoding import FeatureSpace, statistic_of
from skcfq.exceptions import ActionSetError
from skcfq.models import Predictor, carried_action_set

# Beyond this many spreads nothing is said any more, and floats have digits left.
LARGEST_RADIUS = 1e6


@dataclass(frozen=True, eq=False)
class RowBoxes:
    """One box of encoded points around each of n rows.

    Attributes
    ----------
    origin : ndarray of shape (n, d)
        The encoded rows.
    low, high : ndarray of shape (n, d)
        Ends of the boxes, which belong to them.
    columns : int64 ndarray of shape (m,)
        Encoded columns that may move.
    """

    origin: np.ndarray
    low: np.ndarray
    high: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(
        cls, predictors: Sequence[Predictor], X: Any, radius: float, over: str = "numbers"
    ) -> RowBoxes:
        """Draw boxes around raw rows.

        Parameters
        ----------
        predictors : sequence of Predictor
            Of one feature space.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
        radius : float
        over : {"numbers", "encoded"}
            ``"numbers"``: by spreads of every number, whole and immutable ones included, while
            categories stay. ``"encoded"``: by units of every encoded column.

        Raises
        ------
        BackgroundRequiredError
            The spreads are not known.
        """
        space = predictors[0].space
        origin = space.encode(X)
        if over == "encoded":
            columns, radii = np.arange(space.n_encoded), np.full(space.n_encoded, radius)
        else:
            columns = _number_columns(predictors)
            radii = radius * _spreads(space, columns)
        low, high = origin.copy(), origin.copy()
        low[:, columns] -= radii
        high[:, columns] += radii
        return cls(origin, low, high, columns)

    def take(self, rows: np.ndarray | slice) -> RowBoxes:
        """Select rows by mask or position."""
        return RowBoxes(self.origin[rows], self.low[rows], self.high[rows], self.columns)


def _number_columns(predictors: Sequence[Predictor]) -> np.ndarray:
    """Return the encoded columns of numbers that belong to no declared one-hot group."""
    space, grouped = predictors[0].space, set()
    try:
        rules = carried_action_set(*predictors)
    except ActionSetError:
        # Behind the steps of a pipeline, rules name other columns than these.
        rules = None
    if rules is not None:
        groups = (feature for feature in rules.compile(space).categorical if feature.is_group)
        grouped = {int(column) for group in groups for column in group.encoded_columns}
    numbers = (block for block in space.blocks if block.kind in ("affine", "monotone"))
    found = sorted({int(block.columns[0]) for block in numbers} - grouped)
    return np.array(found, dtype=np.int64)


def _spreads(space: FeatureSpace, columns: np.ndarray) -> np.ndarray:
    """Return the spread of encoded columns of numbers, in encoded units; 1 where there is none."""
    blocks = {int(block.columns[0]): block for block in space.blocks if block.width == 1}
    known = (blocks[column] for column in columns.tolist())
    found = [statistic_of(block, "encoded_std", "A box around a row") or 1.0 for block in known]
    return np.array(found, dtype=np.float64)
