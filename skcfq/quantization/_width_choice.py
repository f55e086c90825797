"""The width of a layer among its candidates: one for all units, or one for each unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

# Lowest code, highest code, and scale of the step gradient.
Grid: TypeAlias = tuple[int, int, float]


class UnitChoice(NamedTuple):
    """Widths that differ between the units of a layer, as its quantizer needs them.

    Attributes
    ----------
    indices : Tensor of shape (n_out,), int64
        Position of the width of each unit among the candidates.
    units : Tensor of shape (n_out,), int64
        0, 1, 2 and so on: with ``indices``, where the steps of the units stand.
    lowest, highest : Tensor of shape (n_out,), int64
        Codes at the ends of each unit's range.
    gradient_scales : Tensor of shape (n_out,), float32
        Of the steps.
    """

    indices: Tensor
    units: Tensor
    lowest: Tensor
    highest: Tensor
    gradient_scales: Tensor

    @classmethod
    def of(cls, indices: Tensor, grids: Sequence[Grid]) -> UnitChoice:
        """Return the choice of some candidates.

        Parameters
        ----------
        indices : Tensor of shape (n_out,), int64
        grids : sequence of Grid
            One for each candidate.
        """
        lowest, highest, scales = (
            torch.tensor(one, device=indices.device)[indices] for one in zip(*grids, strict=True)
        )
        units = torch.arange(len(indices), device=indices.device)
        return cls(indices, units, lowest, highest, scales)


# Position of a layer's width among its candidates, or those of its units.
WidthChoice: TypeAlias = int | UnitChoice


def step_position(choice: WidthChoice) -> int | tuple[Tensor, Tensor]:
    """Return the index of the chosen steps in an array of the steps of all candidates.

    Examples
    --------
    >>> steps = torch.tensor([[1.0, 2.0], [0.5, 0.25]])
    >>> choice = UnitChoice.of(torch.tensor([1, 0]), [(-2, 1, 1.0), (-8, 7, 1.0)])
    >>> steps[step_position(choice)], steps[step_position(1)]
    (tensor([0.5000, 2.0000]), tensor([0.5000, 0.2500]))
    """
    return choice if isinstance(choice, int) else (choice.indices, choice.units)


def chosen_grid(
    choice: WidthChoice, grids: Sequence[Grid]
) -> tuple[int, int, float] | tuple[Tensor, Tensor, Tensor]:
    """Return lowest code, highest code and gradient scale; ends of units as columns.

    Parameters
    ----------
    choice : int or UnitChoice
    grids : sequence of Grid
        One for each candidate.
    """
    if isinstance(choice, int):
        return grids[choice]
    return choice.lowest.unsqueeze(1), choice.highest.unsqueeze(1), choice.gradient_scales
