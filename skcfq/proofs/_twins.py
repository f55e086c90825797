"""Rungs that no model can tell apart: of them only the one nearest to the own value matters."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from skcfq.proofs._lattice import Lattice


class Readings(Protocol):
    """What models read of numbers."""

    def read(self, j: int, values: np.ndarray) -> np.ndarray:
        """Return all that models read of values (n,) of a number, shape (k, n)."""
        ...


def without_twins(lattice: Lattice, readings: Readings) -> Lattice:
    """Leave out rungs of numbers that models cannot tell from one nearer to the own value."""
    value, cost = [], []
    start, size, own = lattice.start.copy(), lattice.size.copy(), lattice.own.copy()
    offset = 0
    for f in range(lattice.n_features):
        part = lattice.part(f)
        kept = np.ones(part.stop - part.start, dtype=bool)
        if f < lattice.n_numbers:
            kept = _differs(lattice, readings, f)
            ends = np.concatenate([[0], np.cumsum(kept)])
            first = lattice.start[:, f] - part.start
            size[:, f] = ends[first + lattice.size[:, f]] - ends[first]
            own[:, f] = ends[first + lattice.own[:, f]] - ends[first]
            start[:, f] = ends[first]
        else:
            start[:, f] -= part.start
        start[:, f] += offset
        offset += int(kept.sum())
        value.append(lattice.value[part][kept])
        cost.append(lattice.cost[part][kept])
    return Lattice(lattice.n_numbers, start, size, own, np.concatenate(value), np.concatenate(cost))


def _differs(lattice: Lattice, readings: Readings, j: int) -> np.ndarray:
    """Return which rungs of a number are read differently than their inner neighbors."""
    part = lattice.part(j)
    codes = readings.read(j, lattice.value[part])
    length = lattice.size[:, j]
    rung = np.arange(part.stop - part.start) - np.repeat(lattice.start[:, j] - part.start, length)
    side = np.sign(rung - np.repeat(lattice.own[:, j], length))
    inner = np.arange(len(rung)) - side
    return (codes != codes[:, inner]).any(axis=0) | (side == 0)
