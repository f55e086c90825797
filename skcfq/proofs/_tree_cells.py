"""Numbers that trees compare with thresholds: only finitely many values matter.

Between two thresholds a value changes nothing but the cost, so of every such cell only the value
nearest to the own one counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skcfq.models import TreeEnsemble

# How far a value is put beyond a threshold, as a share of the largest one: raw rows round.
_BEYOND = 1e-10


@dataclass(frozen=True, eq=False)
class TreeCells:
    """What ensembles read of the m numbers of P people.

    Attributes
    ----------
    ensembles : sequence of TreeEnsemble
    columns : int64 ndarray of shape (m,)
        Encoded columns of the numbers.
    lower, upper : ndarray of shape (P, m)
        Where each person may move each number.
    exact : bool ndarray of shape (m,)
        Of which numbers every value counts, because something else reads it too.
    """

    ensembles: Sequence[TreeEnsemble]
    columns: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    exact: np.ndarray

    def points_beyond(self, j: int, own: np.ndarray, least: np.ndarray) -> np.ndarray:
        """Return the first values of cells, seen from the own ones, rising; shape (P, G).

        Parameters
        ----------
        j : int
        own : ndarray of shape (P, 1)
        least : ndarray of shape (P, 1)
            Smallest change, after which a cell may begin too.
        """
        above, below = [], []
        for trees in self.ensembles:
            c = trees.position.get(int(self.columns[j]))
            if c is not None:
                first, last = _ends(trees, c)
                above.append(first)
                below.append(last)
        starts = np.concatenate([*above, np.empty(0)])
        stops = np.concatenate([*below, np.empty(0)])
        points = np.where(starts > own, starts, np.where(stops < own, stops, own))
        points = np.column_stack([points, own - least, own + least])
        # Of a cell that begins beyond the end, the end is no part: what lies there is left out.
        return np.sort(np.clip(points, self.lower[:, j, None], self.upper[:, j, None]), axis=1)

    def kept(self, j: int, grid: np.ndarray, own: np.ndarray, least: np.ndarray) -> np.ndarray:
        """Return which points of a rising grid can be the first of a cell for anybody, (G,).

        Parameters
        ----------
        j : int
        grid : ndarray of shape (G,)
        own : ndarray of shape (P, 1)
        least : ndarray of shape (P, 1)
            Smallest change, after which a cell may begin too.
        """
        if self.exact[j] or len(grid) < 2:
            return np.ones(len(grid), dtype=bool)
        read = self.read(j, grid)
        step = (read[:, 1:] != read[:, :-1]).any(axis=0)
        kept = np.append(step, False) | np.append(False, step)
        if least.any():
            # With their neighbors, whatever rounds.
            near = np.searchsorted(grid, np.column_stack([own - least, own + least]))
            near = near.ravel()[:, None] + np.arange(-2, 3)
            kept[np.clip(near, 0, len(grid) - 1)] = True
        return kept

    def read(self, j: int, values: np.ndarray) -> np.ndarray:
        """Return all that is read of values (n,) of a number, shape (k, n)."""
        if self.exact[j]:
            return values[None]
        found = [np.zeros(len(values), dtype=np.int64)]
        for trees in self.ensembles:
            c = trees.position.get(int(self.columns[j]))
            if c is not None:
                found.append(trees.cells(c, values))
        return np.stack(found)


def _ends(trees: TreeEnsemble, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least value above every threshold of a column, and the largest below it.

    They keep some distance from the threshold, but never reach the next one.
    """
    edges = trees.thresholds[c]
    edges = edges[np.isfinite(edges)]
    if len(edges) == 0:
        return edges, edges
    away = _BEYOND * (np.abs(edges).max() or 1.0)
    gap = np.diff(edges) / 2
    first = edges + np.minimum(away, np.append(gap, np.inf))
    last = edges - np.minimum(away, np.append(np.inf, gap))
    if trees.single:
        first, last = _single_beside(edges, trees.closed)
    return first, last


def _single_beside(edges: np.ndarray, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of single precision next to thresholds, above and below.

    What is cast is not rounded back over the threshold then. A threshold that is such a number
    itself lies below (``closed``), or else above.
    """
    with np.errstate(over="ignore"):
        near = edges.astype(np.float32)
    wide = near.astype(np.float64)
    is_above = wide > edges if closed else wide >= edges
    first = np.where(is_above, near, np.nextafter(near, np.float32(np.inf)))
    last = np.where(is_above, np.nextafter(near, np.float32(-np.inf)), near)
    return first.astype(np.float64), last.astype(np.float64)
