"""Starting values of steps and clips: LSQ's rule, and the step of least squared error.

The squared error of a uniform quantizer on a weighted sample depends on the sample only through
three prefix sums over the sorted values, so a whole grid of steps is searched exactly at the cost
of one sort, whatever the number of values.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skcfq.quantization._bits import signed_range, unsigned_levels
from skcfq.utils import blocks_of

N_GRID_STEPS = 96
N_REFINEMENTS = 50
N_ROW_REFINEMENTS = 8
_LARGEST_SHIFT = 10


def lsq_step(weight: Tensor, bits: int) -> Tensor:
    r"""Return LSQ's starting step, :math:`2\,\overline{|w|}/\sqrt{q^+}`.

    Parameters
    ----------
    weight : Tensor of any shape
        Weights.
    bits : int
        Width from 2 to 16.

    Returns
    -------
    Tensor of shape ()
        Positive step. A tensor of zeros, or of nothing, gets the step that spans [-1, 1].

    Examples
    --------
    >>> lsq_step(torch.tensor([-1.0, 3.0]), bits=2)
    tensor(4.)
    """
    low, high = signed_range(bits)
    _check_values(weight)
    step = 2.0 * weight.detach().abs().mean() / math.sqrt(high)
    return step if step > 0 else torch.full_like(step, -1.0 / low)


def mse_step(weight: Tensor, bits: int, sample_weight: Tensor | None = None) -> Tensor:
    """Return the signed step of least squared error.

    Parameters
    ----------
    weight : Tensor of any shape
        Weights, or network inputs.
    bits : int
        Width from 2 to 16.
    sample_weight : Tensor of shape (n_samples,), optional
        Weight of each row (first axis); rows of weight 0 do not count.

    Returns
    -------
    Tensor of shape ()
        Positive step. A tensor of zeros, or of nothing, gets the step that spans [-1, 1].

    Notes
    -----
    Heuristic: the best step of a geometric grid, of a finer one around it, then the alternation of
    codes and of the step that is best for them, which never increases the error.

    Examples
    --------
    >>> mse_step(torch.tensor([-2.0, -1.0, 0.0, 1.0]), bits=2)
    tensor(1.)
    """
    _check_values(weight)
    step = ValueSample(weight, sample_weight).best_step(*signed_range(bits))
    return step.to(weight.dtype)


def _check_values(weight: Tensor) -> None:
    if not bool(weight.isfinite().all()):
        raise ValueError("`weight` holds numbers that are not finite; give finite ones.")


def lsq_steps(weight: Tensor, bits: int) -> Tensor:
    """Return :func:`lsq_step` of every row of a matrix.

    Parameters
    ----------
    weight : Tensor of shape (n_rows, n_columns)
        Weights.
    bits : int
        Width from 2 to 16.

    Returns
    -------
    Tensor of shape (n_rows,)

    Examples
    --------
    >>> lsq_steps(torch.tensor([[-1.0, 3.0], [1.0, 1.0]]), bits=2)
    tensor([4., 2.])
    """
    low, high = signed_range(bits)
    _check_values(weight)
    steps = 2.0 * weight.detach().abs().mean(dim=1) / math.sqrt(high)
    return torch.where(steps > 0, steps, torch.full_like(steps, -1.0 / low))


def mse_steps(weight: Tensor, bits: int) -> Tensor:
    """Return the signed step of least squared error of every row of a matrix.

    Parameters
    ----------
    weight : Tensor of shape (n_rows, n_columns)
        Weights.
    bits : int
        Width from 2 to 16.

    Returns
    -------
    Tensor of shape (n_rows,)
        Positive steps. A row of zeros gets the step that spans [-1, 1].

    Notes
    -----
    Heuristic, as :func:`mse_step`, but all rows at once: the best step of a geometric grid, then
    the alternation of codes and of the step that is best for them.

    Examples
    --------
    >>> mse_steps(torch.tensor([[-2.0, -1.0, 0.0, 1.0], [-4.0, -2.0, 0.0, 2.0]]), bits=2)
    tensor([1., 2.])
    """
    low, high = signed_range(bits)
    _check_values(weight)
    values = weight.detach().double()
    top = values.abs().amax(dim=1)
    scale = torch.where(top > 0, top, torch.ones_like(top)) / -low
    grid = torch.logspace(-1.5, math.log10(2.0), N_GRID_STEPS, dtype=torch.float64)
    steps = scale * torch.cat([grid, grid.new_tensor([1.0, -low / high])]).unsqueeze(1)
    errors = torch.empty_like(steps)
    for rows in blocks_of(len(values), len(steps) * values.shape[1]):
        tried, of_rows = steps[:, rows, None], values[rows]
        codes = (of_rows / tried).round_().clamp_(low, high)
        errors[:, rows] = codes.mul_(tried).sub_(of_rows).square_().sum(2)
    best = steps.gather(0, errors.argmin(0, keepdim=True)).squeeze(0)
    for _ in range(N_ROW_REFINEMENTS):
        codes = (values / best.unsqueeze(1)).round_().clamp_(low, high)
        fitted = torch.linalg.vecdot(codes, values) / codes.square().sum(1).clamp_min(1.0)
        best = torch.where(fitted > 0, fitted, best)
    return torch.where(top > 0, best, scale).to(weight.dtype)


def column_steps(
    values: Tensor, bits: int, sample_weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return one step, and for each column the power of two that makes it the column's own.

    Parameters
    ----------
    values : Tensor of shape (n_samples, n_columns)
        Network inputs.
    bits : int
        Width from 2 to 16.
    sample_weight : Tensor of shape (n_samples,), optional
        Weight of each row; rows of weight 0 do not count.

    Returns
    -------
    step : Tensor of shape ()
        Positive: the finest step of least squared error that any column has.
    factors : Tensor of shape (n_columns,)
        1, 2, 4, ... up to 2**10: of least squared error for each column, given the step. Columns
        of zeros have 1.

    Examples
    --------
    >>> column_steps(torch.tensor([[-8.0, 1.0, 0.0], [7.0, -8.0, 0.0], [28.0, 7.0, 0.0]]), bits=4)
    (tensor(1.), tensor([4., 1., 1.]))
    """
    low, high = signed_range(bits)
    columns = [ValueSample(column, sample_weight) for column in values.unbind(dim=1)]
    varied = [column for column in columns if len(column.values) and column.values.any()]
    if not varied:
        return torch.tensor(-1.0 / low, dtype=values.dtype), torch.ones_like(values[0])
    step = torch.stack([column.best_step(low, high) for column in varied]).amin()
    powers = 2.0 ** torch.arange(_LARGEST_SHIFT + 1, dtype=torch.float64)
    factors = torch.ones(values.shape[1], dtype=torch.float64)
    for j, column in enumerate(columns):
        if len(column.values) and column.values.any():
            # Of equally good steps, the finest: values between those seen are met more closely.
            factors[j] = powers[column.error(step * powers, low, high).argmin()]
    return step.to(values.dtype), factors.to(values.dtype)


