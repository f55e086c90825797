"""Small tables with the columns that real ones have, and people of whom some are extreme."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

LEVELS = list("wxyz")
GRADES = ["low", "mid", "high", "top"]
DOMAIN = [0.0, 1.0, 2.5, 4.0, 8.0]
# Codes for "unknown" that never were in the table, and honest values far outside of it.
SENTINELS = [-999_999_999, -1_000_000, -9_999, 1_000_000, 999_999_999]
# What can be listed; the one column with more values than that is searched.
DISCRETE = ("count", "flag", "grid", "domain", "category", "grade", "group")
NUMBERS = ("count", "flag", "grid", "domain", "amount", "fixed")


@dataclass(frozen=True)
class Table:
    """A background population, people, and what each feature is.

    Attributes
    ----------
    background, people : DataFrame
    kinds : dict of feature to kind
        ``"count"``, ``"flag"``, ``"grid"`` (steps are declared), ``"domain"`` (a list of numbers),
        ``"amount"`` (continuous), ``"category"``, ``"grade"`` (ordered), ``"group"`` (0/1 columns)
        or ``"fixed"``.
    members : dict of group to its columns
    long : str or None
        The one feature that may have more values than can be listed.
    """

    background: pd.DataFrame
    people: pd.DataFrame
    kinds: dict[str, str]
    members: dict[str, list[str]] = field(default_factory=dict)
    long: str | None = None


def draw_table(
    rng: np.random.RandomState, *, with_long: bool, n_features: int, n_people: int = 6
) -> Table:
    """Draw a table whose first feature is the long one where there is one, and the last fixed."""
    n = int(rng.randint(40, 90))
    kinds = {}
    if with_long:
        kinds["a"] = str(rng.choice(["amount", "amount", "count", "grid"]))
    for name in list("bcdefg")[: n_features - len(kinds)]:
        kinds[name] = str(rng.choice(DISCRETE))
    kinds["age"] = "fixed"
    rows = n + n_people
    columns: dict[str, pd.Series] = {}
    members = {}
    for name, kind in kinds.items():
        if kind == "group":
            drawn = _indicators(rng, name, rows)
            members[name] = list(drawn)
            columns |= drawn
        else:
            columns[name] = _column(rng, kind, rows)
    frame = pd.DataFrame(columns)
    people = frame.iloc[n:].reset_index(drop=True)
    people.index = pd.Index([f"P{i}" for i in range(n_people)])
    long = "a" if with_long else None
    return Table(
        frame.iloc[:n].reset_index(drop=True), _with_extremes(rng, people, kinds, long), kinds,
        members, long,
    )  # fmt: skip


def _column(rng: np.random.RandomState, kind: str, n: int) -> pd.Series:
    if kind == "category":
        return pd.Series(rng.choice(LEVELS[: rng.randint(2, 5)], n), dtype=object)
    if kind == "grade":
        return pd.Series(rng.choice(GRADES, n), dtype=object)
    if kind == "amount":
        values = pd.Series(rng.normal(50, 20, n) * 10.0 ** rng.randint(-2, 4))
        stored = str(rng.choice(["float64", "float64", "float32", "float16"]))
        if stored == "float16":
            values = values / values.abs().max() * 900
        return _with_gaps(rng, values).astype(stored)
    if kind == "fixed":
        return pd.Series(rng.randint(20, 60, n))
    if kind == "domain":
        return _with_gaps(rng, pd.Series(rng.choice(DOMAIN, n)))
    if kind == "grid":
        values = rng.randint(0, 6, n) * 0.5 + rng.choice([0.0, 0.2], n, p=[0.8, 0.2])
        return _with_gaps(rng, pd.Series(values))
    if kind == "flag":
        low, high = [(0, 1), (0, 1), (1, 2)][rng.randint(3)]
        values = pd.Series(np.where(rng.rand(n) < 0.4, low, high))
    else:
        values = pd.Series(rng.randint(0, rng.randint(3, 7), n))
    stored = str(rng.choice(["int64", "int32", "float64", "float32", "Int64", "gaps"]))
    return _with_gaps(rng, values.astype(float), 1.0) if stored == "gaps" else values.astype(stored)


def _with_gaps(rng: np.random.RandomState, values: pd.Series, chance: float = 0.3) -> pd.Series:
    if rng.rand() < chance:
        values = values.mask(rng.rand(len(values)) < 0.08)
    return values


def _indicators(rng: np.random.RandomState, name: str, n: int) -> dict[str, pd.Series]:
    """Return a group of 0/1 columns, complete or with the first level left out."""
    levels = rng.randint(0, 3, n)
    first = int(rng.rand() < 0.5)
    stored = str(rng.choice(["int64", "float64"]))
    return {f"{name}_{k}": pd.Series((levels == k).astype(stored)) for k in range(first, 3)}


def _with_extremes(
    rng: np.random.RandomState, people: pd.DataFrame, kinds: dict[str, str], long: str | None
) -> pd.DataFrame:
    """Put unseen levels, and sentinels where the admissible values can still be told, on some."""
    people = people.copy()
    for name, kind in kinds.items():
        for i in range(len(people)):
            if rng.rand() > 0.12:
                continue
            if kind == "category":
                people.iloc[i, people.columns.get_loc(name)] = "never seen"
            elif kind in ("flag", "domain", "fixed") or name == long:
                if people[name].dtype == np.float16:
                    continue
                value = SENTINELS[rng.randint(len(SENTINELS))]
                people.iloc[i, people.columns.get_loc(name)] = value
    return people
