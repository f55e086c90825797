"""Properties of regions, projections and costs on random tables with random rules.

The oracle works out the admissible raw values one person at a time, in plain Python and raw
units; it shares no code with the library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skcfq.actions import ActionSet, compile_cost, raw_rows, region_of
from skcfq.encoding import FeatureSpace, TableBlock
from skcfq.encoding._blocks import AffineBlock
from skcfq.encoding._space import build_space

LETTERS = ["a", "b", "c", "d", "e"]


@dataclass
class Feature:
    """One feature: its raw columns, its rules, and what each person may do with it."""

    name: str
    kind: str
    columns: dict[str, Any]
    rules: dict[str, Any]
    blocks: list = field(default_factory=list)

    def domain(self, raw) -> tuple[list, tuple[float, float] | None]:
        """Return (admissible raw values other than staying, or an interval) of one person."""
        return DOMAINS[self.kind](self, raw)


@dataclass
class Case:
    """A table, its space, its action set."""

    X: pd.DataFrame
    space: FeatureSpace
    action_set: ActionSet
    features: list[Feature]
    seed: int

    def feature(self, name) -> Feature:
        return next(feature for feature in self.features if feature.name == name)


@st.composite
def cases(draw, max_changes=True, kinds=None):
    """Draw a case with one to five features."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    names = kinds or list(MAKERS)
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=5))
    tight = draw(st.booleans())
    k = draw(st.one_of(st.none(), st.integers(1, 3))) if max_changes else None
    n = draw(st.sampled_from([1, 3, 12]))
    features = [MAKERS[kind](rng, f"f{i}", n, tight) for i, kind in enumerate(chosen)]
    columns: dict[str, Any] = {}
    params: dict[str, Any] = {"max_changes": k, "immutable": [], "increasing": [], "decreasing": []}
    blocks, width = [], 0
    for feature in features:
        columns.update(feature.columns)
        for column in feature.columns:
            block = _block(rng, feature, column, width)
            width += block.width
            blocks.append(block)
            feature.blocks.append(block)
        for rule, value in feature.rules.items():
            if rule in ("immutable", "increasing", "decreasing"):
                params[rule].append(feature.name)
            else:
                params.setdefault(rule, {})[feature.name] = value
    X = pd.DataFrame(columns)
    space = build_space(blocks, [X[name].array for name in X], True, None)
    feature_set = ActionSet(**params)
    return Case(X, space, feature_set, features, seed)


def _block(rng, feature, column, start):
    if feature.kind in ("free", "ordered", "moves"):
        size = 4  # the letter "e" is not recognized
        scales, shift = rng.uniform(0.3, 3, size), rng.normal(size=size)
        codes = np.eye(size) * scales + shift
        return TableBlock(
            name=column,
            columns=np.arange(start, start + size),
            categories=tuple(LETTERS[:size]),
            codes=codes,
            unknown_code=shift,
        )
    scale = float(rng.choice([-1, 1]) * rng.uniform(0.01, 4))
    return AffineBlock(
        name=column,
        columns=np.array([start]),
        scale=scale,
        offset=float(rng.normal()),
        fill=None if feature.kind == "group" else 12.0,
        is_integer=feature.columns[column].dtype.kind == "i",
    )


def _direction(rng):
    return [{}, {}, {"increasing": True}, {"decreasing": True}][rng.integers(4)]


def _bounds(rng, tight):
    if not tight:
        return {"bounds": (None, None)}
    low = float(rng.integers(-5, 15))
    bounds = (low, low + float(rng.integers(0, 10)))
    choice = rng.integers(4)
    if choice == 0:
        return {"relative_bounds": (float(-rng.integers(0, 8)), float(rng.integers(0, 8)))}
    if choice == 1:
        return {"bounds": bounds, "relative_bounds": (-6.0, 6.0)}
    if choice == 2:
        return {"bounds": (bounds[0], None)}
    return {"bounds": bounds}


def _continuous(rng, name, n, tight):
    values = rng.normal(8, 10, n)
    values[rng.random(n) < 0.2] = np.nan
    return Feature(name, "continuous", {name: values}, {**_bounds(rng, tight), **_direction(rng)})


