"""Boxes around rows, in encoded space: how inexactly a point may be carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.models import Predictor
from skcfq.theory._neighborhoods import neighborhood


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
        origin = predictor.space.encode(X)
        spreads = np.ones(origin.shape[1])
        if over == "numbers":
            spreads = neighborhood(predictor, radius, "linf").spreads
        columns = np.flatnonzero(spreads)
        radii = radius * spreads[columns]
        low, high = origin.copy(), origin.copy()
        low[:, columns] -= radii
        high[:, columns] += radii
        return cls(origin, low, high, columns)

    def take(self, rows: np.ndarray | slice) -> RowBoxes:
        """Select rows by mask or position."""
        return RowBoxes(self.origin[rows], self.low[rows], self.high[rows], self.columns)
