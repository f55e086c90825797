"""The codes of the inputs: how far apart those of each column are, and where they lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from skcfq.nn._losses import boundary_loss
from skcfq.quantization import ColumnQuantizer

# A finer step clips more: it has to lower the loss by this factor.
_WORTHWHILE = 0.95
# Inputs of so many bits have codes to spare for values that nobody in the sample has.
COVERING_BITS = 10
# Share of the middle half of the people that a step may be, before its column is clipped.
_COARSE = 0.02
# Share of its span that a column's codes go beyond either end.
_BEYOND = 0.5


class InputCodes(NamedTuple):
    """What the quantizer of the inputs is made of; ``factors`` and ``centers`` change in place.

    Attributes
    ----------
    step : Tensor of shape (1,)
    factors, centers : Tensor of shape (n_inputs,)
        Column j has the step times its factor, and codes around its center.
    grid : tuple of (int, int)
        The lowest and the highest code, without the center.
    """

    step: Tensor
    factors: Tensor
    centers: Tensor
    grid: tuple[int, int]

    def quantizer(self) -> ColumnQuantizer:
        """Return what quantizes the inputs, as factors and centers are now."""
        steps = self.step * self.factors
        return ColumnQuantizer(steps, steps, self.centers, self.grid)

    def centers_at_the_ends(self, column: Tensor, factor: float) -> list[float]:
        """Return centers for which the codes start, or end, where the column does."""
        low, high = self.grid
        codes = (column / (self.step * factor)).round()
        # With 0 among the codes, sums stay small.
        ends = (codes.min() - low, codes.max() - high)
        return [one.clamp(-high, -low).item() for one in ends]


def span_of(x: Tensor, sample_weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the least and the largest value of every column, each of shape (n_inputs,).

    Parameters
    ----------
    x : Tensor of shape (n, n_inputs)
    sample_weight : Tensor of shape (n,) or None
        Rows of weight 0 do not count.
    """
    x = _counted(x, sample_weight)
    if not len(x):
        return x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1])
    return x.amin(0), x.amax(0)


def widened_span(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return ends further apart: rows that come later, and where advice leads, may lie beyond."""
    more = _BEYOND * (high - low)
    return low - more, high + more


def is_coarse(steps: Tensor, x: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Tell for which columns the codes of a long tail leave few for most of the people.

    Parameters
    ----------
    steps : Tensor of shape (n_inputs,)
    x : Tensor of shape (n, n_inputs)
    sample_weight : Tensor of shape (n,) or None
        Rows of weight 0 do not count.
    """
    x = _counted(x, sample_weight)
    if not len(x):
        return torch.zeros_like(steps, dtype=torch.bool)
    lower, upper = x.quantile(torch.tensor([0.25, 0.75]).to(x), dim=0)
    return (upper > lower) & (steps > _COARSE * (upper - lower))


def _counted(x: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Return the rows that have a weight."""
    return x if sample_weight is None else x[sample_weight > 0]


def refine_input_codes(
    codes: InputCodes,
    logits: Callable[[Tensor], Tensor],
    x: Tensor,
    sample_weight: Tensor | None,
    columns: Tensor,
) -> None:
    """Choose the codes of columns by what the logits lose, one column after another.

    The squared error of a column with a heavy tail is that of its tail, where no decision is
    at stake. A column that ends on one side needs no codes beyond.

    Parameters
    ----------
    codes : InputCodes
        Changed in place.
    logits : callable
        Rows to the logits of the network without any quantizer.
    x : Tensor of shape (n, n_inputs)
    sample_weight : Tensor of shape (n,) or None
    columns : Tensor of shape (n_inputs,), bool
        Those whose codes may change.
    """
    wanted = logits(x)

    def error(inputs: Tensor) -> Tensor:
        return boundary_loss(logits(inputs), wanted, sample_weight)

    inputs = codes.quantizer()(x)
    least = error(inputs)

    def keep_if_better(j: int, factor: float, center: float) -> None:
        nonlocal least
        before = codes.factors[j].item(), codes.centers[j].item()
        codes.factors[j], codes.centers[j] = factor, center
        kept, inputs[:, j] = inputs[:, j].clone(), codes.quantizer()(x)[:, j]
        found = error(inputs)
        if found < _WORTHWHILE * least:
            least = found
        else:
            (codes.factors[j], codes.centers[j]), inputs[:, j] = before, kept

    for j in codes.factors.argsort(descending=True, stable=True).tolist():
        if not columns[j] or len(x[:, j].unique()) <= 2:
            continue
        own = codes.factors[j].item()
        for factor in (own / 2, own / 4, own / 8, own / 16, own * 2):
            keep_if_better(j, factor, 0.0)
        own = codes.factors[j].item()
        for factor in (own / 2, own / 4):
            for center in codes.centers_at_the_ends(x[:, j], factor):
                keep_if_better(j, factor, center)