def _stepped(rng, name, n, tight):
    step = float(rng.choice([0.1, 0.25, 1, 3]))
    values = rng.normal(8, 6, n).round(1) if step < 1 else rng.integers(-5, 25, n)
    rules = {"steps": step, **_bounds(rng, True), **_direction(rng)}
    return Feature(name, "stepped", {name: values}, rules)


def _levels(rng, name, n, tight):
    levels = sorted(rng.choice(np.arange(-4, 20), rng.integers(1, 6), replace=False).tolist())
    rules = {"ordinal": levels, **_direction(rng)}
    if tight:
        rules.update(_bounds(rng, True))
    return Feature(name, "levels", {name: rng.integers(-5, 20, n)}, rules)


def _held(rng, name, n, tight):
    return Feature(name, "held", {name: rng.normal(size=n)}, {"immutable": True})


def _letters(rng, n):
    return rng.choice(np.array(LETTERS, dtype=object), n)


def _free(rng, name, n, tight):
    return Feature(name, "free", {name: _letters(rng, n)}, {})


def _ordered(rng, name, n, tight):
    order = list(rng.permutation(LETTERS[:4]))
    rules: dict[str, Any] = {"ordinal": [str(level) for level in order], **_direction(rng)}
    if tight:
        rules["bounds"] = (rules["ordinal"][2], None)
        rules["relative_bounds"] = (-2, 1)
    return Feature(name, "ordered", {name: _letters(rng, n)}, rules)


def _moves(rng, name, n, tight):
    moves = {
        source: [target for target in LETTERS[:4] if rng.random() < 0.4]
        for source in LETTERS[:4]
        if rng.random() < 0.7
    }
    return Feature(name, "moves", {name: _letters(rng, n)}, {"transitions": moves})


def _group(rng, name, n, tight):
    size = int(rng.integers(2, 5))
    codes = np.eye(size, dtype=np.int64)[rng.integers(0, size, n)]
    codes[rng.random(n) < 0.15] = 0  # in no category at all
    members = [f"{name}_{i}" for i in range(size)]
    return Feature(
        name,
        "group",
        {member: codes[:, i] for i, member in enumerate(members)},
        {"one_hot": members},
    )


MAKERS = {
    "continuous": _continuous,
    "stepped": _stepped,
    "levels": _levels,
    "held": _held,
    "free": _free,
    "ordered": _ordered,
    "moves": _moves,
    "group": _group,
}


def _interval(feature, own):
    """Return the raw limits of one person, from the rules, both containing the own value."""
    rules = feature.rules
    low, high = -math.inf, math.inf
    if "bounds" in rules:
        low, high = rules["bounds"]
        low = -math.inf if low is None else low
        high = math.inf if high is None else high
    elif "relative_bounds" not in rules and "ordinal" not in rules:
        raise AssertionError("every drawn numeric rule names bounds")
    if feature.kind == "stepped":
        # a stepped column without an end takes the observed one, or the other end beyond it
        column = np.asarray(feature.columns[feature.name], dtype=float)
        relative = rules.get("relative_bounds")
        if low == -math.inf and relative is None:
            low = min(np.nanmin(column), high)
        if high == math.inf and relative is None:
            high = max(np.nanmax(column), low)
    low, high = min(low, own), max(high, own)
    if "relative_bounds" in rules:
        below, above = rules["relative_bounds"]
        low, high = max(low, own + below), min(high, own + above)
    if "increasing" in rules:
        low = own
    if "decreasing" in rules:
        high = own
    return low, high


def _own(feature, raw):
    own = raw[feature.name]
    return 12.0 if isinstance(own, float) and math.isnan(own) else float(own)


def _continuous_domain(feature, raw):
    return [], _interval(feature, _own(feature, raw))


def _stepped_domain(feature, raw):
    low, high = _interval(feature, _own(feature, raw))
    step = feature.rules["steps"]
    reach = range(math.floor(low / step) - 2, math.ceil(high / step) + 3)
    return [round(k * step, 6) for k in reach if low - 1e-9 <= k * step <= high + 1e-9], None


def _levels_domain(feature, raw):
    low, high = _interval(feature, _own(feature, raw))
    return [level for level in feature.rules["ordinal"] if low <= level <= high], None


def _free_domain(feature, raw):
    return LETTERS[:4], None


