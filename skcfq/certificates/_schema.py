"""The form of a certificate: which parts it has, of which kind, and how many.

Nothing may be missing and nothing added: a part that was taken away says less than was certified,
though nothing that is left need be false.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

# Whose versions are stated, null where it was not loaded.
PACKAGES = ("python", "skcfq", "numpy", "pandas", "scipy", "sklearn", "torch", "cvxpy", "highspy")

# A shape is a type of JSON by name, [shape] for a list, a dict for exactly these keys, a tuple for
# any of some shapes, a set for one of some texts.
_TEXT, _NUMBER, _WHOLE, _BOOL, _NULL = "text", "number", "whole number", "truth value", "null"
_LABEL = (_TEXT, _NUMBER, _BOOL)
_VALUE = (*_LABEL, _NULL, ["anything"])
_ROW = {"values": [_VALUE], "dtypes": (_TEXT, [_TEXT])}
_NUMBER_FEATURE = {
    "name": (_TEXT, _WHOLE),
    "kind": {"number"},
    "columns": [_WHOLE],
    "own": (_NUMBER, _NULL),
    "low": (_NUMBER, _NULL),
    "high": (_NUMBER, _NULL),
    "direction": _WHOLE,
    "step": (_NUMBER, _NULL),
    "values": ([_NUMBER], _NULL),
    "min_change": (_NUMBER, _NULL),
    "scale": (_NUMBER, _NULL),
    "weight": _NUMBER,
}
_LEVEL_FEATURE = {
    "name": _VALUE,
    "kind": {"level", "group"},
    "columns": [_WHOLE],
    "levels": [_VALUE],
    "allowed": [_BOOL],
    "distance": [_NUMBER],
    "weight": _NUMBER,
}
_CONDITION = (
    {
        "kind": {"linear"},
        "terms": [
            {
                "column": _WHOLE,
                "of": {"value", "change"},
                "factor": _NUMBER,
                "fill": (_NUMBER, _NULL),
            }
        ],
        "limit": _NUMBER,
    },
    {"kind": {"changes"}, "columns": [_WHOLE], "changes": _BOOL},
    {"kind": {"values"}, "column": _WHOLE, "values": [_VALUE], "inside": _BOOL},
    {"kind": {"levels"}, "feature": _WHOLE, "inside": [_BOOL], "unknown": _BOOL},
)
_RULES = {
    "features": [(_NUMBER_FEATURE, _LEVEL_FEATURE)],
    "immutable": [_WHOLE],
    "implied": [
        {
            "column": _WHOLE,
            "fill": (_NUMBER, _NULL),
            "per_unit": [{"feature": _WHOLE, "amount": _NUMBER}],
            "per_move": [{"feature": _WHOLE, "amounts": [_NUMBER]}],
        }
    ],
    "max_changes": (_WHOLE, _NULL),
    "across_features": [
        {
            "text": _TEXT,
            "premises": [_CONDITION],
            "conclusions": [_CONDITION],
            "columns": [_WHOLE],
        }
    ],
}
_MODEL = {
    "name": _TEXT,
    "fingerprint": (_TEXT, _NULL),
    "classes": [_LABEL],
    "factual": _LABEL,
    "advice": (*_LABEL, _NULL),
    "margin": (_NUMBER, _NULL),
    "margin_of": ({"logits", "probabilities"}, _NULL),
    "box": (
        {"radius": _NUMBER, "spreads": [(_NUMBER, _NULL)], "half_widths": [(_NUMBER, _NULL)]},
        _NULL,
    ),
    "robustness": ({"robust", "broken", "open"}, _NULL),
    "counterexample": (_ROW, _NULL),
}
_CERTIFICATE = {
    "schema": _TEXT,
    "version": _WHOLE,
    "columns": ([(_TEXT, _WHOLE)], _NULL),
    "method": (_TEXT, _NULL),
    "norm": {"l1", "l2", "mixed"},
    "mix": _NUMBER,
    "asked": {"margin": (_NUMBER, _NULL), "perturbation_radius": (_NUMBER, _NULL)},
    "fingerprints": {
        "feature_space": _TEXT,
        "action_set": (_TEXT, _NULL),
        "rules": _TEXT,
    },
    "versions": dict.fromkeys(PACKAGES, (_TEXT, _NULL)),
    "person": _VALUE,
    "row": _WHOLE,
    "target": _LABEL,
    "factual": _ROW,
    "advice": (_ROW, _NULL),
    "status": _TEXT,
    "cost": (_NUMBER, _NULL),
    "lower_bound": (_NUMBER, _NULL),
    "rules": _RULES,
    "models": {"reference": _MODEL, "deployed": (_MODEL, _NULL)},
    "changes": [{"feature": _VALUE, "from": [_VALUE], "to": [_VALUE]}],
    "claims": {"evaluation": [_TEXT], "proof_by_search": [_TEXT], "stated": [_TEXT]},
    "digest": _TEXT,
}


def form_problems(document: Mapping) -> Iterator[str]:
    """Say what is missing in a certificate, what is too much, and what is of another kind."""
    found = [f"form: {problem}" for problem in _problems(document, _CERTIFICATE, "the certificate")]
    yield from found
    if not found:
        yield from (f"form: {problem}" for problem in _lengths(document))


def _problems(value: Any, shape: Any, where: str) -> Iterator[str]:
    if isinstance(shape, tuple):
        tried = [list(_problems(value, one, where)) for one in shape]
        if all(tried):
            # What comes nearest to being right says most.
            yield from min(tried, key=lambda problems: (len(problems), "no " in problems[0]))
    elif isinstance(shape, dict):
        if not isinstance(value, Mapping):
            yield f"{where} is no object"
            return
        for key in shape.keys() - value.keys():
            yield f"{where} has no {key!r}"
        for key in value.keys() - shape.keys():
            yield f"{where} has {key!r}, which is no part of it"
        for key in shape.keys() & value.keys():
            yield from _problems(value[key], shape[key], f"{where}: {key}")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        for i, item in enumerate(value):
            yield from _problems(item, shape[0], f"{where}[{i}]")
    elif isinstance(shape, set):
        if value not in sorted(shape):
            yield f"{where} is {value!r}, which is none of {sorted(shape)}"
    elif not _IS[shape](value):
        yield f"{where} is {value!r}, which is no {shape}"


_IS = {
    _TEXT: lambda value: isinstance(value, str),
    _NUMBER: lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    _WHOLE: lambda value: isinstance(value, int) and not isinstance(value, bool),
    _BOOL: lambda value: isinstance(value, bool),
    _NULL: lambda value: value is None,
    "anything": lambda value: True,
}


def _lengths(document: Mapping) -> Iterator[str]:
    """Compare the lengths of lists that speak of the same things."""
    n = len(document["factual"]["values"])
    rows = {"factual": document["factual"], "advice": document["advice"]}
    for name, model in document["models"].items():
        if model is None:
            continue
        rows[f"counterexample of the {name}"] = model["counterexample"]
        box = model["box"]
        if box is not None and {len(box["half_widths"]), len(box["spreads"])} != {n}:
            yield f"the box of the {name} is not one of {n} columns"
        yield from _class_problems(document, name, model)
    columns = document["columns"]
    if columns is not None and len(columns) != n:
        yield f"{len(columns)} columns have names, of {n}"
    for name, row in rows.items():
        if row is None:
            continue
        n_types = n if columns is None and isinstance(row["dtypes"], str) else len(row["dtypes"])
        if len(row["values"]) != n or n_types != n:
            yield f"the row {name} is not one of {n} columns"
        if (columns is None) != isinstance(row["dtypes"], str):
            yield f"the row {name} has names without types, or types without names"
    for feature in document["rules"]["features"]:
        yield from _feature_problems(feature, columns)
    yield from _link_problems(document["rules"])


def _link_problems(rules: Mapping) -> Iterator[str]:
    features = rules["features"]
    for i, implied in enumerate(rules["implied"]):
        for cause in implied["per_move"]:
            if len(cause["amounts"]) != len(features[cause["feature"]]["levels"]):
                yield f"implied[{i}] has not one amount a level"
    for rule in rules["across_features"]:
        conditions = [*rule["premises"], *rule["conclusions"]]
        if not rule["conclusions"] or not all(one.get("terms", [1]) for one in conditions):
            yield f"{rule['text']!r} says nothing"
        for one in (one for one in conditions if one["kind"] == "levels"):
            if len(one["inside"]) != len(features[one["feature"]]["levels"]):
                yield f"{rule['text']!r} does not speak of all levels"


def _class_problems(document: Mapping, name: str, model: Mapping) -> Iterator[str]:
    classes = model["classes"]
    answers = [document["target"], model["factual"], model["advice"]]
    if any(one is not None and one not in classes for one in answers) or len(classes) < 2:
        yield f"the classes of the {name} are not all there"
    if len(set(map(repr, classes))) < len(classes):
        yield f"the classes of the {name} are not all different"


def _feature_problems(feature: Mapping, columns: list | None) -> Iterator[str]:
    name, own = feature["name"], feature["columns"]
    if feature["kind"] == "number":
        values = feature["values"] or []
        if any(a >= b for a, b in pairwise(values)):
            yield f"the values of {name!r} do not rise"
    else:
        n_levels = len(feature["levels"])
        if {len(feature["allowed"]), len(feature["distance"])} != {n_levels}:
            yield f"the levels of {name!r} are not all ruled"
        if feature["kind"] == "group":
            if n_levels not in (len(own), len(own) + 1):
                yield f"the levels of {name!r} are not its columns"
            return
    if len(own) != 1 or (columns is not None and columns[own[0]] != name):
        yield f"{name!r} is not the name of its column"
