"""What advice is, whoever holds it: the result of a solver, or a document that was read."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.results._gaps import gaps


class Advice:
    """What follows from a status, a cost and a bound for each of n people."""

    X: Any
    points: Any
    target: np.ndarray
    status: np.ndarray
    valid: np.ndarray
    cost: np.ndarray
    lower_bound: np.ndarray
    margin: np.ndarray

    def __len__(self) -> int:
        return len(self.status)

    @property
    def gap(self) -> np.ndarray:
        """Share of its cost by which each action may be too dear, shape (n,); NaN without one."""
        return gaps(self.status, self.cost, self.lower_bound)

    @property
    def denied(self) -> np.ndarray:
        """Rows that the model does not give the target, shape (n,), bool."""
        return self.status != "already_favorable"

    @property
    def reachable(self) -> np.ndarray:
        """Denied rows for which a valid action was found, shape (n,), bool."""
        return self.denied & self.valid
