"""What groups of rows count in the terms at x, and what each of them loses meanwhile."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.nn._batch import Batch
from skcfq.nn._term_sum import shares_of


class GroupWeights:
    """Factors of the rows of each group, and the mean loss of each group.

    Parameters
    ----------
    factors : Tensor of shape (n_groups,)
        By which the weights of the rows are multiplied; may be replaced while training.

    Examples
    --------
    >>> rows = torch.zeros(3, 1)
    >>> batch = Batch(3, rows, torch.zeros(3, dtype=torch.int64), torch.ones(3),
    ...               row_groups=torch.tensor([0, 1, 1]))
    >>> weights = GroupWeights(torch.tensor([2.0, 1.0]))
    >>> weights.shares(batch)
    tensor([0.5000, 0.2500, 0.2500])
    >>> weights.note(torch.tensor([1.0, 2.0, 4.0]), batch)
    >>> weights.means()
    tensor([1., 3.])
    """

    def __init__(self, factors: Tensor) -> None:
        self.factors = factors
        self._forget()

    def _forget(self) -> None:
        self._summed, self._counted = torch.zeros_like(self.factors).repeat(2, 1)

    def shares(self, batch: Batch) -> Tensor:
        """Return what every row of a batch counts in a mean; the sum is 1.

        Parameters
        ----------
        batch : Batch
        """
        assert batch.row_groups is not None
        return shares_of(batch.row_weights * self.factors[batch.row_groups])

    def note(self, losses: Tensor, batch: Batch) -> None:
        """Add the losses of the rows of a batch to what their groups have lost.

        Parameters
        ----------
        losses : Tensor of shape (n_rows,)
            Without a graph.
        batch : Batch
        """
        assert batch.row_groups is not None
        self._summed.index_add_(0, batch.row_groups, losses * batch.row_weights)
        self._counted.index_add_(0, batch.row_groups, batch.row_weights)

    def means(self) -> Tensor:
        """Return the mean loss of each group since this was last asked, and begin anew.

        Returns
        -------
        Tensor of shape (n_groups,)
            0 for groups without a row of positive weight.
        """
        tiny = torch.finfo(self._counted.dtype).tiny
        found = self._summed / self._counted.clamp_min(tiny)
        self._forget()
        return found
