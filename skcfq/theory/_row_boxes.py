"""Boxes around rows, in encoded space: how inexactly a point may be carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.encoding import statistic_of
from skcfq.models import Predictor, carried_action_set


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
    def of(cls, predictor: Predictor, X: Any, radius: float, over: str = "numbers") -> RowBoxes:
        """Draw boxes around raw rows.

        Parameters
        ----------
        predictor : Predictor
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
        space = predictor.space
        origin = space.encode(X)
        if over == "encoded":
            columns, radii = np.arange(space.n_encoded), np.full(space.n_encoded, radius)
        else:
            columns = number_columns(predictor)
            radii = radius * spreads(predictor, columns)
        low, high = origin.copy(), origin.copy()
        low[:, columns] -= radii
        high[:, columns] += radii
        return cls(origin, low, high, columns)

    def take(self, rows: np.ndarray | slice) -> RowBoxes:
        """Select rows by mask or position."""
        return RowBoxes(self.origin[rows], self.low[rows], self.high[rows], self.columns)


def number_columns(predictor: Predictor) -> np.ndarray:
    """Return the encoded columns of numbers that belong to no declared one-hot group."""
    space, grouped = predictor.space, set()
    rules = carried_action_set(predictor)
    if rules is not None:
        groups = (feature for feature in rules.compile(space).categorical if feature.is_group)
        grouped = {int(column) for group in groups for column in group.encoded_columns}
    numbers = (block for block in space.blocks if block.kind in ("affine", "monotone"))
    found = sorted({int(block.columns[0]) for block in numbers} - grouped)
    return np.array(found, dtype=np.int64)


def spreads(predictor: Predictor, columns: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the spread of encoded columns of numbers, in encoded units; 1 where there is none."""
    blocks = {int(block.columns[0]): block for block in predictor.space.blocks if block.width == 1}
    known = [statistic_of(blocks[int(c)], "encoded_std", "A box around a row") for c in columns]
    return np.array([spread or 1.0 for spread in known], dtype=np.float64)
