"""A feature space as a few arrays over all columns, for the header of a model file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skcfq.deploy._arrays import ArrayWriter
from skcfq.encoding import (
    AffineBlock,
    Block,
    FeatureSpace,
    MonotoneBlock,
    TableBlock,
    functions_to_json,
)

KINDS = ("unused", "affine", "monotone", "table")
SCALAR_STATISTICS = ("mean", "std", "mad", "minimum", "maximum", "encoded_std", "encoded_mad")
ARRAY_STATISTICS = ("quantiles", "frequencies")
# Of numbers, at every level.
FLAGS = ("is_whole", "is_binary")


def space_to_tables(space: FeatureSpace, arrays: ArrayWriter) -> dict[str, Any]:
    """Return a space as JSON values and arrays.

    Raises
    ------
    FeatureSpaceError
        A column goes through functions of the user.
    """
    blocks = space.blocks
    affine = [block for block in blocks if isinstance(block, AffineBlock)]
    monotone = [block for block in blocks if isinstance(block, MonotoneBlock)]
    numeric = [block for block in blocks if isinstance(block, (AffineBlock, MonotoneBlock))]
    tables = [block for block in blocks if isinstance(block, TableBlock)]
    out = {
        "is_frame": space.is_frame,
        "names": list(space.raw_columns),
        "kinds": arrays.add([KINDS.index(block.kind) for block in blocks]),
        "scale": arrays.add(np.array([block.scale for block in affine], dtype=float)),
        "offset": arrays.add(np.array([block.offset for block in affine], dtype=float)),
        "fill": arrays.add(
            np.array([np.nan if b.fill is None else b.fill for b in numeric], dtype=float)
        ),
        "is_integer": arrays.add([block.is_integer for block in numeric]),
        "increasing": arrays.add([block.increasing for block in monotone]),
        "functions": [_functions(block, arrays) for block in monotone],
        "tables": [_table(block, arrays) for block in tables],
        "statistics": space.statistics,
    }
    if tables:
        out["widths"] = arrays.add([block.width for block in tables])
    positions = np.concatenate([[], *(block.columns for block in blocks)]).astype(np.int64)
    if (positions != np.arange(len(positions))).any():
        out["positions"] = arrays.add(positions)
    if space.full_fingerprint is not None:
        out["full_fingerprint"] = space.full_fingerprint
    for name in FLAGS:
        flags = [getattr(block.statistics, name) for block in numeric]
        if any(flags):
            out[name] = arrays.add(flags)
    if space.statistics != "none":
        out |= _statistics(blocks, arrays)
    return out


def _functions(block: MonotoneBlock, arrays: ArrayWriter) -> list[dict[str, Any]]:
    return [
        {key: arrays.add(np.array(one, float)) if isinstance(one, list) else one
         for key, one in function.items()}
        for function in functions_to_json(block)
    ]  # fmt: skip


def _table(block: TableBlock, arrays: ArrayWriter) -> dict[str, Any]:
    codes = np.asarray(block.codes, dtype=np.float64)
    out: dict[str, Any] = {"categories": list(block.categories), "fill": block.fill}
    hot = np.where(codes.any(axis=1), codes.argmax(axis=1), -1) if codes.size else None
    if hot is not None and codes.tobytes() == one_hot(hot, block.width).tobytes():
        out["hot"] = arrays.add(hot)
    else:
        out["codes"] = arrays.add(codes)
    if block.order is not None:
        out["order"] = arrays.add(list(block.order))
    if block.unknown_code is not None:
        out["unknown"] = arrays.add(np.asarray(block.unknown_code, dtype=np.float64))
    return out


def _statistics(blocks: Sequence[Block], arrays: ArrayWriter) -> dict[str, Any]:
    every = [block.statistics for block in blocks]
    out: dict[str, Any] = {
        "n": arrays.add(np.array([one.n for one in every], dtype=float)),
        "missing": arrays.add(np.array([one.missing for one in every], dtype=float)),
    }
    for name in (*SCALAR_STATISTICS, *ARRAY_STATISTICS):
        known = [i for i, one in enumerate(every) if getattr(one, name) is not None]
        if not known:
            continue
        values = [np.ravel(getattr(every[i], name)) for i in known]
        out[name] = {"values": arrays.add(np.concatenate(values).astype(float))}
        if known != usual_columns(name, [block.kind for block in blocks]):
            out[name]["of"] = arrays.add(known)
    return out


def usual_columns(name: str, kinds: Sequence[str]) -> list[int]:
    """Return the positions of the columns that have a statistic, where nothing was left out."""
    owners = ("table",) if name == "frequencies" else ("affine", "monotone")
    return [i for i, kind in enumerate(kinds) if kind in owners]


def one_hot(hot: np.ndarray, width: int) -> np.ndarray:
    """Return codes that are 1 in one column, or nowhere where ``hot`` is negative."""
    codes = np.zeros((len(hot), width))
    rows = np.flatnonzero(hot >= 0)
    codes[rows, hot[rows]] = 1.0
    return codes
