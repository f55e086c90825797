"""Which leaves of an ensemble every rung admits, as bits: tables of each person's own.

Of the leaves of every tree only those are kept that a person can reach at all. They are put in the
order of their values, the largest at the highest bit, so that what a tree says at most in a box is
the highest bit of what the rungs of the box admit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skcfq.proofs._boxes import Boxes
from skcfq.proofs._lattice import Lattice
from skcfq.proofs._reachable_leaves import Inputs, Reach, ReachReader
from skcfq.utils import rows_waiting

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
    n_cells : int
        Cells of the column.
    """

    def __init__(
        self, trees: TreeEnsemble, position: int, own: np.ndarray, effect: np.ndarray
    ) -> None:
        self.trees, self.position, self.own, self.effect = trees, position, own, effect
        self.until, self.since = np.zeros((2, len(own)), dtype=np.int64)
        self.n_cells = len(trees.thresholds[position]) + 1

    def ends(self, leaves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the first and the last cell that admit each of some leaves."""
        return self.trees.low[self.position, leaves], self.trees.high[self.position, leaves]

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
    rows : tuple of int64 ndarray of shape (R, w)
        Leaves that stretches of rungs admit; some of the W words in each, so that none is large.
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
    rows: tuple[np.ndarray, ...]
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
        return sum(part.shape[1] for part in self.rows)

    def at(self, row: np.ndarray) -> np.ndarray:
        """Return rows of the tables, shape (N, W)."""
        if len(self.rows) == 1:
            return self.rows[0][row]
        return np.concatenate([part[row] for part in self.rows], axis=1)

    def admitted(self, boxes: Boxes) -> np.ndarray:
        """Return the leaves that boxes admit, shape (N, W)."""
        found = self.at(np.zeros(len(boxes), dtype=np.int64))
        for f in self.asked:
            found &= self.between(f, boxes.person, boxes.low[:, f], boxes.high[:, f])
        for follower in self.followers:
            first, last = follower.rows_of(self.lattice, boxes)
            found &= self.at(first) & self.at(last)
        return found

    def between(self, f: int, person: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the leaves that stretches of rungs of one feature admit, shape (N, W)."""
        until = self.until[person, f]
        if f < self.lattice.n_numbers:
            return self.at(until + high) & self.at(self.since[person, f] + low)
        step = np.frexp((high - low + 1).astype(np.float64))[1].astype(np.int64) - 1
        begin = until + step * self.lattice.size[person, f]
        return self.at(begin + low) | self.at(begin + high + 1 - (1 << step))

    def on(self, f: int, person: np.ndarray, rung: np.ndarray) -> np.ndarray:
        """Return the leaves that single rungs of one feature admit, shape (N, W)."""
        return self.at(self.single[person, f] + rung)

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
    found = np.full((lattice.n_people, width, _SLOTS), -np.inf)
    bits = []
    for p, reach in enumerate(reaches):
        place = _BITS - 1 - reach.rank % _BITS
        bits.append((first_word[trees.tree[reach.leaves]] + reach.rank // _BITS, place))
        found[p, bits[p][0], place + 1] = values[p, reach.leaves]
    followers = [
        Follower(trees, c, inputs.rows[:, column], inputs.effects[column])
        for column, c in reader.followers.items()
    ]
    begins, height = _begins(lattice, reaches, followers)
    step = rows_waiting(height)
    rows = tuple(
        _rows_of_words(height, slice(at, min(at + step, width)), begins, reaches, bits, followers)
        for at in range(0, width, step)
    )
    asked = (*reader.rung_cells, *reader.level_cells)
    return LeafTables(lattice, rows, *begins, found.ravel(), first_word, asked, tuple(followers))


class _Begins(NamedTuple):
    """Where the rows about every feature of every person begin, each int64 (P, F)."""

    until: np.ndarray
    since: np.ndarray
    single: np.ndarray


def _begins(
    lattice: Lattice, reaches: Sequence[Reach], followers: Sequence[Follower]
) -> tuple[_Begins, int]:
    """Give everything its rows, the first of which admits everything; return how many there are."""
    begins = _Begins(*(np.zeros(lattice.size.shape, dtype=np.int64) for _ in range(3)))
    height = 1
    for p, reach in enumerate(reaches):
        for f in reach.ends:
            size = int(lattice.size[p, f])
            for k, begin in enumerate(begins):
                begin[p, f] = height + k * size
            height += 3 * size
        for f, admits in reach.admits.items():
            begins.until[p, f] = begins.single[p, f] = height
            height += len(admits) * len(admits).bit_length()
        for follower in followers:
            follower.until[p], follower.since[p] = height, height + follower.n_cells
            height += 2 * follower.n_cells
    return begins, height


def _rows_of_words(
    height: int,
    words: slice,
    begins: _Begins,
    reaches: Sequence[Reach],
    bits: Sequence[tuple[np.ndarray, np.ndarray]],
    followers: Sequence[Follower],
) -> np.ndarray:
    """Return some of the words of all rows."""
    rows = np.empty((height, words.stop - words.start), dtype=np.int64)
    rows[0] = (1 << _BITS) - 1
    for p, (reach, (word, place)) in enumerate(zip(reaches, bits, strict=True)):
        here = np.flatnonzero((word >= words.start) & (word < words.stop))
        leaf = _Leaves(word[here] - words.start, np.ldexp(1.0, place[here]))
        for f, (first, last) in reach.ends.items():
            until, since, single = (int(begin[p, f]) for begin in begins)
            leaf.gather(rows[until:since], first[here])
            leaf.gather(rows[since:single], last[here], backward=True)
            np.bitwise_and(
                rows[until:since], rows[since:single], out=rows[single : 2 * single - since]
            )
        for f, admits in reach.admits.items():
            leaf.double(rows[begins.until[p, f] :], admits[:, here])
        for follower in followers:
            low, high = follower.ends(reach.leaves[here])
            until, since = int(follower.until[p]), int(follower.since[p])
            leaf.gather(rows[until:since], low)
            leaf.gather(rows[since : since + follower.n_cells], high, backward=True)
    return rows


class _Leaves(NamedTuple):
    """Words and bits of n leaves of a person; sums of bits are exact."""

    word: np.ndarray
    bit: np.ndarray

    def gather(self, rows: np.ndarray, rung: np.ndarray, *, backward: bool = False) -> None:
        """Write the bits of the leaves up to every rung, or from it on."""
        sums = self._sums(rows.shape, rung, slice(None))
        if backward:
            rows[:] = np.cumsum(sums[::-1], axis=0)[::-1]
        else:
            rows[:] = np.cumsum(sums, axis=0)

    def double(self, rows: np.ndarray, admits: np.ndarray) -> None:
        """Write the bits of the leaves that 1, 2, 4, ... rungs from every rung on admit."""
        size, length = len(admits), 1
        rung, leaf = np.nonzero(admits)
        last = rows[:size]
        last[:] = self._sums(last.shape, rung, leaf)
        for begin in range(size, size * size.bit_length(), size):
            more = rows[begin : begin + size]
            more[:] = last
            more[: size - length] |= last[length:]
            last, length = more, 2 * length

    def _sums(self, shape: tuple[int, ...], rung: np.ndarray, leaf: Any) -> np.ndarray:
        at = rung * shape[1] + self.word[leaf]
        return np.bincount(at, self.bit[leaf], shape[0] * shape[1]).reshape(shape)
