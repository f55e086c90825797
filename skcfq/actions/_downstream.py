"""Downstream effects of given states, as tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skcfq.actions._weighted_sum import weighted_sum

if TYPE_CHECKING:
    from skcfq.actions._compiled import CompiledActions

__all__ = ["DownstreamEffects", "downstream_effects"]


class DownstreamEffects:
    """How t downstream columns follow the features of a compiled action set.

    Attributes
    ----------
    position : dict of raw column to 0 ... t - 1
    per_value : Tensor of shape (t, m)
        Raw change of a column per encoded unit of a numeric feature.
    tables : list of c Tensors of shape (t, L + 1, L)
        Raw change for every move between levels; the last row is for an unrecognized level.
    encoded : int64 Tensor of shape (t,)
        Encoded column, -1 where the model does not see the column.
    scale : Tensor of shape (t,)
        Encoded units per raw unit.
    """

    def __init__(self, compiled: CompiledActions) -> None:
        self.position = {rule.column: t for t, rule in enumerate(compiled.downstream)}
        scales = torch.tensor(
            [getattr(f.block, "scale", 1.0) for f in compiled.numeric], dtype=torch.float64
        )
        numeric = torch.stack([torch.tensor(rule.numeric) for rule in compiled.downstream])
        # A feature without a cause may be encoded by a function: its zero must stay a zero.
        self.per_value = torch.where(numeric != 0, numeric / scales, 0.0)
        self.tables = [
            torch.stack(
                [
                    torch.tensor(rule.tables[i])
                    if i in rule.tables
                    else torch.zeros((feature.n_levels + 1, feature.n_levels), dtype=torch.float64)
                    for rule in compiled.downstream
                ]
            )
            for i, feature in enumerate(compiled.categorical)
        ]
        blocks = [rule.block for rule in compiled.downstream]
        self.encoded = torch.tensor([int(b.columns[0]) if b.columns.size else -1 for b in blocks])
        self.scale = torch.tensor([getattr(b, "scale", 1.0) for b in blocks], dtype=torch.float64)

    def causes_of(self, column: int) -> Tensor:
        """Return which features move a downstream column, bool of shape (F,)."""
        if column not in self.position:
            n_features = self.per_value.shape[1] + len(self.tables)
            return torch.zeros(n_features, dtype=torch.bool)
        t = self.position[column]
        by_category = [bool((table[t] != 0).any()) for table in self.tables]
        return torch.cat([self.per_value[t] != 0, torch.tensor(by_category, dtype=torch.bool)])

    def amounts(
        self, values: Tensor, levels: Tensor, own_values: Tensor, own_levels: Tensor
    ) -> Tensor:
        """Return the raw downstream changes of N states, shape (N, t)."""
        moves = torch.nan_to_num(values - own_values)
        total = torch.stack([weighted_sum(moves, row) for row in self.per_value], dim=1)
        for c, table in enumerate(self.tables):
            own, new = own_levels[:, c], levels[:, c]
            amount = table[:, own, new.clamp_min(0)].T
            total = total + torch.where(((new < 0) | (new == own))[:, None], 0.0, amount)
        return total

    def write(self, u: Tensor, amounts: Tensor) -> Tensor:
        """Add downstream changes to encoded points, shape (N, d)."""
        seen = self.encoded >= 0
        return u.index_add(1, self.encoded[seen], (amounts * self.scale)[:, seen])

    def effects(self, rows: Tensor, own_levels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what downstream changes add to ``ActionRegion.effects``."""
        seen = self.encoded >= 0
        weight = rows[:, self.encoded[seen]] * self.scale[seen]
        levels = []
        for c, table in enumerate(self.tables):
            moves = table[seen][:, own_levels[:, c]]
            terms = weight.T[:, None, :, None] * moves[:, :, None, :]
            levels.append(terms.sum(dim=0))
        return weight @ self.per_value[seen], levels


def downstream_effects(compiled: CompiledActions) -> DownstreamEffects | None:
    """Return the downstream effects of an action set, None where it has none."""
    return DownstreamEffects(compiled) if compiled.downstream else None
