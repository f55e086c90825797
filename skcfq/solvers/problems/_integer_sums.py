"""What the first layer of an integer network adds up to at states of people, by what they change.

Sums of integers are exact, so that a person's own sums and what each change adds are the same, bit
for bit, as the product of a whole row; how rows are cut and which way is taken changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.nn import DeployedNetwork


@dataclass(frozen=True, eq=False)
class Changes:
    """What differs at N states from the own points of their people, row by row.

    Attributes
    ----------
    person : Tensor of shape (N,), int64
    number_row, number, value : Tensor of shape (E,)
        The row and the position of each number that changes, and what it becomes.
    level_row, category, level : Tensor of shape (G,), int64
        The same of categories.
    """

    person: Tensor
    number_row: Tensor
    number: Tensor
    value: Tensor
    level_row: Tensor
    category: Tensor
    level: Tensor

    @classmethod
    def of(cls, own: ActionRegion, person: Tensor, values: Tensor, levels: Tensor) -> Changes:
        """Return the changes of states of the people of a region."""
        moved = values != own.values.index_select(0, person)
        row, number = moved.nonzero(as_tuple=True)
        changed = levels != own.levels.index_select(0, person)
        level_row, category = changed.nonzero(as_tuple=True)
        of_numbers = row, number, values[row, number]
        return cls(person, *of_numbers, level_row, category, levels[level_row, category])

    def __len__(self) -> int:
        return len(self.number) + len(self.category)

    def take(self, rows: Tensor) -> Changes:
        """Return the changes of some of the states, in rising order."""
        place = torch.full((len(self.person),), -1)
        place[rows] = torch.arange(len(rows))
        number_row, level_row = place[self.number_row], place[self.level_row]
        n, c = number_row >= 0, level_row >= 0
        numbers = number_row[n], self.number[n], self.value[n]
        return Changes(self.person[rows], *numbers, level_row[c], self.category[c], self.level[c])


@dataclass(frozen=True, eq=False)
class IntegerSums:
    """The sums of the first layer at states of n people, numbers carried out by some distance.

    Attributes
    ----------
    network : DeployedNetwork
    columns : Tensor of shape (m,), int64
        Encoded columns of the numbers.
    shift : Tensor of shape (d,)
        How far each encoded column is carried out.
    tables : Tensor of shape (K, H)
        What each level of each category adds, one category below the other; then what the own
        codes add that stand for no level.
    first : Tensor of shape (c,), int64
        Where the levels of each category begin.
    codes : Tensor of shape (n, d)
        Of the own points.
    places : Tensor of shape (n, c), int64
        Where each own level is in ``tables``.
    sums : Tensor of shape (n, H)
        Of the own points.
    """

    network: DeployedNetwork
    columns: Tensor
    shift: Tensor
    tables: Tensor
    first: Tensor
    codes: Tensor
    places: Tensor
    sums: Tensor

    @classmethod
    def of(cls, network: DeployedNetwork, region: ActionRegion, shift: Tensor) -> IntegerSums:
        """Return the sums of people who may move in a region, where nothing follows from moves."""
        weight = network.first_weights
        tables = [weight[:0]]
        for columns, level_codes in zip(region.categorical_columns, region.codes, strict=True):
            tables.append(network.input_codes(level_codes, columns) @ weight[columns])
        sizes = torch.tensor([len(table) for table in tables])
        first = sizes.cumsum(0)[:-1]
        codes = network.input_codes(region.origin + shift)
        places = first + region.levels
        end = int(sizes.sum())
        for person, c in (region.levels < 0).nonzero().tolist():
            columns = region.categorical_columns[c]
            tables.append(codes[person : person + 1, columns] @ weight[columns])
            places[person, c], end = end, end + 1
        sums = torch.addmm(network.first_offset, codes, weight)
        every = torch.cat(tables)
        return cls(network, region.numeric_columns, shift, every, first, codes, places, sums)

    def take(self, rows: Tensor) -> IntegerSums:
        """Return those of some of the people."""
        own = {name: getattr(self, name)[rows] for name in ("codes", "places", "sums")}
        return replace(self, **own)

    def new_codes(self, changes: Changes) -> Tensor:
        """Return the codes of the numbers that change, shape (E,)."""
        columns = self.columns[changes.number]
        return self.network.input_codes(changes.value + self.shift[columns], columns)

    def at(self, changes: Changes) -> Tensor:
        """Return the sums at states, shape (N, H)."""
        person, weight = changes.person, self.network.first_weights
        sums = self.sums.index_select(0, person)
        if len(changes.number):
            columns = self.columns[changes.number]
            codes = self.new_codes(changes) - self.codes[person[changes.number_row], columns]
            sums += _sums_of(weight, columns, codes, changes.number_row, len(person))
        if len(changes.category):
            row, category = changes.level_row, changes.category
            own = self.places[person[row], category]
            new = torch.where(changes.level < 0, own, self.first[category] + changes.level)
            sign = torch.tensor([1.0, -1.0], dtype=sums.dtype).repeat(len(row))
            both = torch.stack([new, own], dim=1).flatten()
            sums += _sums_of(self.tables, both, sign, row.repeat_interleave(2), len(person))
        return sums


def _sums_of(table: Tensor, index: Tensor, factor: Tensor, row: Tensor, n: int) -> Tensor:
    """Return the sums of rows of a table times a factor, each for one of n rows in order."""
    starts = torch.searchsorted(row, torch.arange(n))
    return embedding_bag(index, table, starts, mode="sum", per_sample_weights=factor)
