"""The worst slack under jitter where all models are integers: corners, without writing them down.

The corners are those of :class:`~skcfq.solvers.problems._perturbations.Jitter`. Few columns have
two codes near a point, so that a corner is the sum of the point carried out upwards, less what a
few columns add.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skcfq.solvers.problems._integer_sums import Changes, IntegerSums
from skcfq.solvers.problems._perturbations import MOST_TWO_CODED, Jitter, random_signs
from skcfq.utils import blocks_of

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.nn import DeployedNetwork

# Logits of all models at states, and the position of each state's row, to slacks.
Slacks = Callable[[list[Tensor], Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class IntegerJitter:
    """What integer networks add up to where the numbers of n people jitter.

    Attributes
    ----------
    low, high : list of IntegerSums
        Of each model, all numbers carried out downwards and upwards.
    signs : Tensor of shape (k, d)
        Of the random corners.
    """

    low: list[IntegerSums]
    high: list[IntegerSums]
    signs: Tensor

    @classmethod
    def of(
        cls, networks: list[DeployedNetwork], region: ActionRegion, jitter: Jitter
    ) -> IntegerJitter:
        """Return that of people who may move in a region."""
        shift = torch.zeros(region.origin.shape[1], dtype=torch.float64)
        shift[jitter.columns] = jitter.radii
        low, high = (
            [IntegerSums.of(network, region, side * shift) for network in networks]
            for side in (-1, 1)
        )
        drawn = random_signs(len(jitter.columns))
        signs = torch.ones((len(drawn), len(shift)), dtype=torch.int64)
        signs[:, jitter.columns] = drawn
        return cls(low, high, signs)

    def take(self, rows: Tensor) -> IntegerJitter:
        """Return that of some of the people."""
        low, high = ([one.take(rows) for one in side] for side in (self.low, self.high))
        return replace(self, low=low, high=high)

    def worst(self, changes: Changes, slacks: Slacks) -> Tensor:
        """Return the smallest slack of the corners around states, shape (N,)."""
        n = len(changes.person)
        sums = [high.at(changes) for high in self.high]
        row, column, spans = self._spans(changes)
        worst = torch.empty(n, dtype=torch.float64)
        count = torch.bincount(row, minlength=n)
        begin = count.cumsum(0) - count
        for k in torch.unique(count).tolist():
            of_kind = (count == k).nonzero().squeeze(1)
            n_corners = 2 ** min(k, MOST_TWO_CODED)
            if k > MOST_TWO_CODED:
                n_corners += len(self.signs)
            for block in blocks_of(len(of_kind), max(n_corners, k) * sums[0].shape[1]):
                rows = of_kind[block]
                entries = begin[rows, None] + torch.arange(k)
                down = self._corners(column[entries])
                logits = []
                for high, of_model, span in zip(self.high, sums, spans, strict=True):
                    lost = high.network.first_weights[column[entries]] * span[entries][..., None]
                    at_corners = of_model[rows, None] - down @ lost
                    logits.append(high.network.logits_after_first(at_corners.flatten(0, 1)))
                found = slacks(logits, rows.repeat_interleave(n_corners))
                worst[rows] = found.reshape(len(rows), n_corners).amin(dim=1)
        return worst

    def _spans(self, changes: Changes) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return rows and columns with two codes, in order, and for each model how far apart."""
        person, row, number = changes.person, changes.number_row, changes.number
        column = self.high[0].columns[number]
        two = torch.zeros(1, dtype=torch.bool)
        ends = []
        for low, high in zip(self.low, self.high, strict=True):
            apart = (low.codes != high.codes).index_select(0, person)
            ends.append((low.new_codes(changes), high.new_codes(changes)))
            apart[row, column] = ends[-1][0] != ends[-1][1]
            two = two | apart
        at, where = two.nonzero(as_tuple=True)
        # Where among the changes that column of that row is, if it is one.
        d = two.shape[1]
        change = _positions(row * d + column, at * d + where)
        spans = []
        for low, high, (new_low, new_high) in zip(self.low, self.high, ends, strict=True):
            span = high.codes[person[at], where] - low.codes[person[at], where]
            known = (change >= 0).nonzero().squeeze(1)
            span[known] = (new_high - new_low)[change[known]]
            spans.append(span)
        return at, where, spans

    def _corners(self, columns: Tensor) -> Tensor:
        """Return which of k columns each corner carries downwards, shape (R, corners, k)."""
        R, k = columns.shape
        corner = torch.arange(2 ** min(k, MOST_TWO_CODED))
        down = (corner[:, None] >> torch.arange(k).clamp_max(62)) & 1
        down = down.expand(R, -1, -1)
        if k > MOST_TWO_CODED:
            drawn = (self.signs[:, columns] < 0).long().transpose(0, 1)
            down = torch.cat([down, drawn], dim=1)
        return down.double()


def _positions(known: Tensor, wanted: Tensor) -> Tensor:
    """Return where wanted numbers are among rising known ones, -1 where they are not."""
    if len(known) == 0:
        return torch.full_like(wanted, -1)
    place = torch.searchsorted(known, wanted).clamp_max(len(known) - 1)
    return torch.where(known[place] == wanted, place, -1)
