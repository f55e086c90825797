"""What every rung of a box gains at most, feature by feature, under an ensemble of trees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skcfq.proofs._boxes import Boxes
from skcfq.proofs._choice_bound import Choices, Options
from skcfq.proofs._lattice import Lattice
from skcfq.proofs._leaf_tables import LeafTables


@dataclass(frozen=True, eq=False)
class Grid:
    """The rungs of N boxes, padded.

    Attributes
    ----------
    rung : int64 ndarray of shape (N, F, V)
    there : bool ndarray of shape (N, F, V)
        Which of them are in the box and may be part of an answer.
    near : int64 ndarray of shape (N, F)
        The cheapest one.
    """

    rung: np.ndarray
    there: np.ndarray
    near: np.ndarray

    @classmethod
    def of(cls, lattice: Lattice, boxes: Boxes) -> Grid:
        """Return all rungs of boxes."""
        length = boxes.high - boxes.low + 1
        rung = boxes.low[:, :, None] + np.arange(int(length.max(initial=1)))
        there = rung <= boxes.high[:, :, None]
        near = np.clip(lattice.own[boxes.person], boxes.low, boxes.high)
        return cls(np.minimum(rung, boxes.high[:, :, None]), there, near)

    def leaves_room(self, lattice: Lattice, boxes: Boxes, most: int) -> np.ndarray:
        """Return which boxes may hold answers that change so many features at most, (N,)."""
        stays = self.there & (self.rung == lattice.own[boxes.person][:, :, None])
        forced = (~stays.any(axis=2)).sum(axis=1)
        return np.all(self.there.any(axis=2), axis=1) & (forced <= most)

    def ends(self, boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
        """Return the first and the last rung that may be part of an answer, each (N, F)."""
        last = self.there.shape[2] - 1 - self.there[:, :, ::-1].argmax(axis=2)
        low, high = boxes.low + self.there.argmax(axis=2), boxes.low + last
        empty = ~self.there.any(axis=2)
        return np.where(empty, boxes.low, low), np.where(empty, boxes.high, high)

    def take(self, rows: np.ndarray) -> Grid:
        """Return the rungs of some of the boxes."""
        return Grid(self.rung[rows], self.there[rows], self.near[rows])


@dataclass(frozen=True, eq=False)
class Said:
    """What trees say at most with one feature on a rung, for E rungs of some of N boxes.

    Attributes
    ----------
    box : int64 ndarray of shape (B,)
        Those of the boxes that leave the feature a choice.
    near : ndarray of shape (B, T)
        What is said on the nearest rungs.
    row, v : int64 ndarray of shape (E,)
        Box, by its position in `box`, and position of every rung in the grid.
    kind : int64 ndarray of shape (E,)
        Rungs in a row that admit the same leaves are of one kind.
    values : ndarray of shape (K, T)
        What is said on the rungs of every kind.
    """

    box: np.ndarray
    near: np.ndarray
    row: np.ndarray
    v: np.ndarray
    kind: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class RungBounds:
    """What trees say at most in N boxes, and with one feature on a rung.

    Attributes
    ----------
    top : ndarray of shape (N, T)
        What every tree says at most.
    said : dict of feature to Said
    most : ndarray of shape (N, F, V)
        What the score is at most where the feature is on the rung.
    """

    top: np.ndarray
    said: dict[int, Said]
    most: np.ndarray

    def gains(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what the score is at most on the nearest rungs (N,), and what rungs gain.

        The feature speaks for a tree that takes most of it where it stays.
        """
        loss, speaker = np.zeros(self.top.shape), np.full(self.top.shape, -1)
        for f, part in self.said.items():
            lost = self.top[part.box] - part.near
            more = lost > loss[part.box]
            loss[part.box] = np.where(more, lost, loss[part.box])
            speaker[part.box] = np.where(more, f, speaker[part.box])
        gain = np.zeros(self.most.shape)
        for f, part in self.said.items():
            speaks = speaker[part.box] == f
            silent = np.where(speaks, part.near, 0.0).sum(axis=1)
            row = part.row[np.flatnonzero(np.diff(part.kind, prepend=-1))]
            spoken = np.einsum("kt,kt->k", speaks.astype(np.float64)[row], part.values)
            gain[part.box[part.row], f, part.v] = (spoken - silent[row])[part.kind]
        return (self.top - loss).sum(axis=1), gain

    def lost_at(self, grid: Grid, point: np.ndarray) -> np.ndarray:
        """Return how much less than the most is said with each feature on a rung (N, F)."""
        total = self.top.sum(axis=1)[:, None]
        chosen = np.argmax(grid.rung == point[:, :, None], axis=2)[:, :, None]
        return total - np.take_along_axis(self.most, chosen, axis=2)[:, :, 0]


