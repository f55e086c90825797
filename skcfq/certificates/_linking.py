"""Rules across features and columns that follow from others, evaluated from their data.

A rule holds a text and what the signer read in it: premises and conclusions on raw columns. These
are evaluated; that they say what the text says is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from skcfq.certificates._rules import level_of, moved_columns

# What conclusions may miss by, as a share of their terms: raw values are rounded.
_SLACK = 1e-8
_CLOSE = 1e-6


def broken_links(document: Mapping) -> Iterator[str]:
    """Say which rules across features the advice breaks, and what does not follow as it should."""
    moved = moved_columns(document)
    for rule in document["rules"]["across_features"]:
        if _is_broken(document, rule, moved):
            yield f"rules across features: {rule['text']!r} is broken"
    for implied in document["rules"]["implied"]:
        problem = _implied_problem(document, implied)
        if problem:
            yield f"columns that follow from others: column {implied['column']} {problem}"


def _is_broken(document: Mapping, rule: Mapping, moved: list[bool]) -> bool:
    conclusions = rule["conclusions"]
    if not rule["premises"] and all(one["kind"] == "linear" for one in conclusions):
        # Who is beyond a limit already may stay there.
        sides = [(one, _side(document, one, "factual")) for one in conclusions]
        return not all(
            _is_below(document, one, max(one["limit"], own) if own == own else math.inf)
            for one, own in sides
        )

    def broken(row: str) -> bool:
        return all(_holds(document, one, row, moved, 0.0) for one in rule["premises"]) and not all(
            _holds(document, one, row, moved, _SLACK) for one in conclusions
        )

    # Who breaks it already, and changes nothing that it names, may stay.
    excused = not any(moved[j] for j in rule["columns"]) and broken("factual")
    return broken("advice") and not excused


def _holds(document: Mapping, one: Mapping, row: str, moved: list[bool], slack: float) -> bool:
    """Return whether a condition holds at a row; premises, up to rounding, only where they do."""
    if one["kind"] == "linear":
        return _is_below(document, one, one["limit"], row, slack)
    if one["kind"] == "changes":
        is_moved = row == "advice" and any(moved[j] for j in one["columns"])
        return is_moved == one["changes"]
    values = document[row]["values"]
    if one["kind"] == "levels":
        level = level_of(document["rules"]["features"][one["feature"]], values)
        return one["inside"][level] if level >= 0 else one["unknown"]
    value = values[one["column"]]
    found = any(_is_text(value) == _is_text(each) and value == each for each in one["values"])
    return found == one["inside"]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_below(
    document: Mapping, one: Mapping, limit: float, row: str = "advice", slack: float = _SLACK
) -> bool:
    side, size = _side(document, one, row), _size(document, one, row)
    # What a gap leaves unknown is not called broken.
    return not side > limit + slack * (1 + size + abs(one["limit"]))


def _side(document: Mapping, one: Mapping, row: str) -> float:
    return math.fsum(_parts(document, one, row))


def _size(document: Mapping, one: Mapping, row: str) -> float:
    return math.fsum(map(abs, _parts(document, one, row)))


def _parts(document: Mapping, one: Mapping, row: str) -> list[float]:
    """Return the terms of a sum at a row, NaN where a gap is."""
    parts = []
    for term in one["terms"]:
        own, value = (
            _number(document[each]["values"][term["column"]], term["fill"])
            for each in ("factual", row)
        )
        if term["of"] == "change":
            # A gap can only be kept.
            value = 0.0 if value != value else value - own
        elif term["of"] != "value":
            raise ValueError(f"a term is of {term['of']!r}")
        parts.append(term["factor"] * value)
    return parts


def _number(value: Any, fill: float | None) -> float:
    if value is None:
        return math.nan if fill is None else fill
    return float(value)


def _implied_problem(document: Mapping, implied: Mapping) -> str | None:
    before, after = (document[row]["values"] for row in ("factual", "advice"))
    features, parts = document["rules"]["features"], []
    for cause in implied["per_unit"]:
        (column,) = features[cause["feature"]]["columns"]
        if before[column] != after[column]:
            parts.append(cause["amount"] * (after[column] - features[cause["feature"]]["own"]))
    for cause in implied["per_move"]:
        feature = features[cause["feature"]]
        level = level_of(feature, after)
        if level >= 0 and level != level_of(feature, before):
            parts.append(cause["amounts"][level])
    column, amount = implied["column"], math.fsum(parts)
    own, value = before[column], after[column]
    if own == value:
        close = abs(amount) <= _CLOSE * max(1.0, abs(own or 0.0))
    else:
        own = _number(own, implied["fill"])
        close = value is not None and abs(value - own - amount) <= _CLOSE * max(1.0, abs(own))
    return None if close else f"does not move by {amount:g}"
