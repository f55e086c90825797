"""What each person may do, feature by feature: ladders of admissible values with their costs.

A feature of one person is a *ladder*: its admissible values in an order in which the cost falls up
to the own value and rises from there, so that everything cheaper than a limit is one stretch of
*rungs*. Numbers are in the order of their size; categories begin with the own level, and the others
follow by cost. The ladders of all people lie one after the other in flat arrays. Those of numbers
that move continuously are too fine for that: of them only the own rung is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from skcfq.proofs._continuum import CONTINUOUS_GAP, Continuum

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion, RecourseCost
    from skcfq.proofs._objective import Objective

# An action is optimal when no bound is lower than its cost by more than this share.
RELATIVE_GAP = 1e-9


@dataclass(frozen=True, eq=False)
class Lattice:
    """The ladders of P people and F features, numbers first.

    Attributes
    ----------
    n_numbers : int
        Number m of numeric features.
    start : int64 ndarray of shape (P, F)
        Where each ladder begins in the flat arrays.
    size : int64 ndarray of shape (P, F)
        Its number of rungs.
    own : int64 ndarray of shape (P, F)
        The rung of the own value.
    value : float64 ndarray
        Encoded value of every rung of a number; level of every rung of a category.
    cost : float64 ndarray
        What the rung adds to the cost: the contribution, before any norm.
    continuum : Continuum or None
        Numbers whose rungs are computed.
    """

    n_numbers: int
    start: np.ndarray
    size: np.ndarray
    own: np.ndarray
    value: np.ndarray
    cost: np.ndarray
    continuum: Continuum | None = None

    @property
    def n_people(self) -> int:
        """Number P of people."""
        return len(self.start)

    @property
    def n_features(self) -> int:
        """Number F of features."""
        return self.start.shape[1]

    def part(self, f: int) -> slice:
        """Return where the ladders of a feature lie in the flat arrays."""
        begin = int(self.start[0, f]) if self.n_people else 0
        return slice(begin, begin + int(self.size[:, f].sum()))

    @property
    def horizon(self) -> np.ndarray:
        """What everything costs at least that people may do beyond the lattice, shape (P,)."""
        return np.full(self.n_people, np.inf) if self.continuum is None else self.continuum.horizon

    @property
    def gap(self) -> float:
        """Share of its cost by which an action that is proved the cheapest may be too dear."""
        return RELATIVE_GAP if self.continuum is None else CONTINUOUS_GAP

    def priced(self, objective: Objective) -> Lattice:
        """Return the same ladders, with prices for costs."""
        smooth = self.continuum
        if smooth is not None and objective.squared:
            smooth = smooth.squared()
        return replace(self, cost=objective.prices(self.cost), continuum=smooth)

    def places(self, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return where rungs (N, G) of people (N,) and the first G features lie in flat arrays."""
        places = self.start[person, : rungs.shape[1]] + rungs
        if self.continuum is not None:
            at = self.continuum.features
            places[:, at] = self.start[person[:, None], at]
        return places

    def costs(self, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return what rungs (N, G) of the first G features cost people (N,)."""
        costs = self.cost[self.places(person, rungs)]
        if self.continuum is not None:
            at = self.continuum.features
            costs[:, at] = self.continuum.prices(person, self._beyond(person, rungs))
        return costs

    def costs_of(self, f: int, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return what rungs (N,) of one feature cost people (N,)."""
        smooth = self.continuum
        if smooth is None or f not in smooth.features:
            return self.cost[self.start[person, f] + rungs]
        return smooth.only(f).prices(person, (rungs - self.own[person, f])[:, None])[:, 0]

    def moves(self, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return how far rungs (N, G) move the numbers that move continuously, shape (N, s)."""
        assert self.continuum is not None
        return self.continuum.moves(person, self._beyond(person, rungs))

    def _beyond(self, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        assert self.continuum is not None
        at = self.continuum.features
        return rungs[:, at] - self.own[person[:, None], at]

    def states(self, person: np.ndarray, rungs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the values (N, m) and the levels (N, c) that rungs (N, F) stand for."""
        chosen = self.value[self.places(person, rungs)]
        smooth = self.continuum
        if smooth is not None:
            there = chosen[:, smooth.features] + self.moves(person, rungs)
            chosen[:, smooth.features] = np.clip(there, smooth.low[person], smooth.high[person])
        return chosen[:, : self.n_numbers], chosen[:, self.n_numbers :].astype(np.int64)

    def rungs(self, values: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the rungs (P, F) of values (P, m) and levels (P, c) of all people.

        A number between two rungs has the inner one; a level that is on no rung, the own one.
        """
        wanted = np.column_stack([values, levels]).astype(np.float64)
        rungs = self.own.copy()
        smooth = self.continuum
        if smooth is not None:
            at, everybody = smooth.features, np.arange(self.n_people)
            moves = values[:, at] - self.value[self.start[:, at]]
            rungs[:, at] += smooth.last_within(everybody, moves)
        for f in range(self.n_features):
            if smooth is not None and f in smooth.features:
                continue
            step = np.arange(int(self.size[:, f].max(initial=1)))
            there = step < self.size[:, f, None]
            place = self.start[:, f, None] + np.where(there, step, 0)
            value, goal, own = self.value[place], wanted[:, f, None], self.own[:, f]
            if f < self.n_numbers:
                last_before = ((value <= goal) & there).sum(axis=1) - 1
                first_behind = ((value < goal) & there).sum(axis=1)
                upward = last_before >= own
                rungs[:, f] = np.where(upward, last_before, np.minimum(first_behind, own))
            else:
                same = (value == goal) & there
                rungs[:, f] = np.where(same.any(axis=1), same.argmax(axis=1), own)
        return rungs


# Values that a number without a grid may be moved to: its position, own values (P, 1) and smallest
# changes (P, 1) to rising values (P, G).
Points = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


def lattice_of(
    region: ActionRegion,
    cost: RecourseCost,
    points: Points | None = None,
    *,
    continuous: bool = False,
) -> Lattice:
    """Write down what people may do.

    Parameters
    ----------
    region : ActionRegion
    cost : RecourseCost
    points : callable, optional
        Where numbers without a grid may go, inside their bounds; without it they only stay.
    continuous : bool, default=False
        Whether numbers without a grid move continuously.

    Returns
    -------
    lattice : Lattice
    """
    m = len(region.grids)
    ladders = [_number(region, j, points) for j in range(m)]
    ladders += [_category(region, i, cost.level_distances[i]) for i in range(len(region.allowed))]
    n, n_features = region.n_people, len(ladders)
    start, size, own = (np.zeros((n, n_features), dtype=np.int64) for _ in range(3))
    value, price = [], []
    offset = 0
    for f, (rungs, distance, kept, own_rung) in enumerate(ladders):
        size[:, f] = kept.sum(axis=1)
        start[:, f] = offset + np.cumsum(size[:, f]) - size[:, f]
        own[:, f] = own_rung
        offset += int(size[:, f].sum())
        value.append(rungs[kept])
        price.append(cost.weights[f] * distance[kept])
    empty, smooth = [np.empty(0)], None
    free = [j for j, grid in enumerate(region.grids) if grid is None]
    if continuous and free:
        smooth = Continuum.of(region, cost, free)
        own[:, free], size[:, free] = smooth.n_down, smooth.n_down + 1 + smooth.n_up
    values, prices = (np.concatenate(part or empty) for part in (value, price))
    return Lattice(m, start, size, own, values, prices, smooth)


# Rungs, distances from the own value, which of them are there, each (P, V), and the own rung (P,).
_Ladder = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _number(region: ActionRegion, j: int, points_for: Points | None) -> _Ladder:
    own, grid = region.values[:, j].numpy()[:, None], region.grids[j]
    if grid is not None:
        points, allowed = grid.numpy(), region.reachable_points(j).numpy()
    elif points_for is not None:
        least = np.zeros_like(own)
        if region.min_change is not None:
            least = region.min_change[:, j, None].numpy()
        points = points_for(j, own, least)
        lower, upper = region.lower[:, j, None].numpy(), region.upper[:, j, None].numpy()
        allowed = (points >= lower) & (points <= upper) & (points != own)
        # The smallest change itself must not be lost to rounding.
        allowed &= np.abs(points - own) >= least * (1 - 1e-12)
    else:
        points, allowed = np.empty(0), np.zeros((len(own), 0), dtype=bool)
    distance = np.abs(points - own)
    below = points < own
    rungs = np.broadcast_to(points, allowed.shape)
    # The own value lies between what is below it and what is above.
    at = below.sum(axis=1)
    rungs, distance, allowed = (
        _with_own(part, at, fill)
        for part, fill in ((rungs, own[:, 0]), (distance, 0.0), (allowed, True))
    )
    return rungs, distance, allowed, _rank(allowed, at)


def _with_own(part: np.ndarray, at: np.ndarray, fill: np.ndarray | float | bool) -> np.ndarray:
    """Insert a column entry of each row at its place."""
    n, width = part.shape
    column = np.arange(width + 1)
    source = np.clip(column - (column > at[:, None]), 0, max(width - 1, 0))
    wider = np.take_along_axis(part, source, axis=1) if width else np.empty((n, 1), part.dtype)
    wider[np.arange(n), at] = fill
    return wider


def _rank(kept: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.take_along_axis(np.cumsum(kept, axis=1) - 1, at[:, None], axis=1)[:, 0]


def _category(region: ActionRegion, i: int, distances: np.ndarray) -> _Ladder:
    own = region.levels[:, i].numpy()
    allowed = region.allowed[i].numpy()
    level = np.arange(allowed.shape[1])
    distance = np.where(level == own[:, None], np.inf, distances[own])
    distance = np.where(allowed, distance, np.inf)
    order = np.argsort(distance, axis=1, kind="stable")
    distance = np.take_along_axis(distance, order, axis=1)
    first = np.zeros(len(own), dtype=np.int64)
    distance = np.column_stack([first, distance])
    rungs = np.column_stack([own, order]).astype(np.float64)
    return rungs, distance, np.isfinite(distance), first
