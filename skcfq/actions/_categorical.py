"""A categorical feature that can change: its levels, moves, distances, and rule checks."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.actions._raw import filled_numbers, is_missing
from skcfq.actions._rule_values import OBSERVED, fail
from skcfq.actions._rules import FeatureRules
from skcfq.encoding import statistic_of
from skcfq.exceptions import ActionSetError
from skcfq.utils import missing_mask

__all__ = ["CategoricalFeature", "build_categorical"]

# The level of a one-hot group at which all of its columns are 0, as dummies with a dropped level.
NONE_OF_THEM = "none"
# Shares of ones that add up to less than 1 by more than this leave rows without any.
_ROUNDING = 1e-9
# Levels that a message names.
_NAMED = 5


@dataclass(frozen=True, eq=False)
class CategoricalFeature:
    """One of several levels: a table block, or a one-hot group of raw columns.

    Parameters
    ----------
    name : hashable
    columns : tuple of int
        Positions of the raw columns.
    encoded_columns : ndarray of int of shape (w,)
    blocks : tuple of Block
        One per raw column.
    levels : tuple
        Raw labels; the column names for a one-hot group, and ``"none"`` where the background has
        rows whose columns are all 0.
    codes : ndarray of shape (L, w)
        Encoded row of each level.
    allowed : ndarray of bool of shape (L + 1, L)
        Row: from; column: to. The last row is for people in an unrecognized category.
    distance : ndarray of shape (L + 1, L)
        1 between different levels, or the difference of ranks between ordered levels.
    ranks : ndarray of shape (L,) or None
        Position in the declared order, NaN for the missing category.
    frequencies : ndarray of shape (L,)
        Shares in the background population.
    is_group : bool
    """

    name: Hashable
    columns: tuple[int, ...]
    encoded_columns: np.ndarray
    blocks: tuple[Any, ...]
    levels: tuple
    codes: np.ndarray
    allowed: np.ndarray
    distance: np.ndarray
    ranks: np.ndarray | None
    frequencies: np.ndarray
    is_group: bool = False

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.levels)

    def own_levels(self, columns: Sequence[Any]) -> np.ndarray:
        """Return people's levels, -1 where unrecognized, shape (n,), from the raw columns."""
        if not self.is_group:
            return np.asarray(self.blocks[0].level_of(columns[self.columns[0]]))
        pairs = zip(self.blocks, self.columns, strict=True)
        members = np.column_stack([filled_numbers(block, columns[j]) for block, j in pairs])
        is_one = members == 1.0
        n_ones = np.where(((members == 0.0) | is_one).all(axis=1), is_one.sum(axis=1), -1)
        none = len(self.columns) if self.n_levels > len(self.columns) else -1
        return np.where(n_ones == 1, is_one.argmax(axis=1), np.where(n_ones == 0, none, -1))

    def unreadable(self, columns: Sequence[Any]) -> np.ndarray:
        """Return who is at no level of a one-hot group, gaps left alone, bool of shape (n,)."""
        gap = np.any([missing_mask(columns[j]) for j in self.columns], axis=0)
        return (self.own_levels(columns) < 0) & ~gap


def build_categorical(rules: FeatureRules, blocks: Sequence[Any]) -> CategoricalFeature:
    """Check the rules of a categorical feature and tabulate moves and distances."""
    for rule, value in (("steps", rules.step), ("quantile_bounds", rules.quantile_bounds)):
        if value is not None:
            fail(
                rule,
                rules.name,
                value,
                "the column holds categories",
                "Use ordinal or transitions for categories",
            )
    table = _group_table(rules, blocks) if rules.is_group else _table(blocks[0])
    levels, codes, frequencies = table
    index = _LevelIndex(rules.name, levels)
    order = ordered_levels(rules, blocks)
    ranks = None if order is None else index.ranks(order)
    if ranks is None:
        _refuse_rules_without_order(rules)
    allowed = np.ones((len(levels) + 1, len(levels)), dtype=bool)
    allowed &= ~_missing_columns(levels)
    if ranks is not None:
        allowed &= _ordered_moves(rules, ranks, list(order or ()))
    if rules.transitions is not None:
        named = index.transitions(rules.transitions)
        # A transition that names the missing category asks for it in so many words.
        allowed = np.where(_missing_columns(levels), True, allowed) & named
    np.fill_diagonal(allowed, True)
    return CategoricalFeature(
        rules.name,
        rules.columns,
        np.concatenate([b.columns for b in blocks]).astype(int),
        tuple(blocks),
        levels,
        codes,
        allowed,
        _distances(len(levels), ranks),
        ranks,
        frequencies,
        rules.is_group,
    )


