"""Training rows of a table, validated and weighed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skcfq.nn import TrainingRows
from skcfq.utils import take_rows


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """Validated training rows of positive weight.

    Attributes
    ----------
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    labels : ndarray of shape (n,), int64
        Positions in ``classes_``.
    weights : ndarray of shape (n,)
        Sample weights times class weights.
    sample_weight : ndarray of shape (n,)
        Sample weights alone: statistics of the population follow these.
    dtype : torch.dtype
        Precision of the training.
    groups : ndarray of shape (n,), int64, or None
        Group of each row, where the terms at x weigh groups.
    """

    X: Any
    labels: np.ndarray
    weights: np.ndarray
    sample_weight: np.ndarray
    dtype: torch.dtype
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> TrainingTable:
        """Return some of the rows.

        Parameters
        ----------
        rows : ndarray of shape (k,), int64
        """
        return TrainingTable(
            X=take_rows(self.X, rows),
            labels=self.labels[rows],
            weights=self.weights[rows],
            sample_weight=self.sample_weight[rows],
            dtype=self.dtype,
            groups=None if self.groups is None else self.groups[rows],
        )

    def rows(self, encoded: np.ndarray) -> TrainingRows:
        """Return encoded rows, labels and weights as the training loop takes them."""
        return TrainingRows(
            torch.from_numpy(encoded).to(self.dtype),
            torch.from_numpy(self.labels),
            torch.from_numpy(self.weights).to(self.dtype),
            groups=None if self.groups is None else torch.from_numpy(self.groups),
        )
