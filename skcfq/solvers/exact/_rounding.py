"""Points of the lattice near the solutions of relaxed knapsacks: guesses at answers."""

from __future__ import annotations

import numpy as np

from skcfq.solvers.exact._choice_bound import ChoiceBound, Choices
from skcfq.solvers.exact._gains import FAR, Gains
from skcfq.solvers.exact._lattice import Lattice

# Where on the way from the choice that misses the need to the one that meets it numbers are put,
# beside the place where the relaxed need is just met.
_FURTHER = (0.5, 1.0)


def rounded(
    lattice: Lattice, gains: Gains, found: ChoiceBound, need: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return points near the solutions of the knapsacks of N boxes.

    Parameters
    ----------
    lattice : Lattice
    gains : Gains
    found : ChoiceBound
        Of knapsacks that have a solution.
    need : ndarray of shape (N,)

    Returns
    -------
    person : int64 ndarray of shape (M,)
    rungs : int64 ndarray of shape (M, F)
        Within the boxes; they change no more features than the knapsacks allow.
    """
    under = _rungs(lattice, gains, found.under)
    over = _rungs(lattice, gains, found.over)
    missing = found.over.gain - found.under.gain
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (need - found.under.gain) / missing
    share = np.clip(np.nan_to_num(share, nan=1.0), 0.0, 1.0)
    points = [_between(lattice, gains, under, over, share)]
    points += [_between(lattice, gains, under, over, share + f * (1 - share)) for f in _FURTHER]
    return np.tile(gains.boxes.person, len(points)), np.concatenate(points)


def _rungs(lattice: Lattice, gains: Gains, choice: Choices) -> np.ndarray:
    """Return the rungs that choices stand for, shape (N, F)."""
    boxes, m = gains.boxes, lattice.n_numbers
    own = lattice.own[boxes.person]
    option = choice.option
    rungs = np.where(option >= 0, option, own)
    above = boxes.low[:, :m] > own[:, :m]
    outward = np.where(boxes.holds_own(lattice)[:, :m], gains.number > 0, above)
    far = np.where(outward, boxes.high[:, :m], boxes.low[:, :m])
    near = np.where(outward, boxes.low[:, :m], boxes.high[:, :m])
    moved = np.where(option[:, :m] == FAR, far, near)
    rungs[:, :m] = np.where(option[:, :m] >= 0, moved, own[:, :m])
    return rungs


def _between(
    lattice: Lattice, gains: Gains, under: np.ndarray, over: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Move numbers from one choice toward the other, and away from the own value to a rung."""
    m = lattice.n_numbers
    coordinate = gains.tables.coordinate
    start = gains.start[:, :m]
    begin, end = under[:, :m], over[:, :m]
    goal = (1 - share[:, None]) * coordinate[start + begin] + share[:, None] * coordinate[start + end]
    side = np.sign(end - begin)
    least, most = np.zeros_like(side), np.abs(end - begin)
    while bool((least < most).any()):
        middle = (least + most) >> 1
        reached = side * (coordinate[start + begin + side * middle] - goal) >= 0
        most = np.where(reached, middle, most)
        least = np.where(reached, least, np.minimum(middle + 1, most))
    rungs = over.copy()
    rungs[:, :m] = begin + side * least
    return rungs
