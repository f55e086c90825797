"""The map between raw columns and encoded columns, on which everything else hangs."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import reprlib
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from skcfq.encoding._affine_table import AffineTable
from skcfq.encoding._background import described_blocks
from skcfq.encoding._blocks import AffineBlock, Block, encode_columns
from skcfq.encoding._serialization import block_to_dict, read_space
from skcfq.encoding._statistics import STATISTICS_LEVELS
from skcfq.exceptions import FeatureSpaceError
from skcfq.utils import (
    as_array,
    as_numbers,
    check_container,
    check_flag,
    check_unique_columns,
    columns_of_frame,
    is_integer_like,
    plain,
    raw_table,
    replace_columns,
    rewrite,
    values_of,
)


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Frozen map between raw columns and encoded columns, with statistics of a population.

    Raw space is what a person knows: the columns of a table, in their units. Encoded space is
    the float64 matrix that a model sees. There is one block per raw column, and no encoded
    column depends on two raw columns, so that a change of one encoded block is a change of one
    raw column. Build a space with :meth:`from_encoder` or :meth:`from_frame`.

    Attributes
    ----------
    blocks : tuple of Block
        One per raw column, in the order of ``raw_columns``.
    raw_columns : tuple
        Names of the columns of a DataFrame, or 0, …, p - 1 for an array.
    is_frame : bool
        Whether the space was read from a DataFrame; if so, frames are read by column name.
    statistics : {"full", "bounds", "none"}
        What is told of the population: all, or what :meth:`with_statistics` has kept.
    full_fingerprint : str or None
        Where statistics were left out, the fingerprint with all of them.

    Notes
    -----
    ``decode(encode(X), X)`` returns X, bit for bit. Encoding and decoding cost O(n · (p + d)).

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.encoding import FeatureSpace
    >>> X = pd.DataFrame({"age": [20, 40], "income": [1000.0, 3000.0]})
    >>> space = FeatureSpace.from_frame(X)
    >>> space
    FeatureSpace(2 raw columns (2 affine), 2 encoded,
        statistics='full', raw_columns=('age', 'income'))
    >>> Z = space.encode(X)
    >>> Z[0, 1] += 500
    >>> space.decode(Z, X)
       age  income
    0   20  1500.0
    1   40  3000.0
    """

    blocks: tuple[Block, ...]
    raw_columns: tuple
    is_frame: bool
    statistics: str = "full"
    full_fingerprint: str | None = None

    @property
    def n_raw(self) -> int:
        """Number of raw columns, p."""
        return len(self.raw_columns)

    def __repr__(self) -> str:
        kinds = Counter(block.kind for block in self.blocks)
        shown = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        names = reprlib.repr(self.raw_columns)
        return (
            f"FeatureSpace({self.n_raw} raw columns ({shown}), {self.n_encoded} encoded,\n"
            f"    statistics={self.statistics!r}, raw_columns={names})"
        )

    @cached_property
    def n_encoded(self) -> int:
        """Number of encoded columns, d."""
        return sum(block.width for block in self.blocks)

    @classmethod
    def from_encoder(cls, encoder: Any, X: Any, sample_weight: Any = None) -> FeatureSpace:
        """Read a fitted encoder as one function per raw column.

        Parameters
        ----------
        encoder : fitted transformer
            An imputer, a scaler, a one-hot or ordinal encoder, a selector, a power, quantile or
            function transformer, a :class:`TableEncoder`, or nested pipelines and column
            transformers of these.
        X : DataFrame or ndarray of shape (n, p)
            Raw rows: the background population, on which the reading is verified.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows in the statistics.

        Returns
        -------
        space : FeatureSpace

        Raises
        ------
        UnreadableStepError
            A step mixes columns, or the map that was read does not equal ``transform`` on X.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.compose import make_column_transformer
        >>> from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
        >>> X = pd.DataFrame({"age": [20, 60], "job": ["cook", "clerk"]})
        >>> encoder = make_column_transformer((MinMaxScaler(), ["age"]), (OneHotEncoder(), ["job"]))
        >>> space = FeatureSpace.from_encoder(encoder.fit(X), X)
        >>> [(block.name, block.kind, block.width) for block in space.blocks]
        [('age', 'affine', 1), ('job', 'table', 2)]
        """
        return _read(encoder, X, sample_weight)

    @classmethod
    def from_frame(cls, X: Any, sample_weight: Any = None) -> FeatureSpace:
        """Return the identity on a table of numbers.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, p)
            Numbers and booleans, gaps allowed.
        sample_weight : array-like of shape (n,), default=None

        Raises
        ------
        FeatureSpaceError
            A column is not numeric; the message names it.
        """
        columns, names, is_frame = raw_table(X)
        for name, column in zip(names, columns, strict=True):
            try:
                as_numbers(column)
            except ValueError as error:
                raise FeatureSpaceError(
                    f"Column {name!r} is not numeric ({error}). Encode it first, for example "
                    "with TableEncoder, and use FeatureSpace.from_encoder."
                ) from error
        blocks = [
            AffineBlock(name=name, columns=np.array([i]), is_integer=is_integer_like(column))
            for i, (name, column) in enumerate(zip(names, columns, strict=True))
        ]
        return build_space(blocks, columns, is_frame, sample_weight)

    def behind(self, encoder: Any, X: Any, sample_weight: Any = None) -> FeatureSpace:
        """Return this space as seen from the raw columns in front of a fitted encoder.

        Parameters
        ----------
        encoder : fitted transformer
            Its output is what this space reads.
        X : DataFrame or ndarray of shape (n, p)
            Raw rows in front of the encoder: the background population.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        space : FeatureSpace
            Its ``encode(X)`` equals ``self.encode(encoder.transform(X))``.
        """
        return _read(encoder, X, sample_weight, last=self)

    def encode(self, X: Any, *, copy: bool = True) -> np.ndarray:
        """Encode raw rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, p)
            Columns of a DataFrame are found by name, if the space was read from one; further
            columns are ignored.
        copy : bool, default=True
            False may return X itself, if codes are the raw numbers. Do not write to it then.

        Returns
        -------
        Z : float64 ndarray of shape (n, d)
        """
        check_flag("copy", copy)
        if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype == np.float64 and self._affine:
            check_container(X)
            self._by_position(X)
            return self._affine.encode(X, copy=copy)
        columns, n = self.columns_of(X)
        return encode_columns(self.blocks, [column for _, column in columns], n)

    def decode(self, Z: Any, X: Any) -> Any:
        """Take encoded rows back to raw rows that differ from X where their code does.

        A block of a row is rewritten only if its code differs from that of X. A category is
        rewritten if another one is nearer than the row's own code. Everything else is
        bit-identical to X: values, gaps, unknown categories, dtypes, index, further columns.

        Parameters
        ----------
        Z : array-like of shape (n, d)
            Encoded rows.
        X : DataFrame or array-like of shape (n, p)
            The raw rows that they started from.

        Returns
        -------
        X_new : same container as X
            A copy. A column of whole numbers that gets a number that is not whole becomes
            float64; a categorical dtype gains the categories that it lacks.
        """
        try:
            Z = np.asarray(Z, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise FeatureSpaceError(
                f"Z must hold encoded rows, which are numbers: {error}."
            ) from error
        columns, n = self.columns_of(X)
        if Z.shape != (n, self.n_encoded):
            raise FeatureSpaceError(
                f"Z must have shape (n, d) = {(n, self.n_encoded)} to fit X and this space, got "
                f"{Z.shape}."
            )
        changed: dict[int, Any] = {}
        for block, (position, column) in zip(self.blocks, columns, strict=True):
            if not block.width:
                continue
            own, new = block.encode(column), Z[:, block.columns]
            differs = (own != new) & ~(np.isnan(own) & np.isnan(new))
            rows = np.flatnonzero(differs.any(axis=1))
            if len(rows):
                moved, values = block.moved(own[rows], new[rows])
                if len(values):
                    changed[position] = rewrite(column, rows[moved], values)
        return replace_columns(X if isinstance(X, pd.DataFrame) else as_array(X), changed)

    def block(self, name: Hashable) -> Block:
        """Return the block of a raw column, by name or by position.

        Parameters
        ----------
        name : label or int
            A column name; a position where no column has that name.
        """
        return self.blocks[self.position(name)]

    def position(self, name: Hashable) -> int:
        """Return the position of a raw column, given its name or position."""
        if not isinstance(name, Hashable):
            raise FeatureSpaceError(
                f"name={reprlib.repr(name)} is no column: give a column name or a position."
            )
        if name in self._positions and not isinstance(name, bool):
            return self._positions[name]
        integer = isinstance(name, (int, np.integer)) and not isinstance(name, bool)
        if integer and name in range(-self.n_raw, self.n_raw):
            return range(self.n_raw)[cast(int, name)]
        near = difflib.get_close_matches(str(name), [str(c) for c in self.raw_columns], n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        known = ", ".join([repr(c) for c in self.raw_columns[:20]] + ["…"] * (self.n_raw > 20))
        raise FeatureSpaceError(f"There is no column {name!r}. {hint}Columns: {known}.")

    def with_statistics(self, level: str) -> FeatureSpace:
        """Return the same map with fewer statistics, known by the same fingerprint.

        Parameters
        ----------
        level : {"none", "bounds", "full"}
            See :meth:`ColumnStatistics.kept`.

        Raises
        ------
        ValueError
            There is no such level, or this space tells less than that.
        """
        if not isinstance(level, str) or level not in STATISTICS_LEVELS:
            unknown = reprlib.repr(level)
            raise ValueError(f"The level={unknown} is unknown; give one of {STATISTICS_LEVELS}.")
        if STATISTICS_LEVELS.index(level) > STATISTICS_LEVELS.index(self.statistics):
            raise ValueError(
                f"statistics={level!r} cannot be written: the model was loaded from a file with "
                f"statistics={self.statistics!r}. Give that, or export the model anew."
            )
        if level == self.statistics:
            return self
        kept = (
            dataclasses.replace(block, statistics=block.statistics.kept(level))
            for block in self.blocks
        )
        return FeatureSpace(
            tuple(kept), self.raw_columns, self.is_frame, level, full_fingerprint=self.fingerprint
        )

    def described_by(self, X: Any, sample_weight: Any = None) -> FeatureSpace:
        """Return the same map with the statistics of other rows.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, p)
            Raw rows: the background population.
        sample_weight : array-like of shape (n,), default=None
        """
        found, n = self.columns_of(X)
        columns = [np.full(n, np.nan) if column is None else column for _, column in found]
        return build_space(self.blocks, columns, self.is_frame, sample_weight)

    def same_map(self, other: FeatureSpace) -> bool:
        """Tell whether two spaces encode alike, whatever they tell of the population."""
        return isinstance(other, FeatureSpace) and self._map_digest == other._map_digest

    @cached_property
    def _map_digest(self) -> str:
        return self._digest(leave_out=("statistics",))

    def _digest(self, leave_out: tuple[str, ...] = ()) -> str:
        described = (block_to_dict(block, describe_user_functions=True) for block in self.blocks)
        blocks = [{key: d[key] for key in d if key not in leave_out} for d in described]
        text = json.dumps([self.is_frame, blocks], sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the space as a dict of JSON values.

        Raises
        ------
        FeatureSpaceError
            A column goes through functions of the user, which cannot be written.
        """
        out = {
            "version": 1,
            "is_frame": self.is_frame,
            "blocks": [block_to_dict(block) for block in self.blocks],
        }
        if self.full_fingerprint is not None:
            out |= {"statistics": self.statistics, "full_fingerprint": self.full_fingerprint}
        return out

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FeatureSpace:
        """Rebuild a space from :meth:`to_dict`.

        Raises
        ------
        FeatureSpaceError
            The data are not those of a space.
        """
        blocks, is_frame, level, known_as = read_space(data)
        names = tuple(block.name for block in blocks)
        return cls(blocks, names, is_frame, level, known_as)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the whole map, statistics included; equal spaces share it."""
        return self._digest() if self.full_fingerprint is None else self.full_fingerprint

    @property
    def is_affine(self) -> bool:
        """Whether every encoded column is a scaled raw column."""
        return self._affine is not None

    @cached_property
    def _affine(self) -> AffineTable | None:
        return AffineTable.of(self.blocks)

    @cached_property
    def _positions(self) -> dict[Hashable, int]:
        return {name: i for i, name in enumerate(self.raw_columns)}

    def columns_of(self, X: Any) -> tuple[list[tuple[int, Any]], int]:
        """Return (position in X, values) of each raw column, and the number of rows.

        The position is -1, and the values None, where X lacks a column that the space drops.
        """
        if isinstance(X, pd.DataFrame):
            positions = self._frame_positions(X) if self.is_frame else self._by_position(X)
            if X.shape[1] > 2 * len(positions):
                return [(j, values_of(X.iloc[:, j]) if j >= 0 else None) for j in positions], len(X)
            # One after the other, which takes a third of the time.
            columns = columns_of_frame(X)
            return [(j, columns[j] if j >= 0 else None) for j in positions], len(X)
        X = as_array(X)
        return [(j, X[:, j]) for j in self._by_position(X)], len(X)

    def _by_position(self, X: Any) -> range:
        if X.shape[1] != self.n_raw:
            raise FeatureSpaceError(
                f"X has {X.shape[1]} columns, but the feature space has {self.n_raw}. Pass the "
                "columns that the encoder was fitted on, in that order."
            )
        return range(self.n_raw)

    def _frame_positions(self, X: pd.DataFrame) -> list[int]:
        check_unique_columns(X, among=self._positions)
        where = {plain(name): j for j, name in enumerate(X.columns)}
        missing = [
            name
            for name, block in zip(self.raw_columns, self.blocks, strict=True)
            if block.width and name not in where
        ]
        if missing:
            raise FeatureSpaceError(
                f"X lacks the columns {missing}. Pass every column that the encoder was fitted "
                "on; the order does not matter."
            )
        return [where.get(name, -1) for name in self.raw_columns]


def _read(
    encoder: Any, X: Any, sample_weight: Any, last: FeatureSpace | None = None
) -> FeatureSpace:
    # The readers need scikit-learn; a model file is served without it.
    from skcfq.encoding._readers import read_encoder

    reading = read_encoder(encoder, X, last=last)
    return build_space(reading.blocks, reading.columns, reading.is_frame, sample_weight)


def build_space(
    blocks: Sequence[Block], columns: list[Any], is_frame: bool, sample_weight: Any
) -> FeatureSpace:
    """Attach statistics of the background columns to blocks, and make a space of them."""
    described = described_blocks(blocks, columns, sample_weight)
    return FeatureSpace(described, tuple(block.name for block in described), is_frame)
