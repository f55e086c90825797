"""The first layer of a network as a sum over features, for the ladders of given people.

No encoded column depends on two features, so the totals of the first layer are those of the own
point plus what every feature adds. For an integer network all of these are integers below 2^53:
the sums are what deployment computes, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skcfq.utils import tile_products

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.proofs._lattice import Lattice
    from skcfq.proofs._layers import Network


@dataclass(frozen=True, eq=False)
class RangeTable:
    """The least and the largest rows of every stretch of a category's rungs, by doubling.

    Attributes
    ----------
    kind : int64 ndarray of shape (P,)
        People with the same ladder share a kind.
    least, most : ndarray of shape (J * K * V, H)
        Over the 2^j rungs that begin at rung v of kind k, at ``(j * K + k) * V + v``.
    n_kinds, width : int
        K and V.
    """

    kind: np.ndarray
    least: np.ndarray
    most: np.ndarray
    n_kinds: int
    width: int

    @classmethod
    def of(cls, rows: np.ndarray, ladders: np.ndarray) -> RangeTable:
        """Build the tables.

        Parameters
        ----------
        rows : ndarray of shape (R, H)
        ladders : int64 ndarray of shape (P, V)
            Which row every rung is.
        """
        kinds, kind = np.unique(ladders, axis=0, return_inverse=True)
        n_kinds, width = kinds.shape
        least, most = [rows[kinds]], [rows[kinds]]
        reach = 1
        while 2 * reach <= width:
            follows = np.minimum(np.arange(width) + reach, width - 1)
            least.append(np.minimum(least[-1], least[-1][:, follows]))
            most.append(np.maximum(most[-1], most[-1][:, follows]))
            reach *= 2
        n_units = rows.shape[1]
        flat = [np.stack(part).reshape(-1, n_units) for part in (least, most)]
        return cls(kind.reshape(-1), flat[0], flat[1], n_kinds, width)

    def over(
        self, person: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the largest contributions of rungs low to high, each (N, H)."""
        power = np.frexp(high - low + 1)[1] - 1
        block = (power * self.n_kinds + self.kind[person]) * self.width
        first, second = block + low, block + high + 1 - (1 << power)
        return (
            np.minimum(self.least[first], self.least[second]),
            np.maximum(self.most[first], self.most[second]),
        )