def ordered_levels(rules: FeatureRules, blocks: Sequence[Any]) -> tuple | None:
    """Return the levels from low to high, as stated or as the column declares, None without any."""
    if rules.ordinal is not None or rules.is_group or blocks[0].order is None:
        return rules.ordinal
    return tuple(blocks[0].categories[level] for level in blocks[0].order)


def _table(block: Any) -> tuple[tuple, np.ndarray, np.ndarray]:
    frequencies = np.asarray(
        statistic_of(block, "frequencies", "The cost of a category"), dtype=float
    )
    return tuple(block.categories), np.asarray(block.codes, dtype=float), frequencies


def _group_table(
    rules: FeatureRules, blocks: Sequence[Any]
) -> tuple[tuple, np.ndarray, np.ndarray]:
    encoded, frequencies = [], []
    for member, block in zip(rules.members, blocks, strict=True):
        pair = _zero_one(block)
        if pair is None:
            fail(
                "one_hot",
                rules.name,
                rules.members,
                f"column {member!r} does not hold 0 and 1",
                "List indicator columns only",
            )
        try:
            encoded.append(np.asarray(block.encode(pair), dtype=float))
        except (TypeError, ValueError) as error:
            raise ActionSetError(
                f"one_hot for {rules.name!r}: column {member!r} cannot hold 0 and 1 ({error}). "
                "List indicator columns only."
            ) from error
        frequencies.append(_share_of_ones(block))
    size = len(blocks)
    rows = ([encoded[j][int(j == level)] for j in range(size)] for level in range(size))
    codes = [np.concatenate(row) for row in rows]
    share_of_none = 1.0 - sum(frequencies)
    if not share_of_none > _ROUNDING:
        return rules.members, np.stack(codes), np.array(frequencies)
    if NONE_OF_THEM in rules.members:
        fail(
            "one_hot",
            rules.name,
            rules.members,
            f"in some rows all are 0; that level is called {NONE_OF_THEM!r}, which is a column",
            "Rename the column",
        )
    codes.append(np.concatenate([pair[0] for pair in encoded]))
    levels = (*rules.members, NONE_OF_THEM)
    return levels, np.stack(codes), np.array([*frequencies, share_of_none])


def _zero_one(block: Any) -> np.ndarray | None:
    """Return the raw values that mean 0 and 1 in a member of a group."""
    if block.kind != "table":
        low = statistic_of(block, "minimum", "A one-hot group of number columns")
        inside = low >= 0 and block.statistics.maximum <= 1
        return np.array([0.0, 1.0]) if inside or not np.isfinite(low) else None
    found = [next((c for c in block.categories if c == value), None) for value in (0, 1)]
    return None if None in found else np.array(found, dtype=object)


def _share_of_ones(block: Any) -> float:
    if block.kind != "table":
        return float(block.statistics.mean)
    frequencies = statistic_of(block, "frequencies", "A one-hot group of category columns")
    shares = zip(block.categories, frequencies, strict=True)
    return float(sum(share for category, share in shares if category == 1))


def _refuse_rules_without_order(rules: FeatureRules) -> None:
    direction = {1: "increasing", -1: "decreasing"}.get(rules.direction)
    if direction:
        raise ActionSetError(
            f"{direction} names {rules.name!r}, whose categories have no order. "
            f"Give ordinal={{{rules.name!r}: [levels from low to high]}}."
        )
    bounds = None if rules.bounds == OBSERVED else rules.bounds
    for rule, value in (
        ("bounds", bounds),
        ("relative_bounds", rules.relative_bounds),
        ("min_change", rules.min_change),
        ("max_change", rules.max_change),
    ):
        if value is not None:
            fail(
                rule,
                rules.name,
                value,
                "the column holds categories, which have no order",
                f"Give ordinal={{{rules.name!r}: [levels from low to high]}} as well",
            )


