"""Ensembles of trees as boxes with values: what exact methods need to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

# Numbers that the cells of all leaves may take together: beyond, nothing is read.
_LARGEST = 80_000_000


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of several trees, one tree after the other.

    Attributes
    ----------
    roots : int64 ndarray of shape (T,)
    left, right : int64 ndarray of shape (n,)
        Children; -1 at leaves.
    column : int64 ndarray of shape (n,)
        Encoded column that is asked about; anything at leaves.
    threshold : float64 ndarray of shape (n,)
    gap_left : bool ndarray of shape (n,)
        Whether a gap goes to the left.
    values : float64 ndarray of shape (n, K)
        What a leaf adds to the scores; anything elsewhere.
    """

    roots: np.ndarray
    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    gap_left: np.ndarray
    values: np.ndarray

    @staticmethod
    def joined(trees: list[Nodes]) -> Nodes:
        """Return the nodes of several sets of trees in a row."""
        sizes = np.array([len(tree.left) for tree in trees])
        shifts = np.cumsum(sizes) - sizes
        arrays = [np.concatenate([t.roots + s for t, s in zip(trees, shifts, strict=True)])]
        for name in ("left", "right"):
            sides = [getattr(tree, name) for tree in trees]
            moved = [np.where(a < 0, a, a + s) for a, s in zip(sides, shifts, strict=True)]
            arrays.append(np.concatenate(moved))
        for name in ("column", "threshold", "gap_left", "values"):
            arrays.append(np.concatenate([getattr(tree, name) for tree in trees]))
        return Nodes(*arrays)


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """Leaves of trees, each the box of the rows that get there; scores are sums over trees.

    The thresholds of a column, rising, cut it into *cells*: cell k lies between threshold k - 1 and
    threshold k. Every tree has exactly one leaf whose box holds a row.

    Attributes
    ----------
    columns : int64 ndarray of shape (C,)
        Encoded columns that some tree asks about.
    thresholds : list of C float64 ndarrays
    tree : int64 ndarray of shape (L,)
        Tree of every leaf, rising.
    low, high : int ndarray of shape (C, L)
        First and last cell of every leaf.
    gaps : bool ndarray of shape (C, L)
        Whether a gap in the column gets there.
    values : float64 ndarray of shape (L, K)
        What a leaf adds to the score of every class.
    offset : float64 ndarray of shape (K,)
        Scores before any tree.
    shares : bool
        Whether scores are probabilities; else they are logits.
    closed : bool
        Whether a value on a threshold lies below it.
    single : bool
        Whether values are cast to single precision first.
    rounding : float
        Share by which the model's own scores may be off.
    """

    columns: np.ndarray
    thresholds: list[np.ndarray]
    tree: np.ndarray
    low: np.ndarray
    high: np.ndarray
    gaps: np.ndarray
    values: np.ndarray
    offset: np.ndarray
    shares: bool
    closed: bool
    single: bool
    rounding: float

    @property
    def n_trees(self) -> int:
        """Number T of trees."""
        return int(self.tree[-1]) + 1

    def cells(self, c: int, values: np.ndarray) -> np.ndarray:
        """Return the cells that values of the column at a position lie in; -1 for a gap."""
        if self.single:
            with np.errstate(over="ignore"):
                values = values.astype(np.float32).astype(np.float64)
        cells = np.searchsorted(self.thresholds[c], values, "left" if self.closed else "right")
        return np.where(np.isnan(values), -1, cells)

    def scores(self, Z: np.ndarray) -> np.ndarray:
        """Return the scores of encoded rows.

        Parameters
        ----------
        Z : ndarray of shape (n, d)
            Few rows: all leaves are looked at for each.

        Returns
        -------
        scores : ndarray of shape (n, K)
        """
        alive = np.ones((len(Z), len(self.tree)), dtype=bool)
        for c, column in enumerate(self.columns):
            low, high, gaps = self.low[c], self.high[c], self.gaps[c]
            # Most leaves do not ask about most columns.
            asks = np.flatnonzero((low > 0) | (high < len(self.thresholds[c])) | ~gaps)
            cell = self.cells(c, Z[:, column])[:, None]
            inside = (low[asks] <= cell) & (high[asks] >= cell)
            alive[:, asks] &= np.where(cell < 0, gaps[asks], inside)
        return np.array([self.values[leaves].sum(axis=0) for leaves in alive]) + self.offset

    def admits(self, c: int, first: int, last: int, leaves: np.ndarray) -> np.ndarray:
        """Return which leaves lie in a stretch of cells of a column; that of a gap is (-1, -1)."""
        if first < 0:
            return self.gaps[c, leaves]
        return (self.low[c, leaves] <= last) & (self.high[c, leaves] >= first)

    @cached_property
    def position(self) -> dict[int, int]:
        """Position of every encoded column among `columns`."""
        return {int(column): c for c, column in enumerate(self.columns)}


