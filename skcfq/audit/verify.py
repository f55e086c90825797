"""An independent verifier of audits: one file, numpy and pandas alone, no code of the library.

``python verify.py audit.json --data X.csv`` holds a document against the rows that it is about and
against itself. Exit code 0: all that is checked is so; 1: problems; 2: it cannot be judged.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

_RIGHT = ["right", "right_deployed"]
_FLAGS = ["advised", "advised_deployed", "holds", "accepted_reference", "accepted_deployed"]
_AT_POINTS = ["holds_float32", "margin", "margin_deployed"]
_NUMBERS = [*_AT_POINTS, "cost", "cost_deployed", "gap", "cosine", "overlap"]
_LABELS = ["decision_reference", "decision_deployed", "target"]
_OTHERS = [*_LABELS, "status", "status_deployed", "changes"]
_FOUND, _NOT_FOUND = ("optimal", "feasible"), ("infeasible", "not_found", "already_favorable")
_SPECIAL = {"None": None, "NaN": math.nan, "NA": None, "inf": math.inf, "-inf": -math.inf}
_NEVER = [
    "names, notes, versions, protocol, sizes and fingerprints; skew; remedies that were tried",
    "margins (and steps that took them), cosines, overlaps, deployed prices, but what they imply",
    "that no cheaper advice exists, or none, and that the rules are those that were meant",
    "observed ranges, and grids that no rule states: the background is not in the document",
]
_CANNOT_READ = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)


@dataclass
class VerificationReport:
    """What became of the claims of an audit.

    Attributes
    ----------
    problems : list of str
        Each begins with its place in the document.
    checked : dict of str to int
        How many claims of each kind were checked.
    not_checked : list of str
        What nothing here can check, and why.
    """

    problems: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    not_checked: list[str] = field(default_factory=_NEVER.copy)

    @property
    def ok(self) -> bool:
        """Whether nothing that was checked is wrong."""
        return not self.problems

    def __str__(self) -> str:
        told = ", ".join(f"{n} {name}" for name, n in self.checked.items())
        rest = [f"not checked: {one}" for one in self.not_checked]
        return "\n".join([f"{len(self.problems)} problems; checked: {told}", *self.problems, *rest])

    def _tell(self, wrong: Any, problem: str, kind: str = "claims") -> None:
        self.checked[kind] = self.checked.get(kind, 0) + 1
        self.problems += [problem] if wrong else []

    def _skip(self, what: str) -> None:
        self.not_checked += [] if what in self.not_checked else [what]

    def _rows(self, place: str, wrong: Any) -> None:
        rows = np.flatnonzero(np.asarray(wrong, dtype=bool)).tolist()
        problem = (
            f"people.{place}: {len(rows)} rows, first {rows[:5]}, contradict what else is known"
        )
        self._tell(rows, problem, "columns")


def verify_audit(
    document: Any, X: Any, *, reference: Any = None, deployed: Any = None, y: Any = None
) -> VerificationReport:
    """Check the claims of an audit, sharing no code with what made it.

    Parameters
    ----------
    document : path, str or dict
        What :meth:`AuditReport.to_json` wrote.
    X : DataFrame or ndarray of shape (n, p)
        The rows that were audited; further columns are left alone.
    reference, deployed : object with ``predict``, or callable, optional
        From rows to labels. Without a model its decisions are taken from the document.
    y : array-like of shape (n,), optional
        True labels.

    Returns
    -------
    report : VerificationReport

    Raises
    ------
    ValueError
        The document is no audit of a version that is known here, or X is no table.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.audit import audit_recourse
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> models = [LogisticRegression().fit(X, X[:, 0] > edge) for edge in (99, 109)]
    >>> verify_audit(audit_recourse(*models, X, target=True).to_dict(), X).ok
    True
    """
    document, report = _read(document), VerificationReport()
    if not isinstance(X, (pd.DataFrame, np.ndarray)) or X.ndim != 2:
        raise ValueError(f"X is of type {type(X).__name__}: give the table that was audited")
    frame, as_array = pd.DataFrame(X).rename(columns=str), isinstance(X, np.ndarray)
    if y is not None and np.shape(y) != (len(frame),):
        raise ValueError(f"y has the shape {np.shape(y)}; give one label for each row of X")
    models = {"reference": reference, "deployed": deployed}
    for role, model in models.items():
        if not (model is None or callable(getattr(model, "predict", model))):
            raise ValueError(f"{role} is of type {type(model).__name__}: it has no predict")
    try:
        content = {key: value for key, value in document.items() if key != "digest"}
        text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
        wrong = hashlib.sha256(text.encode()).hexdigest() != document["digest"]
        report._tell(wrong, "digest: it is not that of the content")
        told, c = frame[document["data"]["columns"]], _columns(document, len(frame))
        _check_data(document, told, frame, report)
        _check_people(document, c, y, report)
        advice = _Advice(document, c, told, report)
        moved = advice.check()
        _check_figures(document, c, report)
        _check_remedies(document.get("remedies", {}), c, report)
    except _CANNOT_READ as error:
        report.problems.append(f"document: it cannot be read, {type(error).__name__} {error}")
        return report
    for role, model in models.items():
        if model is None:
            report._skip(f"decisions of the {role}: taken from the document")
        else:
            advice.ask(role, getattr(model, "predict", model), moved, as_array)
    return report


def _read(source: Any) -> Any:
    try:
        if isinstance(source, (str, Path)):
            is_text = str(source).lstrip()[:1] == "{"
            source = json.loads(str(source) if is_text else Path(source).read_text("utf-8"))
        if (source["schema"], source["version"]) == ("skcfq/audit", 1):
            return source
    except (OSError, RecursionError, *_CANNOT_READ) as error:
        raise ValueError(f"document cannot be read: {error}") from error
    raise ValueError("document is no audit of version 1: give what AuditReport.to_json wrote")


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return _SPECIAL[value["$"]] if "$" in value else tuple(map(_decoded, value["$tuple"]))
    return value


def _rule_label(text: Any) -> Any:
    # What is no text stands in backquotes.
    if not (isinstance(text, str) and text[:1] == text[-1:] == "`"):
        return text
    inside = text[1:-1]
    return None if inside in ("none", "nan") else inside if inside[0] == "`" else json.loads(inside)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


def _same(one: Any, other: Any) -> bool:
    if _is_missing(one) or _is_missing(other):
        return _is_missing(one) and _is_missing(other)
    return bool(isinstance(one, str) == isinstance(other, str) and one == other)


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, str) or _is_missing(one) or _is_missing(other):
        return _same(one, other)
    return bool(abs(one - other) <= 1e-6 * max(1e-3, abs(one), abs(other)))


def _columns(document: dict, n: int) -> dict[str, Any]:
    """Return the columns of the people as arrays."""
    people, data = document["people"], document["data"]
    columns = people["columns"]
    flags = _FLAGS + (_RIGHT if "right" in columns else [])
    kinds = {**dict.fromkeys(flags, bool), **dict.fromkeys(_NUMBERS, float)}
    counts = {data["n_rows"], *map(len, [*columns.values(), *people["groups"].values()])}
    if counts | {len(people["labels"])} != {n} or set(columns) != {*kinds, *_OTHERS}:
        raise ValueError(f"people: {counts} of {n} rows, columns {set(columns)}")
    wrong = [k for k in kinds if (bool in {*map(type, columns[k])}) != (kinds[k] is bool)]
    if wrong:
        raise ValueError(f"people.columns.{wrong[0]} has values of another type")
    told = {k: v if k == "changes" else [*map(_decoded, v)] for k, v in columns.items()}
    return {k: pd.Series(v, dtype=kinds.get(k, object)).to_numpy() for k, v in told.items()}


def _check_data(document: dict, told: pd.DataFrame, given: pd.DataFrame, report: Any) -> None:
    digest = hashlib.sha256(repr(list(told.columns)).encode())
    digest.update(pd.util.hash_pandas_object(told, index=False).to_numpy().tobytes())
    wrong = digest.hexdigest() != document["data"]["fingerprint"]
    report._tell(wrong, "data.fingerprint: it is not that of X")
    people = document["people"]
    wrong = document["parameters"]["sensitive_features"] != [*people["groups"]]
    report._tell(wrong, "parameters.sensitive_features: the people have others")
    own = {str(_decoded(people["name"])): people["labels"], **people["groups"]}
    for name, labels in own.items():
        cells = given[name].tolist() if name in given else [None] * len(given)
        pairs = zip(cells, map(_decoded, labels), strict=True)
        wrong = [str(a) != str(b) and not (b == "(missing)" and _is_missing(a)) for a, b in pairs]
        # Whoever gives labels of their own may call them as a column.
        if name not in given or 2 * sum(wrong) > len(given):
            report._skip(f"labels or groups {name!r} of the people: no column of X holds them")
        else:
            report._rows(name, wrong)


def _check_people(document: dict, c: dict[str, Any], y: Any, report: Any) -> None:
    """Hold what is said of a person against the rest of what is said of the same person."""
    tell, asked = report._rows, document["parameters"]
    known = {name: ~np.isnan(c[name]) for name in _NUMBERS}
    report._tell(asked["with_labels"] is not ("right" in c), "parameters.with_labels: it is not so")
    tell("target", [asked["target"] not in (None, one) for one in c["target"]])
    for role, tail in (("reference", ""), ("deployed", "_deployed")):
        status, advised, accepted = c["status" + tail], c["advised" + tail], c[f"accepted_{role}"]
        decided, cost = c[f"decision_{role}"], c["cost" + tail]
        classes = [*map(str, document["models"][role]["classes"])]
        tell(f"decision_{role}", [str(one) not in classes for one in decided])
        tell(f"accepted_{role}", (decided == c["target"]) != accepted)
        tell("status" + tail, (status == "already_favorable") != accepted)
        found, none = np.isin(status, _FOUND), np.isin(status, _NOT_FOUND)
        late = status == "time_limit"
        tell("advised" + tail, (found & ~advised) | (none & advised) | ~(found | none | late))
        wrong = known["cost" + tail] != (advised | (accepted if tail else False))
        tell("cost" + tail, wrong | (cost < 0) | (accepted & (cost > 0)))
    own = np.where(c["advised"], (c["cost_deployed"] - c["cost"]) / (c["cost"] + 1e-9), np.nan)
    tell("gap", [not _close(*two) for two in zip(c["gap"], own, strict=True)])
    for name, low in (("cosine", -1), ("overlap", 0)):
        outside = (c[name] < low - 1e-9) | (c[name] > 1 + 1e-9)
        tell(name, outside | (known[name] == np.isnan(own)))
    holds, accepted, margin = c["holds"], c["accepted_reference"], c["margin_deployed"]
    valid = c["advised"] | accepted
    tell("holds", (accepted & (holds != c["accepted_deployed"])) | (holds & ~valid))
    for name in _AT_POINTS:
        tell(name, known[name] & ~valid)
    tell("holds_float32", known["holds_float32"] & ~np.isin(c["holds_float32"], (0, 1)))
    tell("margin", c["margin"] < -1e-9)
    tell("margin_deployed", np.where(holds, margin < -1e-9, margin > 1e-9))
    tell("changes", [*map(bool, c["changes"])] != c["advised"])
    for name, decided in zip(_RIGHT if "right" in c else (), _LABELS, strict=False):
        alike = c["decision_reference"] == c["decision_deployed"]
        wrong = np.where(alike, c["right"] != c["right_deployed"], c["right"] & c["right_deployed"])
        tell(name, wrong if y is None else c[name] != (c[decided] == np.asarray(y)))


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(_rule_label(key)): one for key, one in value.items()}
    return [str(_rule_label(one)) for one in value] if isinstance(value, list) else value


class _Advice:
    """Each piece of advice: where it begins, whether the rules allow it, and what it costs."""

    def __init__(self, document: dict, c: dict, frame: pd.DataFrame, report: Any) -> None:
        self.c, self.frame, self.report, self.cost = c, frame, report, document["rules"]["cost"]
        self.features = {str(one["name"]): one for one in self.cost["features"]}
        stated = document["rules"]["action_set"]
        if not isinstance(stated, dict) or "schema" not in stated:
            stated = report._skip("rules of single features: none can be read") or {}
        self.rules = {key: _named(value) for key, value in stated.items()}
        for rule in {"constraints", "implied", "quantile_bounds"} & set(self.rules):
            report._skip(f"rules.action_set.{rule}: what they say is not read here")
        self.members = {k: _named(v) for k, v in self.rules.get("one_hot", {}).items()}

    def check(self) -> dict[str, dict[int, Any]]:
        c, moved = self.c, dict[str, dict[int, Any]]()
        cells = {name: self.frame[name].tolist() for name in self.frame}
        for i, changes in enumerate(c["changes"]):
            told = [(str(_decoded(f)), _decoded(a), _decoded(b)) for f, a, b in changes]
            broken = [*self._broken({name: column[i] for name, column in cells.items()}, told)]
            self.report._tell(broken, f"people.columns.changes[{i}]: {broken}", "pieces of advice")
            for name, _, after in told:
                for column in self.members.get(name, [name]):
                    value = int(column == after) if name in self.members else after
                    moved.setdefault(column, {})[i] = value
            own = self._price(told) if told and not broken else None
            if own is not None:
                problem = f"people.columns.cost[{i}]: {c['cost'][i]}, and it is {own}"
                self.report._tell(not _close(c["cost"][i], own), problem, "prices")
        return moved

    def _broken(self, row: dict, told: list[tuple]) -> Iterator[str]:
        free = {name for name, *_ in told} - set(self.rules.get("implied", ()))
        if len({name for name, *_ in told}) < len(told):
            yield "a feature changes twice"
        if len(free) > (self.rules.get("max_changes") or math.inf):
            yield f"{len(free)} features change"
        for name, before, after in told:
            ones = [one for one in self.members.get(name, ()) if row[one] == 1]
            own = (*ones, "none")[0] if name in self.members else row[name]
            fixed = name in self.rules.get("immutable", ()) or name not in self.features
            if not _same(before, own) or _same(before, after):
                yield f"{name} goes from {before} to {after}, X has {own}"
            elif name in free and (fixed or name not in self.rules.get("actionable", free)):
                yield f"{name} cannot change"
            elif name in free:
                texts = [text for wrong, text in self._rules(name, before, after) if wrong]
                yield from (f"{name} {text}" for text in texts)

    def _rules(self, name: str, before: Any, after: Any) -> Iterator[tuple[bool, str]]:
        """Say of each rule of a feature whether a change breaks it."""
        rule = {key: v.get(name) for key, v in self.rules.items() if isinstance(v, dict)}
        record, sides = self.features[name], _sides(rule.get("bounds"))
        if "levels" in record:
            yield not any(_same(after, one) for one in record["levels"]), "has no such level"
            moves: Any = rule.get("transitions")
            own = [ends for a, ends in (moves or {}).items() if _same(_rule_label(a), before)]
            named = any(_same(_rule_label(end), after) for ends in own for end in ends)
            yield not named and (moves is not None or _is_missing(after)), "may not go there"
            sides = [self._rank(name, _rule_label(one)) for one in sides]
            before, after = self._rank(name, before), self._rank(name, after)
        else:
            levels, step = rule.get("ordinal"), rule.get("steps")
            wrong = levels is not None and not any(_close(after, one) for one in levels or ())
            yield wrong, "has no such value"
            if step is None and levels is None and self.frame[name].dtype.kind in "iu":
                step = 1
            yield bool(step) and abs(after / step - round(after / step)) > 1e-6, "is off its grid"
        if _is_missing(before) or _is_missing(after):
            return
        move, slack = after - before, 1e-9 * max(1.0, abs(before), abs(after))
        limits = (sides, before, after), (_sides(rule.get("relative_bounds")), 0.0, move)
        for (low, high), start, end in limits:
            low, high = -math.inf if low is None else low, math.inf if high is None else high
            within = min(low, start) - slack <= end <= max(high, start) + slack
            yield not within, "is outside its bounds"
        least, most = rule.get("min_change") or 0, rule.get("max_change") or math.inf
        yield not least - slack <= abs(move) <= most + slack, "changes too much, or too little"
        yield name in self.rules.get("increasing", ()) and move < 0, "may only grow"
        yield name in self.rules.get("decreasing", ()) and move > 0, "may only shrink"

    def _rank(self, name: str, level: Any) -> Any:
        pairs = zip(self.features[name]["levels"], self.features[name]["ranks"] or (), strict=False)
        return next((rank for one, rank in pairs if _same(one, level)), None)

    def _price(self, told: list[tuple]) -> float | None:
        parts = []
        for name, before, after in told:
            record = self.features.get(name, {"cost_per_raw_unit": 0.0})
            if "levels" in record:
                ends = self._rank(name, before), self._rank(name, after)
                parts.append(record["weight"] * (1 if None in ends else abs(ends[1] - ends[0])))
            elif record["cost_per_raw_unit"] is None or _is_missing(before):
                return self.report._skip("numbers in a gap, or priced on no straight scale")
            else:
                parts.append(record["cost_per_raw_unit"] * abs(after - before))
        mix = {"l1": 1.0, "l2": 0.0, "mixed": self.cost["mix"]}[self.cost["norm"]]
        return mix * math.fsum(parts) + (1 - mix) * math.hypot(*parts)

    def ask(self, role: str, predict: Any, moved: dict, as_array: bool) -> None:
        c, frame, points = self.c, self.frame, self.frame.copy()
        for name, values in moved.items():
            column, kind = frame[name].astype(object).to_numpy().copy(), frame[name].dtype
            column[list(values)] = list(values.values())
            kind = float if kind.kind in "iu" and any(v % 1 for v in values.values()) else kind
            points[name] = pd.Series(column, index=frame.index).astype(kind)
        asked = [one.to_numpy() if as_array else one for one in (frame, points)]
        here, there = (np.asarray(predict(one), dtype=object).ravel() for one in asked)
        self.report._rows(f"decision_{role}", here != c[f"decision_{role}"])
        name = "holds" if role == "deployed" else "advised"
        valid = c["advised"] | (c["accepted_reference"] & (role == "deployed"))
        self.report._rows(name, valid & ((there == c["target"]) != c[name]))


def _sides(pair: Any) -> list:
    if isinstance(pair, dict):
        return [pair.get("low"), pair.get("high")]
    return [None, None] if pair is None or isinstance(pair, str) else list(pair)


def _check_figures(document: dict, c: dict[str, Any], report: Any) -> None:
    confidence, least = (document["parameters"][k] for k in ("confidence", "min_group_size"))
    told = document["people"]["groups"].items()
    groups = {name: np.array(labels, dtype=object) for name, labels in told}
    if len(groups) > 1:
        crossed = [" x ".join(row) for row in zip(*groups.values(), strict=True)]
        groups[" x ".join(groups)] = np.array(crossed, dtype=object)
    rows = {(f, g): of == g for f, of in groups.items() for g in sorted(set(of.tolist()))}
    everybody = np.ones(len(c["holds"]), dtype=bool)
    large = {key: mask for key, mask in rows.items() if mask.sum() >= least}
    wanted: dict[str, dict] = {"figures": _figures(c, everybody, confidence), "limits": {}}
    wanted["small_groups"] = {k: {"n": int(m.sum())} for k, m in rows.items() if k not in large}
    wanted["groups"] = {
        (*place, *figure): value
        for place, mask in large.items()
        for figure, value in _figures(c, mask, confidence).items()
    }
    for place, mask in {("", "everybody"): everybody, **large}.items():
        n, k = int((mask & c["advised"]).sum()), int((mask & c["advised"] & ~c["holds"]).sum())
        limit = _share_with(k + 1, n, (1 - confidence) / (len(large) + 1)) if n else 1.0
        counts = {"n_people": n, "n_failures": k, "rate": k / n if n else None, "limit": limit}
        wanted["limits"][place] = counts
    for part, own in wanted.items():
        index = [
            name for name in ("feature", "group", "figure") if name in (document[part] or [""])[0]
        ]
        told = {tuple(one[name] for name in index): one for one in document[part]}
        wrong = [*told] != [*own] or len(told) != len(document[part])
        report._tell(wrong, f"{part}: there are others, or they are in another order")
        for key in [key for key in own if key in told]:
            for name, value in own[key].items():
                problem = f"{part}[{', '.join(key)}].{name}: {told[key][name]}, and it is {value}"
                report._tell(not _close(told[key][name], value), problem, part)


def _figures(c: dict[str, Any], rows: np.ndarray, confidence: float) -> dict[tuple, dict]:
    """Return all figures of some people, from their definitions (paper, section 3.3)."""
    c = {name: values[rows] for name, values in c.items()}
    everybody, gap, advised = np.ones(int(rows.sum()), dtype=bool), c["gap"], c["advised"]
    denied, denied_there, failed = ~c["accepted_reference"], ~c["accepted_deployed"], ~c["holds"]
    alike, compared = c["holds_float32"], ~np.isnan(gap)
    paid = compared & (c["cost"] > 0)
    change = (c["cost_deployed"] - c["cost"]) / np.where(paid, c["cost"], 1)
    told: dict[str, tuple[Any, ...]] = {
        "accuracy": ("share", everybody, c.get("right")),
        "accuracy_deployed": ("share", everybody, c.get("right_deployed")),
        "agreement": ("share", everybody, c["decision_reference"] == c["decision_deployed"]),
        "acceptance": ("share", everybody, ~denied),
        "acceptance_deployed": ("share", everybody, ~denied_there),
        "feasible_rate": ("share", denied, advised),
        "feasible_rate_deployed": ("share", denied_there, c["advised_deployed"]),
        "validity_drop": ("share", advised, failed),
        "validity_drop_mismatch": ("share", advised | ~denied, failed),
        "float32_drop": ("share", advised & ~np.isnan(alike), alike == 0),
        "recourse_gap": ("mean", compared, np.abs(gap), 0, math.inf),
        "recourse_gap_signed": ("mean", compared, gap, -1, math.inf),
        "recourse_gap_median": ("median", compared, gap),
        "recourse_gap_ratio": ("ratio", paid, change, -1, math.inf),
        "direction_similarity": ("mean", compared, c["cosine"], -1, 1),
        "action_overlap": ("mean", compared, c["overlap"], 0, 1),
        "cost": ("mean", advised, c["cost"], 0, math.inf),
        "cost_deployed": ("mean", c["advised_deployed"], c["cost_deployed"], 0, math.inf),
    }
    figures: dict[tuple, dict] = {}
    for name, (kind, mask, what, *ends) in told.items():
        if what is not None:
            values, n = what[mask].astype(float), int(mask.sum())
            weights = c["cost"][mask] if kind == "ratio" else np.ones(n)
            value, low, high = _value(kind, values, weights, confidence) if n else [None] * 3
            if ends and (low is not None or high is not None):
                # An end beyond what a value can be, or none, is that of Hoeffding's inequality.
                far = (ends[1] - ends[0]) * math.sqrt(-math.log((1 - confidence) / 2) / (2 * n))
                low = low if low is not None and low > ends[0] else max(ends[0], value - far)
                high = high if high is not None and high < ends[1] else min(ends[1], value + far)
                high = high if high < math.inf else None
            figures[name,] = {"value": value, "lower": low, "upper": high, "n": n, "kind": kind}
    return figures


def _value(kind: str, values: np.ndarray, weights: np.ndarray, confidence: float) -> list:
    """Return a figure and the ends of its interval."""
    n, tail = len(values), (1 - confidence) / 2
    if kind == "share":
        k = int(values.sum())
        return [k / n, _share_with(k, n, 1 - tail), _share_with(k + 1, n, tail)]
    if kind == "median":
        below = np.cumsum(np.exp(_log_choose(n) - n * math.log(2)))
        k, ordered = int(np.searchsorted(below, tail * (1 - 1e-9))), np.sort(values)
        return [np.median(values), *([ordered[k - 1], ordered[n - k]] if k else [None, None])]
    center = float((weights * values).sum() / weights.sum())
    if n < 2:
        return [center, None, None]
    error = math.sqrt(n / (n - 1) * ((weights * (values - center)) ** 2).sum()) / weights.sum()
    if error <= 1e-12 * np.abs(values).max():
        return [center, center, center]
    if n >= 20_000:
        far = NormalDist().inv_cdf(1 - tail) * error
        return [center, center - far, center + far]
    missed, random = np.zeros(2000), np.random.RandomState(0)
    for i in range(2000):
        drawn = random.randint(n, size=n)
        w, v = weights[drawn], values[drawn] - center
        ratio = (w @ v) / w.sum()
        spread = ((w * (v - ratio)) ** 2).sum()
        # One value again and again: a miss without end, or none.
        steady = spread <= 1e-12 * ((w * v) ** 2).sum()
        own = math.sqrt(n / (n - 1) * spread) / w.sum()
        missed[i] = 1e9 * np.sign(ratio) if steady else ratio / own
    ends = np.quantile(missed, [1 - tail, tail]).tolist()
    return [center, *(center - one * error if abs(one) < 1e5 else None for one in ends)]


def _check_remedies(remedies: dict, c: dict[str, Any], report: Any) -> None:
    """Hold what a margin and a bias would do against the margins of all advice."""
    advised, margin, odd = c["advised"], c["margin_deployed"], np.arange(len(c["holds"])) % 2 == 1
    fell = np.sort((c["margin"] - margin)[advised])
    # A bias that keeps all advice is a little more than that at which there would be a tie.
    tie = 1e-6 * max(1.0, np.nanmax(np.abs(margin), initial=0.0))
    for one in remedies.get("margin", {}).get("needed", ()):
        own = max(0.0, fell[math.ceil(one["share"] * len(fell) - 1e-9) - 1])
        problem = f"remedies.margin[{one['share']}]: {one['margin']}, and it is {own}"
        report._tell(not _close(one["margin"], own), problem, "remedies")
    for one in remedies.get("bias", {}).get("controls", ()):
        name, biases = one["name"], one["biases"]
        # The first of two biases is chosen on every other person, and meant for the rest.
        chosen_on = [advised] if len(biases) == 1 else [advised & odd, advised & ~odd]
        each = np.resize(biases, len(odd))
        wanted = {"validity_drop": (margin + each <= 0)[advised]}
        if name == "as_it_is":
            wanted = {"validity_drop": ~c["holds"][advised], "acceptance": c["accepted_deployed"]}
            wanted |= {"accuracy": c["right_deployed"]} if "right" in c else {}
        least = [min(margin[rows], default=math.inf) for rows in chosen_on]
        kept = [0.0 if low > 0 else -low for low in least] if name == "keep_advice" else biases
        wrong = len(kept) != len(biases) or np.abs(np.subtract(biases, kept)).max() > tie
        wrong |= name == "as_it_is" and biases != [0.0]
        wrong |= not all(_close(one[key], flags.mean()) for key, flags in wanted.items())
        place = f"remedies.bias[{name}, {one['chosen_on']}]"
        report._tell(wrong, f"{place}: the people's margins say otherwise", "remedies")
        report._skip("acceptance and accuracy under a bias: they need the deployed model's scores")


@lru_cache(maxsize=8)
def _log_choose(n: int) -> np.ndarray:
    i = np.arange(1, n + 1)
    return np.append(0.0, np.cumsum(np.log((n - i + 1) / i)))


@lru_cache(maxsize=4096)
def _share_with(k: int, n: int, wanted: float) -> float:
    """Return the share of which n people have fewer than k so often, by bisection."""
    if k <= 0 or k > n:
        return float(k > n)
    low, high, i, logs = 0.0, 1.0, np.arange(k), _log_choose(n)[:k]
    for _ in range(60):
        p = (low + high) / 2
        below = np.exp(logs + i * math.log(p) + (n - i) * math.log1p(-p)).sum() if p < 1 else 0.0
        low, high = (p, high) if below > wanted else (low, p)
    return (low + high) / 2


def main(arguments: list[str] | None = None) -> int:
    """Check the audit that a command line names, print the report, and return the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("audit")
    parser.add_argument("--data", required=True, help="CSV of the rows that were audited")
    parser.add_argument("--outcome", help="column of the data with the true labels")
    for role in ("reference", "deployed"):
        parser.add_argument(f"--{role}", help="module:name of a model or of a function to labels")
    asked, models = parser.parse_args(arguments), {}
    try:
        for role in ("reference", "deployed"):
            module, _, name = (getattr(asked, role) or "").partition(":")
            models[role] = getattr(importlib.import_module(module), name) if module else None
        # To the last bit, as fingerprints need it; pandas 3.1 does so unasked, and warns if asked.
        old = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
        data = pd.read_csv(asked.data, float_precision="round_trip" if old else None)
        labels = data[asked.outcome].to_numpy() if asked.outcome else None
        report = verify_audit(asked.audit, data, y=labels, **models)
    except (ImportError, OSError, *_CANNOT_READ) as error:
        print(f"cannot be judged: {error}", file=sys.stderr)
        return 2
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
