"""Which leaves of an ensemble every rung admits, as bits: tables of each person's own.

Of the leaves of every tree only those are kept that a person can reach at all. They are put in the
order of their values, the largest at the highest bit, so that what a tree says at most in a box is
the highest bit of what the rungs of the box admit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skcfq.proofs._boxes import Boxes
from skcfq.proofs._lattice import Lattice
from skcfq.proofs._reachable_leaves import Inputs, ReachReader

if TYPE_CHECKING:
    from skcfq.models import TreeEnsemble

# Leaves in one word: as many bits as a float holds without rounding, so that its exponent tells
# the highest one.
_BITS = 52
_SLOTS = _BITS + 1
# Share of its parts by which a column that follows others may be off.
_ROUNDING = 1e-9


class Follower:
    """An encoded column that follows the features.

    Parameters
    ----------
    trees : TreeEnsemble
    position : int
        Of the column among those that trees ask about.
    own : ndarray of shape (P,)
        The people's own values.
    effect : ndarray
        By how much every rung of the lattice moves it.

    Attributes
    ----------
    until, since : int64 ndarray of shape (P,)
        Rows of the tables: what any cell up to one admits, and what any from one on does.
    """

    def __init__(
        self, trees: TreeEnsemble, position: int, own: np.ndarray, effect: np.ndarray
    ) -> None:
        self.trees, self.position, self.own, self.effect = trees, position, own, effect
        self.until, self.since = np.zeros((2, len(own)), dtype=np.int64)

    def rows_of(self, lattice: Lattice, boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the tables that together admit what boxes do, each (N,)."""
        low = self.own[boxes.person]
        high, size = low.copy(), np.abs(low)
        for f in range(lattice.n_features):
            if not self.effect[lattice.part(f)].any():
                continue
            length = int((boxes.high[:, f] - boxes.low[:, f]).max(initial=0)) + 1
            rung = np.minimum(boxes.low[:, [f]] + np.arange(length), boxes.high[:, [f]])
            moved = self.effect[lattice.start[boxes.person, f][:, None] + rung]
            low, high = low + moved.min(axis=1), high + moved.max(axis=1)
            size = size + np.abs(moved).max(axis=1)
        # Sums round, and raw rows do.
        away = _ROUNDING * size
        gap = np.isnan(low)
        first = np.where(gap, 0, self.trees.cells(self.position, low - away))
        last = np.where(gap, 0, self.trees.cells(self.position, high + away))
        # Who has a gap there has no rows of his own: row 0 admits everything.
        until = np.where(gap, 0, self.until[boxes.person])
        since = np.where(gap, 0, self.since[boxes.person])
        return until + last, since + first


