"""Blocks as plain JSON values, and back."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from skcfq.encoding._blocks import AffineBlock, Block, MonotoneBlock, TableBlock
from skcfq.encoding._functions import Function, UserFunction, function_from_dict
from skcfq.encoding._statistics import ColumnStatistics
from skcfq.exceptions import FeatureSpaceError
from skcfq.utils import from_json, to_json

Value = TypeVar("Value")


def block_to_dict(block: Block, *, describe_user_functions: bool = False) -> dict[str, Any]:
    """Return a block as a JSON-able dict.

    With ``describe_user_functions``, a pair of Python functions is replaced by its values at the
    column's quantiles: enough to tell two maps apart, not to rebuild one.
    """
    out: dict[str, Any] = {
        "kind": block.kind,
        "name": block.name,
        "columns": [int(c) for c in block.columns],
        "statistics": block.statistics.to_dict(),
    }
    if isinstance(block, AffineBlock):
        out |= {"scale": block.scale, "offset": block.offset, "fill": block.fill}
        out["is_integer"] = block.is_integer
    elif isinstance(block, MonotoneBlock):
        out |= {"fill": block.fill, "increasing": block.increasing}
        out["is_integer"] = block.is_integer
        if describe_user_functions and _has_user_function(block):
            points = block.statistics.quantiles
            out["functions"] = [] if points is None else block.function(points).tolist()
        else:
            out["functions"] = functions_to_json(block)
    elif isinstance(block, TableBlock):
        out |= {"categories": list(block.categories), "codes": block.codes.tolist()}
        unknown = block.unknown_code
        out |= {"unknown_code": None if unknown is None else unknown.tolist(), "fill": block.fill}
        if block.order is not None:
            out["order"] = list(block.order)
    return to_json(out)


def block_from_dict(data: dict[str, Any]) -> Block:
    """Rebuild a block from :func:`block_to_dict`."""
    data = from_json(data)
    kind = data.pop("kind")
    data["columns"] = np.asarray(data["columns"], dtype=np.intp)
    data["statistics"] = ColumnStatistics.from_dict(data["statistics"])
    if kind == "affine":
        return AffineBlock(**data)
    if kind == "monotone":
        data["functions"] = functions_from_json(data["functions"])
        return MonotoneBlock(**data)
    if kind == "table":
        width = len(data["columns"])
        data["categories"] = tuple(data["categories"])
        data["codes"] = np.asarray(data["codes"], dtype=np.float64).reshape(-1, width)
        if data["unknown_code"] is not None:
            data["unknown_code"] = np.asarray(data["unknown_code"], dtype=np.float64)
        if "order" in data:
            data["order"] = tuple(data["order"])
        return TableBlock(**data)
    if kind == "unused":
        return Block(**data)
    raise FeatureSpaceError(f"kind={kind!r} is no kind of block.")


def read_space(data: Any) -> tuple[tuple[Block, ...], bool, str, str | None]:
    """Return blocks, kind of table, level of statistics and fingerprint of a stored space.

    Raises
    ------
    FeatureSpaceError
        The data are not those of a space.
    """
    version = data.get("version") if isinstance(data, Mapping) else None
    if version != 1:
        raise FeatureSpaceError(
            f"data with version={reprlib.repr(version)} are no stored space of version 1. Give "
            "what to_dict returned."
        )
    try:
        blocks = tuple(block_from_dict(block) for block in data["blocks"])
        level, known_as = data.get("statistics", "full"), data.get("full_fingerprint")
        return blocks, bool(data["is_frame"]), level, known_as
    except FeatureSpaceError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FeatureSpaceError(
            f"data of a stored space are damaged: {type(error).__name__}: {error}. Give what "
            "to_dict returned."
        ) from error


def built(kind: type[Value], values: dict[str, Any]) -> Value:
    """Return a frozen value of known attributes; others have their defaults.

    A file has thousands of them, and the constructor of a frozen dataclass would take most of the
    time that it takes to load.

    Parameters
    ----------
    kind : Block or ColumnStatistics
    values : dict
        At least the attributes without a default; the value keeps it.

    Examples
    --------
    >>> from skcfq.encoding import ColumnStatistics
    >>> built(ColumnStatistics, {"n": 9.0, "missing": 0.0}).mean is None
    True
    """
    value = object.__new__(kind)
    object.__setattr__(value, "__dict__", values)
    return value


def functions_to_json(block: MonotoneBlock) -> list[dict[str, Any]]:
    """Return the functions of a block as dicts of text, numbers and lists of numbers.

    Raises
    ------
    FeatureSpaceError
        One of them is the user's own, which cannot be written.
    """
    if _has_user_function(block):
        raise FeatureSpaceError(
            f"Column {block.name!r} goes through functions of the user, which cannot be "
            "written to a file. Use numpy's log1p, log, sqrt or another known function in "
            "the FunctionTransformer, or a PowerTransformer or QuantileTransformer."
        )
    return [f.to_dict() for f in block.functions if not isinstance(f, UserFunction)]


def functions_from_json(data: list[dict[str, Any]]) -> tuple[Function, ...]:
    """Rebuild the functions of a block from :func:`functions_to_json`."""
    return tuple(function_from_dict(function) for function in data)


def _has_user_function(block: MonotoneBlock) -> bool:
    return any(isinstance(function, UserFunction) for function in block.functions)