@dataclass(frozen=True, eq=False)
class RungOptions:
    """Knapsacks, and the rungs that their options are.

    Attributes
    ----------
    options : Options
    rung : int64 ndarray of shape (N, F, V)
    own : int64 ndarray of shape (N, F)
    """

    options: Options
    rung: np.ndarray
    own: np.ndarray

    @classmethod
    def of(
        cls, lattice: Lattice, person: np.ndarray, grid: Grid, gains: np.ndarray, most: int
    ) -> RungOptions:
        """Return the knapsacks, with those options only that gain more than cheaper ones."""
        own = lattice.own[person]
        stays = grid.there & (grid.rung == own[:, :, None])
        may_stay = stays.any(axis=2)
        goes = grid.there & ~stays
        places = lattice.start[person][:, :, None] + grid.rung
        price = np.where(goes, lattice.cost[places], np.inf)
        order = np.argsort(price, axis=2, kind="stable")
        price = np.take_along_axis(price, order, axis=2)
        gain = np.take_along_axis(gains, order, axis=2)
        best = np.maximum.accumulate(np.where(np.isfinite(price), gain, -np.inf), axis=2)
        floor = np.where(may_stay, 0.0, -np.inf)[:, :, None]
        before = np.concatenate([floor, np.maximum(best[:, :, :-1], floor)], axis=2)
        kept = np.isfinite(price) & (gain > before)
        width = max(int(kept.sum(axis=2).max(initial=0)), 1)
        first = np.argsort(~kept, axis=2, kind="stable")[:, :, :width]
        kept, price, gain, order = (
            np.take_along_axis(part, first, axis=2) for part in (kept, price, gain, order)
        )
        options = Options(np.where(kept, price, np.inf), np.where(kept, gain, 0.0), may_stay, most)
        return cls(options, np.take_along_axis(grid.rung, order, axis=2), own)

    def points(self, choices: Choices) -> np.ndarray:
        """Return the rungs of choices, shape (N, F)."""
        at = np.maximum(choices.option, 0)[:, :, None]
        chosen = np.take_along_axis(self.rung, at, axis=2)[:, :, 0]
        return np.where(choices.option >= 0, chosen, self.own)


def rung_bounds(tables: LeafTables, boxes: Boxes, grid: Grid) -> RungBounds:
    """Return what trees say at most in boxes.

    Parameters
    ----------
    tables : LeafTables
    boxes : Boxes
        N of them.
    grid : Grid
        Their rungs.
    """
    admitted = tables.admitted(boxes)
    top = tables.most(admitted, boxes.person)
    said = {}
    most = np.broadcast_to(top.sum(axis=1)[:, None, None], grid.rung.shape).copy()
    for f in tables.asked:
        box = np.flatnonzero(boxes.high[:, f] > boxes.low[:, f])
        if len(box):
            part = said[f] = _said_on(tables, f, box, boxes.person, grid, admitted)
            most[box[part.row], f, part.v] = part.values.sum(axis=1)[part.kind]
    return RungBounds(top, said, most)


