"""The tables behind figures: one value with its interval for each method and each condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skcfq.plotting._texts import readable

COLUMNS = ["value", "low", "high", "n"]


def figures_table(rows: Any, keys: Sequence[str]) -> pd.DataFrame:
    """Return a checked copy of a table of figures.

    Parameters
    ----------
    rows : DataFrame
        The keys, ``value``, ``low``, ``high`` (NaN where there is no interval) and ``n``.
    keys : sequence of str

    Raises
    ------
    ValueError
        A column is missing or no number, a value is infinite or outside its interval, or two rows
        have the same keys.
    """
    checked_frame(rows, [*keys, *COLUMNS], "table")
    table = rows[[*keys, *COLUMNS]].reset_index(drop=True).copy()
    for name in COLUMNS:
        table[name] = numbers_of(table[name], f"table[{name!r}]")
    if not (table["n"] >= 0).all():
        raise ValueError("`table` must tell how many people or repeats each row has, in `n`.")
    outside = (table["low"] > table["value"]) | (table["high"] < table["value"])
    if outside.any():
        raise ValueError(
            f"`table` has the value {table['value'][outside].iloc[0]:g} outside of its interval."
        )
    if table.duplicated(list(keys)).any():
        raise ValueError(f"`table` has two rows with the same {' and '.join(keys)}.")
    return table


def checked_frame(rows: Any, columns: Sequence[str], name: str) -> None:
    """Refuse what is no DataFrame with these columns, each of them once, and a row.

    Raises
    ------
    ValueError
    """
    if not isinstance(rows, pd.DataFrame):
        raise ValueError(f"{name}={type(rows).__name__} is no table; give a DataFrame.")
    given = list(rows.columns)
    wrong = [column for column in columns if given.count(column) != 1]
    if wrong:
        raise ValueError(
            f"`{name}` must have the column {wrong[0]!r}, once; it has {given}. Rename a column, "
            "or say which one is meant."
        )
    if not len(rows):
        raise ValueError(f"`{name}` has no rows: there is nothing to draw.")


def numbers_of(column: Any, name: str) -> np.ndarray:
    """Return numbers as float64; gaps are NaN.

    Raises
    ------
    ValueError
        There is anything else, or an infinite number.
    """
    try:
        series = pd.Series(column)
        is_number = series.dtype.kind in "iufb" or series.map(_is_number).all()
        values = series.to_numpy(dtype=np.float64, na_value=np.nan) if is_number else None
    except (TypeError, ValueError, OverflowError):
        values = None
    if values is None or np.isinf(values).any():
        raise ValueError(f"{name} must hold finite numbers, or gaps.")
    return values


def _is_number(value: Any) -> bool:
    if isinstance(value, str | bytes | complex):
        return False
    return isinstance(value, int | float | np.number | np.bool_) or value is None or value is pd.NA


def of_repeats(rows: Any, metric: str, keys: Sequence[str], name: str) -> pd.DataFrame:
    """Return mean and mean ± standard deviation over the repeats of each method and condition.

    Parameters
    ----------
    rows : DataFrame
        One row a repeat, such as a seed, with the keys and a column of the metric.
    metric : str
    keys : sequence of str
    name : str
        What errors call the table.

    Returns
    -------
    table : DataFrame
        As :func:`figures_table` returns it; a condition with one repeat has no interval.
    """
    checked_frame(rows, [*keys, metric], name)
    known = rows[list(keys)].reset_index(drop=True)
    if known.isna().any(axis=None):
        raise ValueError(f"`{name}` has a gap in {' or '.join(map(repr, keys))}.")
    known = known.assign(**{"__value": numbers_of(rows[metric], f"{name}[{metric!r}]")})
    try:
        parts = known.groupby(list(keys), sort=False)["__value"]
        table = parts.agg(value="mean", sd="std", n="count").reset_index()
    except TypeError as error:
        raise ValueError(f"`{name}` has {' or '.join(keys)} of a kind without order.") from error
    table["low"], table["high"] = table["value"] - table["sd"], table["value"] + table["sd"]
    return figures_table(table, keys)


def names_of(column: pd.Series) -> list:
    """Return the different entries of a column, in their order."""
    return list(dict.fromkeys(column.tolist()))


def records(table: pd.DataFrame) -> list[Any]:
    """Return the rows of a table, each with its columns as attributes."""
    return list(table.itertuples(index=False))


def row_of(table: pd.DataFrame, **keys: Any) -> pd.Series | None:
    """Return the row with these keys, None where there is none."""
    wanted = np.logical_and.reduce([(table[key] == value) for key, value in keys.items()])
    return table[wanted].iloc[0] if wanted.any() else None


def named(values: Any, name: str, what: str) -> dict[str, Any]:
    """Return a dict from the names of methods, in their order; not empty.

    Raises
    ------
    ValueError
    """
    is_dict = isinstance(values, dict) and len(values) > 0
    if not is_dict or not all(isinstance(key, str) and key.strip() for key in values):
        raise ValueError(
            f"{name}={type(values).__name__} must be a dict, not empty, from the name of each "
            f"method to {what}."
        )
    return {readable(key): value for key, value in values.items()}
