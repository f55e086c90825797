"""Decide boxes for good: bound, try the worst corner and the middle, enumerate, cut in two.

What happens to one row depends on that row alone: rows take turns in rounds, and each has as many
boxes as the budget says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.theory._margin_bounds import CLEAR, ExcessBound, excess_bound
from skcfq.theory._network_inputs import NetworkInputs
from skcfq.utils import rows_waiting

# Boxes of one row in one round; of many that wait a quarter, so that few rounds sort them.
_ROUND, _MOST = 64, 4096
# Boxes that are bounded together: their arrays then stay in the cache.
_BLOCK = 1024
# Bytes of boxes that wait; rows that come later pause until earlier ones are decided.
_WAITING = 2**24
# Points of codes up to which a box is enumerated.
_LEAF = 64


@dataclass(frozen=True, eq=False)
class Decisions:
    """What became of the boxes around n rows.

    Attributes
    ----------
    closed : bool ndarray of shape (n,)
        Whether all of the box is the target's.
    lost : bool ndarray of shape (n,)
        Whether a point was found that is not.
    point : ndarray of shape (n, m)
        That point, in units; it moves few numbers.
    n_boxes : int64 ndarray of shape (n,)
        How many parts of the box were bounded or enumerated.
    """

    closed: np.ndarray
    lost: np.ndarray
    point: np.ndarray
    n_boxes: np.ndarray


@dataclass(frozen=True, eq=False)
class _Parts:
    """N parts of the boxes of rows, and how near a rival may come to winning in them."""

    row: np.ndarray
    low: np.ndarray
    high: np.ndarray
    excess: np.ndarray

    def take(self, index: np.ndarray | slice) -> _Parts:
        return _Parts(self.row[index], self.low[index], self.high[index], self.excess[index])

    @staticmethod
    def concatenate(parts: list[_Parts]) -> _Parts:
        names = ("row", "low", "high", "excess")
        return _Parts(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def bisect(
    inputs: NetworkInputs, target: np.ndarray, rows: np.ndarray, max_boxes: int
) -> Decisions:
    """Decide whether boxes belong to the target.

    Parameters
    ----------
    inputs : NetworkInputs
    target : int64 ndarray of shape (n,)
        Positions of the classes that are asked for.
    rows : int64 ndarray
        Rows that are asked about; the others stay undecided.
    max_boxes : int
        Parts of one box that are looked at before it is given up. It is given up before, too,
        where those that wait would take too much memory.

    Notes
    -----
    Certified. The part with the largest bound comes first.
    """
    search = _Search(inputs, target)
    waiting = _Parts(rows, inputs.low[rows], inputs.high[rows], np.full(len(rows), np.inf))
    given_up = np.zeros(len(target), dtype=bool)
    room = max(_WAITING // (16 * inputs.low.shape[1] + 16), 1)
    most = rows_waiting(inputs.low.shape[1])
    while len(waiting.row):
        left = max_boxes - search.n_boxes
        waiting = waiting.take(np.lexsort((-waiting.excess, waiting.row)))
        begins = _begins(waiting.row)
        rank = np.arange(len(begins)) - begins
        n_waiting = np.bincount(waiting.row, minlength=len(left))
        now = rank < np.minimum(left, np.clip(n_waiting // 4, _ROUND, _MOST))[waiting.row]
        # Whoever begins within the room goes on, so the first one always does.
        now &= begins < room
        asked = waiting.take(now)
        # Nobody's parts are cut apart.
        block = _begins(asked.row) // _BLOCK
        children = [search.divide(asked.take(block == which)) for which in np.unique(block)]
        waiting = _Parts.concatenate([waiting.take(~now), *children])
        waiting = waiting.take(~search.lost[waiting.row])
        many = np.bincount(waiting.row, minlength=len(target)) > most
        spent = ((search.n_boxes >= max_boxes) | many)[waiting.row]
        given_up[waiting.row[spent]] = True
        waiting = waiting.take(~spent)
    search.shorten()
    closed = np.zeros(len(target), dtype=bool)
    closed[rows] = True
    if inputs.are_codes:
        # Boxes of real points are closed by bounds alone.
        given_up |= search.unclear
    return Decisions(closed & ~search.lost & ~given_up, search.lost, search.point, search.n_boxes)


def _begins(row: np.ndarray) -> np.ndarray:
    """Return where the stretch of equal rows begins that each entry is in."""
    starts = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
    return np.repeat(starts, np.diff(np.append(starts, len(row))))


class _Search:
    """What is known so far."""

    def __init__(self, inputs: NetworkInputs, target: np.ndarray):
        self.inputs, self.target = inputs, target
        self.lost, self.unclear = np.zeros((2, len(target)), dtype=bool)
        self.point = inputs.low.copy()
        self.n_boxes = np.zeros(len(target), dtype=np.int64)

    def divide(self, parts: _Parts) -> _Parts:
        """Bound parts, try points of them, and return what the others are cut into."""
        self.n_boxes += np.bincount(parts.row, minlength=len(self.n_boxes))
        if self.inputs.are_codes:
            # Many columns make more points than a float can count.
            with np.errstate(over="ignore"):
                n_points = np.prod(parts.high - parts.low + 1, axis=1)
            small = n_points <= _LEAF
            self._enumerate(parts.take(small), n_points[small])
            parts = parts.take(~small)
        row, low, high = parts.row, parts.low, parts.high
        bound = excess_bound(self.inputs, row, low, high, self.target[row])
        open_ = np.flatnonzero(~bound.excluded)
        row, low, high = row[open_], low[open_], high[open_]
        bound = ExcessBound(*(part[open_] for part in vars(bound).values()))
        self._try(row, np.where(bound.gain > 0, high, low))
        self._try(row, self._middle(low, high))
        still = ~self.lost[row]
        parts = _Parts(row[still], low[still], high[still], bound.excess[still])
        return self._cut(parts, bound.blame[still])

    def _middle(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        middle = (low + high) / 2
        return np.floor(middle) if self.inputs.are_codes else middle

    def _cut(self, parts: _Parts, blame: np.ndarray) -> _Parts:
        rows, length = np.arange(len(parts.row)), parts.high - parts.low
        # Where nothing is to blame any more, the longest stretch is cut.
        column = np.where(length > 0, blame + 1e-300 * length, -1.0).argmax(axis=1)
        at = self._middle(parts.low, parts.high)[rows, column]
        upper, lower = parts.high.copy(), parts.low.copy()
        upper[rows, column] = at
        lower[rows, column] = at + 1 if self.inputs.are_codes else at
        below = _Parts(parts.row, parts.low, upper, parts.excess)
        return _Parts.concatenate([below, _Parts(parts.row, lower, parts.high, parts.excess)])

    def _enumerate(self, parts: _Parts, n_points: np.ndarray) -> None:
        """Try all points of parts."""
        count = n_points.astype(np.int64)
        which = np.repeat(np.arange(len(count)), count)
        digits = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        units = parts.low[which]
        for column in range(units.shape[1]):
            base = (parts.high - parts.low)[which, column].astype(np.int64) + 1
            units[:, column] += digits % base
            digits //= base
        self._try(parts.row[which], units)

    def _try(self, row: np.ndarray, units: np.ndarray) -> None:
        """Note points that are not the target's; of several of one row the first."""
        lost = self._are_lost(row, units)
        found, first = np.unique(row[lost], return_index=True)
        new = ~self.lost[found]
        self.lost[found[new]] = True
        self.point[found[new]] = units[lost][first[new]]

    def _are_lost(self, row: np.ndarray, units: np.ndarray) -> np.ndarray:
        network, target, at = self.inputs.network, self.target[row], np.arange(len(row))
        logits = network.logits(self.inputs.totals(row, units))
        if self.inputs.are_codes and not network.shift.any():
            return logits.argmax(axis=1) != target
        own = logits[at, target].copy()
        logits[at, target] = -np.inf
        excess = logits.max(axis=1) - own
        # What rounding decides is left open: a raw row may be rounded the other way.
        clear = np.abs(excess) > CLEAR * np.maximum(np.abs(own), 1.0)
        self.unclear[row[~clear]] = True
        return clear & (excess > 0)

    def shorten(self) -> None:
        """Take back what a lost point need not change, one number after the other."""
        row = np.flatnonzero(self.lost)
        own = self.inputs.own[row]
        for column in range(own.shape[1]):
            units = self.point[row]
            units[:, column] = own[:, column]
            lost = self._are_lost(row, units)
            self.point[row[lost]] = units[lost]
