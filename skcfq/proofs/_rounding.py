"""Points of the lattice near the solutions of relaxed knapsacks: guesses at answers."""

from __future__ import annotations

import numpy as np

from skcfq.proofs._choice_bound import ChoiceBound
from skcfq.proofs._continuum import CONTINUOUS_GAP
from skcfq.proofs._gains import Choosing, Gains
from skcfq.proofs._lattice import Lattice

# Where numbers are put: how far on the way from the place where the relaxed need is just met to the
# choice that meets it, and how much farther out than that. On a continuum both choices end up in
# one place, and what just meets the need there may miss it by rounding.
_PLACES = ((0.0, 1.0), (0.5, 1.0), (1.0, 1.0))
_ON_A_CONTINUUM = ((0.0, 1.0 + CONTINUOUS_GAP / 2),)


def rounded(
    lattice: Lattice, gains: Gains, choosing: Choosing, found: ChoiceBound, need: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return points near the solutions of the knapsacks of N boxes.

    Parameters
    ----------
    lattice : Lattice
    gains : Gains
    choosing : Choosing
    found : ChoiceBound
        Of knapsacks that have a solution.
    need : ndarray of shape (N,)

    Returns
    -------
    person : int64 ndarray of shape (M,)
    rungs : int64 ndarray of shape (M, F)
        Within the boxes; they change no more features than the knapsacks allow.
    """
    m = lattice.n_numbers
    begin, end, share = choosing.mixture(found, need)
    rungs = np.where(found.over.option >= 0, found.over.option, lattice.own[gains.boxes.person])
    points = []
    places = _PLACES if lattice.continuum is None else _PLACES + _ON_A_CONTINUUM
    for further, scale in places:
        part = (share + further * (1 - share))[:, None]
        goal = scale * ((1 - part) * begin + part * end)
        point = rungs.copy()
        point[:, :m] = _rungs_beyond(lattice, gains, choosing, goal)
        points.append(point)
    return np.tile(gains.boxes.person, len(points)), np.concatenate(points)


def _rungs_beyond(
    lattice: Lattice, gains: Gains, choosing: Choosing, goal: np.ndarray
) -> np.ndarray:
    """Return the first rungs of boxes, from the own values outward, that are not before a goal."""
    boxes, m = gains.boxes, lattice.n_numbers
    tables, smooth = gains.tables, lattice.continuum
    low, high = boxes.low[:, :m], boxes.high[:, :m]
    begin = np.clip(lattice.own[boxes.person][:, :m], low, high)
    side = np.where(choosing.upward, 1, -1)
    least, most = np.zeros_like(begin), np.where(choosing.upward, high - begin, begin - low)
    if smooth is not None:
        at, own = smooth.features, lattice.own[boxes.person][:, smooth.features]
        upward = choosing.upward[:, at]
        first = smooth.first_at(boxes.person, np.abs(goal[:, at]), upward)
        first = np.where(upward, own + first, own - first)
        least[:, at] = np.clip(np.abs(first - begin[:, at]), 0, most[:, at])
        most[:, at] = least[:, at]
    while bool((least < most).any()):
        middle = (least + most) >> 1
        reached = side * (tables.coordinates(boxes.person, begin + side * middle) - goal) >= 0
        most = np.where(reached, middle, most)
        least = np.where(reached, least, np.minimum(middle + 1, most))
    return begin + side * least