def covering_steps(low: Tensor, high: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return one step, powers of two and centers with which codes cover a range of each column.

    Parameters
    ----------
    low, high : Tensor of shape (n_columns,)
        Ends of the ranges, which are widened so that 0 is in them.
    bits : int
        Width from 2 to 16.

    Returns
    -------
    step : Tensor of shape ()
        Positive: that of the shortest range which has any length.
    factors : Tensor of shape (n_columns,)
        1, 2, 4, ...: the least for which the whole range has codes.
    centers : Tensor of shape (n_columns,)
        The whole numbers that codes lie around, as near to 0 as can be.

    Examples
    --------
    >>> covering_steps(torch.tensor([-8.0, 0.0]), torch.tensor([7.0, 45.0]), bits=4)
    (tensor(1.), tensor([1., 4.]), tensor([0., 4.]))
    """
    least, most = signed_range(bits)
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    needed = (high.double() - low.double()) / (most - least)
    varied = needed[needed > 0]
    step = varied.amin() if len(varied) else needed.new_tensor(-1.0 / least)
    factors = 2.0 ** (needed / step).clamp(min=1.0).log2().ceil()
    first, last = (low / (step * factors)).round(), (high / (step * factors)).round()
    # Where both ends lie between two codes, there is one too few, and either of the two will do.
    centers = torch.zeros_like(first).clamp(last - most, first - least)
    return step.to(low.dtype), factors.to(low.dtype), centers.to(low.dtype)


def mse_clip(values: Tensor, bits: int, sample_weight: Tensor | None = None) -> Tensor:
    """Return the clip of least squared error of a rectified activation.

    Parameters
    ----------
    values : Tensor of shape (n_samples, n_units)
        Pre-activations; the error is that against their positive part.
    bits : int
        Width from 1 to 16.
    sample_weight : Tensor of shape (n_samples,), optional
        Weight of each row; rows of weight 0 do not count.

    Returns
    -------
    Tensor of shape ()
        Positive threshold; 1 where no value is positive.

    Examples
    --------
    >>> mse_clip(torch.tensor([[-4.0, 1.0], [2.0, 3.0]]), bits=2)
    tensor(3.)
    """
    levels = unsigned_levels(bits)
    sample = ValueSample(torch.relu(values), sample_weight)
    return (sample.best_step(0, levels) * levels).to(values.dtype)


def max_clip(values: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """Return the largest positive activation, or 1 where there is none.

    Parameters
    ----------
    values : Tensor of shape (n_samples, n_units)
        Pre-activations.
    sample_weight : Tensor of shape (n_samples,), optional
        Rows of weight 0 do not count.

    Returns
    -------
    Tensor of shape ()

    Examples
    --------
    >>> max_clip(torch.tensor([[-4.0, 1.0], [2.0, 3.0]]))
    tensor(3.)
    """
    values = values.detach()
    if sample_weight is not None:
        values = values[sample_weight > 0]
    largest = values.amax() if values.numel() else values.new_zeros(())
    return largest if largest > 0 else torch.ones_like(largest)


class ValueSample:
    """A weighted sample, sorted once, on which the error of any uniform quantizer is exact.

    Parameters
    ----------
    values : Tensor of shape (n_samples, ...)
        Values; all entries of one row share its weight.
    sample_weight : Tensor of shape (n_samples,), optional
        Weight of each row; rows of weight 0 are left out.

    Examples
    --------
    >>> ValueSample(torch.tensor([0.0, 1.0, 2.0])).error(torch.tensor([1.0, 4.0]), 0, 3)
    tensor([0., 5.], dtype=torch.float64)
    """

    def __init__(self, values: Tensor, sample_weight: Tensor | None = None) -> None:
        values = values.detach().double()
        weights = torch.ones_like(values)
        if sample_weight is not None:
            rows = sample_weight.detach().to(values.device).double()
            weights = weights * rows.reshape(-1, *[1] * (values.ndim - 1))
            values, weights = values[rows > 0], weights[rows > 0]
        self.values, order = values.flatten().sort()
        weights = weights.flatten()[order]
        powers = torch.stack([weights, weights * self.values, weights * self.values**2])
        self.sums = torch.cat([powers.new_zeros(3, 1), powers.cumsum(1)], 1)

    def error(self, steps: Tensor, low: int, high: int) -> Tensor:
        """Return the weighted squared error, shape (n_steps,), of codes from low to high."""
        codes, mass, first = self._moments(steps, low, high)
        fitted = steps * (steps * (codes**2 * mass).sum(1) - 2.0 * (codes * first).sum(1))
        return self.sums[2, -1] + fitted

    def best_step(self, low: int, high: int) -> Tensor:
        """Return the step of least error, shape (), float64."""
        largest = max(-low, high)
        top = self.values.abs().amax() if len(self.values) else self.values.new_zeros(())
        if not top > 0:
            return torch.full_like(top, 1.0 / largest)
        # The steps that just cover the sample are tried too, so that clipping never does harm.
        covering = [1.0 / code for code in (abs(low), high) if code > 0]
        grid = torch.logspace(-2.0, math.log10(2.0), N_GRID_STEPS, dtype=torch.float64) / largest
        grid = torch.cat([grid, grid.new_tensor(covering)]).to(top.device) * top
        step = self._best_of(grid, low, high)
        zoom = torch.linspace(0.95, 1.05, N_GRID_STEPS + 1, dtype=torch.float64)
        step = self._best_of(zoom.to(top.device) * step, low, high)
        for _ in range(N_REFINEMENTS):
            refined = self._refit(step, low, high)
            if not abs(refined - step) > 1e-12 * step:
                break
            step = refined
        return step

    def _best_of(self, steps: Tensor, low: int, high: int) -> Tensor:
        return steps[self.error(steps, low, high).argmin()]

    def _refit(self, step: Tensor, low: int, high: int) -> Tensor:
        """Return the step that is best for the codes which ``step`` gives."""
        codes, mass, first = self._moments(step.reshape(1), low, high)
        power = (codes**2 * mass).sum()
        return (codes * first).sum() / power if power > 0 else step

    def _moments(self, steps: Tensor, low: int, high: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the codes (C,), and the mass and the sum of values per code (n_steps, C)."""
        codes = torch.arange(low, high + 1, dtype=torch.float64, device=steps.device)
        positions = torch.searchsorted(self.values, steps.unsqueeze(1) * (codes[:-1] + 0.5))
        ends = positions.new_full((len(steps), 1), len(self.values))
        positions = torch.cat([torch.zeros_like(ends), positions, ends], 1)
        return codes, self.sums[0][positions].diff(dim=1), self.sums[1][positions].diff(dim=1)
