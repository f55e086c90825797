"""Points of a small box around each point, among which is the worst one, or nearly so.

Where inputs are quantized, the decision depends on their codes alone, and a column whose whole
interval has one code cannot change it. So all corners of the others are all there is to try.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skcfq.encoding import statistic_of

if TYPE_CHECKING:
    from skcfq.encoding import FeatureSpace
    from skcfq.models import Predictor

# Columns with two codes up to which every combination is tried.
MOST_TWO_CODED = 5
_N_RANDOM = 24


@dataclass(frozen=True, eq=False)
class Jitter:
    """A box around encoded points: which columns jitter, by how much, and whose decision counts.

    Attributes
    ----------
    models : tuple of Predictor
    columns : Tensor of shape (m,), int64
        Encoded columns.
    radii : Tensor of shape (m,)
        In encoded units.
    """

    models: tuple[Predictor, ...]
    columns: Tensor
    radii: Tensor

    @classmethod
    def of(
        cls,
        models: tuple[Predictor, ...],
        numeric_columns: Tensor,
        categorical_columns: Sequence[Tensor],
        size: float,
    ) -> Jitter:
        """Return the jitter of all numbers, immutable ones too, by a share of their spread.

        Columns of a declared one-hot group are no numbers. The raw rows that a closed model is
        asked about differ in what may change alone, so these are all there.
        """
        space = models[0].space
        columns = numeric_columns
        if all(model.differentiable for model in models):
            groups = {int(column) for group in categorical_columns for column in group}
            numbers = {
                int(block.columns[0])
                for block in space.blocks
                if block.kind in ("affine", "monotone")
            }
            columns = torch.tensor(sorted(numbers - groups), dtype=torch.int64)
        return cls(models, columns, jitter_radii(space, columns, size))

    def around(self, points: Tensor, gradient: Callable[[], Tensor | None]) -> Iterator[Tensor]:
        """Move the columns of points by up to their radius each.

        Parameters
        ----------
        points : Tensor of shape (N, n_encoded)
        gradient : callable
            Returns the gradient of the margin at the points, or None where there is none.

        Yields
        ------
        jittered : Tensor of shape (N, n_encoded)
            Corners of the box. For models with quantized inputs they decide about all of the box,
            where at most five columns have two codes in it; for a linear model of two classes the
            worst corner is among them. Elsewhere they are a random sample.
        """
        two_coded = self._two_coded(points)
        n_random = _N_RANDOM
        if two_coded is not None:
            rank = torch.cumsum(two_coded, dim=1) - 1
            most = int(two_coded.sum(dim=1).max()) if len(points) else 0
            for corner in range(2 ** min(most, MOST_TWO_CODED)):
                digit = torch.bitwise_right_shift(torch.tensor(corner), rank.clamp(0, 62)) & 1
                yield self._moved(points, 1 - 2 * digit)
            n_random = _N_RANDOM if most > MOST_TWO_CODED else 0
        else:
            slope = gradient()
            if slope is not None:
                yield self._moved(points, -torch.sign(slope[:, self.columns]))
        for signs in random_signs(len(self.columns))[:n_random]:
            yield self._moved(points, signs)

    def _moved(self, points: Tensor, signs: Tensor) -> Tensor:
        jittered = points.clone()
        jittered[:, self.columns] += signs * self.radii
        return jittered

    def _two_coded(self, points: Tensor) -> Tensor | None:
        """Return the columns that have two codes in the box, shape (N, m); None: no codes."""
        found = torch.zeros((len(points), len(self.columns)), dtype=torch.bool)
        ends = [self._moved(points, torch.tensor(sign)).numpy() for sign in (-1, 1)]
        for model in self.models:
            if model.integers is None:
                return None
            low, high = (model.integers.codes(end) for end in ends)
            found |= torch.from_numpy(low != high)[:, self.columns]
        return found


def random_signs(n_columns: int) -> Tensor:
    """Return the random corners of a box, of -1 and 1, shape (k, n_columns).

    They are the same for every point: a point's answer is its own.
    """
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 2, (_N_RANDOM, n_columns), generator=generator) * 2 - 1


def jitter_radii(space: FeatureSpace, columns: Tensor, size: float) -> Tensor:
    """Return the radius of each numeric column in encoded units, shape (m,).

    Parameters
    ----------
    space : FeatureSpace
    columns : Tensor of shape (m,), int64
        Encoded columns.
    size : float
        In units of the spread; of 1 where there is none.
    """
    blocks = {int(block.columns[0]): block for block in space.blocks if block.width == 1}
    found = [
        statistic_of(blocks[column], "encoded_std", "Advice that stands under jitter") or 1.0
        for column in columns.tolist()
    ]
    return size * torch.tensor(found, dtype=torch.float64)
