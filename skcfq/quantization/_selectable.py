"""What layers share whose weights, and one activation, are quantized at a selectable width."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from skcfq.quantization._bits import (
    check_bits,
    check_candidates,
    is_full_precision,
    signed_range,
    unsigned_levels,
)
from skcfq.quantization._calibration import (
    ValueSample,
    lsq_step,
    lsq_steps,
    max_clip,
    mse_step,
    mse_steps,
)
from skcfq.quantization._lsq import QuantizeSelected, step_gradient_scale
from skcfq.quantization._width_choice import Grid, UnitChoice, WidthChoice, step_position

_STEP_RULES = {"lsq": lsq_step, "mse": mse_step}
_CHANNEL_RULES = {"lsq": lsq_steps, "mse": mse_steps}


class _ReadWidths(NamedTuple):
    """Widths of a layer in a form that costs nothing to ask for, and when they were read."""

    tensor: Tensor
    version: int
    choice: WidthChoice
    widest: int
    total: int


class SelectableLayer(nn.Module, ABC):
    """Base of the layers with a weight step of its own for every candidate width (§4.3).

    A subclass has the weights before it calls :meth:`_set_up_widths`. It holds the steps or clips
    of its activation under a name of its own.

    Attributes
    ----------
    candidates : tuple of int
        Increasing weight widths, R of them.
    activation_bits : int or None
        Width of the activation; ``None`` follows the weight width, 32 leaves it unquantized.
    activation_widths : tuple of int
        Widths of the activation's quantizers: R of them, one if the width is fixed, or none.
    start : {"lsq", "mse"}
        Rule of the starting steps.
    per_channel : bool
        Whether each output unit or channel has a weight step of its own.
    grids : tuple of (int, int, float)
        Lowest code, highest code and gradient scale of the weights at every candidate width.
    log_steps : Parameter of shape (R,), or (R, n_out) with ``per_channel``
        Logarithms of the weight steps, which makes the steps positive by construction.
    unit_bits : Tensor of shape (n_out,), int64
        The fixed width of each output unit or channel; the widest candidate at first.
    """

    unit_bits: Tensor
    _read: _ReadWidths | None = None

    def _set_up_widths(
        self,
        candidates: Iterable[int],
        activation_bits: int | None,
        start: str,
        per_channel: bool,
        *,
        has_activation: bool = True,
    ) -> None:
        self.candidates = check_candidates(candidates)
        self.activation_bits = activation_bits
        self.start = check_start(start)
        self.per_channel = per_channel
        self.activation_widths = self._widths_of_activation() if has_activation else ()
        self._levels = tuple(map(unsigned_levels, self.activation_widths))
        weight = self.weight_matrix.detach()
        n_out, n_in = weight.shape
        self.grids = signed_grids(self.candidates, n_in if per_channel else n_out * n_in)
        per_width = (n_out,) if per_channel else ()
        self.log_steps = nn.Parameter(weight.new_zeros(len(self.candidates), *per_width))
        self.register_buffer("unit_bits", torch.full((n_out,), self.candidates[-1]))

    def _widths_of_activation(self) -> tuple[int, ...]:
        if self.activation_bits is None:
            return self.candidates
        if is_full_precision(self.activation_bits):
            return ()
        check_bits(self.activation_bits, "activation_bits", minimum=1)
        return (self.activation_bits,)

    @property
    @abstractmethod
    def weight_matrix(self) -> Tensor:
        """The unquantized weights as a matrix, one row for each output unit or channel."""

    @property
    def steps(self) -> Tensor:
        """Weight steps, of the shape of ``log_steps``."""
        return self.log_steps.exp()

    @property
    def choice(self) -> WidthChoice:
        """The fixed widths: a position in ``candidates``, or where units differ one for each."""
        return self._fixed.choice

    @property
    def widest(self) -> int:
        """The widest of the fixed widths."""
        return self._fixed.widest

    @property
    def units_may_differ(self) -> bool:
        """Whether units share neither a weight step nor an activation whose width follows them."""
        return self.per_channel and len(self.activation_widths) < 2

    @property
    def sum_of_bits(self) -> int:
        """Sum of the fixed widths over all units."""
        return self._fixed.total

    @property
    def _fixed(self) -> _ReadWidths:
        """What the fixed widths are, read again after they have changed."""
        tensor, read = self.unit_bits, self._read
        if read is None or read.tensor is not tensor or read.version != tensor._version:
            widths = tensor.tolist()
            chosen = self._choice_of(widths)
            read = _ReadWidths(tensor, tensor._version, chosen, max(widths), sum(widths))
            self._read = read
        return read

    def _choice_of(self, widths: list[int]) -> WidthChoice:
        if len(set(widths)) == 1:
            return self.candidates.index(widths[0])
        indices = [self.candidates.index(width) for width in widths]
        return UnitChoice.of(torch.tensor(indices, device=self.unit_bits.device), self.grids)

    def checked_widths(self, widths: int | Iterable[int]) -> Tensor:
        """Return one width for each unit, or raise.

        Parameters
        ----------
        widths : int or iterable of int of shape (n_out,)
            Candidates; an integer stands for all units.

        Returns
        -------
        Tensor of shape (n_out,), int64

        Raises
        ------
        ValueError
            A width is no candidate, there are not as many as units, or units that share a step
            or the width of an activation differ.
        """
        n = len(self.unit_bits)
        given = cast("Iterable[int]", widths if np.ndim(cast(Any, widths)) else [widths] * n)
        found = [int(width) for width in given]
        if len(found) != n or not set(found) <= set(self.candidates):
            raise ValueError(
                f"{_told(found)} must be {n} widths out of the candidates {self.candidates}, one "
                "for each unit of the layer; change them, or give more candidates."
            )
        if len(set(found)) > 1 and not self.per_channel:
            raise ValueError(
                "units of one layer have different widths, but one weight step. Give each unit its "
                "own, with granularity='per_channel'."
            )
        if len(set(found)) > 1 and len(self.activation_widths) > 1:
            raise ValueError(
                "units of one layer have different widths, which the one width of their "
                "activation cannot follow (activation_bits=None). Give activation_bits=8."
            )
        return torch.tensor(found)

    def steps_at(self, choice: WidthChoice) -> Tensor:
        """Return the weight steps of a choice of widths, shape () or (n_out,)."""
        return self.log_steps[step_position(choice)].exp()

    def codes_at(self, choice: WidthChoice) -> tuple[int | Tensor, int | Tensor]:
        """Return the lowest and the highest weight code of a choice, of shape () or (n_out,)."""
        if isinstance(choice, int):
            return self.grids[choice][:2]
        return choice.lowest, choice.highest

    def activation_choice(
        self, choice: WidthChoice, selection: Tensor | None = None
    ) -> tuple[int, Tensor | None]:
        """Return the position among the activation's quantizers, and the sample that selects it.

        Parameters
        ----------
        choice : int or UnitChoice
            Position of the weight width in ``candidates``, or those of the units.
        selection : Tensor of shape (R,), optional
            Straight-through one-hot sample with its 1 at ``choice``.

        Returns
        -------
        position : int
            0 where the width is fixed.
        selection : Tensor of shape (R,) or None
            None where the width is fixed: of one width there is nothing to select.
        """
        if len(self.activation_widths) < 2:
            return 0, None
        assert isinstance(choice, int)
        return choice, selection

    def quantized_weight(self, choice: WidthChoice, selection: Tensor | None = None) -> Tensor:
        """Return the quantized weights as a matrix.

        Parameters
        ----------
        choice : int or UnitChoice
            Position of the width in ``candidates``, or those of the units.
        selection : Tensor of shape (R,), optional
            Straight-through one-hot sample with its 1 at ``choice``, which receives the gradient
            of all R widths.

        Returns
        -------
        Tensor of shape (n_out, n_in)
        """
        rows = None if selection is None else selection.unsqueeze(0)
        return quantize_layers([self], [choice], rows)[0]

    @torch.no_grad()
    def reset_steps(self, rule: str | None = None, indices: Iterable[int] | None = None) -> None:
        """Set weight steps anew from the weights.

        Parameters
        ----------
        rule : {"lsq", "mse"}, optional
            Rule; that of the constructor by default.
        indices : iterable of int, optional
            Positions of the widths to reset; all by default.
        """
        rules = _CHANNEL_RULES if self.per_channel else _STEP_RULES
        step_of = rules[self._rule(rule)]
        for index in range(len(self.candidates)) if indices is None else indices:
            self.log_steps[index] = step_of(self.weight_matrix, self.candidates[index]).log()

    @torch.no_grad()
    def refit_steps(self, *, unselected_only: bool) -> None:
        """Set weight steps anew by least squared error.

        Parameters
        ----------
        unselected_only : bool
            Leave those of the fixed widths as they are.
        """
        choice = self.choice
        if not unselected_only:
            self.reset_steps("mse")
        elif isinstance(choice, int):
            self.reset_steps("mse", [r for r in range(len(self.candidates)) if r != choice])
        else:
            kept = self.log_steps[step_position(choice)]
            self.reset_steps("mse")
            self.log_steps[step_position(choice)] = kept

    def _rule(self, rule: str | None) -> str:
        return self.start if rule is None else check_start(rule)

    def _starting_scales(
        self,
        values: Tensor,
        sample_weight: Tensor | None,
        rule: str | None,
        indices: Iterable[int] | None,
        *,
        signed: bool = False,
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the position and the step (signed) or clip of activation quantizers, by a rule."""
        by_lsq = self._rule(rule) == "lsq"
        sample = None if by_lsq else ValueSample(values, sample_weight)
        for index in range(len(self.activation_widths)) if indices is None else indices:
            bits, levels = self.activation_widths[index], self._levels[index]
            if sample is not None:
                low, high = signed_range(bits) if signed else (0, levels)
                step = sample.best_step(low, high)
                yield index, step if signed else step * levels
            else:
                yield index, lsq_step(values, bits) if signed else max_clip(values, sample_weight)


