"""What the first layer of a rectifier network adds up to at states of people, by tables.

Few columns of a point can change. Their part of the sums is a small product and one row of a table
for each category; the part of all other columns is the person's own, and is worked out once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from skcfq.nn import FrozenMLP, in_lanes, product

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """The sums of the first layer, and the logits, at states of n people.

    Each state's are computed as if it were the only one.

    Attributes
    ----------
    network : FrozenMLP
        With a hidden layer at least.
    fixed : Tensor of shape (n, H)
        What the columns that cannot change add, and the biases.
    weights : Tensor of shape (H, m)
        Of the numeric features.
    tables : list of c Tensors of shape (L, H)
        What each level of a category adds.
    own : list of c Tensors of shape (n, H)
        What the person's own code adds, for a level that nobody knows.
    """

    network: FrozenMLP
    fixed: Tensor
    weights: Tensor
    tables: list[Tensor]
    own: list[Tensor]

    @classmethod
    def of(cls, network: FrozenMLP, region: ActionRegion) -> FirstLayer:
        """Return the sums of people who may move in a region, where nothing follows from moves."""
        weight, bias = network.hidden[0]
        fixed = region.origin.clone()
        for columns in (region.numeric_columns, *region.categorical_columns):
            fixed[:, columns] = 0.0
        parts = [weight[:, columns] for columns in region.categorical_columns]
        codes = zip(parts, region.codes, strict=True)
        own = zip(parts, region.categorical_columns, strict=True)
        return cls(
            network,
            _products(fixed, weight, bias),
            weight[:, region.numeric_columns],
            [_products(code, part) for part, code in codes],
            [_products(region.origin[:, columns], part) for part, columns in own],
        )

    def take(self, rows: Tensor) -> FirstLayer:
        """Return those of some of the people."""
        own = [part[rows] for part in self.own]
        return FirstLayer(self.network, self.fixed[rows], self.weights, self.tables, own)

    def logits(self, person: Tensor, values: Tensor, levels: Tensor) -> Tensor:
        """Return the logits of states.

        Parameters
        ----------
        person : Tensor of shape (N,), int64
        values : Tensor of shape (N, m)
        levels : int64 Tensor of shape (N, c)

        Returns
        -------
        logits : Tensor of shape (N, n_classes)
        """
        sums = self.fixed.index_select(0, person)
        if values.shape[1]:
            sums += in_lanes(self._of_numbers, values)
        for table, own, level in zip(self.tables, self.own, levels.T.contiguous(), strict=True):
            added = table.index_select(0, level.clamp_min(0))
            unknown = (level < 0).nonzero().squeeze(1)
            if len(unknown):
                added[unknown] = own[person[unknown]]
            sums += added
        return in_lanes(self.network.logits_after_first, sums)

    def _of_numbers(self, tiles: Tensor) -> Tensor:
        return product(tiles, self.weights)


def _products(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    # Rows are picked out fast where they lie in one piece.
    return in_lanes(lambda tiles: product(tiles, weight, bias), rows).contiguous()
