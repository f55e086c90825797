"""The feature space of a model file: its tables checked and read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product, repeat
from typing import Any

import numpy as np

from skcfq.deploy._allowance import Allowance
from skcfq.deploy._space_writing import (
    ARRAY_STATISTICS,
    FLAGS,
    KINDS,
    SCALAR_STATISTICS,
    one_hot,
    usual_columns,
)
from skcfq.encoding import (
    N_QUANTILES,
    NO_STATISTICS,
    STATISTICS_LEVELS,
    AffineBlock,
    Block,
    ColumnStatistics,
    FeatureSpace,
    MonotoneBlock,
    TableBlock,
    built,
    functions_from_json,
)
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
    text,
    unique,
)

# What a block and its statistics take as Python objects.
BLOCK_BYTES = 1000


def nonzero(value: Any, place: str) -> float:
    """Accept numbers other than 0."""
    value = number()(value, place)
    return value if value else refuse(place, value, "another number than 0")


def _function(value: Any, place: str) -> dict[str, Any]:
    name = value.get("name") if isinstance(value, dict) else None
    known = {
        "affine": {"scale": nonzero, "offset": number()},
        "power": {"method": one_of("yeo-johnson", "box-cox"), "lambda": number()},
        "quantile": {"quantiles": numbers(), "references": numbers(0, 1), "normal": boolean},
    }
    value = fields({"name": text(20), **known.get(str(name), {})})(value, place)
    if name == "quantile":
        tables = value["quantiles"], value["references"]
        if not len(tables[0]) or len(tables[0]) != len(tables[1]):
            refuse(place, value, "as many quantiles as references")
        if any((np.diff(table) < 0).any() for table in tables):
            refuse(place, value, "quantiles and references that rise")
    return value


FUNCTIONS: Check = listed(_function, at_most=100)
_TABLE: Check = fields(
    {"categories": listed(scalar), "fill": optional(integer(0, 2**31))},
    {
        "hot": numbers(-1, 2**31, whole=True),
        "codes": numbers(nan=True),
        "unknown": numbers(nan=True),
        "order": numbers(0, 2**31, whole=True),
    },
)
_SOME: Check = fields({"values": numbers(nan=True)}, {"of": numbers(0, 2**31, whole=True)})
TABLES: Check = fields(
    {
        "is_frame": boolean,
        "names": unique(scalar),
        "kinds": numbers(0, len(KINDS) - 1, whole=True),
        "scale": numbers(),
        "offset": numbers(),
        "fill": numbers(nan=True),
        "is_integer": numbers(0, 1, whole=True),
        "increasing": numbers(0, 1, whole=True),
        "functions": listed(FUNCTIONS),
        "tables": listed(_TABLE),
        "statistics": one_of(*STATISTICS_LEVELS),
    },
    {
        "widths": numbers(0, 2**31, whole=True),
        "positions": numbers(0, 2**31, whole=True),
        "full_fingerprint": text(64),
        "n": numbers(0, nan=True),
        "missing": numbers(0, 1, nan=True),
        **dict.fromkeys(FLAGS, numbers(0, 1, whole=True)),
        **dict.fromkeys((*SCALAR_STATISTICS, *ARRAY_STATISTICS), _SOME),
    },
)


def space_from_tables(data: dict[str, Any], n_encoded: int, allowance: Allowance) -> FeatureSpace:
    """Return the space of checked tables.

    Parameters
    ----------
    data : dict
        What :data:`TABLES` accepted.
    n_encoded : int
        Number of encoded columns that there have to be.
    allowance : Allowance
    """
    allowance.take(BLOCK_BYTES * len(data["kinds"]), "its columns")
    kinds, names = [KINDS[code] for code in data["kinds"].tolist()], data["names"]
    n_affine, n_monotone, n_tables = map(kinds.count, ("affine", "monotone", "table"))
    sizes = {
        "names": (names, len(kinds)),
        "scale": (data["scale"], n_affine),
        "offset": (data["offset"], n_affine),
        "fill": (data["fill"], n_affine + n_monotone),
        "is_integer": (data["is_integer"], n_affine + n_monotone),
        "increasing": (data["increasing"], n_monotone),
        "functions": (data["functions"], n_monotone),
        "tables": (data["tables"], n_tables),
        "widths": (data.get("widths", ()), n_tables),
    }
    sizes |= {name: (data[name], n_affine + n_monotone) for name in FLAGS if name in data}
    for name, (values, expected) in sizes.items():
        if len(values) != expected:
            raise ValueError(f"feature_space.{name} has another length than its columns")
    if not np.all(data["scale"]):
        raise ValueError("feature_space.scale is 0 for a column")
    of_tables = iter(data.get("widths", ()))
    of_others = {"unused": 0, "affine": 1, "monotone": 1}
    widths = np.array(
        [next(of_tables) if kind == "table" else of_others[kind] for kind in kinds], dtype=np.int64
    )
    columns = _positions(data, widths, n_encoded)
    statistics = _read_statistics(data, kinds)
    parts = _parts(data, kinds, allowance)
    blocks = []
    for name, own, told, (kind, values) in zip(names, columns, statistics, parts, strict=True):
        values["name"], values["columns"], values["statistics"] = name, own, told
        blocks.append(built(kind, values))
    return FeatureSpace(
        tuple(blocks),
        tuple(names),
        data["is_frame"],
        data["statistics"],
        data.get("full_fingerprint"),
    )


def _positions(data: dict[str, Any], widths: np.ndarray, n_encoded: int) -> list[np.ndarray]:
    """Return the encoded columns of each block: together all of them, each once."""
    positions = data.get("positions", np.arange(n_encoded, dtype=np.int64))
    if widths.sum() != n_encoded or len(positions) != n_encoded:
        raise ValueError("the columns do not fit the layers")
    if not np.array_equal(np.sort(positions), np.arange(n_encoded)):
        raise ValueError("feature_space.positions are not all columns, each once")
    ends = np.concatenate([[0], np.cumsum(widths)]).tolist()
    positions = positions.astype(np.intp)
    return [positions[a:b] for a, b in pairwise(ends)]


def _parts(
    data: dict[str, Any], kinds: list[str], allowance: Allowance
) -> Iterator[tuple[type[Block], dict[str, Any]]]:
    """Yield the class of each block, and what it has beside name, columns and statistics."""
    affine = zip(data["scale"].tolist(), data["offset"].tolist(), strict=True)
    numeric = zip(data["fill"].tolist(), data["is_integer"].astype(bool).tolist(), strict=True)
    monotone = zip(data["increasing"].tolist(), data["functions"], strict=True)
    tables = zip(data["tables"], data.get("widths", ()), strict=True)
    for kind in kinds:
        if kind == "unused":
            yield Block, {}
        elif kind == "table":
            table, width = next(tables)
            yield TableBlock, _read_table(table, int(width), allowance)
        else:
            fill, is_integer = next(numeric)
            values = {"fill": None if fill != fill else fill, "is_integer": is_integer}
            if kind == "affine":
                values["scale"], values["offset"] = next(affine)
                yield AffineBlock, values
            else:
                rises, functions = next(monotone)
                values["functions"] = functions_from_json(functions)
                values["increasing"] = bool(rises)
                yield MonotoneBlock, values


def _read_table(table: dict[str, Any], width: int, allowance: Allowance) -> dict[str, Any]:
    n_levels = len(table["categories"])
    allowance.take(8 * n_levels * width, "the codes of its categories")
    if ("hot" in table) == ("codes" in table):
        raise ValueError("a table of categories has either hot columns or codes")
    if "hot" in table:
        hot = table["hot"]
        if len(hot) != n_levels or (hot >= width).any():
            raise ValueError("a table of categories has other hot columns than its own")
        codes = one_hot(hot, width)
    else:
        codes = table["codes"]
        if len(codes) != n_levels * width:
            raise ValueError("a table of categories has codes of another number")
        codes = codes.reshape(n_levels, width)
    unknown, fill = table.get("unknown"), table["fill"]
    if unknown is not None and len(unknown) != width:
        raise ValueError("a table of categories has a code of unknown ones of another length")
    if width == 0 or (fill is not None and fill >= n_levels):
        raise ValueError("a table of categories has no codes, or a fill that is no category")
    order = tuple(table["order"].tolist()) if "order" in table else None
    if order is not None and not set(order) <= set(range(n_levels)):
        raise ValueError("a table of categories has an order of other categories")
    return {
        "categories": tuple(table["categories"]),
        "codes": codes,
        "unknown_code": unknown,
        "fill": fill,
        "order": order,
    }


def _read_statistics(data: dict[str, Any], kinds: list[str]) -> list[ColumnStatistics]:
    told: dict[str, list[Any]] = {}
    numeric = [i for i, kind in enumerate(kinds) if kind in ("affine", "monotone")]
    for name in FLAGS:
        if name in data:
            flags = np.zeros(len(kinds), dtype=bool)
            flags[numeric] = data[name]
            told[name] = flags.tolist()
    if data["statistics"] == "none":
        return _flags_alone(told, len(kinds))
    for name in ("n", "missing"):
        if len(data.get(name, ())) != len(kinds):
            raise ValueError(f"feature_space.{name} has another length than its columns")
        told[name] = data[name].tolist()
    levels = iter([len(table["categories"]) for table in data["tables"]])
    lengths = [next(levels) if kind == "table" else 0 for kind in kinds]
    for name in (*SCALAR_STATISTICS, *ARRAY_STATISTICS):
        if name in data:
            told[name] = _one_statistic(data[name], name, kinds, lengths)
    rows = zip(*told.values(), strict=True)
    return [built(ColumnStatistics, dict(zip(told, row, strict=True))) for row in rows]


def _flags_alone(told: dict[str, list[Any]], n: int) -> list[ColumnStatistics]:
    """Return statistics that tell nothing but flags; columns share them."""
    known = {
        flags: built(ColumnStatistics, vars(NO_STATISTICS) | dict(zip(told, flags, strict=True)))
        for flags in product((False, True), repeat=len(told))
    }
    rows = zip(*told.values(), strict=True) if told else repeat((), n)
    return [known[row] for row in rows]


def _one_statistic(
    data: dict[str, Any], name: str, kinds: list[str], lengths: list[int]
) -> list[Any]:
    """Return a statistic of all columns, None where one has none.

    Parameters
    ----------
    data : dict
        The ``values``, and where it is not all columns that can have it, ``of`` which.
    name : str
    kinds : list of str
    lengths : list of int
        Numbers of levels.
    """
    usual = usual_columns(name, kinds)
    known = data["of"].tolist() if "of" in data else usual
    if known is not usual and (not set(known) <= set(usual) or len(set(known)) < len(known)):
        raise ValueError(f"feature_space.{name} is of columns that have none")
    sizes = [1] * len(known)
    if name in ARRAY_STATISTICS:
        sizes = [lengths[i] if name == "frequencies" else N_QUANTILES for i in known]
    values = data["values"]
    if sum(sizes) != len(values):
        raise ValueError(f"feature_space.{name} has another length than its columns")
    parts: Any = values.tolist()
    if name in ARRAY_STATISTICS:
        parts = [values[a:b] for a, b in pairwise(np.cumsum([0, *sizes]).tolist())]
    if known is usual and len(known) == len(kinds):
        return parts
    told: list[Any] = [None] * len(kinds)
    for i, value in zip(known, parts, strict=True):
        told[i] = value
    return told
