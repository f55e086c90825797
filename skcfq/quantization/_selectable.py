"""What layers share whose weights, and one activation, are quantized at a selectable width."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

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

# Lowest code, highest code, and scale of the step gradient.
Grid = tuple[int, int, float]

_STEP_RULES = {"lsq": lsq_step, "mse": mse_step}
_CHANNEL_RULES = {"lsq": lsq_steps, "mse": mse_steps}


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
    """

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

    def activation_choice(
        self, index: int, selection: Tensor | None = None
    ) -> tuple[int, Tensor | None]:
        """Return the position among the activation's quantizers, and the sample that selects it.

        Parameters
        ----------
        index : int
            Position of the weight width in ``candidates``.
        selection : Tensor of shape (R,), optional
            Straight-through one-hot sample with its 1 at ``index``.

        Returns
        -------
        position : int
            0 where the width is fixed.
        selection : Tensor of shape (R,) or None
            None where the width is fixed: of one width there is nothing to select.
        """
        return (index, selection) if len(self.activation_widths) > 1 else (0, None)

    def quantized_weight(self, index: int, selection: Tensor | None = None) -> Tensor:
        """Return the quantized weights as a matrix.

        Parameters
        ----------
        index : int
            Position of the width in ``candidates``.
        selection : Tensor of shape (R,), optional
            Straight-through one-hot sample with its 1 at ``index``, which receives the gradient of
            all R widths.

        Returns
        -------
        Tensor of shape (n_out, n_in)
        """
        rows = None if selection is None else selection.unsqueeze(0)
        return quantize_layers([self], [index], rows)[0]

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
    layers: Iterable[SelectableLayer], indices: Sequence[int], selection: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Return the quantized weights of several layers as matrices, in one pass.

    Parameters
    ----------
    layers : iterable of SelectableLayer
        The L layers.
    indices : sequence of int of shape (L,)
        Position of the width of each layer in its candidates.
    selection : Tensor of shape (L, R), optional
        Straight-through one-hot sample, with its ones at ``indices``.

    Returns
    -------
    tuple of Tensor
    """
    layers = list(layers)
    weights = [layer.weight_matrix for layer in layers]
    log_steps = [layer.log_steps for layer in layers]
    grids = [layer.grids for layer in layers]
    return QuantizeSelected.apply(selection, indices, grids, *weights, *log_steps)


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
