"""The numbers of the convex and mixed-integer programs: what people share, and each one's own."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import torch

from skcfq.actions import ChangeLiteral, LevelLiteral, LinearLiteral
from skcfq.solvers.problems import LinearProblem

# An open side is closed at this cost of a single feature, far beyond any sensible action; a
# program without solution proves nothing for people whom this concerns.
_FARTHEST = 1e4
# A move below this share of a unit is the solver's noise.
_NOISE = 1e-10
# A linear premise that does not hold misses its limit by at least this share of it.
_STRICT = 1e-6


@dataclass(frozen=True, eq=False)
class Grid:
    """A number on a grid: equal steps, or any list of points."""

    feature: int
    points: np.ndarray
    step: float | None

    @property
    def size(self) -> int:
        return len(self.points)


@dataclass(frozen=True, eq=False)
class ProgramShape:
    """What the programs of all people of a problem have in common."""

    n_numeric: int
    n_categories: int
    n_levels: int
    n_rivals: int
    weights: np.ndarray
    norm: str
    mix: float
    numeric_gain: np.ndarray
    weight_radius: float
    option_of_category: np.ndarray
    max_changes: int | None
    counted: bool
    has_min_change: bool
    grids: tuple[Grid, ...]
    n_linking: int
    linking_numeric: np.ndarray
    implications: list[tuple[list, list]]
    named_features: list[np.ndarray]
    literal_numeric: dict[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def content(self) -> bytes:
        """What the program itself is written with: equal for equal programs."""
        # Of a grid of equal steps, where it begins and ends is a parameter.
        grids = [(g.feature, g.step, g.points if g.step is None else None) for g in self.grids]
        held = {one.name: getattr(self, one.name) for one in fields(self)}
        return pickle.dumps(held | {"grids": grids})

    @property
    def n_implications(self) -> int:
        return len(self.implications)


@dataclass(frozen=True, eq=False)
class PersonData:
    """One person's parameters, and the way back from a solution to a state."""

    parameters: dict[str, np.ndarray]
    capped: bool
    own: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    grids: tuple[Grid, ...]
    own_levels: np.ndarray
    level_counts: list[int]

    def state(self, solution: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return clean values (m,) and levels (c,): on the grid, in the box, without noise."""
        move, option = solution
        values = self.own + np.where(
            np.abs(move) > _NOISE * np.maximum(1, np.abs(self.own)), move, 0
        )
        values = np.where(np.isnan(self.own), self.own, np.clip(values, self.lower, self.upper))
        for grid in self.grids:
            j = grid.feature
            if values[j] != self.own[j] and grid.size:
                values[j] = grid.points[np.abs(grid.points - values[j]).argmin()]
        levels, start = self.own_levels.copy(), 0
        for c, size in enumerate(self.level_counts):
            part = option[start : start + size]
            if part.any():
                levels[c] = int(part.argmax())
            start += size
        return values, levels


def program_shape(problem: LinearProblem, *, integer: bool) -> ProgramShape:
    """Read what the programs of all people share."""
    region, cost = problem.region, problem.cost
    _, m = region.values.shape
    sizes = [allowed.shape[1] for allowed in region.allowed]
    option_of_category = np.zeros((len(sizes), sum(sizes)))
    start = 0
    for c, size in enumerate(sizes):
        option_of_category[c, start : start + size] = 1.0
        start += size
    limit = problem.max_changes
    if limit is not None and limit >= region.n_features:
        limit = None
    grids = tuple(
        _grid(j, grid.numpy(), region) for j, grid in enumerate(region.grids) if grid is not None
    )
    linking = region.linking
    implications, named, literal_numeric = [], [], {}
    if linking is not None:
        for r, rule in enumerate(linking.implications):
            kinds = []
            for side, literals in (("premise", rule.premises), ("conclusion", rule.conclusions)):
                kinds.append([_kind(literal) for literal in literals])
                for place, literal in enumerate(literals):
                    if isinstance(literal, LinearLiteral):
                        literal_numeric[f"{side}_{r}_{place}"] = literal.numeric.numpy()
            implications.append((kinds[0], kinds[1]))
            named.append(rule.features.numpy())
    has_min_change = region.min_change is not None
    return ProgramShape(
        n_numeric=m,
        n_categories=len(sizes),
        n_levels=sum(sizes),
        n_rivals=int(problem.need.shape[1]),
        weights=cost.weights,
        norm=cost.norm,
        mix=cost.mix,
        numeric_gain=problem.numeric_gain.numpy(),
        weight_radius=problem.weight_radius,
        option_of_category=option_of_category,
        max_changes=limit if integer else None,
        counted=integer
        and (limit is not None or has_min_change or bool(grids) or bool(implications)),
        has_min_change=has_min_change,
        grids=grids if integer else (),
        n_linking=0 if linking is None else int(linking.linear_numeric.shape[0]),
        linking_numeric=np.zeros((0, m)) if linking is None else linking.linear_numeric.numpy(),
        implications=implications if integer else [],
        named_features=named,
        literal_numeric=literal_numeric,
    )


def _grid(feature: int, points: np.ndarray, region: Any) -> Grid:
    number = region.compiled.numeric[feature]
    if number.step is not None and number.block.kind == "affine" and len(points):
        # Of the rule: how far the grid goes depends on who else is asked about.
        return Grid(feature, points, abs(number.step * number.block.scale))
    gaps = np.diff(points)
    even = len(gaps) > 0 and np.ptp(gaps) <= 1e-9 * gaps.mean()
    return Grid(feature, points, float((points[-1] - points[0]) / len(gaps)) if even else None)


def _kind(literal: Any) -> Any:
    if isinstance(literal, LinearLiteral):
        return "linear"
    if isinstance(literal, LevelLiteral):
        return "level"
    assert isinstance(literal, ChangeLiteral)
    return (literal.feature, literal.changes)


def person_data(problem: LinearProblem, shape: ProgramShape, i: int) -> PersonData:
    """Collect the parameters of one person."""
    region = problem.region
    own = region.values[i].numpy()
    lower, upper = region.lower[i].numpy(), region.upper[i].numpy()
    up, down = np.nan_to_num(upper - own, posinf=np.inf), np.nan_to_num(own - lower, posinf=np.inf)
    far = _FARTHEST / shape.weights[: shape.n_numeric]
    capped = bool((up > far).any() or (down > far).any())
    up, down = np.minimum(up, far), np.minimum(down, far)
    parameters = {
        "most_up": up,
        "most_down": down,
        "need": problem.need[i].numpy(),
        "own": np.nan_to_num(own),
        "own_size": np.abs(np.nan_to_num(own)),
        "rises_low": np.zeros_like(own),
        "rises_high": (up > 0).astype(float),
        "falls_low": np.zeros_like(own),
        "falls_high": (down > 0).astype(float),
    }
    if region.min_change is not None:
        # The way through raw units rounds: a step that just fits must not be lost.
        least = region.min_change[i].numpy() * (1 - 1e-9)
        parameters["min_change"] = np.minimum(least, np.maximum(up, down))
        parameters["rises_high"] *= up >= least
        parameters["falls_high"] *= down >= least
    forced = np.zeros(len(own), dtype=bool)
    if problem.forced is not None and problem.forced[i].any():
        forced = problem.forced[i].numpy()
        # Whoever was moved up cannot go back down.
        rises = forced & (own <= lower)
        for side, moved in (("rises", rises), ("falls", forced & ~rises)):
            parameters[f"{side}_low"] = moved.astype(float)
            parameters[f"{side}_high"] = np.where(forced, moved, parameters[f"{side}_high"])
    _add_options(parameters, problem, shape, i)
    for grid in shape.grids:
        _add_grid(parameters, grid, own, lower, upper, bool(forced[grid.feature]))
    if region.linking is not None:
        _add_linking(parameters, problem, shape, i)
    return PersonData(
        parameters,
        capped,
        own,
        lower,
        upper,
        shape.grids,
        region.levels[i].numpy(),
        [allowed.shape[1] for allowed in region.allowed],
    )


def _add_options(parameters: dict, problem: LinearProblem, shape: ProgramShape, i: int) -> None:
    region = problem.region
    prices, gains, allowed = [], [], []
    for c, allows in enumerate(region.allowed):
        own = int(region.levels[i, c])
        weight = shape.weights[shape.n_numeric + c]
        prices.append(weight * problem.cost.level_distances[c][own])
        gains.append(problem.level_gain[c][i].numpy())
        open_ = allows[i].numpy().astype(float)
        if own >= 0:
            open_[own] = 0.0
        allowed.append(open_)
    if not allowed:
        return
    parameters["option_price"] = np.concatenate(prices)
    parameters["option_gain"] = np.concatenate(gains, axis=1)
    parameters["option_high"] = np.concatenate(allowed)
    parameters["option_low"] = np.zeros_like(parameters["option_high"])


def _add_grid(
    parameters: dict,
    grid: Grid,
    own: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    forced: bool,
) -> None:
    j, name = grid.feature, f"grid_{grid.feature}"
    slack = 1e-9 * max(1.0, abs(own[j]))
    inside = (grid.points >= lower[j] - slack) & (grid.points <= upper[j] + slack)
    if grid.step is None:
        # A number that was moved near stands on a point that it may take.
        inside &= forced | (np.abs(grid.points - own[j]) > slack)
        parameters[f"{name}_distance"] = np.where(inside, grid.points - own[j], 0.0)
        parameters[f"{name}_low"] = np.zeros(grid.size)
        parameters[f"{name}_high"] = inside.astype(float)
        return
    counts = np.flatnonzero(inside)
    # Counted from the person's own first point.
    start = grid.points[counts[0]] if len(counts) else own[j]
    first, last = (0, len(counts) - 1) if len(counts) else (1, 0)
    parameters[f"{name}_shift"] = np.array([np.nan_to_num(start - own[j])])
    parameters[f"{name}_first"], parameters[f"{name}_last"] = np.array([first]), np.array([last])
    parameters[f"{name}_low"] = np.array([0.0])
    parameters[f"{name}_high"] = np.array([float(max(last, 0))])


def _relative(levels: list[torch.Tensor], own: np.ndarray) -> np.ndarray:
    """Return the values of all levels less those of the own ones, one row after the other."""
    parts = []
    for c, table in enumerate(levels):
        values = table.numpy()
        base = values[..., own[c]] if own[c] >= 0 else np.zeros(values.shape[:-1])
        parts.append(values - base[..., None])
    return np.concatenate(parts, axis=-1) if parts else np.zeros(0)


def _add_linking(parameters: dict, problem: LinearProblem, shape: ProgramShape, i: int) -> None:
    region = problem.region
    linking = region.linking
    assert linking is not None
    own_values = np.nan_to_num(region.values[i].numpy())
    own_levels = region.levels[i].numpy()
    at_own = linking.linear_at_own()[i].numpy()
    parameters["linking_limit"] = linking.limit[i].numpy() - at_own
    parameters["linking_option"] = _relative([t[i] for t in linking.linear_levels], own_levels)
    reach = np.maximum(parameters["most_up"], parameters["most_down"])
    for r, rule in enumerate(linking.implications):
        waived = f"waived_{r}"
        parameters[f"{waived}_low"] = np.zeros(1)
        parameters[f"{waived}_high"] = np.array([float(rule.broken[i])])
        for side, literals in (("premise", rule.premises), ("conclusion", rule.conclusions)):
            for place, literal in enumerate(literals):
                name = f"{side}_{r}_{place}"
                if isinstance(literal, LinearLiteral):
                    _add_linear_literal(parameters, name, literal, i, own_values, own_levels, reach)
                elif isinstance(literal, LevelLiteral):
                    _add_level_literal(parameters, name, literal, i, own_levels, region)


def _add_linear_literal(
    parameters: dict,
    name: str,
    literal: LinearLiteral,
    i: int,
    own_values: np.ndarray,
    own_levels: np.ndarray,
    reach: np.ndarray,
) -> None:
    numeric = literal.numeric.numpy()
    option = _relative([table[i] for table in literal.levels], own_levels)
    at_own = float(numeric @ own_values)
    at_own += sum(
        float(table[i][level])
        for table, level in zip(literal.levels, own_levels, strict=True)
        if level >= 0
    )
    limit = float(literal.limit[i]) - at_own
    room = float(np.abs(numeric) @ reach + np.abs(option).sum()) + abs(limit) + 1.0
    parameters[f"{name}_option"] = option
    parameters[f"{name}_limit"] = np.array([limit])
    parameters[f"{name}_beyond"] = np.array([limit + _STRICT * max(1.0, abs(limit))])
    parameters[f"{name}_room"] = np.array([room])
    parameters[f"{name}_low"], parameters[f"{name}_high"] = np.zeros(1), np.ones(1)


def _add_level_literal(
    parameters: dict, name: str, literal: LevelLiteral, i: int, own_levels: np.ndarray, region: Any
) -> None:
    own = int(own_levels[literal.categorical])
    mask = literal.mask.numpy().astype(float)
    own_in = float(mask[own]) if own >= 0 else float(literal.unknown)
    option = [np.zeros(allowed.shape[1]) for allowed in region.allowed]
    option[literal.categorical] = mask - own_in
    parameters[f"{name}_own"] = np.array([own_in])
    parameters[f"{name}_option"] = np.concatenate(option)
