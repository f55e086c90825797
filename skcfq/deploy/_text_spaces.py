"""Feature spaces of files before schema 4: block by block, numbers as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.deploy._allowance import Allowance
from skcfq.deploy._space_reading import BLOCK_BYTES, FUNCTIONS, nonzero
from skcfq.encoding import N_QUANTILES, FeatureSpace
from skcfq.utils.schema import (
    Check,
    boolean,
    fields,
    integer,
    listed,
    number,
    numbers,
    one_of,
    optional,
    refuse,
    scalar,
)

_STATISTICS: Check = fields(
    {"n": number(-1.0), "missing": number(-1.0, 2.0, nan=True)},
    {
        **dict.fromkeys(
            ("mean", "std", "mad", "minimum", "maximum", "encoded_std", "encoded_mad"),
            number(nan=True),
        ),
        "quantiles": numbers(length=N_QUANTILES, nan=True),
        "frequencies": numbers(nan=True),
    },
)
_NUMERIC: dict[str, Check] = {"fill": optional(number()), "is_integer": boolean}
_OF_KIND: dict[str, dict[str, Check]] = {
    "unused": {},
    "affine": {"scale": nonzero, "offset": number(), **_NUMERIC},
    "monotone": {"functions": FUNCTIONS, "increasing": boolean, **_NUMERIC},
    "table": {
        "categories": listed(scalar),
        "codes": listed(numbers(nan=True)),
        "unknown_code": optional(numbers(nan=True)),
        "fill": optional(integer(0, 2**31)),
    },
}


def _block(value: Any, place: str) -> dict[str, Any]:
    kind = value.get("kind") if isinstance(value, dict) else None
    of_kind = _OF_KIND.get(kind, {}) if isinstance(kind, str) else {}
    value = fields(
        {
            "kind": one_of(*_OF_KIND),
            "name": scalar,
            "columns": numbers(0, 2**31, whole=True),
            "statistics": _STATISTICS,
            **of_kind,
        }
    )(value, place)
    width = len(value["columns"])
    if kind in ("affine", "monotone", "unused") and width != (kind != "unused"):
        refuse(f"{place}.columns", value["columns"], "one column, or none where it is unused")
    if kind == "table":
        n_levels = len(value["categories"])
        codes, unknown, fill = value["codes"], value["unknown_code"], value["fill"]
        wide = all(len(code) == width for code in codes)
        if not width or len(codes) != n_levels or not wide:
            refuse(f"{place}.codes", codes, f"{n_levels} codes of {width} numbers")
        if unknown is not None and len(unknown) != width:
            refuse(f"{place}.unknown_code", unknown, f"{width} numbers")
        if fill is not None and fill >= n_levels:
            refuse(f"{place}.fill", fill, "a category")
        if len(value["statistics"].get("frequencies", codes)) != n_levels:
            refuse(f"{place}.statistics", value["statistics"], "as many shares as categories")
    return value


SPACE: Check = fields({"version": integer(1, 1), "is_frame": boolean, "blocks": listed(_block)})


def space_from_text(data: dict[str, Any], n_encoded: int, allowance: Allowance) -> FeatureSpace:
    """Return the space of a checked dict.

    Parameters
    ----------
    data : dict
        What :data:`SPACE` accepted.
    n_encoded : int
        Number of encoded columns that there have to be.
    allowance : Allowance
    """
    blocks = data["blocks"]
    allowance.take(BLOCK_BYTES * len(blocks), "its columns")
    names = [block["name"] for block in blocks]
    if len(set(names)) < len(names):
        raise ValueError("two columns have one name")
    columns = np.concatenate([[], *(block["columns"] for block in blocks)])
    if not np.array_equal(np.sort(columns), np.arange(n_encoded)):
        raise ValueError("the columns do not fit the layers")
    return FeatureSpace.from_dict(data)