def leaves_of(nodes: Nodes) -> dict[str, Any] | None:
    """Return trees as leaves, None where there would be too many numbers.

    Parameters
    ----------
    nodes : Nodes

    Returns
    -------
    parts : dict
        Of parameters of :class:`TreeEnsemble`.
    """
    inner = nodes.left >= 0
    columns = np.unique(nodes.column[inner])
    if len(columns) * int((~inner).sum()) > _LARGEST:
        return None
    place = np.zeros(int(columns.max(initial=0)) + 1, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    thresholds, cut = [], np.zeros(len(inner), dtype=np.int64)
    for column in columns:
        here = inner & (nodes.column == column)
        edges, cut[here] = np.unique(nodes.threshold[here], return_inverse=True)
        thresholds.append(edges)
    most = np.array([len(edges) for edges in thresholds], dtype=np.int64)
    n_trees = len(nodes.roots)
    kind = np.int16 if most.max(initial=0) < np.iinfo(np.int16).max else np.int32
    node, tree = nodes.roots.copy(), np.arange(n_trees)
    low = np.zeros((len(columns), n_trees), dtype=kind)
    high = np.repeat(most[:, None].astype(kind), n_trees, axis=1)
    gaps = np.ones((len(columns), n_trees), dtype=bool)
    ready: list[tuple[np.ndarray, ...]] = []
    while len(node):
        ends = nodes.left[node] < 0
        ready.append((node[ends], tree[ends], low[:, ends], high[:, ends], gaps[:, ends]))
        node, tree = node[~ends], tree[~ends]
        low, high, gaps = low[:, ~ends], high[:, ~ends], gaps[:, ~ends]
        if len(node) == 0:
            break
        at, count = place[nodes.column[node]], np.arange(len(node))
        edge, gap_left = cut[node].astype(kind), nodes.gap_left[node]
        sides = []
        for left in (True, False):
            first, last, lost = low.copy(), high.copy(), gaps.copy()
            if left:
                last[at, count] = np.minimum(last[at, count], edge)
            else:
                first[at, count] = np.maximum(first[at, count], edge + 1)
            lost[at, count] &= gap_left == left
            sides.append((first, last, lost))
        node = np.concatenate([nodes.left[node], nodes.right[node]])
        tree = np.tile(tree, 2)
        low, high, gaps = (np.concatenate(pair, axis=1) for pair in zip(*sides, strict=True))
    leaf, tree = (np.concatenate([part[k] for part in ready]) for k in range(2))
    low, high, gaps = (np.concatenate([part[k] for part in ready], axis=1) for k in range(2, 5))
    order = np.argsort(tree, kind="stable")
    return {
        "columns": columns,
        "thresholds": thresholds,
        "tree": tree[order],
        "low": np.ascontiguousarray(low[:, order]),
        "high": np.ascontiguousarray(high[:, order]),
        "gaps": np.ascontiguousarray(gaps[:, order]),
        "values": nodes.values[leaf[order]],
    }


def of_one_score(amount: np.ndarray, k: int, n_scores: int) -> np.ndarray:
    """Return what nodes add to the scores of all classes, if they add to one of them.

    Parameters
    ----------
    amount : ndarray of shape (n,)
    k : int
        Which score.
    n_scores : int
        A single one is that of the second class of two.
    """
    values = np.zeros((len(amount), max(n_scores, 2)))
    values[:, k if n_scores > 1 else 1] = amount
    return values
