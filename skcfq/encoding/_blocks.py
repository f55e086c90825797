"""One block per raw column: how it is encoded, and how its code is taken back."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from skcfq.encoding._functions import Function, forward, inverse
from skcfq.encoding._statistics import NO_STATISTICS, ColumnStatistics
from skcfq.exceptions import FeatureSpaceError
from skcfq.utils import as_numbers, as_objects, missing_mask, snap_integers, values_of

# Rows whose text is looked up one by one: pandas takes as long for one as for a thousand.
_FEW = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """The map of one raw column; this base class is that of a column that is not encoded.

    Attributes
    ----------
    name : Hashable
        Label of the raw column, or its position in an array.
    columns : int ndarray of shape (width,)
        Positions of its encoded columns; empty where the encoder drops the column.
    statistics : ColumnStatistics
        What the background population looks like in this column.
    kind : {"unused", "affine", "monotone", "table"}
    """

    name: Hashable
    columns: np.ndarray
    statistics: ColumnStatistics = NO_STATISTICS
    kind: ClassVar[str] = "unused"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is computed on demand."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return len(self.columns)

    def encoded_names(self, raw_name: Hashable) -> list[str]:
        """Return the names of the encoded columns for a name of the raw column."""
        return [str(raw_name)] * self.width

    def encode(self, values: Any) -> np.ndarray:
        """Encode raw values.

        Parameters
        ----------
        values : 1-d array or Series of shape (n,)

        Returns
        -------
        codes : float64 ndarray of shape (n, width)
        """
        return np.empty((len(values), 0))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Take codes back to raw values.

        Parameters
        ----------
        codes : ndarray of shape (n, width)

        Returns
        -------
        values : ndarray of shape (n,)
            float64, or objects for a table.
        """
        raise FeatureSpaceError(
            f"Column {self.name!r} is not encoded, so no code can be taken back to it."
        )

    def moved(self, own: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which rows have another raw value than their own, and that value.

        Parameters
        ----------
        own, codes : ndarray of shape (n, width)
            The rows' own codes, and those that they are to get; no two rows are equal.

        Returns
        -------
        rows : bool ndarray of shape (n,)
        values : ndarray of shape (rows.sum(),)
        """
        return np.ones(len(codes), dtype=bool), self.decode(codes)

    def _numbers(self, values: Any) -> np.ndarray:
        try:
            return as_numbers(values)
        except ValueError as error:
            raise FeatureSpaceError(
                f"Column {self.name!r} must hold numbers, but {error}. Pass the column as it was "
                "when the encoder was fitted."
            ) from error


@dataclass(frozen=True, eq=False, kw_only=True)
class AffineBlock(Block):
    """A number that is scaled: ``z = scale · x + offset``.

    Attributes
    ----------
    scale, offset : float
    fill : float or None
        Raw value that stands for a gap; None leaves gaps NaN.
    is_integer : bool
        Whether the raw column is stored as whole numbers or booleans.

    Examples
    --------
    >>> import numpy as np
    >>> block = AffineBlock(name="age", columns=np.array([0]), scale=0.1, offset=-3.0, fill=30.0)
    >>> block.encode(np.array([40.0, np.nan])).ravel().tolist()
    [1.0, 0.0]
    """

    scale: float = 1.0
    offset: float = 0.0
    fill: float | None = None
    is_integer: bool = False
    kind: ClassVar[str] = "affine"

    @property
    def increasing(self) -> bool:
        """Whether the code grows with the raw value."""
        return self.scale > 0

    def encode(self, values: Any) -> np.ndarray:
        """Encode raw values as float64 of shape (n, 1)."""
        numbers = _fill(self._numbers(values), self.fill)
        return (self.scale * numbers + self.offset)[:, None]

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Take codes of shape (n, 1) back to float64 raw values of shape (n,)."""
        raw = (np.asarray(codes, dtype=np.float64).reshape(-1) - self.offset) / self.scale
        return snap_integers(raw) if self.is_integer else raw


@dataclass(frozen=True, eq=False, kw_only=True)
class MonotoneBlock(Block):
    """A number that goes through increasing or decreasing functions, one after the other.

    Attributes
    ----------
    functions : tuple
        The elementary functions, in the order in which they are applied.
    fill : float or None
        Raw value that stands for a gap; None leaves gaps NaN.
    increasing : bool
        Whether the code grows with the raw value.
    is_integer : bool
        Whether the raw column is stored as whole numbers or booleans.
    """

    functions: tuple[Function, ...] = ()
    fill: float | None = None
    increasing: bool = True
    is_integer: bool = False
    kind: ClassVar[str] = "monotone"

    def function(self, x: np.ndarray) -> np.ndarray:
        """Apply the functions to float64 raw values."""
        return forward(self.functions, np.asarray(x, dtype=np.float64))

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Undo the functions on codes."""
        return inverse(self.functions, np.asarray(z, dtype=np.float64))

    def encode(self, values: Any) -> np.ndarray:
        """Encode raw values as float64 of shape (n, 1)."""
        return self.function(_fill(self._numbers(values), self.fill))[:, None]

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Take codes of shape (n, 1) back to float64 raw values of shape (n,)."""
        raw = self.inverse(np.asarray(codes).reshape(-1))
        return snap_integers(raw) if self.is_integer else raw


@dataclass(frozen=True, eq=False, kw_only=True)
class TableBlock(Block):
    """A category that has a row of a code table.

    Attributes
    ----------
    categories : tuple of length L
        Raw values; a missing value (None, NaN, pd.NA) may be one of them.
    codes : float64 ndarray of shape (L, width)
    unknown_code : float64 ndarray of shape (width,) or None
        Code of a value that is no category; None refuses such values.
    fill : int or None
        The category that stands for a gap.
    order : tuple of int or None
        Positions of the categories from low to high, where the raw column is an ordered
        ``pandas.Categorical``.

    Examples
    --------
    >>> import numpy as np
    >>> block = TableBlock(
    ...     name="job", columns=np.array([0, 1]), categories=("clerk", "cook"), codes=np.eye(2)
    ... )
    >>> block.level_of(np.array(["cook", "pilot"], dtype=object))
    array([ 1, -1])
    >>> block.decode(np.array([[0.9, 0.2]]))
    array(['clerk'], dtype=object)
    """

    categories: tuple = ()
    codes: np.ndarray
    unknown_code: np.ndarray | None = None
    fill: int | None = None
    order: tuple[int, ...] | None = None
    kind: ClassVar[str] = "table"

    @property
    def n_levels(self) -> int:
        """Number of categories, L."""
        return len(self.categories)

    def encoded_names(self, raw_name: Hashable) -> list[str]:
        """Return the name of the category of each encoded column, behind that of the raw one."""
        if self.width == 1:
            return super().encoded_names(raw_name)
        own = [self.categories[level] for level in self.codes.argmax(axis=0)]
        return [f"{raw_name}_{'missing' if pd.isna(label) else label}" for label in own]

    def level_of(self, values: Any) -> np.ndarray:
        """Return the category of raw values, -1 for one that is not in the table.

        Parameters
        ----------
        values : 1-d array or Series of shape (n,)

        Returns
        -------
        levels : int ndarray of shape (n,)
        """
        values = values_of(values)
        if isinstance(values, pd.Categorical):
            levels = self.level_of(np.append(as_objects(values.categories), np.nan))
            return levels[np.asarray(values.codes)]
        if not isinstance(values, np.ndarray):
            values = as_objects(values)
        places, index, objects = self._index
        if len(values) <= _FEW and values.dtype == object and objects.is_unique:
            texts = values.tolist()
            if all(type(text) is str for text in texts):
                return np.array([self._text_levels.get(text, -1) for text in texts], dtype=np.intp)
        if values.dtype.kind == "b" and index.dtype != object:
            values = values.astype(np.int64)
        dtype = values.dtype if values.dtype.kind in "fiu" else object
        try:
            # Of objects, pandas would tell truth values from numbers where there is nothing else.
            own = objects if dtype is object else index
            found = own.get_indexer(pd.Index(values, dtype=dtype))
        except TypeError as error:
            # Lists and dicts are no categories, and cannot be looked up.
            raise FeatureSpaceError(
                f"Column {self.name!r} holds what is no category ({error}). Give text, numbers or "
                "booleans."
            ) from error
        levels = places[found]
        # A gap is never found; looking for gaps takes longer than all the rest.
        lost = np.flatnonzero(found < 0)
        if len(lost):
            gaps = lost[missing_mask(values[lost])]
            levels[gaps] = [self._missing_level(value) for value in values[gaps]]
        return levels

    def encode(self, values: Any) -> np.ndarray:
        """Encode raw values as float64 of shape (n, width)."""
        levels = self.level_of(values)
        if self.unknown_code is not None:
            return self._all_codes[levels]
        if (levels < 0).any():
            strange = pd.unique(as_objects(values)[levels < 0])[:5].tolist()
            raise FeatureSpaceError(
                f"Column {self.name!r} holds {strange}, not among the {self.n_levels} categories "
                "that the encoder was fitted on. Use an encoder that accepts unknown categories "
                "(handle_unknown='ignore'), or fit it on rows that contain them."
            )
        return self.codes[levels]

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Take codes of shape (n, width) back to the nearest categories, objects of shape (n,)."""
        return self._labels[self.nearest_level(codes)[0]]

    def nearest_level(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest category of codes, the first one in ties, and its distance.

        Parameters
        ----------
        codes : ndarray of shape (n, width)

        Returns
        -------
        levels : int ndarray of shape (n,)
        distances : float64 ndarray of shape (n,)
            Euclidean.
        """
        codes = np.asarray(codes, dtype=np.float64).reshape(-1, self.width)
        best = np.full(len(codes), np.inf)
        levels = np.zeros(len(codes), dtype=np.intp)
        for level, code in enumerate(self.codes):
            distance = _distances(codes, code)
            nearer = distance < best
            levels[nearer], best[nearer] = level, distance[nearer]
        return levels, best

    def moved(self, own: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows whose code is nearer to another category than to their own code."""
        levels, distances = self.nearest_level(codes)
        rows = distances < _distances(codes, own)
        return rows, self._labels[levels[rows]]

    @cached_property
    def _labels(self) -> np.ndarray:
        labels = np.empty(self.n_levels, dtype=object)
        labels[:] = self.categories
        return labels

    @cached_property
    def _all_codes(self) -> np.ndarray:
        """The codes, and in the end, where level -1 finds it, that of what is unknown."""
        assert self.unknown_code is not None
        return np.vstack([self.codes, self.unknown_code])

    @cached_property
    def _text_levels(self) -> dict[str, int]:
        """The levels of categories that are text."""
        return {text: i for i, text in enumerate(self.categories) if type(text) is str}

    @cached_property
    def _index(self) -> tuple[np.ndarray, pd.Index, pd.Index]:
        present = np.flatnonzero(~missing_mask(self._labels))
        labels = self._labels[present]
        # Position -1 is that of what is not found.
        places = np.append(present, -1)
        numeric = len(labels) > 0 and {type(label) for label in labels} <= {int, float}
        objects = pd.Index(labels, dtype=object)
        return places, pd.Index(labels.tolist()) if numeric else objects, objects

    @cached_property
    def _missing_levels(self) -> dict[str, int]:
        missing = np.flatnonzero(missing_mask(self._labels))
        return {_gap(self.categories[level]): int(level) for level in missing}

    def _missing_level(self, value: Any) -> int:
        """Return the level of a gap: its own kind, else what fills gaps, else another kind."""
        others = -1 if self.fill is None else self.fill
        if self.fill is None and self._missing_levels:
            others = next(iter(self._missing_levels.values()))
        return self._missing_levels.get(_gap(value), others)


def declared_order(column: Any, categories: Sequence[Any]) -> tuple[int, ...] | None:
    """Return the positions of categories in the order that a column declares, None without one."""
    values = values_of(column)
    if not isinstance(values, pd.Categorical) or not values.ordered:
        return None
    labels = np.empty(len(categories), dtype=object)
    labels[:] = categories
    ranks = values.categories.get_indexer(pd.Index(labels, dtype=object))
    by_rank = np.argsort(ranks, kind="stable")
    return tuple(by_rank[ranks[by_rank] >= 0].tolist())


def _distances(codes: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Euclidean distances of rows; NaN, the code of a gap, is near to NaN only."""
    squares = (codes - other) ** 2
    if np.isnan(squares).any():
        both = np.isnan(codes) & np.isnan(other)
        squares = np.where(both, 0.0, np.where(np.isnan(squares), np.inf, squares))
    return np.sqrt(squares.sum(axis=1))


def _gap(value: Any) -> str:
    """Name the kind of a missing value."""
    return "None" if value is None else "NaN" if isinstance(value, float) else "NA"


def _fill(numbers: np.ndarray, fill: float | None) -> np.ndarray:
    return numbers if fill is None else np.where(np.isnan(numbers), fill, numbers)


def encode_columns(blocks: Sequence[Block], columns: Sequence[Any], n: int) -> np.ndarray:
    """Encode n rows, each raw column by its block.

    Parameters
    ----------
    blocks : sequence of p Block
    columns : sequence of p 1-d arrays of shape (n,)
        Anything where a block has no width.
    n : int

    Returns
    -------
    Z : float64 ndarray of shape (n, d)
    """
    Z = np.empty((n, sum(block.width for block in blocks)))
    for block, column in zip(blocks, columns, strict=True):
        if block.width:
            Z[:, block.columns] = block.encode(column)
    return Z
