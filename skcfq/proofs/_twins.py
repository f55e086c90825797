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
    kept = np.ones(len(lattice.value), dtype=bool)
    for f in range(lattice.n_numbers):
        kept[lattice.part(f)] = _differs(lattice, readings, f)
    return with_rungs(lattice, np.arange(lattice.n_people), kept)


def with_rungs(lattice: Lattice, people: np.ndarray, kept: np.ndarray) -> Lattice:
    """Return the ladders of some people, with some of their rungs.

    Parameters
    ----------
    lattice : Lattice
    people : int64 ndarray of shape (n,)
    kept : bool ndarray
        Which rungs stay, in the flat arrays; the own ones do.
    """
    size, start, own = lattice.size[people], lattice.start[people], lattice.own[people]
    ends = np.concatenate([[0], np.cumsum(kept)])
    new_size, chosen = ends[start + size] - ends[start], []
    new_own = ends[start + own] - ends[start]
    for f in range(lattice.n_features):
        before = np.cumsum(size[:, f]) - size[:, f]
        place = np.arange(int(size[:, f].sum())) + np.repeat(start[:, f] - before, size[:, f])
        chosen.append(place[kept[place]])
    total = np.cumsum(new_size.T.ravel()) - new_size.T.ravel()
    new_start = total.reshape(new_size.T.shape).T
    place = np.concatenate([*chosen, np.empty(0, dtype=np.int64)])
    value, cost = lattice.value[place], lattice.cost[place]
    return Lattice(lattice.n_numbers, new_start, new_size, new_own, value, cost)


def _differs(lattice: Lattice, readings: Readings, j: int) -> np.ndarray:
    """Return which rungs of a number are read differently than their inner neighbors."""
    part = lattice.part(j)
    codes = readings.read(j, lattice.value[part])
    length = lattice.size[:, j]
    rung = np.arange(part.stop - part.start) - np.repeat(lattice.start[:, j] - part.start, length)
    side = np.sign(rung - np.repeat(lattice.own[:, j], length))
    inner = np.arange(len(rung)) - side
    return (codes != codes[:, inner]).any(axis=0) | (side == 0)
