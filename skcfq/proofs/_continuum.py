"""Numbers that move continuously, as ladders too fine to be listed.

Their rungs are computed from where the own value and the bounds lie. They are so close to each
other that nothing is lost but rounding; boxes are cut in two until their bounds close the gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion, RecourseCost

# Rungs on each side of the own value; an index of both sides is a whole number in float64 too.
_RUNGS = 2**44
# Nobody goes farther than this cost on a side that has no bound.
_HORIZON = 1e4
# An action is optimal when no bound is lower than its cost by more than this share.
CONTINUOUS_GAP = 9e-7


@dataclass(frozen=True, eq=False)
class Continuum:
    """The ladders of s numbers of P people.

    Attributes
    ----------
    features : int64 ndarray of shape (s,)
        Which features these are.
    nearest : ndarray of shape (P, s)
        Encoded length of the shortest move.
    up, down : ndarray of shape (P, s)
        Distance of the other rungs on either side.
    n_up, n_down : int64 ndarray of shape (P, s)
        How many rungs there are on either side.
    low, high : ndarray of shape (P, s)
        Bounds of the values.
    weight : ndarray of shape (s,)
        Cost by encoded unit.
    horizon : ndarray of shape (P,)
        Cost of what lies beyond the last rungs; infinite where bounds are the last ones.
    power : int
        Of the contributions that prices are.
    """

    features: np.ndarray
    nearest: np.ndarray
    up: np.ndarray
    down: np.ndarray
    n_up: np.ndarray
    n_down: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    horizon: np.ndarray
    power: int = 1

    @classmethod
    def of(cls, region: ActionRegion, cost: RecourseCost, features: list[int]) -> Continuum:
        """Write down how far people may go.

        Parameters
        ----------
        region : ActionRegion
        cost : RecourseCost
        features : list of int
            Numbers without a grid.
        """
        own, low, high = (
            part.numpy()[:, features] for part in (region.values, region.lower, region.upper)
        )
        weight = cost.weights[features]
        least = np.zeros_like(own)
        if region.min_change is not None:
            least = region.min_change.numpy()[:, features]
        with np.errstate(divide="ignore"):
            farthest = np.minimum(_HORIZON / weight, 1e12)
        is_open = np.isinf(low) | np.isinf(high)
        horizon = np.where(is_open, weight * farthest, np.inf).min(axis=1, initial=np.inf)
        low, high = np.maximum(low, own - farthest), np.minimum(high, own + farthest)
        reach = np.maximum(np.stack([high - own, own - low]), 0.0)
        room = reach - least
        # A side that is shorter than the smallest change has no rung.
        n_rungs = np.where((room >= 0) & (reach > 0), _RUNGS, 0)
        step = np.where(n_rungs > 0, np.maximum(room, 0.0) / (_RUNGS - 1), 0.0)
        nearest = np.where(least > 0, least, 0.0)
        return cls(
            np.array(features, dtype=np.int64),
            nearest,
            step[0],
            step[1],
            n_rungs[0],
            n_rungs[1],
            np.minimum(low, own),
            np.maximum(high, own),
            weight,
            horizon,
        )

    def squared(self) -> Continuum:
        """Return the same ladders, whose prices are squares."""
        return replace(self, power=2, horizon=self.horizon**2)

    def only(self, f: int) -> Continuum:
        """Return the ladders of one of the features."""
        at = np.flatnonzero(self.features == f)
        parts = ("nearest", "up", "down", "n_up", "n_down", "low", "high")
        each = {name: getattr(self, name)[:, at] for name in parts}
        return replace(self, features=self.features[at], weight=self.weight[at], **each)

    def moves(self, person: np.ndarray, beyond: np.ndarray) -> np.ndarray:
        """Return how far rungs (N, s), counted from the own ones, move numbers of people (N,)."""
        step = np.where(beyond > 0, self.up[person], self.down[person])
        length = self.nearest[person] + (np.abs(beyond) - 1) * step
        return np.where(beyond == 0, 0.0, np.copysign(length, beyond))

    def prices(self, person: np.ndarray, beyond: np.ndarray) -> np.ndarray:
        """Return what rungs (N, s), counted from the own ones, cost people (N,)."""
        return (self.weight * np.abs(self.moves(person, beyond))) ** self.power

    def within(self, person: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how many rungs above and below the own ones cost no more than a price (N, s)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            length = np.maximum(room, 0.0) ** (1 / self.power) / self.weight
        length = np.nan_to_num(length, nan=np.inf, posinf=np.inf)
        sides = np.ones_like(length, dtype=bool), np.zeros_like(length, dtype=bool)
        above, below = (np.ceil(self._count(person, length, upward)) for upward in sides)
        return (
            np.clip(above, 0, self.n_up[person]).astype(np.int64),
            np.clip(below, 0, self.n_down[person]).astype(np.int64),
        )

    def first_at(self, person: np.ndarray, length: np.ndarray, upward: np.ndarray) -> np.ndarray:
        """Return how many rungs away the first are that go so far (N, s), or else the last."""
        n_rungs = np.where(upward, self.n_up[person], self.n_down[person])
        count = np.clip(np.ceil(self._count(person, length, upward)), 1, None)
        return np.where(length > 0, np.minimum(count, n_rungs), 0).astype(np.int64)

    def last_within(self, person: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """Return the last rungs, counted from the own ones, not beyond given moves (N, s)."""
        upward = moves > 0
        n_rungs = np.where(upward, self.n_up[person], self.n_down[person])
        count = np.floor(self._count(person, np.abs(moves), upward))
        rungs = np.where(moves == 0, 0, np.clip(count, 0, n_rungs)).astype(np.int64)
        return np.where(upward, rungs, -rungs)

    def _count(self, person: np.ndarray, length: np.ndarray, upward: np.ndarray) -> np.ndarray:
        """Return how many rungs of a side a length takes, with fractions."""
        step = np.where(upward, self.up[person], self.down[person])
        with np.errstate(divide="ignore", invalid="ignore"):
            count = (length - self.nearest[person]) / step + 1.0
        return np.nan_to_num(count, nan=1.0, posinf=2.0 * _RUNGS, neginf=0.0)
