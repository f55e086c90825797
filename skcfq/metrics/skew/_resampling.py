"""Resampled means of figures of people and seeds, before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

# What each person adds to a figure: before (n,), and after with each of s seeds (s, n).
Figure = tuple[np.ndarray, np.ndarray]
# Numbers of one block of resamples.
_AT_ONCE = 1 << 22
# Before and after, of half a person each (Agresti and Min).
_CELLS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Resampling:
    """Draws of people within a group, and of seeds, the same seeds for all groups.

    Attributes
    ----------
    n_resamples, n_seeds : int
    random : RandomState
    """

    n_resamples: int
    n_seeds: int
    random: np.random.RandomState

    @cached_property
    def seed_weights(self) -> np.ndarray:
        """Shares of the seeds in each resample, shape (n_resamples, n_seeds).

        One less is drawn than there are: their mean then varies as it does between seeds (Rao and
        Wu 1988).
        """
        size = self.n_resamples, max(1, self.n_seeds - 1)
        drawn = self.random.randint(self.n_seeds, size=size)
        return (drawn[:, :, None] == np.arange(self.n_seeds)).mean(axis=1)

    def means(self, figures: Sequence[Figure]) -> np.ndarray:
        """Return resampled means of F figures of n people, shape (2, F, n_resamples)."""
        weights, size = self.seed_weights, 1 + self.n_seeds
        parts = [np.concatenate([old[None], new]) for old, new in figures]
        n = parts[0].shape[1]
        if n < 2:
            return np.full((2, len(parts), self.n_resamples), np.nan)
        values = np.concatenate([np.concatenate(parts).T, _cells_of(parts)])
        slots = np.append(np.repeat(np.arange(n), 2), n + np.arange(len(_CELLS)))
        means = np.concatenate(list(self._blocks(values, slots)))
        means = means.reshape(self.n_resamples, len(parts), size)
        after = (means[:, :, 1:] * weights[:, None]).sum(axis=2)
        return np.stack([means[:, :, 0].T, after.T])

    def _blocks(self, values: np.ndarray, slots: np.ndarray) -> Iterator[np.ndarray]:
        """Yield means of resamples, some at once; each person has two slots, a cell has one."""
        n = len(values)
        both = np.concatenate([np.nan_to_num(values), ~np.isnan(values)], axis=1)
        step = max(1, _AT_ONCE // n)
        for start in range(0, self.n_resamples, step):
            size = min(step, self.n_resamples - start)
            drawn = slots[self.random.randint(len(slots), size=(size, len(slots) // 2))]
            flat = (drawn + n * np.arange(size)[:, None]).ravel()
            times = np.bincount(flat, minlength=n * size).reshape(size, n)
            sums, counts = np.split(times @ both, 2, axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                yield sums / counts


def _cells_of(parts: list[np.ndarray]) -> np.ndarray:
    """Return the cells of the figures that are shares, and gaps for the others."""
    found = []
    for part in parts:
        known = part[~np.isnan(part)]
        is_share = ((known == 0) | (known == 1)).all() and len(known)
        cells = _CELLS if is_share else np.full_like(_CELLS, np.nan)
        found.append(cells[:, [0] + [1] * (len(part) - 1)])
    return np.concatenate(found, axis=1)