def _ordered_domain(feature, raw):
    rules, order = feature.rules, feature.rules["ordinal"]
    own = raw[feature.name]
    directed = "increasing" in rules or "decreasing" in rules or "relative_bounds" in rules
    if own not in order:
        if directed:
            return [], None
        return order, None
    here, allowed = order.index(own), []
    for there, level in enumerate(order):
        if "increasing" in rules and there < here:
            continue
        if "decreasing" in rules and there > here:
            continue
        if "bounds" in rules and there < min(order.index(rules["bounds"][0]), here):
            continue
        if "relative_bounds" in rules and not -2 <= there - here <= 1:
            continue
        allowed.append(level)
    return allowed, None


def _moves_domain(feature, raw):
    return feature.rules["transitions"].get(raw[feature.name], []), None


def _group_domain(feature, raw):
    some_have_none = (sum(feature.columns.values()) == 0).any()
    return [*feature.rules["one_hot"], *(["none"] if some_have_none else [])], None


def _held_domain(feature, raw):
    return [], None


DOMAINS = {
    "continuous": _continuous_domain,
    "stepped": _stepped_domain,
    "levels": _levels_domain,
    "held": _held_domain,
    "free": _free_domain,
    "ordered": _ordered_domain,
    "moves": _moves_domain,
    "group": _group_domain,
}


def codes_of(feature: Feature, values: list) -> np.ndarray:
    """Encode admissible raw values of one feature, by hand; shape (number of values, width)."""
    rows = []
    for value in values:
        row: list[float] = []
        for block, column in zip(feature.blocks, feature.columns, strict=True):
            if block.kind == "table":
                row.extend(block.codes[block.categories.index(value)])
            else:
                raw = float(value == column) if feature.kind == "group" else float(value)
                row.append(block.scale * raw + block.offset)
        rows.append(row)
    return np.array(rows, dtype=float).reshape(len(rows), sum(b.width for b in feature.blocks))


def _region(case):
    return region_of(case.action_set.compile(case.space), case.X)


def _proposal(case, region, scale):
    rng = np.random.default_rng(case.seed + 1)
    noise = rng.normal(size=tuple(region.origin.shape)) * scale
    return region.origin + torch.from_numpy(noise)


def _columns_of(feature):
    return np.concatenate([block.columns for block in feature.blocks])


def _best_distance(feature, raw, own_code, target):
    """Return the distance from `target` to the nearest admissible code of one person."""
    values, interval = feature.domain(raw)
    codes = np.vstack([codes_of(feature, values), own_code[None]])
    best = np.sqrt(((codes - target) ** 2).sum(axis=1)).min()
    if interval is None:
        return best
    (block,) = feature.blocks
    ends = sorted(block.scale * np.array(interval) + block.offset)
    return min(best, abs(target[0] - np.clip(target[0], *ends)))


SCALES = st.sampled_from([0.0, 1e-3, 0.5, 5.0, 100.0])


@settings(max_examples=150, deadline=None)
@given(cases(), SCALES)
def test_projection_is_feasible_idempotent_and_the_identity_on_admissible_points(case, scale):
    region = _region(case)
    u = region.project(_proposal(case, region, scale))
    assert region.contains(u).all()
    assert torch.equal(region.project(u), u)
    k = case.action_set.max_changes
    assert k is None or region.changed(u).sum(dim=1).max() <= k
    held = [column for f in case.features if f.kind == "held" for column in _columns_of(f)]
    assert torch.equal(u[:, held], region.origin[:, held])
    for i, (_, raw) in enumerate(case.X.iterrows()):
        for feature in case.features:
            columns = _columns_of(feature)
            code, own = u[i, columns].numpy(), region.origin[i, columns].numpy()
            assert _best_distance(feature, raw, own, code) <= 1e-9


@settings(max_examples=100, deadline=None)
@given(cases(), SCALES)
def test_staying_is_always_allowed(case, scale):
    region = _region(case)
    assert region.contains(region.origin, atol=0.0).all()
    assert torch.equal(region.project(region.origin), region.origin)
    assert not region.changed(region.origin).any()
    values, levels = region.split(region.origin)
    assert torch.equal(levels, region.levels)
    assert torch.equal(region.assemble(values, torch.full_like(levels, -1)), region.origin)
    pd.testing.assert_frame_equal(raw_rows(region, region.origin), case.X)


