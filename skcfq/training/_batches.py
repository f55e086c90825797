"""Which rows a batch has, and how many batches a training takes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from skcfq.nn import Batch, SampleTable

# Updates, and passes at most. Small networks settle after about so many updates; on tiny tables
# that would be so many passes that the network overfits.
_LABELS = 2500, 30
# A student that follows its teacher's logits does not overfit labels. One that starts from the
# teacher's weights is near already, and straight-through gradients, which are not true ones, lead
# it away again in the long run; any other has a long way to go.
_FOLLOWING, _FROM_AFAR = (2500, 150), (5000, 600)
_MIN_EPOCHS = 15
# Visits of a row with an action in one pass, at most.
_MOST_VISITS = 8
# Rows that clips are refitted on.
_CALIBRATION_ROWS = 2048


class ShuffledBatches:
    """Batches of rows in a random order: a loader without the per-row work of a loader."""

    def __init__(
        self,
        table: SampleTable,
        batch_size: int,
        generator: torch.Generator,
        again: Tensor | None = None,
    ) -> None:
        self.table = table
        self.batch_size = batch_size
        self.generator = generator
        # Positions of rows that every pass visits once more, for each time they are listed.
        self.again = torch.empty(0, dtype=torch.int64) if again is None else again

    def __len__(self) -> int:
        return math.ceil((len(self.table) + len(self.again)) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.table)
        if n <= self.batch_size:
            yield self.table.whole
            return
        device = self.generator.device
        visits = torch.cat([torch.arange(n, device=device), self.again.to(device)])
        order = visits[torch.randperm(len(visits), generator=self.generator, device=device)]
        # Batches of nearly equal size: a last batch of one row would be all noise.
        for rows in order.tensor_split(len(self)):
            yield self.table.take(rows)


def epochs_for(
    n_rows: int,
    batch_size: int,
    max_iter: int | None,
    *,
    follows_teacher: bool = False,
    starts_there: bool = False,
) -> int:
    """Return the number of passes: the one asked for, or enough for a few thousand updates.

    Parameters
    ----------
    n_rows : int
        Visits of rows in one pass.
    batch_size : int
    max_iter : int or None
        The number that was asked for.
    follows_teacher : bool, default=False
        Whether the loss compares with a teacher's logits.
    starts_there : bool, default=False
        Whether it starts from that teacher's weights.
    """
    if max_iter is not None:
        return max_iter
    updates, most = _LABELS
    if follows_teacher:
        updates, most = _FOLLOWING if starts_there else _FROM_AFAR
    wanted = round(updates / math.ceil(n_rows / batch_size))
    return min(max(wanted, _MIN_EPOCHS), most)


def visits_again(acted: Tensor) -> Tensor:
    """Return the rows that are visited again, so that half of all visits have an action."""
    rows = acted.nonzero().squeeze(1)
    times = round((len(acted) - len(rows)) / max(len(rows), 1)) - 1
    return rows.repeat(min(max(times, 0), _MOST_VISITS - 1))


def calibration_rows(
    n_rows: int, generator: torch.Generator, most: int = _CALIBRATION_ROWS
) -> Tensor:
    """Draw the positions of the rows that a trained or a starting network is set on."""
    if n_rows <= most:
        return torch.arange(n_rows)
    return torch.randperm(n_rows, generator=generator)[:most]