def scores_beside(tables: LeafTables, boxes: Boxes, grid: Grid, rungs: np.ndarray) -> np.ndarray:
    """Return the scores of points whose features but one are on given rungs.

    Parameters
    ----------
    tables : LeafTables
    boxes : Boxes
        N of them.
    grid : Grid
        Their rungs.
    rungs : int64 ndarray of shape (N, F)

    Returns
    -------
    scores : ndarray of shape (N, F, V)
        With each feature on each rung; what follows the features is taken for the best in the box.
    """
    person = boxes.person
    scores = np.zeros(grid.rung.shape)
    admit = [tables.on(f, person, rungs[:, f]) for f in tables.asked]
    # What the features before one admit, and what those behind it do.
    before, behind = [tables.admitted(boxes)], [tables.admitted(boxes)]
    for one, last in zip(admit, reversed(admit), strict=True):
        before.append(before[-1] & one)
        behind.append(behind[-1] & last)
    scores += tables.most(before[-1], person).sum(axis=1)[:, None, None]
    for k, f in enumerate(tables.asked):
        box = np.flatnonzero(boxes.high[:, f] > boxes.low[:, f])
        if len(box):
            admitted = before[k] & behind[len(admit) - 1 - k]
            part = _said_on(tables, f, box, person, grid, admitted)
            scores[box[part.row], f, part.v] = part.values.sum(axis=1)[part.kind]
    return scores


def _said_on(
    tables: LeafTables,
    f: int,
    box: np.ndarray,
    person: np.ndarray,
    grid: Grid,
    admitted: np.ndarray,
) -> Said:
    """Return what is said with one feature on each rung of some boxes, which else admit leaves."""
    row, v = np.nonzero(grid.there[box, f])
    here = box[row]
    one = tables.on(f, person[here], grid.rung[here, f, v])
    one &= admitted[here]
    # A rung that admits what the one before it does says the same.
    new = np.ones(len(row), dtype=bool)
    new[1:] = (row[1:] != row[:-1]) | (one[1:] != one[:-1]).any(axis=1)
    kind = np.cumsum(new) - 1
    values = tables.most(one[new], person[here[new]])
    near = values[kind[grid.rung[here, f, v] == grid.near[here, f]]]
    return Said(box, near, row, v, kind, values)


def quartered(boxes: Boxes, blame: np.ndarray) -> Boxes:
    """Cut boxes in the middle of the feature that is to blame most, and the halves once more.

    Parameters
    ----------
    boxes : Boxes
        N of them, of more than a point.
    blame : ndarray of shape (N, F)
        Of a feature that was cut, half is left.

    Returns
    -------
    boxes : Boxes
        At most 4N boxes; a half that is a point stays whole.
    """
    feature = _most_to_blame(boxes, blame)
    left = blame.copy()
    left[np.arange(len(boxes)), feature] /= 2
    halves, left = _halved(boxes, feature), np.concatenate([left, left])
    whole = np.all(halves.high == halves.low, axis=1)
    more = halves.take(~whole)
    quarters = _halved(more, _most_to_blame(more, left[~whole]))
    return Boxes.concatenate([halves.take(whole), quarters])


def _most_to_blame(boxes: Boxes, blame: np.ndarray) -> np.ndarray:
    length = boxes.high - boxes.low + 1
    # Where nothing is to blame any more, the longest stretch is cut.
    return np.where(length > 1, blame + 1e-300 * length, -1.0).argmax(axis=1)


def _halved(boxes: Boxes, feature: np.ndarray) -> Boxes:
    rows = np.arange(len(boxes))
    at = (boxes.low[rows, feature] + boxes.high[rows, feature]) >> 1
    lower, upper = boxes.high.copy(), boxes.low.copy()
    lower[rows, feature], upper[rows, feature] = at, at + 1
    return Boxes.concatenate([replace(boxes, high=lower), replace(boxes, low=upper)])