@settings(max_examples=150, deadline=None)
@given(cases(max_changes=False), SCALES)
def test_each_feature_moves_to_the_nearest_admissible_value(case, scale):
    region = _region(case)
    proposal = _proposal(case, region, scale)
    u = region.project(proposal)
    for i, (_, raw) in enumerate(case.X.iterrows()):
        for feature in case.features:
            columns = _columns_of(feature)
            target, own = proposal[i, columns].numpy(), region.origin[i, columns].numpy()
            best = _best_distance(feature, raw, own, target)
            reached = np.sqrt(((u[i, columns].numpy() - target) ** 2).sum())
            assert reached <= best + 1e-9 * (1 + abs(best))


@settings(max_examples=100, deadline=None)
@given(cases(), SCALES)
def test_raw_rows_hold_admissible_values_and_unchanged_cells_bit_for_bit(case, scale):
    region = _region(case)
    u = region.project(_proposal(case, region, scale))
    rows = raw_rows(region, u)
    np.testing.assert_allclose(case.space.encode(rows), u.numpy(), rtol=1e-9, atol=1e-9)
    changed = dict(zip(region.compiled.feature_names, region.changed(u).numpy().T, strict=True))
    for feature in case.features:
        moved = changed.get(feature.name, np.zeros(len(rows), dtype=bool))
        for column in feature.columns:
            pd.testing.assert_series_equal(
                rows[column][~moved],
                case.X[column][~moved],
                check_dtype=feature.kind != "continuous",
            )
        if feature.kind == "stepped" and case.X[feature.name].dtype.kind == "i":
            assert rows[feature.name].dtype.kind == "i"
        for i in np.flatnonzero(moved):
            values, interval = feature.domain(case.X.iloc[i])
            if feature.kind == "group":
                members = rows[list(feature.columns)]
                some_have_none = (sum(feature.columns.values()) == 0).any()
                assert sorted(members.loc[i])[-2:] in ([0, 1], [0, 0])
                assert members.loc[i].any() or some_have_none
                assert all(kind.kind == "i" for kind in members.dtypes)
            elif interval is None:
                assert rows.loc[i, feature.name] in values
            else:
                assert interval[0] <= rows.loc[i, feature.name] <= interval[1]


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(["l1", "l2", "mixed"]))
def test_costs_equal_their_definition_person_by_person(case, norm):
    region = _region(case)
    names = region.compiled.feature_names
    weights = np.arange(1.0, len(names) + 1)
    cost = compile_cost(region.compiled, cost=norm, cost_weights=weights, cost_mix=0.3)
    u = region.project(_proposal(case, region, 5.0))
    rows = raw_rows(region, u)
    for i, value in enumerate(cost(u, region)):
        parts = []
        for name, weight in zip(names, weights, strict=True):
            feature = next(f for f in case.features if f.name == name)
            before = [case.X[column].iloc[i] for column in feature.columns]
            after = [rows[column].iloc[i] for column in feature.columns]
            columns = _columns_of(feature)
            if feature.kind in ("continuous", "stepped", "levels"):
                distance = float((u[i, columns] - region.origin[i, columns]).abs())
            elif feature.kind == "ordered" and before != after and before[0] != "e":
                order = feature.rules["ordinal"]
                distance = abs(order.index(after[0]) - order.index(before[0]))
            else:
                distance = float(before != after)
            parts.append(weight * distance)
        l1, l2 = sum(parts), sum(part**2 for part in parts) ** 0.5
        expected = {"l1": l1, "l2": l2, "mixed": 0.3 * l1 + 0.7 * l2}[norm]
        assert float(value) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(cases(), SCALES)
def test_taking_people_and_projecting_commute(case, scale):
    region = _region(case)
    proposal = _proposal(case, region, scale)
    rows = torch.tensor([len(case.X) - 1, 0, 0])
    taken = region.take(rows)
    assert taken.n_people == 3
    u = taken.project(proposal[rows])
    assert torch.equal(u, region.project(proposal)[rows])
    pd.testing.assert_frame_equal(
        raw_rows(taken, u).reset_index(drop=True),
        raw_rows(region, region.project(proposal)).iloc[rows.numpy()].reset_index(drop=True),
        check_dtype=False,
    )
