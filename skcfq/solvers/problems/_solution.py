"""What is known about some people after solving: the one form in which answers travel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from skcfq.utils import stack_rows, take_rows


@dataclass(frozen=True, eq=False)
class Solution:
    """What is known about N people.

    Attributes
    ----------
    status : ndarray of shape (N,), str
    cost, bound, margin : ndarray of shape (N,)
        Cost of the action, its proved lower bound, the margin at the point; cost and margin are
        NaN without an action.
    changed : ndarray of shape (N, F), bool
    points : DataFrame or ndarray of shape (N, n_raw_columns)
        Raw rows after the action; the own row without one.
    interrupted : bool
        Ctrl-C came before everybody was finished; the others have the status ``"time_limit"``.
    """

    status: np.ndarray
    cost: np.ndarray
    bound: np.ndarray
    margin: np.ndarray
    changed: np.ndarray
    points: Any
    interrupted: bool = False

    @classmethod
    def nothing(cls, X: Any, n_features: int, status: str = "not_found") -> Solution:
        """Return what is known about the people of a table before anything was tried.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (N, n_raw_columns)
        n_features : int
            Number F of features that may change.
        status : str
        """
        n = len(X)
        return cls(
            np.full(n, status, dtype="<U17"),
            np.full(n, np.nan),
            np.zeros(n),
            np.full(n, np.nan),
            np.zeros((n, n_features), dtype=bool),
            X,
        )

    def __len__(self) -> int:
        return len(self.status)

    @property
    def found(self) -> np.ndarray:
        """Who has an action, or needs none, shape (N,), bool."""
        return ~np.isnan(self.cost)

    def take(self, rows: np.ndarray) -> Solution:
        """Return the answers of some people."""
        arrays = {name: getattr(self, name)[rows] for name in _arrays()}
        points = take_rows(self.points, rows)
        return Solution(points=points, interrupted=self.interrupted, **arrays)

    @staticmethod
    def concatenate(parts: Sequence[Solution]) -> Solution:
        """Join the answers of several people, one after the other."""
        arrays = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _arrays()
        }
        points = stack_rows([part.points for part in parts])
        interrupted = any(part.interrupted for part in parts)
        return Solution(points=points, interrupted=interrupted, **arrays)


def _arrays() -> list[str]:
    names = [field.name for field in fields(Solution)]
    return [name for name in names if name not in ("points", "interrupted")]