@dataclass(frozen=True, eq=False)
class LeafTables:
    """The reachable leaves of P people, in W words a person.

    Attributes
    ----------
    lattice : Lattice
    rows : int64 ndarray of shape (R, W)
        Leaves that stretches of rungs admit.
    until, since, single : int64 ndarray of shape (P, F)
        For a number, the row of its rung k from `until` on admits what any rung up to k does, that
        from `since` on what any rung from k on does. For a category, rows from `until` on admit
        what 1, 2, 4, ... rungs from k on do. Rows from `single` on admit what rung k does.
    values : float64 ndarray of shape (P * W * 53,)
        Value of every leaf; for each word first that of nothing.
    first_word : int64 ndarray of shape (T,)
        Where the words of every tree begin.
    asked : tuple of int
        Features that some tree asks about.
    followers : tuple of Follower
        Columns that follow the features.
    """

    lattice: Lattice
    rows: np.ndarray
    until: np.ndarray
    since: np.ndarray
    single: np.ndarray
    values: np.ndarray
    first_word: np.ndarray
    asked: tuple[int, ...]
    followers: tuple[Follower, ...]

    @property
    def n_words(self) -> int:
        """Number W of words."""
        return self.rows.shape[1]

    def admitted(self, boxes: Boxes) -> np.ndarray:
        """Return the leaves that boxes admit, shape (N, W)."""
        found = self.rows[np.zeros(len(boxes), dtype=np.int64)]
        for f in self.asked:
            found &= self.between(f, boxes.person, boxes.low[:, f], boxes.high[:, f])
        for follower in self.followers:
            first, last = follower.rows_of(self.lattice, boxes)
            found &= self.rows[first] & self.rows[last]
        return found

    def between(self, f: int, person: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the leaves that stretches of rungs of one feature admit, shape (N, W)."""
        until = self.until[person, f]
        if f < self.lattice.n_numbers:
            return self.rows[until + high] & self.rows[self.since[person, f] + low]
        step = np.frexp((high - low + 1).astype(np.float64))[1].astype(np.int64) - 1
        begin = until + step * self.lattice.size[person, f]
        return self.rows[begin + low] | self.rows[begin + high + 1 - (1 << step)]

    def on(self, f: int, person: np.ndarray, rung: np.ndarray) -> np.ndarray:
        """Return the leaves that single rungs of one feature admit, shape (N, W)."""
        return self.rows[self.single[person, f] + rung]

    def at_points(self, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return the sums over trees at rungs (N, F) of people (N,)."""
        points = Boxes(person, rungs, rungs, np.zeros(len(person)))
        return self.most(self.admitted(points), person).sum(axis=1)

    def most(self, admitted: np.ndarray, person: np.ndarray) -> np.ndarray:
        """Return what every tree says at most, shape (N, T)."""
        slot = admitted.astype(np.float64).view(np.int64)
        slot >>= _BITS
        slot -= 1022
        np.maximum(slot, 0, out=slot)
        slot += np.arange(self.n_words) * _SLOTS
        slot += (person * (self.n_words * _SLOTS))[:, None]
        words = self.values.take(slot)
        if len(self.first_word) == self.n_words:
            return words
        return np.maximum.reduceat(words, self.first_word, axis=1)


def leaf_tables(
    trees: TreeEnsemble, lattice: Lattice, inputs: Inputs, values: np.ndarray
) -> LeafTables:
    """Write down the leaves that people can reach.

    Parameters
    ----------
    trees : TreeEnsemble
    lattice : Lattice
    inputs : Inputs
    values : ndarray of shape (L,) or (P, L)
        What every leaf adds to what is to be bounded.
    """
    reader = ReachReader(trees, lattice, inputs)
    values = np.broadcast_to(values, (lattice.n_people, len(trees.tree)))
    reaches = [reader.reach(p, values[p]) for p in range(lattice.n_people)]
    most = np.ones(trees.n_trees, dtype=np.int64)
    for reach in reaches:
        np.maximum(most, np.bincount(trees.tree[reach.leaves], minlength=len(most)), out=most)
    n_words = -(-most // _BITS)
    first_word = np.cumsum(n_words) - n_words
    width = int(n_words.sum())
    followers = [
        Follower(trees, c, inputs.rows[:, column], inputs.effects[column])
        for column, c in reader.followers.items()
    ]
    everything = np.full((1, width), (1 << _BITS) - 1, dtype=np.int64)
    parts, height = [everything], 1
    until, since, single = (np.zeros(lattice.size.shape, dtype=np.int64) for _ in range(3))
    found = np.full((lattice.n_people, width, _SLOTS), -np.inf)
    for p, reach in enumerate(reaches):
        word = first_word[trees.tree[reach.leaves]] + reach.rank // _BITS
        place = _BITS - 1 - reach.rank % _BITS
        found[p, word, place + 1] = values[p, reach.leaves]
        bit = np.ldexp(1.0, place)
        for f, (first, last) in reach.ends.items():
            size = int(lattice.size[p, f])
            for begin, rung, backward in ((until, first, False), (since, last, True)):
                begin[p, f] = height
                parts.append(_gathered(rung, word, bit, size, width, backward=backward))
                height += size
            single[p, f] = height
            parts.append(parts[-2] & parts[-1])
            height += size
        for f, admits in reach.admits.items():
            until[p, f] = single[p, f] = height
            parts.append(_doubled(admits, word, bit, width))
            height += len(parts[-1])
        for follower in followers:
            c, size = follower.position, len(trees.thresholds[follower.position]) + 1
            ends = trees.low[c, reach.leaves], trees.high[c, reach.leaves]
            for begin, cell, backward in (
                (follower.until, ends[0], False),
                (follower.since, ends[1], True),
            ):
                begin[p] = height
                parts.append(_gathered(cell, word, bit, size, width, backward=backward))
                height += size
    asked = (*reader.rung_cells, *reader.level_cells)
    rows = np.concatenate(parts)
    return LeafTables(
        lattice, rows, until, since, single, found.ravel(), first_word, asked, tuple(followers)
    )


def _gathered(
    rung: np.ndarray, word: np.ndarray, bit: np.ndarray, size: int, width: int, *, backward: bool
) -> np.ndarray:
    """Return the bits of the leaves up to every rung, or from it on; sums of bits are exact."""
    sums = np.bincount(rung * width + word, bit, size * width).reshape(size, width)
    if backward:
        return np.cumsum(sums[::-1], axis=0)[::-1].astype(np.int64)
    return np.cumsum(sums, axis=0).astype(np.int64)


def _doubled(admits: np.ndarray, word: np.ndarray, bit: np.ndarray, width: int) -> np.ndarray:
    """Return the bits of the leaves that 1, 2, 4, ... rungs from every rung on admit."""
    size = len(admits)
    rung, leaf = np.nonzero(admits)
    sums = np.bincount(rung * width + word[leaf], bit[leaf], size * width)
    steps = [sums.reshape(size, width).astype(np.int64)]
    length = 1
    while 2 * length <= size:
        more = steps[-1].copy()
        more[: size - length] |= steps[-1][length:]
        steps.append(more)
        length *= 2
    return np.concatenate(steps)
