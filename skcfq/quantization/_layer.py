"""Any linear or convolution layer with quantized weights and a quantized input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from skcfq.quantization._lsq import QuantizeSelected
from skcfq.quantization._pact import SelectedClipped
from skcfq.quantization._selectable import SelectableLayer, signed_grids
from skcfq.quantization._width_choice import WidthChoice

QUANTIZABLE = (nn.Linear, nn.Conv1d, nn.Conv2d)


class LayerUse(NamedTuple):
    """How one forward pass uses a layer.

    Attributes
    ----------
    weight : Tensor
        With as many entries as the layer's own.
    choice : int, UnitChoice or None
        Position of the width in the candidates, or those of the units; None leaves the input
        unquantized.
    selection : Tensor of shape (R,) or None
        Straight-through one-hot sample of the widths.
    """

    weight: Tensor
    choice: WidthChoice | None = None
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


class QuantizedLayer(SelectableLayer):
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
        self.signed = False
        self.reads_inputs = False
        self._set_up_widths(candidates, activation_bits, start, per_channel)
        self._scale_grids: tuple[tuple[int, int, float], ...] = ()
        self.log_scales: nn.Parameter | None = None
        if self.activation_widths:
            self.log_scales = nn.Parameter(self.weight.new_zeros(len(self.activation_widths)))
        self.reset_steps()

    @property
    def weight(self) -> Tensor:
        """The unquantized weights in the shape that the layer has them."""
        return cast(Tensor, self.layer.weight)

    @property
    def weight_matrix(self) -> Tensor:
        """The unquantized weights as a matrix, one row for each output unit or channel."""
        return self.weight.flatten(1)

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
        weight = use.weight.reshape(self.weight.shape)
        return functional_call(self.layer, {"weight": weight}, (inputs,))

    def quantized_input(
        self, inputs: Tensor, choice: WidthChoice, selection: Tensor | None = None
    ) -> Tensor:
        """Return the inputs at the width that goes with a choice for the weights.

        Parameters
        ----------
        inputs : Tensor
        choice : int or UnitChoice
            Position of the weight width in the candidates, or those of the units.
        selection : Tensor of shape (R,), optional
        """
        assert self.log_scales is not None
        index, selection = self.activation_choice(choice, selection)
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
        scales = self._starting_scales(values, sample_weight, rule, indices, signed=self.signed)
        for index, scale in scales:
            self.log_scales[index] = scale.log()

    def _choose_quantizer(self, values: Tensor) -> None:
        self.signed = bool((values < 0).any())
        if not self.signed:
            return
        if min(self.activation_widths) < 2:
            raise ValueError(
                f"activation_bits={self.activation_bits!r}, but values of both signs enter the "
                f"layer {self.layer}, which takes at least 2 bits. Raise it, or put a ReLU before."
            )
        self._scale_grids = signed_grids(self.activation_widths, values.shape[1])

    def extra_repr(self) -> str:
        """Return what the parameters do not hold."""
        return f"signed={self.signed}, reads_inputs={self.reads_inputs}"
