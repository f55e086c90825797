"""A bound of the margin that is linear in the first layer, feature by feature.

Over a box, the margin is at most that of the bound at the own point plus a *gain* of every rung. So
whether a box holds an answer below some cost is a choice of one rung a feature, under one
constraint: a knapsack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.proofs._boxes import Boxes
from skcfq.proofs._choice_bound import ChoiceBound, Choices, Options, Squares
from skcfq.proofs._lattice import Lattice
from skcfq.proofs._objective import Objective
from skcfq.proofs._tables import Tables
from skcfq.utils import tile_products


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
            gain = tile_products(slope, rows.T)
            level.append(gain - np.take_along_axis(gain, own[:, c, None], axis=1))
        return cls(tables, boxes, start, tile_products(slope, tables.slopes.T), level, ends)

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

    def at(self, f: int, box: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return what rungs of a feature gain in their boxes, each of shape (M,)."""
        m = self.number.shape[1]
        coordinate = self.tables.coordinates_of(f, self.boxes.person[box], rungs)
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

    def options(self, lattice: Lattice, objective: Objective) -> Choosing:
        """Return the knapsacks whose solutions cost no more than any point of the boxes.

        Parameters
        ----------
        lattice : Lattice
            With prices for costs.
        objective : Objective
        """
        m, rungs = self.number.shape[1], self._level_rungs()
        numbers = self._numbers(lattice, objective)
        width = max([numbers.price.shape[2], *(inside.rung.shape[1] for inside in rungs)])
        shape = len(self.boxes), lattice.n_features, width
        cost, gain = np.full(shape, np.inf), np.zeros(shape)
        span = slice(numbers.price.shape[2])
        cost[:, :m, span] = numbers.price
        gain[:, :m, span] = numbers.slope[:, :, None] * numbers.move
        for c, inside in enumerate(rungs):
            changes = inside.there & (inside.rung > 0)
            span = slice(inside.rung.shape[1])
            cost[:, m + c, span] = np.where(changes, lattice.cost[inside.place], np.inf)
            gain[:, m + c, span] = np.where(changes, self._of_rungs(c, inside), 0.0)
        may_stay = self.boxes.holds_own(lattice)
        options = Options(cost, gain, may_stay, objective.most_changes, numbers.squares)
        return Choosing(options, numbers.move, numbers.upward)

    def _numbers(self, lattice: Lattice, objective: Objective) -> _Numbers:
        """Return the useful moves of numbers.

        Notes
        -----
        No rung contributes less than its coordinate times the least rate of its side, nor than the
        nearest one: a convex function of the coordinate. If that is a line, the least value less a
        multiple of the gain lies at one of its ends.
        """
        boxes, tables, m = self.boxes, self.tables, self.number.shape[1]
        own = lattice.own[boxes.person][:, :m]
        low, high = boxes.low[:, :m], boxes.high[:, :m]
        may_stay = (low <= own) & (own <= high)
        upward = np.where(may_stay, self.number > 0, low > own)
        slope = np.where(upward, self.number, -self.number)
        reach = np.maximum(np.where(upward, self.ends[1], -self.ends[0]), 0.0)
        nearest = np.maximum(np.where(upward, self.ends[0], -self.ends[1]), 0.0)
        nearest = np.where(may_stay, 0.0, nearest)
        least = lattice.costs(boxes.person, np.where(upward, low, high))
        least = np.where(may_stay, 0.0, least)
        rate = np.where(upward, tables.rate_up[boxes.person], tables.rate_down[boxes.person])
        rate = np.where(reach > 0, rate, 0.0)
        flat = np.sqrt(least) if objective.squared else least
        with np.errstate(invalid="ignore", divide="ignore"):
            kink = np.where(rate > 0, np.clip(flat / rate, nearest, reach), nearest)
        helps = slope > 0
        goes = helps & (~may_stay | (reach > 0))
        # Where going farther only costs, the nearest rung is best.
        begin = np.where(helps, kink, nearest)
        end = np.where(goes, reach, begin)
        if objective.squared:
            squares = Squares(rate, slope, begin, end, least)
            parts = [(squares.cost(end), end, goes | ~may_stay)]
        else:
            squares = None
            parts = [(np.maximum(rate * reach, least), reach, goes), (least, begin, ~may_stay)]
        price = np.stack([np.where(there, price, np.inf) for price, _, there in parts], axis=2)
        move = np.stack([np.where(there, move, 0.0) for _, move, there in parts], axis=2)
        return _Numbers(price, move, slope, upward, squares)

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
class Choosing:
    """Knapsacks, and what their options are.

    Attributes
    ----------
    options : Options
    length : ndarray of shape (N, m, V)
        How far, in units of its coordinate, an option moves a number, unless it is a square. That
        of a category is its rung.
    upward : bool ndarray of shape (N, m)
        Whether a number goes up.
    """

    options: Options
    length: np.ndarray
    upward: np.ndarray

    def take(self, rows: np.ndarray) -> Choosing:
        """Return some of the knapsacks."""
        return Choosing(self.options.take(rows), self.length[rows], self.upward[rows])

    def moves(self, choices: Choices) -> np.ndarray:
        """Return how far choices move numbers, in signed units of their coordinates (N, m)."""
        option = choices.option[:, : self.length.shape[1]]
        at = np.maximum(option, 0)[:, :, None]
        length = choices.move
        if length is None:
            length = np.take_along_axis(self.length, at, axis=2)[:, :, 0]
        return np.where(option >= 0, np.where(self.upward, length, -length), 0.0)

    def mixture(
        self, found: ChoiceBound, need: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return two moves of numbers (N, m), and how far between them the need is just met (N,).

        The features that change are those of the choice that meets the need.
        """
        begin, end = self.moves(found.under), self.moves(found.over)
        # A mixture of two choices would change the features of both.
        begin = np.where(found.over.option[:, : end.shape[1]] >= 0, begin, end)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (need - found.under.gain) / (found.over.gain - found.under.gain)
        return begin, end, np.clip(np.nan_to_num(share, nan=1.0), 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class _Numbers:
    """Prices and lengths of moves of numbers (N, m, V), and what they gain by unit (N, m)."""

    price: np.ndarray
    move: np.ndarray
    slope: np.ndarray
    upward: np.ndarray
    squares: Squares | None


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
