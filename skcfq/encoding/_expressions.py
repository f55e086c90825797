"""Symbolic columns: what an encoded column is, as a function of one raw column."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcfq.encoding._blocks import AffineBlock, Block, MonotoneBlock, TableBlock, declared_order
from skcfq.encoding._functions import Affine, Function, append, forward, increasing, inverse
from skcfq.exceptions import UnreadableStepError
from skcfq.utils import as_numbers, is_integer_like, plain


@dataclass(frozen=True, eq=False)
class Value:
    """A raw column, its gaps perhaps filled, perhaps passed through functions.

    Without functions it stands for a column of any type, text included.
    """

    source: int
    functions: tuple[Function, ...] = ()
    fill: Any = None
    path: str = ""


@dataclass(frozen=True, eq=False)
class Lookup:
    """A number per category of a raw column.

    ``values`` has shape (L,); ``unknown`` is the number of a value that is no category, None if
    such values are refused; ``fill`` is the category that stands for a gap.
    """

    source: int
    categories: tuple
    values: np.ndarray
    unknown: float | None
    fill: int | None
    path: str = ""


Expression = Value | Lookup


def apply_function(expression: Expression, function: Function) -> Expression:
    """Pass a column through one more function."""
    if isinstance(expression, Value):
        return replace(expression, functions=append(expression.functions, function))
    unknown = expression.unknown
    if unknown is not None:
        unknown = float(forward((function,), np.array([unknown]))[0])
    values = forward((function,), expression.values)
    return replace(expression, values=values, unknown=unknown)


def scale(expression: Expression, factor: float, offset: float) -> Expression:
    """Return ``factor · column + offset``."""
    return apply_function(expression, Affine(float(factor), float(offset)))


def fill_gaps(expression: Expression, value: Any) -> Expression:
    """Put a value where the column has a gap; a column that was filled before has none."""
    if isinstance(expression, Value):
        if expression.fill is not None:
            return expression
        if expression.functions:
            value = float(inverse(expression.functions, np.array([float(value)]))[0])
        return replace(expression, fill=plain(value))
    unknown = expression.unknown
    if unknown is not None and np.isnan(unknown):
        unknown = float(value)
    values = np.where(np.isnan(expression.values), value, expression.values)
    return replace(expression, values=values.astype(np.float64), unknown=unknown)


def look_up(
    expression: Expression,
    categories: tuple,
    codes: np.ndarray,
    unknown_code: np.ndarray | None,
    *,
    path: str,
) -> list[Expression]:
    """Replace the categories of a column by their codes, of shape (L, width)."""
    table = TableBlock(
        name=path,
        columns=np.arange(codes.shape[1]),
        categories=categories,
        codes=codes,
        unknown_code=unknown_code,
    )
    fill: int | None
    if isinstance(expression, Lookup):
        codes = table.encode(expression.values)
        if expression.unknown is not None:
            unknown_code = table.encode(np.array([expression.unknown]))[0]
        else:
            unknown_code = None
        categories, fill = expression.categories, expression.fill
    else:
        if expression.functions:
            raise UnreadableStepError(
                f"Step {path!r} makes categories of numbers that were rescaled before. Encode "
                "the categories of the raw column instead."
            )
        level = -1
        if expression.fill is not None:
            level = int(table.level_of(np.array([expression.fill], dtype=object))[0])
        fill = level if level >= 0 else None
    unknowns = [None] * codes.shape[1] if unknown_code is None else unknown_code.tolist()
    return [
        Lookup(expression.source, categories, values, unknown, fill, path)
        for values, unknown in zip(codes.T, unknowns, strict=True)
    ]


def apply_block(expression: Expression, block: Block, *, path: str) -> list[Expression]:
    """Pass a column through a block of another feature space."""
    if isinstance(block, TableBlock):
        if block.fill is not None:
            expression = fill_gaps(expression, block.categories[block.fill])
        return look_up(expression, block.categories, block.codes, block.unknown_code, path=path)
    if not isinstance(block, (AffineBlock, MonotoneBlock)):
        return []
    if block.fill is not None:
        expression = fill_gaps(expression, block.fill)
    if isinstance(block, AffineBlock):
        return [scale(expression, block.scale, block.offset)]
    for function in block.functions:
        expression = apply_function(expression, function)
    return [expression]


def evaluate(expression: Expression, names: list[Any], columns: list[Any]) -> np.ndarray:
    """Return a numeric symbolic column on raw columns, as float64 of shape (n,)."""
    column = columns[expression.source]
    block = to_block(names[expression.source], [(0, expression)], column)
    return block.encode(column)[:, 0]


def to_block(name: Hashable, parts: list[tuple[int, Expression]], column: Any) -> Block:
    """Collect the encoded columns of one raw column in a block.

    Parameters
    ----------
    name : Hashable
        The raw column.
    parts : list of (encoded column, expression)
    column : array of shape (n,)
        The raw column in the background.
    """
    positions = np.array([position for position, _ in parts], dtype=np.intp)
    expressions = [expression for _, expression in parts]
    if not parts:
        return Block(name=name, columns=positions)
    lookups = [e for e in expressions if isinstance(e, Lookup)]
    if len(lookups) == len(expressions):
        return _table(name, positions, lookups, column)
    if len(expressions) > 1:
        steps = sorted({e.path or "the encoder" for e in expressions})
        raise UnreadableStepError(
            f"Column {name!r} is encoded {len(expressions)} times, not as one table, by the steps "
            f"{steps}. Let one step only encode it."
        )
    (expression,) = expressions
    assert isinstance(expression, Value)
    return _number(name, positions, expression, column)


def _number(name: Hashable, positions: np.ndarray, value: Value, column: Any) -> Block:
    try:
        as_numbers(column)
        fill = None if value.fill is None else float(value.fill)
    except ValueError as error:
        raise UnreadableStepError(
            f"Column {name!r} is not numeric ({error}), and no step of the encoder turns it into "
            "numbers. Give it to a OneHotEncoder, an OrdinalEncoder or a TableEncoder."
        ) from error
    common: dict[str, Any] = {
        "name": name,
        "columns": positions,
        "fill": fill,
        "is_integer": is_integer_like(column),
    }
    functions = value.functions or (Affine(1.0, 0.0),)
    if any(isinstance(f, Affine) and f.scale == 0 for f in functions):
        raise UnreadableStepError(
            f"Column {name!r} is multiplied by 0 in step {value.path!r}. Drop it instead."
        )
    if len(functions) == 1 and isinstance(functions[0], Affine):
        return AffineBlock(scale=functions[0].scale, offset=functions[0].offset, **common)
    return MonotoneBlock(functions=functions, increasing=increasing(functions), **common)


def _table(name: Hashable, positions: np.ndarray, lookups: list[Lookup], column: Any) -> TableBlock:
    first = lookups[0]
    for other in lookups[1:]:
        same = (
            _same_categories(first.categories, other.categories)
            and first.fill == other.fill
            and (first.unknown is None) == (other.unknown is None)
        )
        if not same:
            raise UnreadableStepError(
                f"Column {name!r} is encoded by two tables that do not share their categories, "
                f"by the steps {sorted({first.path, other.path})}. Let one step only encode it."
            )
    unknown = None
    if first.unknown is not None:
        unknown = np.array([lookup.unknown for lookup in lookups], dtype=np.float64)
    return TableBlock(
        name=name,
        columns=positions,
        categories=first.categories,
        codes=np.column_stack([lookup.values for lookup in lookups]).astype(np.float64),
        unknown_code=unknown,
        fill=first.fill,
        order=declared_order(column, first.categories),
    )


def _same_categories(a: tuple, b: tuple) -> bool:
    if len(a) != len(b):
        return False
    return all(x is y or x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))
