"""Any linear or convolution layer with quantized weights and a quantized input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from skcfq.quantization._bits import (
    check_bits,
    check_candidates,
    is_full_precision,
    signed_range,
    unsigned_levels,
)
from skcfq.quantization._calibration import ValueSample, lsq_step, max_clip
from skcfq.quantization._linear import check_start, reset_weight_steps
from skcfq.quantization._lsq import QuantizeSelected, step_gradient_scale
from skcfq.quantization._pact import SelectedClipped

QUANTIZABLE = (nn.Linear, nn.Conv1d, nn.Conv2d)


class LayerUse(NamedTuple):
    """How one forward pass uses a layer.

    Attributes
    ----------
    weight : Tensor
        With as many entries as the layer's own.
    choice : int or None
        Position of the width in the candidates; None leaves the input unquantized.
    selection : Tensor of shape (R,) or None
        Straight-through one-hot sample of the widths.
    """

    weight: Tensor
    choice: int | None = None
    selection: Tensor | None = None


# What the pass under way uses; in a context variable, so that threads do not see each other's.
_USES: ContextVar[dict[nn.Module, LayerUse] | None] = ContextVar("layer_uses", default=None)


@contextmanager
def using(uses: dict[nn.Module, LayerUse]) -> Iterator[None]:
    """Let the layers that are called inside be used as told.

    Parameters
    ----------
    uses : dict of QuantizedLayer to LayerUse
    """
    token = _USES.set(uses)
    try:
        yield
    finally:
        _USES.reset(token)


class QuantizedLayer(nn.Module):
    """A layer of a user's module whose weights, and what enters it, are quantized.

    Parameters
    ----------
    layer : Linear, Conv1d or Conv2d
        It is held, not copied.
    candidates : iterable of int
        Increasing weight widths, R of them.
    activation_bits : int or None, default=None
        Width of what enters; ``None`` follows the weight width, 32 leaves it unquantized.
    start : {"lsq", "mse"}, default="lsq"
        Rule of the starting steps and clips.
    per_channel : bool, default=False
        One weight step for each output unit or channel instead of one for the layer.

    Attributes
    ----------
    log_steps : Parameter of shape (R,), or (R, n_out) with ``per_channel``
        Logarithms of the weight steps.
    log_scales : Parameter of shape (R,) or (1,), or None
        Logarithms of the steps of a signed input, of the clips of a rectified one.
    signed : bool
        Whether values below zero enter; found out by :meth:`reset_scales`.
    reads_inputs : bool
        Whether the network's own input enters, which is quantized before.

    Notes
    -----
    A rectified input has PACT's quantizer, a signed one LSQ's. The layer is called by the module
    that it is in, and takes what it needs for that from :func:`using`.
    """

    def __init__(
        self,
        layer: nn.Module,
        candidates: Iterable[int] = (2, 3, 4, 8),
        *,
        activation_bits: int | None = None,
        start: str = "lsq",
        per_channel: bool = False,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.candidates = check_candidates(candidates)
        self.activation_bits = activation_bits
        self.start = check_start(start)
        self.per_channel = per_channel
        self.signed = False
        self.reads_inputs = False
        n_out, n_in = self.weight.shape
        shared_by = n_in if per_channel else n_out * n_in
        self.grids = tuple(
            (low, high, step_gradient_scale(shared_by, high))
            for low, high in map(signed_range, self.candidates)
        )
        per_width = (n_out,) if per_channel else ()
        zeros = self.weight.detach().new_zeros
        self.log_steps = nn.Parameter(zeros(len(self.candidates), *per_width))
        self._widths = self._input_widths()
        self._levels = tuple(unsigned_levels(bits) for bits in self._widths)
        self._scale_grids: tuple[tuple[int, int, float], ...] = ()
        self.log_scales: nn.Parameter | None = None
        if self._widths:
            self.log_scales = nn.Parameter(zeros(len(self._widths)))
        reset_weight_steps(self)

    def _input_widths(self) -> tuple[int, ...]:
        if self.activation_bits is None:
            return self.candidates
        if is_full_precision(self.activation_bits):
            return ()
        check_bits(self.activation_bits, "activation_bits", minimum=1)
        return (self.activation_bits,)

    @property
    def weight(self) -> Tensor:
        """The unquantized weights as a matrix, one row for each output unit or channel."""
        return self.own_weight.flatten(1)

    @property
    def own_weight(self) -> Tensor:
        """The unquantized weights in the shape that the layer has them."""
        return cast(Tensor, self.layer.weight)

    @property
    def quantizes_input(self) -> bool:
        """Whether what enters is quantized here."""
        return self.log_scales is not None and not self.reads_inputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layer as the pass under way uses it.

        Parameters
        ----------
        inputs : Tensor of the layer's input shape
        """
        uses = _USES.get()
        if uses is None:
            raise RuntimeError(
                f"The quantized layer {self.layer} was called outside of the network that it is a "
                "part of. Call the QuantizedModule."
            )
        use = uses[self]
        if use.choice is not None and self.quantizes_input:
            inputs = self.quantized_input(inputs, use.choice, use.selection)
        weight = use.weight.reshape(self.own_weight.shape)
        return functional_call(self.layer, {"weight": weight}, (inputs,))

    def quantized_input(
        self, inputs: Tensor, index: int, selection: Tensor | None = None
    ) -> Tensor:
        """Return the inputs at one candidate width.

        Parameters
        ----------
        inputs : Tensor
        index : int
            Position of the weight width in the candidates.
        selection : Tensor of shape (R,), optional
        """
        assert self.log_scales is not None
        if len(self._widths) == 1 and self.activation_bits is not None:
            index, selection = 0, None
        if not self.signed:
            return SelectedClipped.apply(inputs, self.log_scales, selection, index, self._levels)
        rows = None if selection is None else selection.unsqueeze(0)
        grids = [self._scale_grids]
        return QuantizeSelected.apply(rows, [index], grids, inputs, self.log_scales)[0]

    @torch.no_grad()
    def reset_scales(
        self,
        values: Tensor,
        sample_weight: Tensor | None = None,
        rule: str | None = None,
        indices: Iterable[int] | None = None,
    ) -> None:
        """Set the steps or clips of the input anew; with all of them, find out if it is signed.

        Parameters
        ----------
        values : Tensor of shape (n_samples, n_values)
            What enters.
        sample_weight : Tensor of shape (n_samples,), optional
            Weight of each row.
        rule : {"lsq", "mse"}, optional
            Rule; that of the constructor by default.
        indices : iterable of int, optional
            Positions in ``log_scales`` to reset; all by default.

        Raises
        ------
        ValueError
            The input is signed, and has one bit.
        """
        if self.log_scales is None or self.reads_inputs:
            return
        if indices is None:
            self._choose_quantizer(values)
        by_lsq = check_start(self.start if rule is None else rule) == "lsq"
        sample = None if by_lsq else ValueSample(values, sample_weight)
        for index in range(len(self._widths)) if indices is None else indices:
            bits, levels = self._widths[index], self._levels[index]
            if self.signed:
                step = (
                    lsq_step(values, bits)
                    if sample is None
                    else sample.best_step(*signed_range(bits))
                )
                self.log_scales[index] = step.log()
            elif sample is None:
                self.log_scales[index] = max_clip(values, sample_weight).log()
            else:
                self.log_scales[index] = (sample.best_step(0, levels) * levels).log()

    def _choose_quantizer(self, values: Tensor) -> None:
        self.signed = bool((values < 0).any())
        if not self.signed:
            return
        if min(self._widths) < 2:
            raise ValueError(
                f"activation_bits={self.activation_bits!r}, but values of both signs enter the "
                f"layer {self.layer}, which takes at least 2 bits. Raise it, or put a ReLU before."
            )
        ranges = map(signed_range, self._widths)
        self._scale_grids = tuple(
            (low, high, step_gradient_scale(values.shape[1], high)) for low, high in ranges
        )

    def extra_repr(self) -> str:
        """Return what the parameters do not hold."""
        return f"signed={self.signed}, reads_inputs={self.reads_inputs}"
