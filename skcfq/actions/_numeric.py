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

__all__ = ["SAME_VALUE", "NumericFeature", "absolute_limits", "build_numeric", "multiples"]

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
    lifted : tuple of bool
        Whether relative bounds let a grid go beyond the observed range, below and above.
    is_whole : bool
        Whether values are whole numbers though there is no grid: it would be too long.
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
    lifted: tuple[bool, bool] = (False, False)
    is_whole: bool = False

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
        low, high = _closed(self.block, low, high, self.lifted)
        # A side that is open still is closed by what is relative to the own value.
        known = 0 <= high - low < math.inf
        if known and self.relative[1] - self.relative[0] >= MAX_GRID * self.step:
            _check_size(self.step, low, high, self.name)
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
        known = np.isfinite(lower) & np.isfinite(upper)
        if not known.any():  # nobody has a value
            return np.empty(0)
        lower, upper = lower[known], upper[known]
        if upper.max() - lower.min() < MAX_GRID * self.step:
            return multiples(self.step, float(lower.min()), float(upper.max()))
        far = self.is_far(lower, upper)
        if far.any() and 0 <= self.high - self.low < MAX_GRID * self.step:
            # A person far outside must not make the grid endless: they may stay or come back in.
            lower, upper = np.append(lower[~far], self.low), np.append(upper[~far], self.high)
        return self._grid_around(lower, upper)

    def encoded_grid(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rising encoded grid of a raw grid, and the raw values in its order.

        Nobody writes into either: those of the last raw grid are kept.
        """
        last = self.__dict__.get("_last_grid")
        if last is None or not np.array_equal(last[0], raw):
            grid, kept = np.unique(self.encode(raw), return_index=True)
            last = raw, grid, raw[kept]
            self.__dict__["_last_grid"] = last
        return last[1], last[2]

    def is_far(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Tell whose limits are too far apart for a grid of their own, bool of shape (n,)."""
        if self.step is None:
            return np.zeros(len(lower), dtype=bool)
        with np.errstate(invalid="ignore"):
            return np.asarray(upper - lower >= MAX_GRID * self.step)

    def _grid_around(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the grid near each person, where one of them is far away from the others."""
        assert self.step is not None
        # Too much is what one person could do, not what several together can.
        widest = int(np.argmax(upper - lower))
        _check_size(self.step, float(lower[widest]), float(upper[widest]), self.name)
        order = np.argsort(lower, kind="stable")
        lower, reach = lower[order], np.maximum.accumulate(upper[order])
        # A gap between the reach of some and the start of the next ends a stretch.
        starts = np.flatnonzero(np.append(True, lower[1:] > reach[:-1] + self.step))
        ends = reach[np.append(starts[1:], len(lower)) - 1]
        stretches = zip(lower[starts], ends, strict=True)
        return np.unique(
            np.concatenate([multiples(self.step, low, high) for low, high in stretches])
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
    low, high = absolute_limits(rules, block, has_levels=values is not None)
    relative = rules.relative_bounds or (-math.inf, math.inf)
    lifted = relative[0] > -math.inf, relative[1] < math.inf
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
    feature = NumericFeature(
        rules.name,
        rules.columns[0],
        int(block.columns[0]),
        block,
        low,
        high,
        relative,
        rules.direction,
        rules.step or None,
        values,
        rules.min_change,
        lifted,
    )
    if rules.immutable or values is not None or rules.step == 0:
        # What is held has its rules checked, and needs no grid.
        return feature
    if rules.step is None:
        return _on_own_grid(feature, rules)
    return feature.with_bounds(low, high)


def _on_own_grid(feature: NumericFeature, rules: FeatureRules) -> NumericFeature:
    """Return how a column moves that no rule gives a grid.

    Nobody is told to have 3.7 loans, or 0.1 of a flag: whole numbers move in whole numbers, and a
    column of two values moves between them. A step of 0 frees it, and so do bounds beyond the two
    values. With too many whole numbers between its ends a column has no grid, and points are
    rounded.
    """
    block, told = feature.block, feature.block.statistics
    if told.is_binary:
        two = _observed(block)
        low, high = _closed(block, feature.low, feature.high, (False, False))
        if two[0] <= low and high <= two[1]:
            holds, within = f"{two[0]:g} and {two[1]:g} only", low == two[0] or high == two[1]
            _check_choice(rules, holds, within, two[1] - two[0])
            return replace(feature, low=low, high=high, values=np.array(two))
    if not (block.is_integer or told.is_whole):
        return feature
    low, high = _closed(block, feature.low, feature.high, feature.lifted)
    feature = replace(feature, low=low, high=high)
    _check_choice(rules, "whole numbers", low > high or np.ceil(low) <= high, 1.0)
    if not min(high - low, feature.relative[1] - feature.relative[0]) < MAX_GRID:
        return replace(feature, is_whole=True)
    return replace(feature, step=1.0)


def _check_choice(rules: FeatureRules, holds: str, within: bool, step: float) -> None:
    """Refuse stated limits under which a column of certain values can never change."""
    remedy = f"Widen it, or give steps={{{rules.name!r}: 0}} if there are values between them"
    if not within and rules.bounds not in (None, OBSERVED):
        fail("bounds", rules.name, rules.bounds, f"the column holds {holds}, none of these", remedy)
    reach = 0.0 if rules.relative_bounds is None else max(map(abs, rules.relative_bounds))
    for rule, size in (("relative_bounds", reach), ("max_change", rules.max_change or 0.0)):
        if 0 < size < step:
            fail(
                rule, rules.name, size, f"the column holds {holds}, which no change reaches", remedy
            )


def _closed(block: Any, low: float, high: float, lifted: tuple[bool, bool]) -> tuple[float, float]:
    """Close open sides at the observed extreme, or at the other side where that is farther out."""
    is_open = low == -math.inf and not lifted[0], high == math.inf and not lifted[1]
    if not any(is_open):
        return low, high
    ends = _observed(block)
    if all(is_open):
        return ends
    return (min(ends[0], high), high) if is_open[0] else (low, max(ends[1], low))


def multiples(step: float, low: float, high: float) -> np.ndarray:
    """Return the multiples of `step` in [low, high], exact decimals where the step is one."""
    first, last = _ends(step, low, high)
    values = np.arange(first, last + 1, dtype=float) * step
    # 3 * 0.1 is not the float 0.3 that a bound or a raw value is written as.
    digits = 12 - math.floor(math.log10(step))
    tidy = np.round(values, min(max(digits, 0), 300))
    is_near = np.abs(tidy - values) <= 4 * np.spacing(np.abs(values))
    # Rounding to decimals shifts large whole numbers by an ulp.
    return np.where(is_near & (values != np.rint(values)), tidy, values)


def _ends(step: float, low: float, high: float) -> tuple[int, int]:
    """Return which multiples are the first and the last in [low, high]."""
    return math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)


def _check_size(step: float, low: float, high: float, name: Hashable) -> None:
    """Refuse a grid of too many values."""
    first, last = _ends(step, low, high)
    if last - first >= MAX_GRID:
        fail(
            "steps",
            name,
            step,
            f"it makes more than {MAX_GRID:,} values in [{low:g}, {high:g}]",
            "Widen the step or narrow the bounds",
        )


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


def absolute_limits(
    rules: FeatureRules, block: Any, *, has_levels: bool = False
) -> tuple[float, float]:
    """Return the limits that rules state, infinite where they leave a side open."""
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
