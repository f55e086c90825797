"""The points of small boxes, feature by feature, without those that cannot be an answer."""

from __future__ import annotations

import numpy as np

from skcfq.proofs._boxes import Boxes, least_cost
from skcfq.proofs._gains import Gains
from skcfq.proofs._lattice import Lattice


def points_of(
    lattice: Lattice, boxes: Boxes, limit: np.ndarray, most: int, gains: Gains, need: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """List the points of boxes that cost less than a limit and may gain enough.

    Parameters
    ----------
    lattice : Lattice
    boxes : Boxes
    limit : ndarray of shape (N,)
    most : int
        How many features may change.
    gains : Gains
        What every rung adds at most to what must reach the need.
    need : ndarray of shape (N,)

    Returns
    -------
    person : int64 ndarray of shape (M,)
    rungs : int64 ndarray of shape (M, F)
        Box after box, each in the order of its rungs.
    """
    own = lattice.own[boxes.person]
    later_cost = _after(least_cost(lattice, boxes))
    later_gain = _after(gains.most())
    later_changes = _after(~boxes.holds_own(lattice))
    box = np.arange(len(boxes))
    rungs = np.zeros((len(boxes), lattice.n_features), dtype=np.int64)
    cost, gain, changes = np.zeros(len(boxes)), np.zeros(len(boxes)), np.zeros(len(boxes))
    for f in range(lattice.n_features):
        length = (boxes.high[:, f] - boxes.low[:, f] + 1)[box]
        parent = np.repeat(np.arange(len(box)), length)
        step = np.arange(len(parent)) - np.repeat(np.cumsum(length) - length, length)
        box = box[parent]
        rung = boxes.low[box, f] + step
        cost = cost[parent] + lattice.costs_of(f, boxes.person[box], rung)
        gain = gain[parent] + gains.at(f, box, rung)
        changes = changes[parent] + (rung != own[box, f])
        kept = cost + later_cost[box, f] < limit[box]
        kept &= gain + later_gain[box, f] >= need[box]
        kept &= changes + later_changes[box, f] <= most
        rungs = rungs[parent[kept]]
        rungs[:, f] = rung[kept]
        box, cost, gain, changes = box[kept], cost[kept], gain[kept], changes[kept]
    return boxes.person[box], rungs


def _after(part: np.ndarray) -> np.ndarray:
    """Return the sums over all later features, shape (N, F)."""
    return np.cumsum(part[:, ::-1], axis=1)[:, ::-1] - part
