"""Blocks with the statistics of a background population."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from skcfq.encoding._blocks import AffineBlock, Block, MonotoneBlock, TableBlock
from skcfq.encoding._statistics import numeric_statistics, plain_statistics, table_statistics
from skcfq.utils import as_numbers, as_row_weights, missing_mask

__all__ = ["described_blocks"]


def described_blocks(
    blocks: Sequence[Block], columns: Sequence[Any], sample_weight: Any
) -> tuple[Block, ...]:
    """Return blocks with what the rows of a table look like in their columns.

    Parameters
    ----------
    blocks : sequence of p Block
    columns : sequence of p 1-d arrays of shape (n,)
    sample_weight : array-like of shape (n,) or None
        Rows of weight zero do not count at all.
    """
    n = len(columns[0]) if columns else 0
    weights = np.ones(n) if sample_weight is None else as_row_weights(sample_weight, n)
    if n and not np.any(weights > 0):
        raise ValueError("sample_weight is zero for all rows; give some row a positive weight.")
    counted = weights > 0
    return tuple(
        _describe(block, column[counted], weights[counted])
        for block, column in zip(blocks, columns, strict=True)
    )


def _describe(block: Block, column: Any, weights: np.ndarray) -> Block:
    if isinstance(block, TableBlock):
        levels = block.level_of(column)
        statistics = table_statistics(levels, block.n_levels, missing_mask(column), weights)
    elif isinstance(block, (AffineBlock, MonotoneBlock)):
        encoded = block.encode(column)[:, 0]
        statistics = numeric_statistics(as_numbers(column), encoded, weights)
    else:
        statistics = plain_statistics(missing_mask(column), weights)
    return dataclasses.replace(block, statistics=statistics)
