"""Least costs by trying every admissible row: plain numpy on raw rows, and `predict` alone.

A feature with too many values to be listed is searched for the nearest value that gets a yes, which
is exact under a model whose decision is monotone in it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from random_models import is_yes
from random_rules import Rules, Values
from random_tables import DOMAIN, GRADES, Table

# Differences below this part of a step are rounding.
SLACK = 1e-9
FAR = 1e12
# Who is so many steps away from the limits may stay, or come back between them.
MOST_STEPS = 1_000_000
_PARTS = 32


@dataclass(frozen=True)
class Costs:
    """A weight for each feature, per raw unit, rank or change of level, and the norm."""

    weights: dict[str, float]
    norm: str

    def combine(self, parts: np.ndarray) -> np.ndarray:
        """Return the cost of contributions of shape (n, F)."""
        total, euclid = parts.sum(axis=1), np.sqrt((parts**2).sum(axis=1))
        return {"l1": total, "l2": euclid, "mixed": 0.5 * total + 0.5 * euclid}[self.norm]


@dataclass(frozen=True)
class Limits:
    """What one number may become: within [low, high], on a grid, so far from the own value."""

    own: float
    low: float
    high: float
    step: float | None
    least: float
    values: tuple[float, ...] | None = None

    def listed(self) -> list[float] | None:
        """Return the values besides the own one, or None if there are too many."""
        if self.values is not None:
            found = list(self.values)
        elif self.step is None or (self.high - self.low) / self.step > 60:
            return None
        else:
            first = math.ceil(self.low / self.step - SLACK)
            last = math.floor(self.high / self.step + SLACK)
            found = [k * self.step for k in range(first, last + 1)]
        return [value for value in found if self.admit(value) and value != self.own]

    def admit(self, value: float) -> bool:
        if value == self.own:
            return True
        unit = self.step or 0.0
        if not self.low - SLACK * unit <= value <= self.high + SLACK * unit:
            return False
        if abs(value - self.own) < self.least - SLACK * max(1.0, self.least):
            return False
        if self.values is not None:
            return value in self.values
        return self.step is None or abs(value / self.step - round(value / self.step)) < 1e-6

    def stretches(self) -> list[tuple[float, float]]:
        """Return (nearest, farthest) on both sides of the own value, cut off far away."""
        sides = []
        for sign, end in ((1, self.high), (-1, self.low)):
            far = min(sign * (end - self.own), FAR * max(1.0, abs(self.own)))
            near = self.own + sign * max(self.least, 0.0)
            far = self.own + sign * far
            if self.step is not None:
                inward, outward = (math.ceil, math.floor)[::sign], (math.floor, math.ceil)[::sign]
                near = inward[0](near / self.step - sign * SLACK) * self.step
                far = outward[0](far / self.step + sign * SLACK) * self.step
            if sign * (far - near) >= 0 and far != self.own:
                sides.append((near, far))
        return sides


@dataclass(frozen=True)
class Options:
    """What one feature may become; the first option is to stay.

    Attributes
    ----------
    name : str
    columns : list of str
    rows : list of tuple
        Raw values of the columns, one tuple for each option.
    read : ndarray
        What conditions read: gaps filled, one level for a group.
    parts : ndarray of float
        Contributions to the cost.
    limits : Limits or None
        Of a feature that is searched: then only staying is listed.
    """

    name: str
    columns: list[str]
    rows: list[tuple]
    read: np.ndarray
    parts: np.ndarray
    limits: Limits | None = None


class Oracle:
    """Brute force for the people of one table under one model, one set of rules and one cost."""

    def __init__(self, table: Table, rules: Rules, model: Any, costs: Costs):
        self.table, self.rules, self.model, self.costs = table, rules, model, costs
        self.fill = {
            name: float(table.background[name].astype(float).median())
            for name, kind in table.kinds.items()
            if kind not in ("category", "grade", "group")
        }

    def options(self, label: str) -> list[Options]:
        """Return the options of each feature of a person."""
        return [self._options_of(label, name) for name in self.table.kinds]

    def _options_of(self, label: str, name: str) -> Options:
        kind, weight = self.table.kinds[name], self.costs.weights.get(name, 0.0)
        # Column by column: a row would turn all of them into one type.
        person = {column: self.table.people.at[label, column] for column in self.table.people}
        held = name in self.rules.overrides.get(label, {}).get("immutable", ())
        held = held or name in self.rules.parameters["immutable"]
        if kind == "group":
            return self._options_of_group(person, name, weight, held=held)
        if kind in ("category", "grade"):
            own = person[name]
            levels = [] if held else self._levels(name, own)
            read = np.array([own, *levels], dtype=object)
            if kind == "grade":
                moves = [abs(GRADES.index(level) - GRADES.index(own)) for level in levels]
            else:
                moves = [1] * len(levels)
            parts = weight * np.array([0, *moves], dtype=float)
            return Options(name, [name], [(level,) for level in read], read, parts)
        raw = person[name]
        own = self.fill[name] if pd.isna(raw) else float(raw)
        limits = None if held else self._limits(label, name, own)
        values = [] if limits is None else limits.listed()
        if values is None:
            return Options(name, [name], [(raw,)], np.array([own]), np.zeros(1), limits)
        read = np.array([own, *values])
        rows = [(raw,), *((value,) for value in values)]
        return Options(name, [name], rows, read, weight * np.abs(read - own))

    def _options_of_group(
        self, person: dict[str, Any], name: str, weight: float, *, held: bool
    ) -> Options:
        """All zeros is a level where a row of the background has it."""
        columns = self.table.members[name]
        own = tuple(float(person[column]) for column in columns)
        levels = [tuple(float(a == b) for b in columns) for a in columns]
        if not self.table.background[columns].to_numpy().any(axis=1).all():
            levels.append((0.0,) * len(columns))
        rows = [own] + [level for level in levels if level != own and not held]
        parts = weight * np.array([0.0] + [1.0] * (len(rows) - 1))
        return Options(name, columns, rows, np.arange(len(rows)), parts)

    def _levels(self, name: str, own: Any) -> list[Any]:
        rules = self.rules.parameters
        if self.table.kinds[name] == "category":
            present = sorted(set(self.table.background[name]))
            moves = rules.get("transitions", {}).get(name)
            levels = present if moves is None else moves.get(own, [])
            return [level for level in levels if level != own]
        rank = GRADES.index(own)
        most = rules.get("max_change", {}).get(name, math.inf)
        sign = self._sign(name)
        present = set(self.table.background[name])
        ranks = [i for i, level in enumerate(GRADES) if level in present and i != rank]
        return [GRADES[i] for i in ranks if abs(i - rank) <= most and sign * (i - rank) >= 0]

    def _sign(self, name: str) -> int:
        rules = self.rules.parameters
        return (name in rules.get("increasing", ())) - (name in rules.get("decreasing", ()))

    def _limits(self, label: str, name: str, own: float) -> Limits:
        rules, kind = self.rules.parameters, self.table.kinds[name]
        seen = self.table.background[name].astype(float).dropna().to_numpy()
        low, high = self._absolute(label, name, seen)
        if kind in ("count", "grid"):
            low = seen.min() if low == -math.inf else low
            high = seen.max() if high == math.inf else high
        inner = low, high
        low, high = min(low, own), max(high, own)
        below, above = rules.get("relative_bounds", {}).get(name, (None, None))
        low = max(low, own + (-math.inf if below is None else below))
        high = min(high, own + (math.inf if above is None else above))
        most = rules.get("max_change", {}).get(name, math.inf)
        low, high = max(low, own - most), min(high, own + most)
        sign = self._sign(name)
        low, high = (own if sign > 0 else low), (own if sign < 0 else high)
        step = rules.get("steps", {}).get(name, 1.0 if kind == "count" else None)
        if step is not None and high - low >= MOST_STEPS * step:
            low, high = max(low, inner[0]), min(high, inner[1])
        values = None
        if kind == "flag":
            values = tuple(np.unique(seen))
        elif kind == "domain":
            values = tuple(DOMAIN)
        return Limits(own, low, high, step, rules.get("min_change", {}).get(name, 0.0), values)

    def _absolute(self, label: str, name: str, seen: np.ndarray) -> tuple[float, float]:
        rules = self.rules.parameters
        pair = self.rules.overrides.get(label, {}).get("bounds", {}).get(name)
        if pair is None:
            shares = rules.get("quantile_bounds", {}).get(name)
            if shares is not None:
                low, high = np.quantile(seen, shares, method="averaged_inverted_cdf")
                return float(low), float(high)
            if self.table.kinds[name] == "domain":
                return -math.inf, math.inf
            pair = rules.get("bounds", {}).get(name, "observed")
        if isinstance(pair, str):
            return float(seen.min()), float(seen.max())
        low, high = pair
        return (-math.inf if low is None else low), (math.inf if high is None else high)

    def least_costs(self) -> np.ndarray:
        """Return what each person has to spend at least, infinity where nothing helps."""
        favored = is_yes(self.model, self.table.people)
        return np.array(
            [
                0.0 if yes else self._least(label)
                for label, yes in zip(self.table.people.index, favored, strict=True)
            ]
        )

    def _least(self, label: str) -> float:
        options = self.options(label)
        rows, parts, changes = self._combinations(label, options)
        limit = self.rules.parameters.get("max_changes") or len(options)
        costs = self.costs.combine(parts)
        # To stay, the first of all, is admissible and is no yes.
        yes = changes <= limit
        yes[yes] = is_yes(self.model, rows[yes])
        best = float(costs[yes].min(initial=math.inf))
        for position, option in enumerate(options):
            if option.limits is not None and len(option.rows) == 1:
                fewer = changes < limit
                fewer &= costs < best
                for near, far in option.limits.stretches():
                    found = self._search(
                        rows[fewer], parts[fewer], position, option, near, far, best
                    )
                    best = min(best, found)
        return best

    def _combinations(
        self, label: str, options: list[Options]
    ) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        """Return admissible rows, contributions and numbers of changes of all combinations."""
        sizes = [range(len(option.rows)) for option in options]
        index = np.array(list(itertools.product(*sizes)))
        read = {o.name: o.read[index[:, j]] for j, o in enumerate(options)}
        own = {o.name: o.read[0] for o in options}
        changed = {o.name: index[:, j] > 0 for j, o in enumerate(options)}
        moved = self._follow(read, own, changed)
        keeps = np.ones(len(index), dtype=bool)
        for condition in self.rules.conditions:
            keeps &= condition.keeps(read, own, changed)
        index = index[keeps]
        parts = np.column_stack([o.parts[index[:, j]] for j, o in enumerate(options)])
        columns = {
            column: [option.rows[i][k] for i in index[:, j]]
            for j, option in enumerate(options)
            for k, column in enumerate(option.columns)
        }
        rows = pd.DataFrame(columns, columns=self.table.people.columns)
        rows["age"] = self.table.people.loc[label, "age"] + moved[keeps]
        return self._stored(rows), parts, (index > 0).sum(axis=1)

    def _stored(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows in the types of the table, but for whole numbers that took fractions."""
        kinds = self.table.people.dtypes.drop("age")
        return rows.astype(kinds.to_dict())

    def _follow(self, read: Values, own: Values, changed: dict[str, np.ndarray]) -> np.ndarray:
        """Move what follows from other features; return by how much the age moved."""
        moved = np.zeros(len(read["age"]))
        for cause, amount in self.rules.parameters.get("implied", {}).get("age", {}).items():
            if self.table.kinds[cause] == "grade":
                ranks = np.array([GRADES.index(level) for level in read[cause]])
                moved += amount * (ranks - GRADES.index(own[cause]))
            else:
                moved += amount * (read[cause] - own[cause])
            changed["age"] = changed["age"] | changed[cause]
        read["age"] = read["age"] + moved
        return moved

    def _search(
        self,
        rows: pd.DataFrame,
        parts: np.ndarray,
        position: int,
        option: Options,
        near: float,
        far: float,
        best: float,
    ) -> float:
        """Return the least cost if the feature moves between `near` and `far`."""
        name, limits, weight = option.name, option.limits, self.costs.weights[option.name]
        assert limits is not None

        def at(values: np.ndarray, which: np.ndarray) -> np.ndarray:
            if not len(which):
                return np.zeros(0, dtype=bool)
            moved = rows.iloc[which].copy()
            moved[name] = pd.Series(values, index=moved.index).astype(stored)
            return is_yes(self.model, moved)

        def cost(values: np.ndarray, which: np.ndarray) -> np.ndarray:
            filled = parts[which].copy()
            filled[:, position] = weight * np.abs(values - limits.own)
            return self.costs.combine(filled)

        stored = rows[name].dtype
        if stored.kind == "f":
            far = float(np.clip(far, np.finfo(stored).min, np.finfo(stored).max))
        which = np.arange(len(rows))
        which = which[at(np.full(len(which), far), which)]
        start = at(np.full(len(which), near), which)
        best = min(best, float(cost(np.full(start.sum(), near), which[start]).min(initial=best)))
        which = which[~start]
        no, yes = np.full(len(which), near), np.full(len(which), far)
        unit = limits.step or 0.0
        for _ in range(40):
            best = min(best, float(cost(yes, which).min(initial=best)))
            worth = cost(no, which) < best
            open_ = np.abs(yes - no) > max(unit, 0.0) * 1.5
            open_ &= np.abs(yes - no) > 4e-15 * np.maximum(np.abs(yes), np.abs(no))
            kept = worth & open_
            which, no, yes = which[kept], no[kept], yes[kept]
            if not len(which):
                break
            shares = np.arange(1, _PARTS) / _PARTS
            inner = no[:, None] + (yes - no)[:, None] * shares
            if unit:
                inner = np.round(inner / unit) * unit
            answers = at(inner.ravel(), np.repeat(which, _PARTS - 1)).reshape(inner.shape)
            first = np.where(answers.any(axis=1), answers.argmax(axis=1), _PARTS - 1)
            line = np.arange(len(which))
            ends = np.column_stack([no, inner, yes])
            no, yes = ends[line, first], ends[line, first + 1]
        return best

    def cost_of(self, label: str, point: dict[str, Any]) -> float:
        """Return the cost of a row, or NaN where a rule is broken."""
        options = self.options(label)
        read, own, changed, parts = {}, {}, {}, []
        for option in options:
            found = self._place(option, point)
            if found is None:
                return math.nan
            value, part, moved = found
            read[option.name], own[option.name] = np.array([value]), option.read[0]
            changed[option.name] = np.array([moved])
            parts.append(part)
        n_changes = sum(bool(moved[0]) for moved in changed.values())
        if n_changes > (self.rules.parameters.get("max_changes") or len(options)):
            return math.nan
        age = self.table.people.loc[label, "age"] + self._follow(read, own, changed)[0]
        if abs(age - point["age"]) > 1e-9 * max(1.0, abs(age)):
            return math.nan
        keeps = [c.keeps(read, own, changed)[0] for c in self.rules.conditions]
        return float(self.costs.combine(np.array([parts]))[0]) if all(keeps) else math.nan

    def _place(self, option: Options, point: dict[str, Any]) -> tuple[Any, float, bool] | None:
        """Return what conditions read, the contribution, and whether the feature moved."""
        given = tuple(point[column] for column in option.columns)
        if option.name == "age":
            return option.read[0], 0.0, False
        for value, row, part in zip(option.read, option.rows, option.parts, strict=True):
            if all(a == b or (pd.isna(a) and pd.isna(b)) for a, b in zip(row, given, strict=True)):
                return value, float(part), row is not option.rows[0]
        if option.limits is None or pd.isna(given[0]) or not option.limits.admit(float(given[0])):
            return None
        moved = abs(float(given[0]) - option.limits.own)
        return float(given[0]), self.costs.weights[option.name] * moved, True
