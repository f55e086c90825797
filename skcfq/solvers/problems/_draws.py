"""Random numbers of people: each person's own, whoever else is asked about."""

from __future__ import annotations

from copy import copy

import numpy as np
import torch
from torch import Tensor

# Of SplitMix64, which turns any counter into evenly spread bits.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


class Draws:
    """Uniform random numbers of n people, from a seed and from what each of them is.

    Parameters
    ----------
    seed : int
    people : ndarray of shape (n, d), float64
        What tells people apart: equal rows draw equal numbers.

    Notes
    -----
    One generator for a batch would give a person other numbers in every batch. Here each person
    has a key, a hash of the seed and the row, and number k is a hash of the key and k
    (SplitMix64): a few operations on arrays for everybody.

    References
    ----------
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Examples
    --------
    >>> import numpy as np
    >>> people = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> together, alone = Draws(0, people), Draws(0, people[1:])
    >>> bool((together.uniform(3)[1] == alone.uniform(3)[0]).all())
    True
    """

    def __init__(self, seed: int, people: np.ndarray):
        # A zero has one code, whatever its sign.
        codes = np.ascontiguousarray(people + 0.0, dtype=np.float64).view(np.uint64)
        keys = np.full(len(codes), seed, dtype=np.uint64)
        for column in codes.T:
            keys = _mixed((keys ^ column) + _STEP)
        self._keys = _mixed(keys)
        self._count = 0

    def take(self, rows: Tensor) -> Draws:
        """Return the numbers of some of the people, from the first one on."""
        part = copy(self)
        part._keys, part._count = self._keys[rows.numpy()], 0
        return part

    def uniform(self, *shape: int) -> Tensor:
        """Return the next numbers in [0, 1) of each person, shape (n, *shape), float64."""
        k = int(np.prod(shape))
        counts = np.arange(self._count + 1, self._count + 1 + k, dtype=np.uint64) * _STEP
        self._count += k
        bits = _mixed(self._keys[:, None] + counts[None, :]) >> np.uint64(11)
        return torch.from_numpy(bits * 2.0**-53).reshape(len(self._keys), *shape)


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> _SHIFTS[0])) * _FACTORS[0]
    bits = (bits ^ (bits >> _SHIFTS[1])) * _FACTORS[1]
    return bits ^ (bits >> _SHIFTS[2])
