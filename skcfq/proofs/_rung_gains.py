"""What every rung of a box gains at most, feature by feature, under an ensemble of trees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skcfq.proofs._boxes import Boxes
from skcfq.proofs._choice_bound import Choices, Options
from skcfq.proofs._lattice import Lattice
from skcfq.proofs._leaf_tables import LeafTables

# Rungs that are looked at together: their arrays then stay in the cache.
_BLOCK = 1024


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

    def take(self, rows: np.ndarray) -> Grid:
        """Return the rungs of some of the boxes."""
        return Grid(self.rung[rows], self.there[rows], self.near[rows])


@dataclass(frozen=True, eq=False)
class RungGains:
    """What rungs gain at most, beyond the nearest ones.

    Attributes
    ----------
    begin : ndarray of shape (N,)
        What the score is at most on the nearest rungs.
    gain : ndarray of shape (N, F, V)
    most : ndarray of shape (N, F, V)
        What the score is at most where the feature is on the rung.
    speaker : int64 ndarray of shape (N, T)
        The feature that speaks for every tree; -1 where none does.
    """

    begin: np.ndarray
    gain: np.ndarray
    most: np.ndarray
    speaker: np.ndarray

    def take(self, rows: np.ndarray) -> RungGains:
        """Return the gains in some of the boxes."""
        return RungGains(self.begin[rows], self.gain[rows], self.most[rows], self.speaker[rows])

    def options(self, lattice: Lattice, boxes: Boxes, grid: Grid, most: int) -> RungOptions:
        """Return the knapsacks, with those options only that gain more than cheaper ones."""
        own = lattice.own[boxes.person]
        stays = grid.there & (grid.rung == own[:, :, None])
        may_stay = stays.any(axis=2)
        goes = grid.there & ~stays
        places = lattice.start[boxes.person][:, :, None] + grid.rung
        price = np.where(goes, lattice.cost[places], np.inf)
        order = np.argsort(price, axis=2, kind="stable")
        price = np.take_along_axis(price, order, axis=2)
        gain = np.take_along_axis(self.gain, order, axis=2)
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
        return RungOptions(options, np.take_along_axis(grid.rung, order, axis=2), own)


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

    def points(self, choices: Choices) -> np.ndarray:
        """Return the rungs of choices, shape (N, F)."""
        at = np.maximum(choices.option, 0)[:, :, None]
        chosen = np.take_along_axis(self.rung, at, axis=2)[:, :, 0]
        return np.where(choices.option >= 0, chosen, self.own)


def rung_gains(tables: LeafTables, boxes: Boxes, grid: Grid) -> RungGains:
    """Return what the rungs of boxes gain at most.

    Parameters
    ----------
    tables : LeafTables
    boxes : Boxes
        N of them.
    grid : Grid
        Their rungs.
    """
    n, n_features, _ = grid.rung.shape
    admitted = tables.admitted(boxes)
    top = tables.most(admitted, boxes.person)
    wide = (boxes.high > boxes.low) & np.isin(np.arange(n_features), tables.asked)
    # The feature that takes most of a tree where it stays speaks for the tree.
    loss = np.zeros((n, len(tables.first_word)))
    speaker = np.full(loss.shape, -1)
    near = {}
    for f in tables.asked:
        here = np.flatnonzero(wide[:, f])
        if len(here) == 0:
            continue
        one = tables.between(f, boxes.person[here], grid.near[here, f], grid.near[here, f])
        at = tables.most(admitted[here] & one, boxes.person[here])
        near[f] = here, at
        lost = top[here] - at
        more = lost > loss[here]
        loss[here] = np.where(more, lost, loss[here])
        speaker[here] = np.where(more, f, speaker[here])
    begin = (top - loss).sum(axis=1)
    gain = np.zeros(grid.rung.shape)
    most = np.broadcast_to(top.sum(axis=1)[:, None, None], gain.shape).copy()
    for f, (here, at) in near.items():
        speaks = speaker[here] == f
        silent = np.where(speaks, at, 0.0).sum(axis=1)
        row, v = np.nonzero(grid.there[here, f])
        for start in range(0, len(row), _BLOCK):
            r, k = row[start : start + _BLOCK], v[start : start + _BLOCK]
            box = here[r]
            rung = grid.rung[box, f, k]
            one = tables.between(f, boxes.person[box], rung, rung)
            one &= admitted[box]
            said = tables.most(one, boxes.person[box])
            most[box, f, k] = said.sum(axis=1)
            gain[box, f, k] = np.where(speaks[r], said, 0.0).sum(axis=1) - silent[r]
    return RungGains(begin, gain, most, speaker)


def split_by_feature(
    tables: LeafTables,
    boxes: Boxes,
    grid: Grid,
    gains: RungGains,
    point: np.ndarray,
) -> Boxes:
    """Cut boxes in two at the feature that is to blame most for what the bound promises too much.

    Parameters
    ----------
    tables : LeafTables
    boxes : Boxes
        N of them, of at least two points.
    grid : Grid
    gains : RungGains
    point : int64 ndarray of shape (N, F)
        Rungs for which the bound promises most.
    """
    n, n_features = point.shape
    rows = np.arange(n)
    low, high = _reduced(boxes, grid)
    admitted = tables.admitted(replace(boxes, low=low, high=high))
    blame = np.zeros((n, n_features))
    top = tables.most(admitted, boxes.person)
    least, worst = top.copy(), np.full(top.shape, -1)
    promised = top.copy()
    for f in tables.asked:
        one = tables.between(f, boxes.person, point[:, f], point[:, f])
        said = tables.most(admitted & one, boxes.person)
        lower = said < least
        least, worst = np.where(lower, said, least), np.where(lower, f, worst)
        promised = np.where(gains.speaker == f, said, promised)
    true = tables.most(tables.admitted(replace(boxes, low=point, high=point)), boxes.person)
    over = np.maximum(promised - true, 0.0)
    for f in tables.asked:
        blame[:, f] = np.where((worst == f) | (gains.speaker == f), over, 0.0).sum(axis=1)
    length = high - low + 1
    score = np.where(length > 1, blame + 1e-300 * length, -1.0)
    feature = score.argmax(axis=1)
    first, last = low[rows, feature], high[rows, feature]
    near, chosen = grid.near[rows, feature], point[rows, feature]
    apart = np.where(near <= chosen, (near + chosen) >> 1, (near + chosen) >> 1)
    at = np.where(near == chosen, np.where(near == last, near - 1, near), apart)
    at = np.clip(at, first, last - 1)
    lower, upper = high.copy(), low.copy()
    lower[rows, feature], upper[rows, feature] = at, at + 1
    return Boxes.concatenate(
        [replace(boxes, low=low, high=lower), replace(boxes, low=upper, high=high)]
    )


def _reduced(boxes: Boxes, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last rung of every feature that may be part of an answer."""
    first = grid.there.argmax(axis=2)
    last = grid.there.shape[2] - 1 - grid.there[:, :, ::-1].argmax(axis=2)
    return boxes.low + first, boxes.low + last
