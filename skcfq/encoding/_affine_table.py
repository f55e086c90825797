"""Encode tables whose columns are all scaled numbers, as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skcfq.encoding._blocks import AffineBlock, Block


@dataclass(frozen=True, eq=False)
class AffineTable:
    """The blocks of a space that has only affine ones, as arrays over the encoded columns.

    Attributes
    ----------
    raw : ndarray of int, shape (d,), or None
        The raw column of each encoded one; None where they are the same.
    scale, offset, fill : ndarray of shape (d,)
        The fill is NaN where gaps stay.
    """

    raw: np.ndarray | None
    scale: np.ndarray
    offset: np.ndarray
    fill: np.ndarray

    @cached_property
    def keeps_units(self) -> bool:
        """Whether codes are the raw numbers themselves."""
        return bool((self.scale == 1).all() and (self.offset == 0).all())

    @property
    def is_identity(self) -> bool:
        """Whether the encoded table is the raw one."""
        return self.raw is None and self.keeps_units and not self.fills

    @cached_property
    def fills(self) -> bool:
        """Whether a column's gaps are filled."""
        return not bool(np.isnan(self.fill).all())

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> AffineTable | None:
        """Read the blocks, or return None if one is not affine."""
        used = [(i, block) for i, block in enumerate(blocks) if block.width]
        if not all(isinstance(block, AffineBlock) for _, block in used):
            return None
        n = len(used)
        raw = np.zeros(n, dtype=np.int64)
        scale, offset, fill = np.ones(n), np.zeros(n), np.full(n, np.nan)
        for i, block in used:
            assert isinstance(block, AffineBlock)
            column = int(block.columns[0])
            raw[column], scale[column], offset[column] = i, block.scale, block.offset
            if block.fill is not None:
                fill[column] = block.fill
        same = n == len(blocks) and np.array_equal(raw, np.arange(n))
        return cls(None if same else raw, scale, offset, fill)

    def encode(self, X: np.ndarray, *, copy: bool = True) -> np.ndarray:
        """Encode raw rows of shape (n, p), float64, as rows of shape (n, d)."""
        # torch takes no arrays that it may not write to.
        if not copy and self.is_identity and X.flags.writeable:
            return X
        Z = X.copy() if self.raw is None else X[:, self.raw]
        if self.fills:
            np.copyto(Z, self.fill, where=np.isnan(Z))
        if not self.keeps_units:
            Z *= self.scale
            Z += self.offset
        return Z
