r"""The cheapest choices that gain enough, bounded from below: many small knapsacks at once.

Every feature stays, where it may, or takes one of its options, each with a cost and a gain. For a
multiplier λ,

.. math:: L(\lambda) = \lambda\,\text{need} + \sum_f \min_v (c_{fv} - \lambda g_{fv})

never exceeds the least cost at which the gains reach the need, also where at most k features may
change: then the forced changes count, and the most negative terms of the others. L is concave, so
the lines of a choice that misses the need and one that meets it bracket its top; it is made of
straight pieces, and of parabolas where numbers are priced by the squares of their moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ITERATIONS = 12
# A gap that rounding alone explains.
_CLOSED = 1e-12


@dataclass(frozen=True, eq=False)
class Squares:
    """Numbers that move as far as it pays, each at the square of its move.

    Attributes
    ----------
    rate, slope : ndarray of shape (N, m)
        A move by x costs ``(rate * x) ** 2`` and gains ``slope * x``.
    nearest, farthest : ndarray of shape (N, m)
        Between these a number moves.
    least : ndarray of shape (N, m)
        What a move costs at least.
    """

    rate: np.ndarray
    slope: np.ndarray
    nearest: np.ndarray
    farthest: np.ndarray
    least: np.ndarray

    def take(self, rows: np.ndarray) -> Squares:
        """Return the moves in some of the knapsacks."""
        parts = self.rate, self.slope, self.nearest, self.farthest, self.least
        return Squares(*(part[rows] for part in parts))

    def best(self, price: np.ndarray) -> np.ndarray:
        """Return the moves (N, m) whose cost less a price (N,) times the gain is least."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            move = price[:, None] * self.slope / (2 * self.rate**2)
        return np.clip(np.nan_to_num(move, posinf=np.inf), self.nearest, self.farthest)

    def cost(self, move: np.ndarray) -> np.ndarray:
        """Return what moves cost."""
        return np.maximum((self.rate * move) ** 2, self.least)


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
    squares : Squares or None
        What the first option of the first m features is, where that depends on the multiplier.
    """

    cost: np.ndarray
    gain: np.ndarray
    may_stay: np.ndarray
    most: int
    squares: Squares | None = None

    def take(self, rows: np.ndarray) -> Options:
        """Return some of the knapsacks."""
        squares = None if self.squares is None else self.squares.take(rows)
        return Options(self.cost[rows], self.gain[rows], self.may_stay[rows], self.most, squares)

    def at(self, price: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return costs and gains (N, F, V) at a multiplier (N,), and the moves of squares."""
        if self.squares is None:
            return self.cost, self.gain, None
        move = self.squares.best(price)
        m = move.shape[1]
        cost, gain = self.cost.copy(), self.gain.copy()
        there = np.isfinite(cost[:, :m, 0])
        cost[:, :m, 0] = np.where(there, self.squares.cost(move), np.inf)
        gain[:, :m, 0] = np.where(there, self.squares.slope * move, 0.0)
        return cost, gain, move


@dataclass(frozen=True, eq=False)
class Choices:
    """One choice in each of N knapsacks.

    Attributes
    ----------
    option : int64 ndarray of shape (N, F)
        -1 stays.
    cost, gain, price : ndarray of shape (N,)
        The price is the multiplier at which this is the best choice.
    move : ndarray of shape (N, m) or None
        What the first options of squares are at that multiplier.
    """

    option: np.ndarray
    cost: np.ndarray
    gain: np.ndarray
    price: np.ndarray
    move: np.ndarray | None = None

    def put(self, rows: np.ndarray, other: Choices) -> None:
        """Overwrite some of the choices."""
        self.option[rows], self.cost[rows] = other.option, other.cost
        self.gain[rows], self.price[rows] = other.gain, other.price
        if self.move is not None:
            self.move[rows] = other.move

    def take(self, rows: np.ndarray) -> Choices:
        """Return some of the choices."""
        move = None if self.move is None else self.move[rows]
        return Choices(self.option[rows], self.cost[rows], self.gain[rows], self.price[rows], move)


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
    n = len(need)
    over, under = (_choose(options, np.full(n, price)) for price in (np.inf, 0.0))
    met = under.gain >= need
    over.put(met, under.take(met))
    impossible = over.gain < need
    bound = np.where(impossible, np.inf, under.cost)
    active = np.flatnonzero(~met & ~impossible)
    for i in range(_ITERATIONS):
        if len(active) == 0:
            break
        left, right, goal = under.take(active), over.take(active), need[active]
        with np.errstate(divide="ignore", invalid="ignore"):
            price = (right.cost - left.cost) / (right.gain - left.gain)
        price = np.maximum(np.nan_to_num(price, posinf=0.0), 0.0)
        top = left.cost + price * (goal - left.gain)
        if options.squares is not None and i % 2:
            price = _where_gains_meet(left, right, goal, price)
        found = _choose(options.take(active), price)
        value = found.cost + price * (goal - found.gain)
        bound[active] = np.maximum(bound[active], value)
        meets = found.gain >= goal
        over.put(active[meets], found.take(meets))
        under.put(active[~meets], found.take(~meets))
        active = active[bound[active] < top - _CLOSED * np.abs(top)]
    return ChoiceBound(bound, under, over)


def _where_gains_meet(
    left: Choices, right: Choices, goal: np.ndarray, price: np.ndarray
) -> np.ndarray:
    """Return where gains meet the need if they rise evenly, as on a parabola, or else a price."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (goal - left.gain) / (right.gain - left.gain)
        even = left.price + share * (right.price - left.price)
    return np.where(np.isfinite(even), even, price)


def _choose(options: Options, price: np.ndarray) -> Choices:
    """Take what must change and of the rest what scores below zero, the lowest scores first.

    At an infinite price only the gains count.
    """
    costs, gains, move = options.at(price)
    if np.isinf(price).any():
        score = np.where(np.isfinite(costs), -gains, np.inf)
    else:
        score = costs - price[:, None, None] * gains
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
    cost = np.take_along_axis(costs, at, axis=2)[:, :, 0]
    gain = np.take_along_axis(gains, at, axis=2)[:, :, 0]
    return Choices(
        np.where(chosen, option, -1),
        np.where(chosen, cost, 0.0).sum(axis=1),
        np.where(chosen, gain, 0.0).sum(axis=1),
        price,
        move,
    )