def quantize_layers(
    layers: Iterable[SelectableLayer],
    choices: Sequence[WidthChoice],
    selection: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Return the quantized weights of several layers as matrices, in one pass.

    Parameters
    ----------
    layers : iterable of SelectableLayer
        The L layers.
    choices : sequence of int or UnitChoice, of shape (L,)
        Position of the width of each layer in its candidates, or those of its units.
    selection : Tensor of shape (L, R), optional
        Straight-through one-hot sample, with its ones at ``choices``.

    Returns
    -------
    tuple of Tensor
    """
    layers = list(layers)
    weights = [layer.weight_matrix for layer in layers]
    log_steps = [layer.log_steps for layer in layers]
    grids = [layer.grids for layer in layers]
    return QuantizeSelected.apply(selection, choices, grids, *weights, *log_steps)


def signed_grids(widths: Iterable[int], shared_by: int) -> tuple[Grid, ...]:
    """Return the grid of a signed quantizer at every width.

    Parameters
    ----------
    widths : iterable of int
    shared_by : int
        Number of values that share one step.
    """
    return tuple(
        (low, high, step_gradient_scale(shared_by, high)) for low, high in map(signed_range, widths)
    )


def check_start(start: str) -> str:
    """Return the name of a rule of starting steps, or raise."""
    if start not in _STEP_RULES:
        raise ValueError(f"start={start!r} is unknown; give one of {sorted(_STEP_RULES)}.")
    return start


def _told(widths: list[int]) -> str:
    """Return widths as an error shows them."""
    return str(widths) if len(widths) <= 12 else f"{widths[:12]} and {len(widths) - 12} more"
