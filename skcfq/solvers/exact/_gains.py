"""A bound of the margin that is linear in the first layer, feature by feature.

Over a box, the margin is at most that of the bound at the own point plus a *gain* of every rung. So
whether a box holds an answer below some cost is a choice of one rung a feature, under one
constraint: a knapsack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.solvers.exact._boxes import Boxes
from skcfq.solvers.exact._choice_bound import Options
from skcfq.solvers.exact._lattice import Lattice
from skcfq.solvers.exact._network_tables import Tables

# The two options of a number: the end of its stretch where its gain is larger, and the other one.
FAR, NEAR = 0, 1


@dataclass(frozen=True, eq=False)
class Gains:
    """What rungs add to a linear function of the first layer, beyond the own ones.

    Attributes
    ----------
    tables : Tables
    boxes : Boxes
        N of them.
    start : int64 ndarray of shape (N, F)
        Where the ladders begin in the flat arrays.
    number : ndarray of shape (N, m)
        Gain per unit of a number's coordinate.
    level : list of c ndarrays of shape (N, R)
        Gain of every row of a category.
    ends : (ndarray, ndarray) of shape (N, m)
        Coordinates of numbers at both ends of the boxes.
    """

    tables: Tables
    boxes: Boxes
    start: np.ndarray
    number: np.ndarray
    level: list[np.ndarray]
    ends: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(
        cls,
        tables: Tables,
        boxes: Boxes,
        start: np.ndarray,
        ends: tuple[np.ndarray, np.ndarray],
        slope: np.ndarray,
    ) -> Gains:
        """Return the gains of ``slope · t`` for the totals t of the first layer.

        Parameters
        ----------
        slope : ndarray of shape (N, H)
        """
        own = tables.own_rows[boxes.person]
        level = []
        for c, rows in enumerate(tables.rows):
            gain = slope @ rows.T
            level.append(gain - np.take_along_axis(gain, own[:, c, None], axis=1))
        return cls(tables, boxes, start, slope @ tables.slopes.T, level, ends)

    def take(self, rows: np.ndarray) -> Gains:
        """Return the gains in some of the boxes."""
        return Gains(
            self.tables,
            self.boxes.take(rows),
            self.start[rows],
            self.number[rows],
            [level[rows] for level in self.level],
            (self.ends[0][rows], self.ends[1][rows]),
        )

    def at(self, f: int, box: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Return what rungs of a feature, at places of the flat arrays, gain in their boxes."""
        m = self.number.shape[1]
        coordinate = self.tables.coordinate[place]
        if f < m:
            return self.number[box, f] * coordinate
        return self.level[f - m][box, coordinate.astype(np.int64)]

    def most(self) -> np.ndarray:
        """Return the largest gain of every feature in its box, shape (N, F)."""
        numbers = np.maximum(self.number * self.ends[0], self.number * self.ends[1])
        levels = [
            self._of_rungs(c, inside).max(axis=1, initial=-np.inf, where=inside.there)
            for c, inside in enumerate(self._level_rungs())
        ]
        return np.column_stack([numbers, *levels])

    def options(self, lattice: Lattice, most: int) -> Options:
        """Return the knapsacks whose solutions cost no more than any point of the boxes.

        Parameters
        ----------
        lattice : Lattice
        most : int
            How many features may change.
        """
        m, rungs = self.number.shape[1], self._level_rungs()
        width = max([2, *(inside.rung.shape[1] for inside in rungs)])
        shape = len(self.boxes), lattice.n_features, width
        cost, gain = np.full(shape, np.inf), np.zeros(shape)
        may_stay = self.boxes.holds_own(lattice)
        numbers = self._number_options(lattice, may_stay[:, :m])
        cost[:, :m, :2], gain[:, :m, :2] = numbers
        for c, inside in enumerate(rungs):
            changes = inside.there & (inside.rung > 0)
            span = slice(inside.rung.shape[1])
            cost[:, m + c, span] = np.where(changes, lattice.cost[inside.place], np.inf)
            gain[:, m + c, span] = np.where(changes, self._of_rungs(c, inside), 0.0)
        return Options(cost, gain, may_stay, most)

    def _number_options(
        self, lattice: Lattice, may_stay: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return cost and gain of both options of every number, each of shape (N, m, 2).

        Notes
        -----
        No rung costs less than its coordinate times the least rate of its side, nor than the
        nearest one. That is a convex function of the coordinate with a kink, so its least value
        less a multiple of the gain lies at the kink or at the far end.
        """
        boxes, tables, m = self.boxes, self.tables, self.number.shape[1]
        near_end, far_end = self.ends
        above = boxes.low[:, :m] > lattice.own[boxes.person][:, :m]
        upward = np.where(may_stay, self.number > 0, above)
        rate = np.where(upward, tables.rate_up[boxes.person], tables.rate_down[boxes.person])
        sign = np.where(upward, 1.0, -1.0)
        reach = np.maximum(np.where(upward, far_end, -near_end), 0.0)
        slope = self.number * sign
        inner = np.where(upward, boxes.low[:, :m], boxes.high[:, :m])
        nearest = np.where(upward, near_end, -far_end)
        least = lattice.cost[self.start[:, :m] + inner]
        with np.errstate(invalid="ignore", divide="ignore"):
            far_cost = np.where(reach > 0, rate * reach, 0.0)
            kink = np.where(reach > 0, np.clip(least / rate, nearest, reach), nearest)
        helps = slope > 0
        cost = np.full((*slope.shape, 2), np.inf)
        gain = np.zeros_like(cost)
        goes = helps & (~may_stay | (reach > 0))
        cost[..., FAR] = np.where(goes, np.where(may_stay, far_cost, np.maximum(least, far_cost)), np.inf)
        gain[..., FAR] = np.where(goes, slope * reach, 0.0)
        cost[..., NEAR] = np.where(may_stay, np.inf, least)
        gain[..., NEAR] = np.where(may_stay, 0.0, slope * np.where(helps, kink, nearest))
        return cost, gain

    def _level_rungs(self) -> list[_Rungs]:
        m = self.number.shape[1]
        return [
            _rungs_between(self.boxes.low[:, f], self.boxes.high[:, f], self.start[:, f])
            for f in range(m, self.start.shape[1])
        ]

    def _of_rungs(self, c: int, rungs: _Rungs) -> np.ndarray:
        row = self.tables.coordinate[rungs.place].astype(np.int64)
        return np.take_along_axis(self.level[c], row, axis=1)


@dataclass(frozen=True, eq=False)
class _Rungs:
    """Rungs of one category from 0 on, those that are there, and their places, each (N, V)."""

    rung: np.ndarray
    there: np.ndarray
    place: np.ndarray


def _rungs_between(low: np.ndarray, high: np.ndarray, start: np.ndarray) -> _Rungs:
    rung = np.arange(int(high.max(initial=0)) + 1)
    there = (rung >= low[:, None]) & (rung <= high[:, None])
    inside = np.minimum(rung, high[:, None])
    return _Rungs(np.broadcast_to(rung, there.shape), there, start[:, None] + inside)
