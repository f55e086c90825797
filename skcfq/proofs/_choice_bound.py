r"""The cheapest choices that gain enough, bounded from below: many small knapsacks at once.

Every feature stays, where it may, or takes one of its options, each with a cost and a gain. For a
multiplier λ,

.. math:: L(\lambda) = \lambda\,\text{need} + \sum_f \min_v (c_{fv} - \lambda g_{fv})

never exceeds the least cost at which the gains reach the need, also where at most k features may
change: then the forced changes count, and the most negative terms of the others. L is concave and
made of straight pieces, so the lines of a choice that misses the need and one that meets it bracket
its top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ITERATIONS = 12
# A gap that rounding alone explains.
_CLOSED = 1e-12


@dataclass(frozen=True, eq=False)
class Options:
    """What N knapsacks choose from.

    Attributes
    ----------
    cost, gain : ndarray of shape (N, F, V)
        Of every option of a change; the cost is infinite where there is none.
    may_stay : bool ndarray of shape (N, F)
        Whether the feature may stay, at no cost and no gain.
    most : int
        How many features may change.
    """

    cost: np.ndarray
    gain: np.ndarray
    may_stay: np.ndarray
    most: int

    def take(self, rows: np.ndarray) -> Options:
        """Return some of the knapsacks."""
        return Options(self.cost[rows], self.gain[rows], self.may_stay[rows], self.most)


@dataclass(frozen=True, eq=False)
class Choices:
    """One choice in each of N knapsacks.

    Attributes
    ----------
    option : int64 ndarray of shape (N, F)
        -1 stays.
    cost, gain : ndarray of shape (N,)
    """

    option: np.ndarray
    cost: np.ndarray
    gain: np.ndarray

    def put(self, rows: np.ndarray, other: Choices) -> None:
        """Overwrite some of the choices."""
        self.option[rows], self.cost[rows] = other.option, other.cost
        self.gain[rows] = other.gain

    def take(self, rows: np.ndarray) -> Choices:
        """Return some of the choices."""
        return Choices(self.option[rows], self.cost[rows], self.gain[rows])


@dataclass(frozen=True, eq=False)
class ChoiceBound:
    """What is known about N knapsacks.

    Attributes
    ----------
    bound : ndarray of shape (N,)
        Lower bound of the cost, infinite where no choice gains enough.
    under, over : Choices
        At the best multiplier: one may miss the need, the other meets it.
    """

    bound: np.ndarray
    under: Choices
    over: Choices

    def take(self, rows: np.ndarray) -> ChoiceBound:
        """Return what is known about some of the knapsacks."""
        return ChoiceBound(self.bound[rows], self.under.take(rows), self.over.take(rows))


def choice_bound(options: Options, need: np.ndarray) -> ChoiceBound:
    """Bound the least cost of choices that gain enough.

    Parameters
    ----------
    options : Options
    need : ndarray of shape (N,)
    """
    over = _choose(options, np.where(np.isfinite(options.cost), -options.gain, np.inf))
    under = _choose(options, options.cost)
    met = under.gain >= need
    over.put(met, under.take(met))
    impossible = over.gain < need
    bound = np.where(impossible, np.inf, under.cost)
    active = np.flatnonzero(~met & ~impossible)
    for _ in range(_ITERATIONS):
        if len(active) == 0:
            break
        left, right, goal = under.take(active), over.take(active), need[active]
        with np.errstate(divide="ignore", invalid="ignore"):
            price = (right.cost - left.cost) / (right.gain - left.gain)
        price = np.maximum(np.nan_to_num(price, posinf=0.0), 0.0)
        part = options.take(active)
        found = _choose(part, part.cost - price[:, None, None] * part.gain)
        value = found.cost + price * (goal - found.gain)
        bound[active] = np.maximum(bound[active], value)
        meets = found.gain >= goal
        over.put(active[meets], found.take(meets))
        under.put(active[~meets], found.take(~meets))
        top = left.cost + price * (goal - left.gain)
        active = active[bound[active] < top - _CLOSED * np.abs(top)]
    return ChoiceBound(bound, under, over)


def _choose(options: Options, score: np.ndarray) -> Choices:
    """Take what must change and of the rest what scores below zero, the lowest scores first."""
    option = score.argmin(axis=2)
    at = option[:, :, None]
    best = np.take_along_axis(score, at, axis=2)[:, :, 0]
    forced = ~options.may_stay
    chosen = forced | (best < 0)
    if options.most < score.shape[1]:
        room = options.most - forced.sum(axis=1, keepdims=True)
        order = np.argsort(np.where(forced, np.inf, best), axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(score.shape[1])[None, :], axis=1)
        chosen &= forced | (rank < room)
    cost = np.take_along_axis(options.cost, at, axis=2)[:, :, 0]
    gain = np.take_along_axis(options.gain, at, axis=2)[:, :, 0]
    return Choices(
        np.where(chosen, option, -1),
        np.where(chosen, cost, 0.0).sum(axis=1),
        np.where(chosen, gain, 0.0).sum(axis=1),
    )
