"""The first layer of a network on raw columns: categories by tables of sums, numbers by codes.

A category adds to the sums of the first layer what its code does, so a table from level to that
vector takes the place of the code and of the product. Where something stands in a column that has
no such sum, :class:`UnusualRowsError` says so, and whoever asked goes the slower way, which encodes
everything and tells what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skcfq.deploy._products import ExactNetwork, InputCodes, Scratch
from skcfq.encoding import AffineBlock, Block, FeatureSpace, TableBlock
from skcfq.exceptions import FeatureSpaceError
from skcfq.utils import as_numbers, as_objects

# What compares as Python says, wherever it comes from.
PLAIN = frozenset({str, int, float})
# Numbers in a table of sums; categories beyond that are encoded.
_LARGEST_TABLE = 1 << 20
# Up to here, whole numbers and floats are equal where Python says so.
_WHOLE = 2**53
# Values of a column that are remembered.
_MOST_VALUES = 1 << 14
# Rows that are looked up value by value: an index of pandas takes its time, however short.
_SHORT = 256


class UnusualRowsError(Exception):
    """Some rows have to be encoded as a whole: they hold what is rare, or wrong."""


class PlacesOf(dict):
    """The places of plain values in the table of a category, each of which is asked for once."""

    def __init__(self, block: TableBlock) -> None:
        super().__init__()
        self._block = block

    def __missing__(self, value: Any) -> int:
        if value != value:
            # No gap equals another one.
            return self._gap
        forms = [np.array([value], dtype=object)]
        if type(value) is not str:
            # One key stands for the number in every type that a column may have.
            if not abs(value) < _WHOLE:
                raise UnusualRowsError
            alike = [float(value)] + ([int(value)] if value == int(value) else [])
            forms += [np.array([one], dtype=kind) for one in alike for kind in (None, object)]
        places = {self._place(form) for form in forms}
        if len(places) > 1:
            raise UnusualRowsError
        if len(self) >= _MOST_VALUES:
            self.clear()
        place = self[value] = places.pop()
        return place

    @cached_property
    def _gap(self) -> int:
        return self._place(np.array([np.nan], dtype=object))

    def _place(self, form: np.ndarray) -> int:
        return int(self._block.level_of(form)[0]) + 1


@dataclass(frozen=True, eq=False)
class LevelSums:
    """What each level of a category adds to the sums of the first layer.

    Attributes
    ----------
    position : int
        Of the raw column.
    block : TableBlock
    sums : ndarray of shape (1 + n_levels, n_units)
        In front, what an unknown level adds.
    is_known : bool ndarray of shape (1 + n_levels,)
        Whether there is such a sum: a level may have no code.
    """

    position: int
    block: TableBlock
    sums: np.ndarray
    is_known: np.ndarray

    @classmethod
    def of(cls, position: int, block: TableBlock, network: ExactNetwork) -> LevelSums:
        """Compute the table of a category."""
        unknown = block.unknown_code
        codes = np.vstack([np.full(block.width, np.nan) if unknown is None else unknown,
                           np.reshape(block.codes, (-1, block.width))])  # fmt: skip
        is_known = np.isfinite(codes).all(axis=1)
        matrix = network.layers[0].matrix[block.columns]
        codes = network.inputs.take(block.columns).of(np.where(is_known[:, None], codes, 0.0))
        return cls(position, block, codes.astype(matrix.dtype) @ matrix, is_known)

    def reader(self, values: Any) -> Callable[[slice], np.ndarray]:
        """Return a function from rows to their places in the table."""
        if isinstance(values, pd.Categorical):
            names = np.append(as_objects(values.categories), np.nan)
            places = self.block.level_of(names) + 1
            positions = np.asarray(values.codes)
            return lambda rows: places[positions[rows]]
        return lambda rows: self._places(values[rows])

    def _places(self, values: Any) -> np.ndarray:
        if len(values) <= _SHORT:
            numeric = isinstance(values, np.ndarray) and values.dtype.kind in "fiu"
            listed = (values if numeric else as_objects(values)).tolist()
            if PLAIN.issuperset(map(type, listed)):
                try:
                    return np.fromiter(map(self.places.__getitem__, listed), np.intp, len(listed))
                except UnusualRowsError:
                    pass
        return self.block.level_of(values) + 1

    def take(self, places: np.ndarray, out: np.ndarray) -> None:
        """Look up sums, into ``out`` of shape (n, n_units)."""
        if not (self._all_known or self.is_known[places].all()):
            raise UnusualRowsError
        np.take(self.sums, places, axis=0, out=out, mode="clip")

    @cached_property
    def places(self) -> PlacesOf:
        """The places of values."""
        return PlacesOf(self.block)

    @cached_property
    def _all_known(self) -> bool:
        return bool(self.is_known.all())


@dataclass(frozen=True, eq=False)
class Numbers:
    """The raw columns whose codes are computed: ``scale · x + offset``, or by their blocks.

    Attributes
    ----------
    positions : list of int
        Raw columns of the scaled numbers, which come first.
    scale, offset, fill : ndarray of shape (k,), float64
        Of all codes; 1, 0 and NaN where a block computes them.
    others : list of (position, block, slice)
        The blocks of the other codes, and where they go.
    codes : InputCodes
    columns : int ndarray of shape (k,)
        Encoded columns of the codes.
    """

    positions: list[int]
    scale: np.ndarray
    offset: np.ndarray
    fill: np.ndarray
    others: list[tuple[int, Block, slice]]
    codes: InputCodes
    columns: np.ndarray

    @classmethod
    def of(cls, blocks: list[tuple[int, Block]], network: ExactNetwork) -> Numbers:
        """Read the blocks, with their positions."""
        affine = [(i, b) for i, b in blocks if isinstance(b, AffineBlock)]
        ordered = affine + [(i, b) for i, b in blocks if not isinstance(b, AffineBlock)]
        columns = np.concatenate([np.empty(0, np.intp), *(b.columns for _, b in ordered)])
        k, n = len(affine), len(columns)
        scale, offset, fill = np.ones(n), np.zeros(n), np.full(n, np.nan)
        scale[:k] = [block.scale for _, block in affine]
        offset[:k] = [block.offset for _, block in affine]
        fill[:k] = [np.nan if block.fill is None else block.fill for _, block in affine]
        others, start = [], k
        for i, block in ordered[k:]:
            others.append((i, block, slice(start, start + block.width)))
            start += block.width
        positions = [i for i, _ in affine]
        return cls(positions, scale, offset, fill, others, network.inputs.take(columns), columns)

    @cached_property
    def _fills(self) -> bool:
        return not bool(np.isnan(self.fill).all())

    def encode(self, columns: list[Any], rows: slice) -> np.ndarray:
        """Return the encoded numbers of some rows, finite float64 of shape (n, k)."""
        # One column lies in one piece, in which it is read.
        Z = np.ones((len(self.columns), rows.stop - rows.start)).T
        try:
            for k, position in enumerate(self.positions):
                Z[:, k] = as_numbers(columns[position][rows])
            if self._fills:
                np.copyto(Z, self.fill, where=np.isnan(Z))
            Z *= self.scale
            Z += self.offset
            for position, block, own in self.others:
                Z[:, own] = block.encode(columns[position][rows])
        except (FeatureSpaceError, ValueError) as error:
            raise UnusualRowsError from error
        if not np.isfinite(Z).all():
            raise UnusualRowsError
        return Z


class FirstLayer:
    """The sums of the first layer, from raw columns.

    Parameters
    ----------
    network : ExactNetwork
    space : FeatureSpace
    """

    def __init__(self, network: ExactNetwork, space: FeatureSpace) -> None:
        first = network.layers[0]
        n_units = len(first.offset)
        used = [(i, block) for i, block in enumerate(space.blocks) if block.width]
        self.tables: list[LevelSums] = []
        encoded: list[tuple[int, Block]] = []
        for position, block in used:
            if isinstance(block, TableBlock) and block.n_levels * n_units <= _LARGEST_TABLE:
                self.tables.append(LevelSums.of(position, block, network))
            else:
                encoded.append((position, block))
        self.numbers = Numbers.of(encoded, network)
        self.matrix = first.matrix[self.numbers.columns]

    def reader(self, columns: list[Any], scratch: Scratch) -> Callable[[slice], np.ndarray]:
        """Return a function from rows to their sums, of shape (n, n_units).

        Parameters
        ----------
        columns : list of arrays of shape (n,)
            The raw columns; anything where a column is not used.
        scratch : Scratch
        """
        readers = [table.reader(columns[table.position]) for table in self.tables]

        dtype, n_units = self.matrix.dtype, self.matrix.shape[1]

        def sums_of(rows: slice) -> np.ndarray:
            codes = self.numbers.codes.of(self.numbers.encode(columns, rows))
            shape = (len(codes), n_units)
            sums, part = (scratch.take(name, shape, dtype) for name in ("sums", "part"))
            np.matmul(codes.astype(dtype, copy=False), self.matrix, out=sums)
            for table, places in zip(self.tables, readers, strict=True):
                table.take(places(rows), part)
                sums += part
            return sums

        return sums_of