def _ordered_moves(rules: FeatureRules, ranks: np.ndarray, order: list) -> np.ndarray:
    """Return allowed moves (L + 1, L) between ordered levels, before own levels are added."""
    start = np.append(ranks, np.nan)[:, None]
    end = ranks[None, :]
    listed = np.broadcast_to(~np.isnan(end), (len(ranks) + 1, len(ranks))).copy()
    with np.errstate(invalid="ignore"):
        if rules.direction:
            listed &= rules.direction * (end - start) >= 0
        if rules.bounds is not None and rules.bounds != OBSERVED:
            low, high = _rank_bounds(rules, order)
            listed &= (end >= np.fmin(low, start)) & (end <= np.fmax(high, start))
        distance = np.abs(end - start)
        if rules.min_change is not None:
            listed &= distance >= rules.min_change
        if rules.max_change is not None:
            listed &= distance <= rules.max_change
        if rules.relative_bounds is not None:
            below, above = rules.relative_bounds
            listed &= (end - start >= min(below, 0)) & (end - start <= max(above, 0))
    return listed


def _rank_bounds(rules: FeatureRules, order: list) -> tuple[float, float]:
    sides = []
    for label, free in zip(rules.bounds, (-math.inf, math.inf), strict=True):
        if label is not None and label not in order:
            fail(
                "bounds",
                rules.name,
                rules.bounds,
                f"{label!r} is none of its ordered levels",
                f"Use two of {order!r}",
            )
        sides.append(free if label is None else float(order.index(label)))
    if sides[0] > sides[1]:
        fail(
            "bounds",
            rules.name,
            rules.bounds,
            "the lower level ranks above the upper level",
            "Swap the two",
        )
    return sides[0], sides[1]


def _distances(n_levels: int, ranks: np.ndarray | None) -> np.ndarray:
    distance = np.ones((n_levels + 1, n_levels))
    if ranks is not None:
        difference = np.abs(ranks[:, None] - ranks[None, :])
        distance[:-1] = np.where(np.isnan(difference), 1.0, difference)
    np.fill_diagonal(distance, 0.0)
    return distance


def _missing_columns(levels: tuple) -> np.ndarray:
    return np.array([is_missing(level) for level in levels], dtype=bool)


class _LevelIndex:
    """Finds the labels that rules name among the categories of a feature."""

    def __init__(self, name: Hashable, levels: tuple) -> None:
        self.name = name
        self.levels = levels
        self._positions = {_key(level): i for i, level in reversed([*enumerate(levels)])}

    def find(self, label: object) -> int | None:
        return self._positions.get(_key(label)) if isinstance(label, Hashable) else None

    def ranks(self, order: tuple) -> np.ndarray:
        self._check("ordinal", order)
        named = {self.find(label) for label in order}
        left_out = [
            level for i, level in enumerate(self.levels) if i not in named and not is_missing(level)
        ]
        if left_out:
            more = ", …" if len(left_out) > _NAMED else ""
            shown = ", ".join(map(repr, left_out[:_NAMED]))
            fail(
                "ordinal",
                self.name,
                order,
                f"it leaves out {shown}{more}, which nobody could reach or leave",
                "List every category from low to high; one without a rank is best a gap (NaN)",
            )
        ranks = np.full(len(self.levels), np.nan)
        for rank, label in enumerate(order):
            index = self.find(label)
            if index is not None:
                ranks[index] = rank
        return ranks

    def transitions(self, moves: dict) -> np.ndarray:
        targets = [label for labels in moves.values() for label in labels]
        self._check("transitions", (*moves, *targets))
        allowed = np.zeros((len(self.levels) + 1, len(self.levels)), dtype=bool)
        for source, labels in moves.items():
            row = self.find(source)
            columns = [i for i in map(self.find, labels) if i is not None]
            if row is not None:
                allowed[row, columns] = True
        return allowed

    def _check(self, rule: str, labels: tuple) -> None:
        """Refuse unknown labels, unless all known ones are named: then the sample is just small."""
        unknown = [label for label in labels if self.find(label) is None]
        named = {self.find(label) for label in labels}
        present = {i for i, level in enumerate(self.levels) if not is_missing(level)}
        if unknown and not present <= named:
            fail(
                rule,
                self.name,
                labels,
                f"{unknown[0]!r} is no category of the column",
                f"Use its categories: {list(self.levels)!r}",
            )


def _key(label: Hashable) -> Hashable:
    """Return what two labels share that :func:`is_same_label` calls the same."""
    return None if is_missing(label) else (isinstance(label, str), label)
