"""What people may change, in words: one row a feature, for who reads no JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from skcfq.audit._wording import number, words

# Some readers have no use for more.
_MOST_LETTERS = 2000
_NOT_TOLD = ("schema", "version")
_NORMS = {
    "l1": "the sum over the features",
    "l2": "the root of the sum of squares over the features",
    "mixed": "the sum over the features and the root of their sum of squares",
}
_LISTS = {
    "immutable": "may not change",
    "increasing": "only upward",
    "decreasing": "only downward",
    "actionable": "may change",
}


def rules_in_words(rules: Mapping[str, Any]) -> list[list[str]]:
    """Return rows of a feature and what is allowed; of all features, first.

    Parameters
    ----------
    rules : dict
        As :meth:`ActionSet.to_dict` returns them.

    Examples
    --------
    >>> rules_in_words({"immutable": ["age"], "bounds": {"hours": [10, 60]}, "steps": {"hours": 5}})
    [['age', 'may not change'], ['hours', 'from 10 to 60; multiples of 5']]
    """
    told: dict[str, list[str]] = {}
    whole = []
    for key, value in rules.items():
        if key == "max_changes":
            whole.append(["(all of them)", f"at most {words(value)} may change"])
        elif key == "constraints":
            whole += [["(all of them)", _short(rule)] for rule in value]
        elif key in _LISTS:
            for name in value:
                told.setdefault(words(name), []).append(_LISTS[key])
        elif key in _BY_FEATURE and isinstance(value, Mapping):
            for name, one in value.items():
                told.setdefault(words(name), []).append(_BY_FEATURE[key](one))
        elif key not in _NOT_TOLD:
            whole.append([f"({words(key)})", _json(value)])
    return whole + [[name, _short("; ".join(said))] for name, said in told.items()]


def prices_in_words(cost: Mapping[str, Any]) -> list[list[str]]:
    """Return rows of a feature and what a change of it costs; how prices are put together, first.

    Parameters
    ----------
    cost : dict
        As an audit's rules hold it.

    Examples
    --------
    >>> prices_in_words({"norm": "l1", "features": [{"name": "a", "cost_per_raw_unit": 0.25}]})
    [['(all of them)', 'the sum over the features'], ['a', '0.25 for each unit']]
    """
    norm = _NORMS.get(str(cost.get("norm")), _json(cost.get("norm")))
    if cost.get("norm") == "mixed":
        norm += f", the former with a share of {_value(cost.get('mix'))}"
    features = cost.get("features") or []
    return [["(all of them)", norm], *([words(one.get("name")), _price(one)] for one in features)]


def _price(record: Mapping[str, Any]) -> str:
    if "levels" in record:
        each = (
            "for any other value" if record.get("ranks") is None else "for each step of the order"
        )
        return f"{number(record['weight'])} {each}"
    unit = record.get("cost_per_raw_unit")
    if unit is not None:
        return f"{number(unit)} for each unit"
    return f"{number(record['weight'])} for each spread, on a scale that is not straight"


def _sides(value: Any, before: str = "") -> str:
    """Say two limits, of which one may be open."""
    if isinstance(value, Mapping):
        low, high = value.get("low"), value.get("high")
    elif isinstance(value, list | tuple) and len(value) == 2:
        low, high = value
    else:
        return f"{before}{words(value)}"
    ends = [None if end is None else _value(end) for end in (low, high)]
    if None not in ends:
        return f"{before}from {ends[0]} to {ends[1]}"
    if ends[0] is not None:
        return f"{before}at least {ends[0]}"
    return f"{before}at most {ends[1]}" if ends[1] is not None else f"{before}without limits"


def _bounds(value: Any) -> str:
    return "within what is observed" if value == "observed" else _sides(value)


def _transitions(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _json(value)
    # Levels from which the same ones can be reached are told together.
    alike: dict[frozenset, list] = {}
    for level, others in value.items():
        alike.setdefault(frozenset(map(words, [level, *others])), []).append(level)
    said = []
    for reached, levels in alike.items():
        if len(levels) > 1 and reached == set(map(words, levels)):
            said.append(f"{' or '.join(map(_quoted, levels))}, each to any other of these")
            continue
        for level in levels:
            others = [one for one in value[level] if one != level]
            told = " or ".join(map(_quoted, others)) or "nothing else"
            said.append(f"{_quoted(level)} → {told}")
    return "only " + "; ".join(said)


def _quoted(value: Any) -> str:
    return f"“{words(value)}”"


def _implied(value: Any) -> str:
    return f"follows from others: {_json(value)}"


_BY_FEATURE: Mapping[str, Callable[[Any], str]] = {
    "bounds": _bounds,
    "relative_bounds": lambda value: _sides(value, "beside today's value, "),
    "quantile_bounds": lambda value: _sides(value, "quantiles of the population, "),
    "steps": lambda value: f"multiples of {_value(value)}",
    "min_change": lambda value: f"by {_value(value)} or more",
    "max_change": lambda value: f"by {_value(value)} at most",
    "ordinal": lambda value: "in the order " + " < ".join(map(words, value)),
    "one_hot": lambda value: "one of " + ", ".join(map(words, value)),
    "transitions": _transitions,
    "implied": _implied,
}


def _value(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else words(value)


def _json(value: Any) -> str:
    return _short(json.dumps(value, ensure_ascii=False, default=str))


def _short(text: Any) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