@dataclass(frozen=True, eq=False)
class Tables:
    """What every rung adds to the H totals of a network's first layer.

    Attributes
    ----------
    network : Network
    lattice : Lattice
    base : ndarray of shape (P, H)
        Totals at the own point.
    rest : ndarray of shape (P, H)
        The same without the categories.
    coordinate : float64 ndarray
        By rung, as the lattice has them: for numbers, how much the input of the network differs
        from that of the own value; for categories, the row in `rows`.
    slopes : ndarray of shape (m, H)
        What numbers add per unit of the coordinate.
    rows : list of c ndarrays of shape (R, H)
        What levels add; own codes of unrecognized categories follow them.
    own_rows : int64 ndarray of shape (P, c)
    ranges : list of c RangeTable
    rate_up, rate_down : ndarray of shape (P, m)
        Least cost per unit of the coordinate on either side of the own value.
    """

    network: Network
    lattice: Lattice
    base: np.ndarray
    rest: np.ndarray
    coordinate: np.ndarray
    slopes: np.ndarray
    rows: list[np.ndarray]
    own_rows: np.ndarray
    ranges: list[RangeTable]
    rate_up: np.ndarray
    rate_down: np.ndarray

    @property
    def n_numbers(self) -> int:
        """Number m of numeric features."""
        return len(self.slopes)

    def coordinates(self, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return the coordinates of rungs (N, G) of the first G features of people (N,)."""
        found = self.coordinate[self.lattice.places(person, rungs)]
        if self.lattice.continuum is not None:
            found[:, self.lattice.continuum.features] = self.lattice.moves(person, rungs)
        return found

    def coordinates_of(self, f: int, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return the coordinates of rungs (N,) of one feature of people (N,)."""
        lattice = self.lattice
        smooth = lattice.continuum
        if smooth is None or f not in smooth.features:
            return self.coordinate[lattice.start[person, f] + rungs]
        return smooth.only(f).moves(person, (rungs - lattice.own[person, f])[:, None])[:, 0]

    def first_totals(self, person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        """Return the totals of the first layer at points, shape (N, H).

        Parameters
        ----------
        person : int64 ndarray of shape (N,)
        rungs : int64 ndarray of shape (N, F)
        """
        return self.totals_at(person, self.coordinates(person, rungs))

    def totals_at(self, person: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
        """Return the totals of the first layer (N, H) at coordinates (N, F)."""
        m = self.n_numbers
        total = self.rest[person] + tile_products(coordinates[:, :m], self.slopes)
        for c, rows in enumerate(self.rows):
            total += rows[coordinates[:, m + c].astype(np.int64)]
        return total


def tables_of(network: Network, lattice: Lattice, region: ActionRegion) -> Tables:
    """Write the first layer of a network feature by feature.

    Parameters
    ----------
    network : Network
        Which reads the columns that several features move as they are, before any rounding.
    lattice : Lattice
    region : ActionRegion
        Of the same people.
    """
    m, origin = lattice.n_numbers, region.origin.numpy()
    smooth = set() if lattice.continuum is None else set(lattice.continuum.features.tolist())
    first = network.layers[0]
    base = tile_products(network.inputs(origin), first.matrix) + first.offset
    coordinate = np.zeros_like(lattice.value)
    columns = region.numeric_columns.numpy()
    for j in sorted(set(range(m)) - smooth):
        part = lattice.part(j)
        own = network.column_inputs(origin[:, columns[j]], columns[j])
        inputs = network.column_inputs(lattice.value[part], columns[j])
        coordinate[part] = inputs - np.repeat(own, lattice.size[:, j])
    slopes = first.matrix[columns]
    effects = _Effects(region, first.matrix)
    slopes = slopes + effects.of_numbers
    rows, ranges, own_rows = [], [], np.zeros((len(origin), lattice.n_features - m), np.int64)
    for c in range(lattice.n_features - m):
        part = lattice.part(m + c)
        rungs = _LevelRungs.of(lattice, region, c, part)
        codes, row = rungs.codes(region)
        added = _level_rows(network, region.categorical_columns[c].numpy(), codes)
        added, coordinate[part] = effects.of_levels(c, rungs, added, row)
        own_rows[:, c] = coordinate[lattice.start[:, m + c] + lattice.own[:, m + c]]
        rows.append(added)
        ranges.append(RangeTable.of(added, _padded(lattice, m + c, coordinate)))
    rest = base.copy()
    for c, table in enumerate(rows):
        rest -= table[own_rows[:, c]]
    rates = _rates(lattice, coordinate)
    return Tables(network, lattice, base, rest, coordinate, slopes, rows, own_rows, ranges, *rates)


def _level_rows(network: Network, columns: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return what codes of a category add to the totals of the first layer, shape (R, H)."""
    first = network.layers[0]
    inputs = np.zeros((len(codes), len(first.matrix)))
    inputs[:, columns] = codes
    return tile_products(network.inputs(inputs)[:, columns], first.matrix[columns])


@dataclass(frozen=True, eq=False)
class _LevelRungs:
    """The rungs of one category: whose they are, the own level and theirs, each (n,)."""

    category: int
    person: np.ndarray
    own: np.ndarray
    level: np.ndarray

    @classmethod
    def of(cls, lattice: Lattice, region: ActionRegion, c: int, part: slice) -> _LevelRungs:
        f = lattice.n_numbers + c
        person = np.repeat(np.arange(lattice.n_people), lattice.size[:, f])
        own = region.levels[:, c].numpy()[person]
        return cls(c, person, own, lattice.value[part].astype(np.int64))

    def codes(self, region: ActionRegion) -> tuple[np.ndarray, np.ndarray]:
        """Return all codes of the category, and which one every rung has.

        The codes of its levels come first, then the own ones of people whose category is not
        recognized.
        """
        codes = region.codes[self.category].numpy()
        unknown = self.level < 0
        columns = region.categorical_columns[self.category]
        strangers = region.origin[self.person[unknown]][:, columns].numpy()
        different, which = np.unique(strangers, axis=0, return_inverse=True)
        row = self.level.copy()
        row[unknown] = len(codes) + which.reshape(-1)
        return np.concatenate([codes, different]), row


class _Effects:
    """What implied changes add to the totals of the first layer.

    Parameters
    ----------
    region : ActionRegion
    matrix : ndarray of shape (n_inputs, H)
        Of the first layer.
    """

    def __init__(self, region: ActionRegion, matrix: np.ndarray):
        self.downstream = region.downstream
        self.of_numbers = np.zeros((len(region.numeric_columns), matrix.shape[1]))
        if self.downstream is not None:
            self.seen = (self.downstream.encoded >= 0).numpy()
            columns = self.downstream.encoded.numpy()[self.seen]
            # By raw unit of each column that follows.
            self.by_unit = self.downstream.scale.numpy()[self.seen, None] * matrix[columns]
            self.of_numbers = self.downstream.per_value.numpy()[self.seen].T @ self.by_unit

    def of_levels(
        self, c: int, rungs: _LevelRungs, added: np.ndarray, row: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what levels add, effects included, and which of these rows every rung has."""
        if self.downstream is None:
            return added, row
        table = self.downstream.tables[c].numpy()[self.seen]
        stays = rungs.level == rungs.own
        amounts = np.where(stays, 0.0, table[:, rungs.own, np.maximum(rungs.level, 0)]).T
        pairs, which = np.unique(np.column_stack([row, amounts]), axis=0, return_inverse=True)
        level_rows = added[pairs[:, 0].astype(np.int64)]
        return level_rows + tile_products(pairs[:, 1:], self.by_unit), which.reshape(-1)


def _padded(lattice: Lattice, f: int, coordinate: np.ndarray) -> np.ndarray:
    """Return the coordinates of a feature's rungs, the last one repeated, shape (P, V)."""
    size = lattice.size[:, f, None]
    rung = np.minimum(np.arange(int(size.max(initial=1))), size - 1)
    return coordinate[lattice.start[:, f, None] + rung].astype(np.int64)


def _rates(lattice: Lattice, coordinate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least cost per unit of the coordinate above and below the own value."""
    up, down = (np.full((lattice.n_people, lattice.n_numbers), np.inf) for _ in range(2))
    smooth = lattice.continuum
    for j in range(lattice.n_numbers if lattice.n_people else 0):
        if smooth is not None and j in smooth.features:
            up[:, j] = down[:, j] = smooth.weight[smooth.features == j]
            continue
        part = lattice.part(j)
        begins = lattice.start[:, j] - part.start
        cost, move = lattice.cost[part], coordinate[part]
        for rate, side in ((up, move), (down, -move)):
            ratio = np.divide(cost, side, out=np.full_like(cost, np.inf), where=side > 0)
            rate[:, j] = np.minimum.reduceat(ratio, begins)
    return up, down
