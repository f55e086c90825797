"""Numbers that networks read as integer codes: only finitely many values matter.

Between two thresholds of rounding a value changes nothing but the cost, so of every such stretch
only the value nearest to the own one counts. Where points must hold under jitter, what a network
reads at both ends of the jitter counts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skcfq.deploy import IntegerNetwork

# How far a value is put beyond a threshold, as a share of its size: raw rows round.
_BEYOND = 1e-9


@dataclass(frozen=True, eq=False)
class InputGrid:
    """What networks read of some numbers.

    Attributes
    ----------
    networks : sequence of IntegerNetwork
    columns : int64 ndarray of shape (m,)
        Encoded columns of the numbers.
    radii : ndarray of shape (m,)
        Jitter of each number, in encoded units; 0 where there is none.
    """

    networks: Sequence[IntegerNetwork]
    columns: np.ndarray
    radii: np.ndarray

    def thresholds(self, j: int) -> np.ndarray:
        """Return where something that a network reads of a number changes, rising."""
        found = []
        for network in self.networks:
            low, high = (end[self.columns[j]] for end in network.input_range)
            found.append((np.arange(low, high) + 0.5) * network.input_steps[self.columns[j]])
        edges = np.unique(np.concatenate(found))
        if self.radii[j]:
            edges = np.unique(np.concatenate([edges, edges - self.radii[j], edges + self.radii[j]]))
        return edges

    def points_beyond(self, j: int, own: np.ndarray, least: np.ndarray) -> np.ndarray:
        """Return the values beyond thresholds, seen from the own ones, rising; shape (P, G).

        Parameters
        ----------
        j : int
        own : ndarray of shape (P, 1)
        least : ndarray of shape (P, 1)
            Smallest change, after which a stretch may begin too.
        """
        edges = self.thresholds(j)
        side = np.where(edges < own, -1.0, 1.0)
        beyond = edges + side * _BEYOND * np.maximum(np.abs(edges), 1.0)
        return np.sort(np.column_stack([beyond, own - least, own + least]), axis=1)

    def read(self, j: int, values: np.ndarray) -> np.ndarray:
        """Return all that networks read of values (n,) of a number, shape (k, n)."""
        column, found = self.columns[j], []
        for network in self.networks:
            low, high = (end[column] for end in network.input_range)
            for shift in {0.0, self.radii[j], -self.radii[j]}:
                code = np.rint((values + shift) / network.input_steps[column])
                found.append(np.clip(code, low, high))
        return np.stack(found)
