"""A numeric feature that can change: its limits, its grid, and the checks of its rules."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcfq.actions._raw import filled_numbers
from skcfq.actions._rule_values import OBSERVED, fail, number, number_pair
from skcfq.actions._rules import FeatureRules
from skcfq.encoding import statistic_of
from skcfq.exceptions import ActionSetError

__all__ = ["SAME_VALUE", "NumericFeature", "build_numeric", "multiples"]

MAX_GRID = 1_000_000
# Relative distance under which two encoded values are one value computed in two ways.
SAME_VALUE = 1e-12


@dataclass(frozen=True, eq=False)
class NumericFeature:
    """A raw number that sits in one encoded column.

    Parameters
    ----------
    name : hashable
    column : int
        Position of the raw column.
    encoded_column : int
        Position of the encoded column.
    block : Block
        The map between the two, with its statistics.
    low, high : float
        Absolute limits in raw units; infinite where open.
    relative : tuple of float
        Offsets from the person's own value, in raw units; infinite where open.
    direction : {-1, 0, 1}
    step : float or None
    values : ndarray of shape (g,) or None
        Discrete domain in raw units, rising.
    min_change : float or None
        Smallest change in raw units.
    """

    name: Hashable
    column: int
    encoded_column: int
    block: Any
    low: float = -math.inf
    high: float = math.inf
    relative: tuple[float, float] = (-math.inf, math.inf)
    direction: int = 0
    step: float | None = None
    values: np.ndarray | None = None
    min_change: float | None = None

    @property
    def rising(self) -> bool:
        """Whether the encoded value grows with the raw value."""
        return bool(self.block.increasing)

    def own_values(self, columns: Sequence[Any]) -> np.ndarray:
        """Return people's raw values, gaps filled, float64 of shape (n,), from the raw columns."""
        return filled_numbers(self.block, columns[self.column])

    def encode(self, raw: np.ndarray) -> np.ndarray:
        """Return the encoded values of raw values, infinities passed through with their sign."""
        infinite = np.isinf(raw)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            encoded = np.array(self.block.encode(np.where(infinite, 0.0, raw))[:, 0], dtype=float)
        encoded[infinite] = raw[infinite] if self.rising else -raw[infinite]
        if np.isnan(encoded[~np.isnan(raw)]).any():
            outside = raw[~np.isnan(raw) & np.isnan(encoded)][0]
            raise ActionSetError(
                f"the rules on {self.name!r} reach {outside:g}, where the encoder's transformation "
                "of the column is not defined. Narrow its bounds."
            )
        return encoded

    def with_bounds(self, low: float, high: float) -> NumericFeature:
        """Return the feature with other absolute limits.

        A grid needs ends: where the rules leave a side open, it takes those of the population.
        """
        if self.step is None:
            return replace(self, low=low, high=high)
        if low == -math.inf and self.relative[0] == -math.inf and self.direction <= 0:
            low = min(high, _observed_end(self.block, "minimum"))
        if high == math.inf and self.relative[1] == math.inf and self.direction >= 0:
            high = max(low, _observed_end(self.block, "maximum"))
        if math.isfinite(low) and math.isfinite(high):
            multiples(self.step, low, max(low, high), self.name)  # refuses too many
        return replace(self, low=low, high=high)

    def limits(self, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper raw limits of each person; both sides contain `own`."""
        lower = np.maximum(np.minimum(self.low, own), own + min(self.relative[0], 0.0))
        upper = np.minimum(np.maximum(self.high, own), own + max(self.relative[1], 0.0))
        if self.direction > 0:
            lower = own.copy()
        if self.direction < 0:
            upper = own.copy()
        return lower, upper

    def grid(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray | None:
        """Return the rising raw grid that covers all people, or None for a continuous column."""
        if self.step is None:
            return self.values
        if lower.size == 0:
            return np.empty(0)
        ends = float(np.fmin.reduce(lower)), float(np.fmax.reduce(upper))
        if not all(map(math.isfinite, ends)):  # nobody has a value
            return np.empty(0)
        if ends[1] - ends[0] > MAX_GRID * self.step and math.isfinite(self.high - self.low):
            # A person far outside must not make the grid endless: they may stay or come back in.
            ends = self.low, self.high
        elif ends[1] - ends[0] > MAX_GRID * self.step:
            return self._grid_around(lower, upper)
        return multiples(self.step, *ends, self.name)

    def _grid_around(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the grid near each person, where one of them is far away from the others."""
        assert self.step is not None
        known = np.isfinite(lower) & np.isfinite(upper)
        order = np.argsort(lower[known], kind="stable")
        lower, reach = lower[known][order], np.maximum.accumulate(upper[known][order])
        # A gap between the reach of some and the start of the next ends a stretch.
        starts = np.flatnonzero(np.append(True, lower[1:] > reach[:-1] + self.step))
        ends = reach[np.append(starts[1:], len(lower)) - 1]
        stretches = zip(lower[starts], ends, strict=True)
        return np.unique(
            np.concatenate([multiples(self.step, low, high, self.name) for low, high in stretches])
        )


def build_numeric(rules: FeatureRules, block: Any) -> NumericFeature:
    """Check the rules of a numeric column and resolve what depends on the background."""
    if rules.transitions is not None:
        fail(
            "transitions",
            rules.name,
            rules.transitions,
            "the column is numeric",
            "Use steps, ordinal or bounds for a number",
        )
    values = None if rules.ordinal is None else _numeric_levels(rules)
    if values is not None and rules.step is not None:
        fail(
            "steps",
            rules.name,
            rules.step,
            "the column also has ordinal levels",
            "Give the admissible values by one of the two",
        )
    step = rules.step or None
    low, high = _absolute_limits(rules, block, has_levels=values is not None)
    relative = rules.relative_bounds or (-math.inf, math.inf)
    if rules.max_change is not None:
        relative = (max(relative[0], -rules.max_change), min(relative[1], rules.max_change))
    if rules.min_change is not None and block.kind != "affine":
        fail(
            "min_change",
            rules.name,
            rules.min_change,
            "the encoding of the column is not linear",
            "Leave the column untransformed (but for scaling), or drop the rule",
        )
    if _is_whole(rules, block, (low, high), relative):
        step = 1.0
    feature = NumericFeature(
        rules.name,
        rules.columns[0],
        int(block.columns[0]),
        block,
        relative=relative,
        direction=rules.direction,
        step=step,
        values=values,
        min_change=rules.min_change,
    )
    return feature.with_bounds(low, high)


def _is_whole(
    rules: FeatureRules,
    block: Any,
    absolute: tuple[float, float],
    relative: tuple[float, float],
) -> bool:
    """Return whether a column of whole numbers moves in whole numbers: nobody is told 3.7 loans.

    A step of 0 frees it. Without ends, or with too many values between them, it stays continuous.
    """
    if not block.is_integer or rules.step is not None or rules.ordinal is not None:
        return False
    return min(absolute[1] - absolute[0], relative[1] - relative[0]) < MAX_GRID


def multiples(step: float, low: float, high: float, name: Hashable) -> np.ndarray:
    """Return the multiples of `step` in [low, high], exact decimals where the step is one."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if last - first >= MAX_GRID:
        fail(
            "steps",
            name,
            step,
            f"it makes more than {MAX_GRID:,} values in [{low:g}, {high:g}]",
            "Widen the step or narrow the bounds",
        )
    values = np.arange(first, last + 1, dtype=float) * step
    # 3 * 0.1 is not the float 0.3 that a bound or a raw value is written as.
    digits = 12 - math.floor(math.log10(step))
    tidy = np.round(values, min(max(digits, 0), 300))
    is_near = np.abs(tidy - values) <= 4 * np.spacing(np.abs(values))
    # Rounding to decimals shifts large whole numbers by an ulp.
    return np.where(is_near & (values != np.rint(values)), tidy, values)


def _numeric_levels(rules: FeatureRules) -> np.ndarray:
    values = [number("ordinal", rules.name, level) for level in rules.ordinal or ()]
    if not all(math.isfinite(value) for value in values):
        fail("ordinal", rules.name, rules.ordinal, "a level is infinite", "Give finite numbers")
    if any(later <= earlier for earlier, later in itertools.pairwise(values)):
        fail(
            "ordinal",
            rules.name,
            rules.ordinal,
            "the levels of a numeric column must rise",
            "Sort them",
        )
    return np.array(values)


def _absolute_limits(rules: FeatureRules, block: Any, *, has_levels: bool) -> tuple[float, float]:
    ranges = []
    bounds = rules.bounds
    no_rule = all(
        rule is None
        for rule in (bounds, rules.relative_bounds, rules.quantile_bounds, rules.max_change)
    )
    if bounds == OBSERVED or (no_rule and not has_levels):
        ranges.append(_observed(block))
    elif bounds is not None:
        ranges.append(number_pair("bounds", rules.name, bounds))
    if rules.quantile_bounds is not None:
        purpose = f"quantile_bounds for {rules.name!r}"
        quantiles = np.asarray(statistic_of(block, "quantiles", purpose), dtype=float)
        shares = np.linspace(0, 1, len(quantiles))
        low, high = (float(np.interp(q, shares, quantiles)) for q in rules.quantile_bounds)
        ranges.append((low, high) if low <= high else (math.inf, -math.inf))
    low = max((side[0] for side in ranges), default=-math.inf)
    high = min((side[1] for side in ranges), default=math.inf)
    if low > high and len(ranges) > 1:
        fail(
            "bounds",
            rules.name,
            bounds,
            f"together with quantile_bounds {rules.quantile_bounds!r} no value is left "
            f"(lower {low:g}, upper {high:g})",
            "Widen one of the two",
        )
    return low, high


def _observed_end(block: Any, name: str) -> float:
    return float(statistic_of(block, name, f"A limit of {block.name!r}"))


def _observed(block: Any) -> tuple[float, float]:
    low, high = _observed_end(block, "minimum"), _observed_end(block, "maximum")
    # A column that is empty in the background offers nothing to move to.
    return (low, high) if low <= high else (math.inf, -math.inf)
