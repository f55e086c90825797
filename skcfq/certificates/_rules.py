"""Changes, rules and cost of advice, counted again from the data of a certificate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any


def same_number(one: float, other: float, share: float) -> bool:
    """Return whether two numbers are one up to a share of the larger, or of 1."""
    return abs(one - other) <= share * max(1.0, abs(one), abs(other))


def moved_columns(document: Mapping) -> list[bool]:
    """Return which raw columns differ between the two rows of a certificate."""
    pairs = zip(document["factual"]["values"], document["advice"]["values"], strict=True)
    return [before != after for before, after in pairs]


def changes_between(document: Mapping) -> list[dict[str, Any]]:
    """Return the features that differ between the two rows of a certificate."""
    before, after, moved = document["factual"], document["advice"], moved_columns(document)
    return [
        {
            "feature": feature["name"],
            "from": [before["values"][j] for j in feature["columns"]],
            "to": [after["values"][j] for j in feature["columns"]],
        }
        for feature in document["rules"]["features"]
        if any(moved[j] for j in feature["columns"])
    ]


def broken_rules(document: Mapping) -> Iterator[str]:
    """Say which rules the advice breaks."""
    rules, moved = document["rules"], moved_columns(document)
    free = [j for feature in rules["features"] for j in feature["columns"]]
    told = sorted([*free, *rules["immutable"], *(one["column"] for one in rules["implied"])])
    if told != list(range(len(moved))):
        yield "rules of single features: they do not speak of each column once"
    for j in rules["immutable"]:
        if moved[j]:
            yield f"rules of single features: column {j} is immutable"
    n_changed = 0
    for feature in rules["features"]:
        if any(moved[j] for j in feature["columns"]):
            n_changed += 1
            broken = (_number_rule if feature["kind"] == "number" else _level_rule)(
                feature, document["advice"]["values"]
            )
            if broken:
                yield f"rules of single features: {feature['name']!r} {broken}"
        elif feature["kind"] == "number":
            own = document["factual"]["values"][feature["columns"][0]]
            if own is not None and own != feature["own"]:
                yield f"rules of single features: {feature['name']!r} starts elsewhere"
    if rules["max_changes"] is not None and n_changed > rules["max_changes"]:
        yield f"max_changes: {n_changed} features change, {rules['max_changes']} may"


def _number_rule(feature: Mapping, row: list) -> str | None:
    value, own, step = row[feature["columns"][0]], feature["own"], feature["step"]
    if value is None or own is None:
        return "comes out of, or goes into, a gap"
    slack = 1e-9 * max(1.0, abs(value), abs(own))
    low, high = (feature[name] for name in ("low", "high"))
    if (low is not None and value < low - slack) or (high is not None and value > high + slack):
        return "is outside its bounds"
    if (value - own) * feature["direction"] < 0:
        return "moves in the wrong direction"
    if abs(value - own) < (feature["min_change"] or 0.0) - slack:
        return "changes too little"
    if step and abs(value / step - round(value / step)) > 1e-6:
        return f"is no multiple of {step:g}"
    known = feature["values"]
    if known is not None and not any(abs(value - one) <= slack for one in known):
        return "is none of its values"
    return None


def _level_rule(feature: Mapping, row: list) -> str | None:
    level = level_of(feature, row)
    return None if level >= 0 and feature["allowed"][level] else "is at no permitted level"


def level_of(feature: Mapping, row: list) -> int:
    """Return the position of a feature's level among its levels, -1 for none of them."""
    values, levels = [row[j] for j in feature["columns"]], feature["levels"]
    if feature["kind"] == "level":
        return next((i for i, level in enumerate(levels) if level == values[0]), -1)
    ones = [i for i, value in enumerate(values) if value == 1]
    if len(ones) > 1 or any(value not in (0, 1) for value in values):
        return -1
    # The last level of a group may be that none of its columns is 1.
    none = len(values) if len(levels) > len(values) else -1
    return ones[0] if ones else none


def cost_between(document: Mapping) -> float | None:
    """Return the cost of the advice, None where an encoding is no straight line."""
    parts, moved = [], moved_columns(document)
    for feature in document["rules"]["features"]:
        if feature["weight"] is None or not feature["weight"] > 0:
            raise ValueError(f"the weight of {feature['name']!r} is not positive")
        if not any(moved[j] for j in feature["columns"]):
            continue
        if feature["kind"] == "number":
            if feature["scale"] is None:
                return None
            move = abs(document["advice"]["values"][feature["columns"][0]] - feature["own"])
            parts.append(feature["weight"] * feature["scale"] * move)
        else:
            level = level_of(feature, document["advice"]["values"])
            parts.append(feature["weight"] * feature["distance"][level])
    total, euclid = math.fsum(parts), math.sqrt(math.fsum(part**2 for part in parts))
    mix = {"l1": 1.0, "l2": 0.0, "mixed": document["mix"]}[document["norm"]]
    return mix * total + (1 - mix) * euclid
