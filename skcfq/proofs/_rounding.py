"""Points of the lattice near the solutions of relaxed knapsacks: guesses at answers."""

from __future__ import annotations

import numpy as np

from skcfq.proofs._choice_bound import ChoiceBound, Choices
from skcfq.proofs._gains import Choosing, Gains
from skcfq.proofs._lattice import Lattice

# Where on the way from the choice that misses the need to the one that meets it numbers are put,
# beside the place where the relaxed need is just met.
_FURTHER = (0.5, 1.0)


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
    begin, end = (_moves(choosing, one) for one in (found.under, found.over))
    # A mixture of two choices would change the features of both.
    begin = np.where(found.over.option[:, :m] >= 0, begin, end)
    missing = found.over.gain - found.under.gain
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (need - found.under.gain) / missing
    share = np.clip(np.nan_to_num(share, nan=1.0), 0.0, 1.0)
    rungs = np.where(found.over.option >= 0, found.over.option, lattice.own[gains.boxes.person])
    points = []
    for further in (0.0, *_FURTHER):
        part = (share + further * (1 - share))[:, None]
        point = rungs.copy()
        point[:, :m] = _rungs_beyond(lattice, gains, choosing, (1 - part) * begin + part * end)
        points.append(point)
    return np.tile(gains.boxes.person, len(points)), np.concatenate(points)


def _moves(choosing: Choosing, choice: Choices) -> np.ndarray:
    """Return how far choices move numbers, shape (N, m)."""
    option = choice.option[:, : choosing.move.shape[1]]
    move = np.take_along_axis(choosing.move, np.maximum(option, 0)[:, :, None], axis=2)[:, :, 0]
    return np.where(option >= 0, move, 0.0)


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
