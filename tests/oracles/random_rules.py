"""Random rules of an action set, each beside a plain function that says the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from random_tables import DOMAIN, GRADES, LEVELS, Table

# What a condition reads: by feature, numbers with gaps filled, levels, or ranks.
Values = dict[str, Any]


@dataclass(frozen=True)
class Linear:
    """``value(row, own) <= bound``, for who keeps it; others must not make it worse."""

    text: str
    names: frozenset[str]
    value: Callable[[Values, Values], Any]
    bound: float

    def keeps(self, row: Values, own: Values, changed: dict[str, np.ndarray]) -> np.ndarray:
        return self.value(row, own) <= max(self.value(own, own), self.bound) + 1e-9


@dataclass(frozen=True)
class Logical:
    """``holds(row, own)``; waived for who breaks it, while nothing that it names changes."""

    text: str
    names: frozenset[str]
    holds: Callable[[Values, Values], Any]

    def keeps(self, row: Values, own: Values, changed: dict[str, np.ndarray]) -> np.ndarray:
        held = np.asarray(self.holds(row, own))
        if self.holds(own, own):
            return held
        return held | ~np.any([changed[name] for name in self.names], axis=0)


@dataclass(frozen=True)
class Rules:
    """Parameters of an action set, the conditions in its ``constraints``, and overrides."""

    parameters: dict[str, Any]
    conditions: tuple[Linear | Logical, ...] = ()
    overrides: dict[str, dict] = field(default_factory=dict)


def draw_rules(rng: np.random.RandomState, table: Table, *, across: bool) -> Rules:
    """Draw rules on single features, with `across` also rules that tie features together."""
    rules: dict[str, Any] = {"immutable": ["age"], "steps": {}, "bounds": {}, "ordinal": {}}
    rules |= {"increasing": [], "decreasing": [], "min_change": {}, "max_change": {}}
    rules |= {"relative_bounds": {}, "quantile_bounds": {}, "transitions": {}}
    rules["one_hot"] = table.members
    rules["max_changes"] = [None, None, 1, 2, 3][rng.randint(5)]
    for name, kind in table.kinds.items():
        if kind in ("count", "grid", "amount"):
            _rules_of_number(rng, table, name, rules)
        elif kind == "grade":
            rules["ordinal"][name] = GRADES
        elif kind == "domain":
            rules["ordinal"][name] = DOMAIN
        elif kind == "category" and rng.rand() < 0.3:
            present = sorted(set(table.background[name]))
            rules["transitions"][name] = {
                level: [other for other in present if rng.rand() < 0.6] for level in present
            }
        if kind in ("count", "flag", "grade", "amount", "domain") and rng.rand() < 0.2:
            rules[["increasing", "decreasing"][rng.randint(2)]].append(name)
        if kind == "grade" and rng.rand() < 0.2:
            rules["max_change"][name] = 2
    conditions = _draw_conditions(rng, table) if across else ()
    if across and rng.rand() < 0.5:
        causes = [n for n, k in table.kinds.items() if k in ("count", "grade") and n != table.long]
        if causes:
            rules["implied"] = {"age": {name: float(rng.choice([1, 1.5, 2])) for name in causes}}
    rules["constraints"] = [condition.text for condition in conditions]
    return Rules(
        {name: rule for name, rule in rules.items() if rule},
        conditions,
        _draw_overrides(rng, table),
    )


def _rules_of_number(rng: np.random.RandomState, table: Table, name: str, rules: dict) -> None:
    kind, values = table.kinds[name], table.background[name].astype(float)
    low, high = float(values.quantile(0.1)), float(values.quantile(0.9))
    spread = float(values.std())
    if kind == "grid":
        rules["steps"][name] = [0.5, 0.25, 1.0][rng.randint(3)]
    elif kind == "count" and rng.rand() < 0.2:
        rules["steps"][name] = 2
    if kind != "amount":
        low, high, spread = np.floor(low), np.ceil(high), max(1.0, round(spread))
    drawn = rng.rand()
    if drawn < 0.2:
        rules["bounds"][name] = (low, high)
    elif drawn < 0.3:
        rules["bounds"][name] = (low, None)
    elif drawn < 0.4:
        rules["bounds"][name] = (None, high)
    elif drawn < 0.5:
        rules["bounds"][name] = "observed"
    elif drawn < 0.6:
        rules["quantile_bounds"][name] = (0.05, 0.8)
    elif drawn < 0.75:
        # Beside absolute limits: alone, they open what was observed.
        rules["bounds"][name] = (low, high)
        rules["relative_bounds"][name] = [(-spread, 2 * spread), (None, spread)][rng.randint(2)]
    elif drawn < 0.85:
        rules["bounds"][name] = (low, high + spread)
        rules["max_change"][name] = 2 * spread
    if rng.rand() < 0.25:
        rules["min_change"][name] = 0.6 * spread if kind == "amount" else spread + 0.5


def _draw_overrides(rng: np.random.RandomState, table: Table) -> dict[str, dict]:
    """Draw rules of single people, on features that everybody else may change as well."""
    overrides = {}
    free = [name for name, kind in table.kinds.items() if kind != "fixed"]
    bounded = [name for name in free if table.kinds[name] in ("count", "amount")]
    for label in table.people.index:
        if rng.rand() > 0.25:
            continue
        rule: dict[str, Any] = {}
        if rng.rand() < 0.5:
            rule["immutable"] = [str(rng.choice(free))]
        if bounded and rng.rand() < 0.7:
            name = str(rng.choice(bounded))
            values = table.background[name].astype(float)
            low, high = float(np.floor(values.min())), float(np.ceil(values.max()))
            pairs = [(low, high), (low, None), (None, high), (None, None), (low, high + 2)]
            rule["bounds"] = {name: pairs[rng.randint(len(pairs))]}
        if rule:
            overrides[label] = rule
    return overrides


def _draw_conditions(rng: np.random.RandomState, table: Table) -> tuple[Linear | Logical, ...]:
    free = {name: kind for name, kind in table.kinds.items() if name != table.long}
    numbers = [name for name, kind in free.items() if kind in ("count", "grid")]
    texts = [name for name, kind in free.items() if kind == "category"]
    grades = [name for name, kind in free.items() if kind == "grade"]
    pool: list[Linear | Logical] = []
    for first in numbers:
        pool += _conditions_of_number(first, int(rng.randint(2, 5)))
        for second in numbers:
            if first != second:
                pool += _conditions_of_pair(first, second, int(rng.randint(3, 8)))
        for text in texts:
            pool += _conditions_with_text(first, text, LEVELS[rng.randint(2)], rng.randint(1, 4))
        for grade in grades:
            pool.append(_condition_with_grade(first, grade))
    kept = [condition for condition in pool if rng.rand() < 0.25]
    return tuple(kept[:4])


def _conditions_of_number(name: str, k: int) -> list[Linear | Logical]:
    return [
        Linear(f"{name} <= {k}", frozenset([name]), lambda row, own: row[name], k),
        Linear(
            f"change({name}) + age <= 58",
            frozenset([name, "age"]),
            lambda row, own: row[name] - own[name] + row["age"],
            58,
        ),
    ]


def _conditions_of_pair(a: str, b: str, k: int) -> list[Linear | Logical]:
    names = frozenset([a, b])
    return [
        Linear(f"{a} + {b} <= {k}", names, lambda row, own: row[a] + row[b], k),
        Linear(
            f"change({a}) + 2 * change({b}) <= {k}",
            names,
            lambda row, own: row[a] - own[a] + 2 * (row[b] - own[b]),
            k,
        ),
        Logical(f"if {a} >= 2 then {b} >= 1", names, lambda row, own: (row[a] < 2) | (row[b] >= 1)),
    ]


def _conditions_with_text(a: str, c: str, level: str, k: int) -> list[Linear | Logical]:
    names = frozenset([a, c])
    return [
        Logical(f"{c} != '{level}'", frozenset([c]), lambda row, own: row[c] != level),
        Logical(
            f"if {c} == '{level}' then {a} <= {k}",
            names,
            lambda row, own: (row[c] != level) | (row[a] <= k),
        ),
        Logical(
            f"if changes({c}) then stays({a})",
            names,
            lambda row, own: (row[c] == own[c]) | (row[a] == own[a]),
        ),
    ]


def _condition_with_grade(a: str, grade: str) -> Logical:
    return Logical(
        f"if {grade} in ['high', 'top'] then {a} >= 1",
        frozenset([a, grade]),
        lambda row, own: ~np.isin(row[grade], ["high", "top"]) | (row[a] >= 1),
    )
