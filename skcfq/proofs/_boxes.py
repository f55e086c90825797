"""Boxes of rungs, and what of them can still be cheaper than what is known."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from skcfq.proofs._lattice import Lattice


@dataclass(frozen=True, eq=False)
class Boxes:
    """N boxes, each of one person.

    Attributes
    ----------
    person : int64 ndarray of shape (N,)
    low, high : int64 ndarray of shape (N, F)
        First and last rung of every feature.
    bound : ndarray of shape (N,)
        Lower bound of the cost that is known already.
    """

    person: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bound: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    def take(self, index: np.ndarray | slice) -> Boxes:
        """Select boxes by mask or position."""
        return Boxes(*(getattr(self, field.name)[index] for field in fields(self)))

    @staticmethod
    def concatenate(parts: list[Boxes]) -> Boxes:
        """Join several sets of boxes."""
        names = [field.name for field in fields(Boxes)]
        return Boxes(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def n_points(self) -> np.ndarray:
        """Return how many points each box holds, as float64 of shape (N,); many are infinite."""
        with np.errstate(over="ignore"):
            return np.prod((self.high - self.low + 1).astype(np.float64), axis=1)

    def holds_own(self, lattice: Lattice) -> np.ndarray:
        """Return which features may stay, bool of shape (N, F)."""
        own = lattice.own[self.person]
        return (self.low <= own) & (own <= self.high)


def whole_lattice(lattice: Lattice) -> Boxes:
    """Return the box of everything that each person may do."""
    everybody = np.arange(lattice.n_people)
    return Boxes(everybody, np.zeros_like(lattice.size), lattice.size - 1, np.zeros(len(everybody)))


def least_cost(lattice: Lattice, boxes: Boxes) -> np.ndarray:
    """Return what each feature costs at least in its box, shape (N, F)."""
    own = lattice.own[boxes.person]
    nearest = np.clip(own, boxes.low, boxes.high)
    return lattice.costs(boxes.person, nearest)


def contract(lattice: Lattice, boxes: Boxes, limit: np.ndarray, most: int) -> Boxes:
    """Leave out what cannot cost less than a limit, and what changes too many features.

    Parameters
    ----------
    lattice : Lattice
    boxes : Boxes
    limit : ndarray of shape (N,)
    most : int
        How many features may change.

    Returns
    -------
    boxes : Boxes
        Those that are not empty.
    """
    least = least_cost(lattice, boxes)
    total = least.sum(axis=1)
    forced = (~boxes.holds_own(lattice)).sum(axis=1)
    alive = (total < limit) & (forced <= most)
    if not alive.all():
        boxes, limit, total = boxes.take(alive), limit[alive], total[alive]
        least, forced = least[alive], forced[alive]
    room = (limit - total)[:, None] + least
    own = lattice.own[boxes.person]
    low, high = _within(lattice, boxes, room)
    full = (forced == most)[:, None]
    if full.any():
        stays = full & (low <= own) & (own <= high)
        low, high = np.where(stays, own, low), np.where(stays, own, high)
    return Boxes(boxes.person, low, high, np.maximum(boxes.bound, total))


def _within(lattice: Lattice, boxes: Boxes, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last rungs of each feature that cost less than its room (N, F)."""
    low, high = boxes.low.copy(), boxes.high.copy()
    own, start = lattice.own[boxes.person], lattice.start[boxes.person]
    listed: slice | np.ndarray = slice(None)
    if lattice.continuum is not None:
        at = lattice.continuum.features
        above, below = lattice.continuum.within(boxes.person, room[:, at])
        low[:, at] = np.clip(own[:, at] - below, low[:, at], high[:, at])
        high[:, at] = np.clip(own[:, at] + above, low[:, at], high[:, at])
        listed = np.setdiff1d(np.arange(lattice.n_features), at)
    parts = (part[:, listed] for part in (start, low, high, own, room))
    start, first, last, own, room = parts
    low[:, listed] = _first_below(lattice.cost, start, first, np.minimum(own, last), room)
    high[:, listed] = _last_below(lattice.cost, start, np.maximum(own, first), last, room)
    return low, high


def _first_below(
    cost: np.ndarray, start: np.ndarray, low: np.ndarray, high: np.ndarray, room: np.ndarray
) -> np.ndarray:
    """Return the first rung of a stretch of falling cost that is below a limit; the last one is.

    A stretch that is empty, because it lies on the other side of the own value, stays as it is.
    """
    low, high = low.copy(), np.maximum(low, high)
    while True:
        open_ = low < high
        if not open_.any():
            return low
        middle = (low + high) >> 1
        below = cost[start + middle] < room
        high = np.where(below, middle, high)
        low = np.where(open_ & ~below, middle + 1, low)


def _last_below(
    cost: np.ndarray, start: np.ndarray, low: np.ndarray, high: np.ndarray, room: np.ndarray
) -> np.ndarray:
    """Return the last rung of a stretch of rising cost that is below a limit; the first one is."""
    low, high = np.minimum(low, high), high.copy()
    while True:
        open_ = low < high
        if not open_.any():
            return high
        middle = (low + high + 1) >> 1
        below = cost[start + middle] < room
        low = np.where(below, middle, low)
        high = np.where(open_ & ~below, middle - 1, high)


# Options up to which a category is cut into staying and changing.
_FEW_LEVELS = 4


def cut(lattice: Lattice, boxes: Boxes, blame: np.ndarray) -> Boxes:
    """Cut every box in two, at the feature that is to blame most.

    Parameters
    ----------
    lattice : Lattice
    boxes : Boxes
        Of at least two points.
    blame : ndarray of shape (N, F)

    Returns
    -------
    boxes : Boxes
        2N boxes.

    Notes
    -----
    In the middle; a category of few levels that may stay is cut into staying and changing.
    """
    rows = np.arange(len(boxes))
    length = boxes.high - boxes.low + 1
    # Where nothing is to blame any more, the longest stretch is cut.
    score = np.where(length > 1, blame + 1e-300 * length, -1.0)
    feature = score.argmax(axis=1)
    low, high = boxes.low[rows, feature], boxes.high[rows, feature]
    at = (low + high) >> 1
    own = lattice.own[boxes.person, feature]
    stays = (feature >= lattice.n_numbers) & (low == own) & (high - low < _FEW_LEVELS)
    at = np.where(stays, low, at)
    lower, upper = boxes.high.copy(), boxes.low.copy()
    lower[rows, feature], upper[rows, feature] = at, at + 1
    return Boxes.concatenate([replace(boxes, high=lower), replace(boxes, low=upper)])
