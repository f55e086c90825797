"""Brute force on raw rows: every rule is evaluated by plain Python, none by the library."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd

ORDER = ["lo", "mid", "hi", "top"]


def draw_rows(rng: np.random.RandomState, n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a": rng.randint(0, 8, n) * 1.0,
            "b": rng.randint(0, 6, n) * 2.0 + rng.choice([0.0, 0.7], n, p=[0.8, 0.2]),
            "f": rng.randint(0, 5, n) * 1.0,
            "age": rng.randint(20, 60, n),
            "c": rng.choice(list("wxyz"), n),
            "e": rng.choice(ORDER, n),
        }
    )


def rank_of(levels: pd.Series) -> np.ndarray:
    return np.array([ORDER.index(level) for level in levels], dtype=float)


def draw_rules(rng: np.random.RandomState, *, across: bool) -> dict:
    """Draw the parameters of an action set on the rows above; numbers move on grids."""
    rules: dict = {
        "immutable": ["age"],
        "steps": {"a": 1, "b": 2, "f": 0.5},
        "ordinal": {"e": ORDER},
        "bounds": {"a": (0, int(rng.randint(4, 9))), "b": (0, 10), "f": (0, 4)},
        "max_changes": [None, 2, 3, 4][rng.randint(4)],
    }
    if rng.rand() < 0.4:
        rules["increasing"] = ["f"]
    if rng.rand() < 0.4:
        rules["transitions"] = {"c": {"w": ["x"], "x": ["y", "z"], "y": list("wxz"), "z": []}}
    if rng.rand() < 0.4:
        rules["min_change"] = {"b": 3.0, "f": 1.0}
    if rng.rand() < 0.4:
        rules["max_change"] = {"a": 3.0, "e": 2}
    if across:
        rules["implied"] = {"age": {"e": 2, "a": 1.5}}
        pool = [
            "a + b <= 11",
            "change(a) + 2 * change(f) <= 4",
            "age <= 58",
            "if c == 'x' then b <= 6",
            "if e in ['hi', 'top'] and a >= 3 then f >= 2",
            "if changes(c) then stays(f)",
            "c != 'w'",
        ]
        rules["constraints"] = [rule for rule in pool if rng.rand() < 0.45]
    return rules


def options(person: pd.Series, rules: dict) -> pd.DataFrame:
    """Return every row that the person may move to, by the rules on single features."""
    axes = []
    for name in ["a", "b", "f"]:
        low, high = rules["bounds"][name]
        own, step = person[name], rules["steps"][name]
        values = [k * step for k in range(0, int(20 / step) + 1)]
        values = [v for v in values if min(low, own) <= v <= max(high, own)]
        if name in rules.get("increasing", []):
            values = [v for v in values if v >= own]
        values = [v for v in values if abs(v - own) >= rules.get("min_change", {}).get(name, 0)]
        values = [v for v in values if abs(v - own) <= rules.get("max_change", {}).get(name, 99)]
        axes.append(sorted({*values, own}))
    axes.append([person["age"]])
    moves = rules.get("transitions", {}).get("c", {level: list("wxyz") for level in "wxyz"})
    axes.append(sorted({*moves[person["c"]], person["c"]}))
    far = rules.get("max_change", {}).get("e", 99)
    rank = ORDER.index(person["e"])
    axes.append([level for i, level in enumerate(ORDER) if abs(i - rank) <= far])
    return pd.DataFrame(list(itertools.product(*axes)), columns=person.index)


def holds(condition: str, row: dict, own: dict) -> bool:
    """Evaluate one condition with Python itself."""
    words = {
        "change": lambda name: row[name] - own[name],
        "changes": lambda name: row[name] != own[name],
        "stays": lambda name: row[name] == own[name],
    }
    condition = re.sub(r"(change|changes|stays)\((\w+)\)", r"\1('\2')", condition)
    if not any(op in condition for op in ("<=", ">=")):
        return bool(eval(condition, words | row))
    for op in ("<=", ">="):
        if op in condition:
            left, right = (eval(side, words | row) for side in condition.split(op))
            return left <= right + 1e-9 if op == "<=" else left >= right - 1e-9
    raise AssertionError(condition)


def keeps(rule: str, row: dict, own: dict, names: set) -> bool:
    if not rule.startswith("if "):
        if "<=" in rule and not holds(rule, own, own):
            # Who breaks an inequality already must not make it worse.
            left, right = rule.split("<=")
            here = eval(re.sub(r"change\((\w+)\)", "0", left), dict(own))
            there = eval(
                re.sub(r"change\((\w+)\)", lambda m: f"({m[1]} - {own[m[1]]})", left), dict(row)
            )
            return there <= max(here, float(right)) + 1e-9
        if not holds(rule, own, own):
            unmoved = all(row[name] == own[name] for name in names)
            return unmoved or holds(rule, row, own)
        return holds(rule, row, own)

    def obeyed(point: dict) -> bool:
        premise, conclusion = rule[3:].split(" then ")
        conditions = premise.split(" and "), conclusion.split(" and ")
        return not all(holds(c, point, own) for c in conditions[0]) or all(
            holds(c, point, own) for c in conditions[1]
        )

    if obeyed(row):
        return True
    return not obeyed(own) and all(row[name] == own[name] for name in names)


def admissible(person: pd.Series, rules: dict) -> pd.DataFrame:
    """Return every admissible row, implied changes written into it."""
    rows = options(person, rules)
    changed = pd.DataFrame({name: rows[name] != person[name] for name in rows})
    rows = rows[changed.sum(axis=1) <= (rules.get("max_changes") or 9)].reset_index(drop=True)
    for cause, by in rules.get("implied", {}).get("age", {}).items():
        if cause == "e":
            rank = rank_of(rows["e"]) - ORDER.index(person["e"])
            rows["age"] = rows["age"] + by * rank
        else:
            rows["age"] = rows["age"] + by * (rows[cause] - person[cause])
    constraints = rules.get("constraints", [])
    if not constraints:
        return rows
    own = person.to_dict()
    causes = {"age": {"e", "a"}}
    kept = []
    for row in rows.to_dict("records"):
        good = True
        for rule in constraints:
            words = set(re.findall(r"\b[abcef]\b|\bage\b", re.sub(r"'[^']*'", "", rule)))
            names = set().union(*(causes.get(word, {word}) for word in words))
            good = good and keeps(rule, row, own, names)
        kept.append(good)
    return rows[np.array(kept, dtype=bool)]


def costs(rows: pd.DataFrame, person: pd.Series, weights: dict, scales: dict) -> np.ndarray:
    """Return what each feature adds, by the definition on raw rows, shape (n, 5)."""
    parts = [weights[n] * scales[n] * (rows[n] - person[n]).abs() for n in ["a", "b", "f"]]
    parts.append(weights["c"] * (rows["c"] != person["c"]))
    rank = rank_of(rows["e"]) - ORDER.index(person["e"])
    parts.append(weights["e"] * np.abs(rank))
    return np.column_stack(parts)
