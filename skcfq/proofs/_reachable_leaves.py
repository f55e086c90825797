"""The leaves of an ensemble that people can reach, and the rungs that admit them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skcfq.proofs._lattice import Lattice

if TYPE_CHECKING:
    from skcfq.models import TreeEnsemble


@dataclass(frozen=True, eq=False)
class Inputs:
    """What an ensemble reads of P people.

    Attributes
    ----------
    rows : ndarray of shape (P, d)
        The people, encoded.
    numbers : int64 ndarray of shape (m,)
        Encoded column of every number that may move.
    categories : sequence of c int64 ndarrays
        Encoded columns of every category.
    codes : sequence of c ndarrays of shape (levels, width)
        What is written into them.
    effects : dict of int to ndarray
        By how much every rung of the lattice moves an encoded column that follows the features.
    """

    rows: np.ndarray
    numbers: np.ndarray
    categories: Sequence[np.ndarray]
    codes: Sequence[np.ndarray]
    effects: Mapping[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Reach:
    """The reachable leaves of one person, tree by tree, with falling values.

    Attributes
    ----------
    leaves : int64 ndarray of shape (n,)
    rank : int64 ndarray of shape (n,)
        The how-manieth of its tree every leaf is.
    ends : dict of feature to (int64 ndarray, int64 ndarray) of shape (n,)
        First and last rung of a number that admit each leaf.
    admits : dict of feature to bool ndarray of shape (V, n)
        Which rungs of a category admit each leaf.
    """

    leaves: np.ndarray
    rank: np.ndarray
    ends: dict[int, tuple[np.ndarray, np.ndarray]]
    admits: dict[int, np.ndarray]


class ReachReader:
    """Finds the leaves that people can reach.

    Parameters
    ----------
    trees : TreeEnsemble
    lattice : Lattice
    inputs : Inputs
    """

    def __init__(self, trees: TreeEnsemble, lattice: Lattice, inputs: Inputs) -> None:
        self.trees, self.lattice = trees, lattice
        position = trees.position
        n, m = lattice.n_people, lattice.n_numbers
        cells = np.stack(
            [trees.cells(c, inputs.rows[:, column]) for c, column in enumerate(trees.columns)]
            or [np.zeros(n, dtype=np.int64)]
        )
        self.first, self.last = cells, cells.copy()
        self.held = np.ones((len(cells), n), dtype=bool)
        # Cells of the rungs of numbers, and of the levels of categories, by position of the column.
        self.rung_cells: dict[int, tuple[int, np.ndarray]] = {}
        self.level_cells: dict[int, list[tuple[int, np.ndarray]]] = {}
        for f, column in enumerate(inputs.numbers):
            if int(column) in position:
                c = position[int(column)]
                self.rung_cells[f] = c, trees.cells(c, lattice.value[lattice.part(f)])
                self.held[c] = lattice.size[:, f] == 1
        for i, columns in enumerate(inputs.categories):
            asked = [(k, position[int(j)]) for k, j in enumerate(columns) if int(j) in position]
            if asked:
                self.level_cells[m + i] = [
                    (c, trees.cells(c, inputs.codes[i][:, k])) for k, c in asked
                ]
                for _, c in asked:
                    self.held[c] = lattice.size[:, m + i] == 1
        # A gap stays one, whatever is added to it.
        self.followers = {j: position[j] for j in inputs.effects if j in position}
        for c in self.followers.values():
            self.held[c] = self.first[c] < 0
        # What tells most leaves apart comes first.
        self.order = np.argsort([-len(edges) for edges in trees.thresholds], kind="stable")

    def reach(self, p: int, values: np.ndarray) -> Reach:
        """Return the leaves that a person can reach; `values` (L,) put them in order."""
        trees, lattice = self.trees, self.lattice
        leaves = np.arange(len(trees.tree))
        for c in self.order:
            if self.held[c, p]:
                cell = int(self.first[c, p])
                leaves = leaves[trees.admits(c, cell, cell, leaves)]
        ends: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        admits: dict[int, np.ndarray] = {}
        for f, (c, cells) in self.rung_cells.items():
            begin, size = int(lattice.start[p, f] - lattice.start[0, f]), int(lattice.size[p, f])
            if size > 1:
                rungs = cells[begin : begin + size]
                first = np.searchsorted(rungs, trees.low[c, leaves], "left")
                last = np.searchsorted(rungs, trees.high[c, leaves], "right") - 1
                ends[f] = first, last
                leaves = self._narrowed(leaves, first <= last, ends, admits)
        for f, columns in self.level_cells.items():
            begin, size = int(lattice.start[p, f]), int(lattice.size[p, f])
            if size > 1:
                level = lattice.value[begin : begin + size].astype(np.int64)
                fits = np.ones((size, len(leaves)), dtype=bool)
                for c, of_levels in columns:
                    found = of_levels[level]
                    # The own code may be that of no level.
                    found[lattice.own[p, f]] = self.first[c, p]
                    fits &= trees.low[c, leaves] <= found[:, None]
                    fits &= trees.high[c, leaves] >= found[:, None]
                admits[f] = fits
                leaves = self._narrowed(leaves, np.any(fits, axis=0), ends, admits)
        tree = trees.tree[leaves]
        order = np.lexsort((-values[leaves], tree))
        leaves = leaves[order]
        count = np.bincount(tree, minlength=trees.n_trees)
        rank = np.arange(len(leaves)) - np.repeat(np.cumsum(count) - count, count)
        ends = {f: (first[order], last[order]) for f, (first, last) in ends.items()}
        admits = {f: fits[:, order] for f, fits in admits.items()}
        return Reach(leaves, rank, ends, admits)

    @staticmethod
    def _narrowed(
        leaves: np.ndarray,
        kept: np.ndarray,
        ends: dict[int, tuple[np.ndarray, np.ndarray]],
        admits: dict[int, np.ndarray],
    ) -> np.ndarray:
        if kept.all():
            return leaves
        for f, (first, last) in ends.items():
            ends[f] = first[kept], last[kept]
        for f, fits in admits.items():
            admits[f] = fits[:, kept]
        return leaves[kept]
