"""Boxes around rows, in encoded space: how inexactly a point may be carried out."""

from __future__ import annotations

from collections.abc import Sequence
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
    def of(
        cls, predictors: Sequence[Predictor], X: Any, radius: float, over: str = "numbers"
    ) -> RowBoxes:
        """Draw boxes around raw rows, as those of :func:`neighborhood` are.

        Parameters
        ----------
        predictors : sequence of Predictor
            Models of one feature space.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
        radius : float
        over : {"numbers", "encoded"}
        """
        around = neighborhood(predictors, radius, "linf", over)
        origin = predictors[0].space.encode(X)
        return cls(origin, *around.ends(origin), np.flatnonzero(around.spreads))

    def take(self, rows: np.ndarray | slice) -> RowBoxes:
        """Select rows by mask or position."""
        return RowBoxes(self.origin[rows], self.low[rows], self.high[rows], self.columns)
