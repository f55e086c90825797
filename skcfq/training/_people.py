"""Rows of a training, and what is known of the people behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.nn import TrainingRows
from skcfq.training._groups import Groups
from skcfq.training._table import TrainingTable


@dataclass(frozen=True, eq=False)
class People:
    """Some rows, whom of them the teacher refuses, their targets and their groups.

    Attributes
    ----------
    table : TrainingTable
        The n rows.
    encoded : ndarray of shape (n, n_encoded), float64
    denied : ndarray of shape (n,), bool
        Whom the teacher does not give the target.
    target : ndarray of shape (n,), int64
        Positions in ``classes_``.
    groups : Groups or None
    """

    table: TrainingTable
    encoded: np.ndarray
    denied: np.ndarray
    target: np.ndarray
    groups: Groups | None = None

    def rows(self) -> TrainingRows:
        """Return encoded rows, labels and weights as the training loop takes them."""
        return self.table.rows(self.encoded)
