"""What quantized networks share: fixed widths, what they cost, and the quantizer of the inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from skcfq.nn._input_codes import (
    COVERING_BITS,
    InputCodes,
    is_coarse,
    refine_input_codes,
    span_of,
    widened_span,
)
from skcfq.quantization import (
    ColumnQuantizer,
    GumbelBits,
    SelectableLayer,
    WidthChoice,
    check_candidates,
    column_steps,
    covering_steps,
    is_full_precision,
    signed_range,
)

LogitsOfUnit = Callable[[int, Tensor, Tensor], Tensor]


class QuantizedNetwork(nn.Module, ABC):
    """Base of the networks whose layers, or units, have a weight width out of the same candidates.

    A subclass builds its layers and calls :meth:`_set_up`; it has ``forward`` and what is
    abstract here.

    Parameters
    ----------
    candidates : iterable of int
        Increasing weight widths, R of them.
    input_bits : int or None
        Width of the inputs; ``None`` or 32 leaves them unquantized.

    Attributes
    ----------
    bit_widths : Tensor of shape (L,), int64 or float64
        The fixed weight widths, averages where units of a layer differ; the widest candidate until
        :meth:`set_bit_widths` is called.
    unit_bit_widths : list of Tensor of shape (n_out,), int64
        The width of each unit, layer by layer.
    n_weights : list of int
        Number of weights of each layer, biases not counted.
    log_input_step : Tensor of shape (1,) or None
        Logarithm of the step s of the inputs, which calibration fixes.
    input_factors : Tensor of shape (n_inputs,)
        Powers of two: column j has the step s times its factor. All 1 before calibration.
    input_centers : Tensor of shape (n_inputs,)
        Whole numbers: the codes of column j lie around its own. All 0 before calibration.
    """

    log_input_step: Tensor | None
    input_factors: Tensor
    input_centers: Tensor

    def __init__(self, candidates: Iterable[int], input_bits: int | None) -> None:
        super().__init__()
        self.candidates = check_candidates(candidates)
        self.input_bits = input_bits

    def _set_up(self, n_inputs: int, n_weights: Sequence[int]) -> None:
        step = None
        if self.input_bits is not None and not is_full_precision(self.input_bits):
            self._input_grid = signed_range(self.input_bits)
            # Before calibration the range is [-4, 4], that of standardized columns.
            step = torch.tensor([-4.0 / self._input_grid[0]]).log()
        self.register_buffer("log_input_step", step)
        self.register_buffer("input_factors", torch.ones(n_inputs))
        self.register_buffer("input_centers", torch.zeros(n_inputs))
        self.n_weights = list(n_weights)

    @property
    @abstractmethod
    def quantized_layers(self) -> Sequence[SelectableLayer]:
        """The L layers whose widths are chosen."""

    @property
    def bit_widths(self) -> Tensor:
        """The fixed widths of the layers, averages where units of a layer differ, shape (L,)."""
        layers = self.quantized_layers
        if all(isinstance(layer.choice, int) for layer in layers):
            return torch.tensor([layer.widest for layer in layers])
        averages = [layer.sum_of_bits / len(layer.unit_bits) for layer in layers]
        return torch.tensor(averages, dtype=torch.float64)

    @property
    def unit_bit_widths(self) -> list[Tensor]:
        """The fixed width of each unit of each layer, L tensors of shape (n_out,)."""
        return [layer.unit_bits.cpu().clone() for layer in self.quantized_layers]

    @property
    def weight_tensors(self) -> list[Tensor]:
        """The unquantized weights of every layer, as they are trained."""
        return [cast(Tensor, layer.weight) for layer in self.quantized_layers]

    @property
    @abstractmethod
    def n_macs(self) -> list[int]:
        """Multiplications that every layer makes for one row."""

    @property
    @abstractmethod
    def activation_widths(self) -> list[int]:
        """Bits of what enters every layer at the fixed widths; 32 where it is not quantized."""

    def calibrate(
        self,
        x: Tensor,
        sample_weight: Tensor | None = None,
        span: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """Set the input step, all weight steps and all quantizers of activations from data.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            Encoded rows.
        sample_weight : Tensor of shape (n_samples,), optional
            Weight of each row; rows of weight 0 do not count.
        span : two Tensors of shape (n_inputs,), optional
            Least and largest value of every column; those in ``x`` by default.

        Notes
        -----
        Quantizers of activations are set with the unquantized weights, in evaluation mode, so that
        those of all widths have seen the same values. Inputs of 10 bits or more cover the span and
        a half of it on either side: whoever comes later, and where advice leads, is met there too.
        A column is clipped only where that leaves few codes for the middle half of the people, as a
        very long tail does. With fewer bits the step is that of least squared error. Which codes
        are clipped is decided by what the unquantized network loses near its decision boundary, so
        rows near it (recourse points) belong into ``x``.
        """
        x = x.to(self.weight_tensors[0].dtype)
        for layer in self.quantized_layers:
            layer.reset_steps()
        self._set_input_step(x, sample_weight, span)
        self._set_activations(x, sample_weight, None, [None] * len(self.n_weights))

    def refit(
        self,
        unselected_only: bool = True,
        x: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Set steps anew, by least squared error, after the weights have moved.

        A width that is not sampled gets no gradient while the weights move, so its step goes stale.

        Parameters
        ----------
        unselected_only : bool, default=True
            Leave the parameters of the fixed widths as they were learned.
        x : Tensor of shape (n_samples, n_inputs), optional
            Encoded rows; with them the quantizers of activations are refitted too.
        sample_weight : Tensor of shape (n_samples,), optional
            Weight of each row.
        """
        for layer in self.quantized_layers:
            layer.refit_steps(unselected_only=unselected_only)
        if x is None:
            return
        stale = [self._stale(layer.choice, unselected_only) for layer in self.quantized_layers]
        # A quantizer of a fixed width belongs to every weight width, the selected one included.
        only = [] if unselected_only else [0]
        fixed = [layer.activation_bits is not None for layer in self.quantized_layers]
        chosen = [only if one else indices for one, indices in zip(fixed, stale, strict=True)]
        self._set_activations(x.to(self.weight_tensors[0].dtype), sample_weight, "mse", chosen)

    @abstractmethod
    def _set_activations(
        self,
        x: Tensor,
        sample_weight: Tensor | None,
        rule: str | None,
        indices: Sequence[list[int] | None],
    ) -> None:
        """Set the quantizers of activations by a rule, those at some widths of every layer."""

    @abstractmethod
    def unquantized(self, x: Tensor) -> Tensor:
        """Return the logits without any quantizer, shape (n_samples, n_classes).

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
        """

    @abstractmethod
    def with_unit(self, x: Tensor, position: int) -> LogitsOfUnit:
        """Return the logits as a function of what one unit has, without any quantizer.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
        position : int
            Of the layer.

        Returns
        -------
        function
            The unit, its row of ``weight_matrix``, and what its bias grows by (of a user's module,
            nothing), to logits of shape (n_samples, n_classes).
        """

    @abstractmethod
    def partly_quantized(self, x: Tensor, position: int, index: int) -> Tensor:
        """Return the logits with one layer alone quantized, shape (n_samples, n_classes).

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
        position : int
            Of the layer.
        index : int
            Of its width among the candidates.
        """

    @abstractmethod
    def add_logit_bias(self, position: int, bias: float) -> None:
        """Add a constant to the logit of one class.

        Parameters
        ----------
        position : int
            Of the class.
        bias : float
            In logit units.
        """

    @property
    def average_bits(self) -> float:
        """Average weight bits per weight at the fixed widths."""
        return self.bit_cost / sum(self.n_weights)

    @property
    def bit_cost(self) -> int:
        r"""Bits of all weights, :math:`\sum_\ell n_\ell b_\ell` (§4.3); biases are not counted."""
        return sum(self._over_units(self.n_weights))

    @property
    def bops(self) -> int:
        r"""Bit operations of one row, :math:`\sum_\ell MAC_\ell b^{(w)}_\ell b^{(a)}_\ell` (§4.3).

        The activation width is that of what enters the layer: ``input_bits`` in the first.
        """
        terms = zip(self._over_units(self.n_macs), self.activation_widths, strict=True)
        return sum(macs * bits for macs, bits in terms)

    def _over_units(self, counts: Sequence[int]) -> list[int]:
        """Return counts of the layers times weight widths; each unit has its equal part of them."""
        pairs = zip(counts, self.quantized_layers, strict=True)
        return [n * layer.sum_of_bits // len(layer.unit_bits) for n, layer in pairs]

    def set_bit_widths(self, bit_widths: int | Iterable[int | Iterable[int]]) -> None:
        """Fix the weight widths.

        Parameters
        ----------
        bit_widths : int or iterable of shape (L,)
            Candidate widths, of each layer one, or one for each of its units (as in
            ``unit_bit_widths``); one integer stands for all layers.

        Raises
        ------
        ValueError
            If a width is no candidate, their number is not that of the layers or units, or units
            that share a step or an activation's width differ.
        """
        layers = self.quantized_layers
        widths = [bit_widths] * len(layers) if isinstance(bit_widths, int) else list(bit_widths)
        if len(widths) != len(layers):
            raise ValueError(
                f"bit_widths={widths!r} must have a width for each of the {len(layers)} layers."
            )
        checked = []
        for position, (layer, given) in enumerate(zip(layers, widths, strict=True)):
            try:
                checked.append(layer.checked_widths(given))
            except ValueError as error:
                raise ValueError(f"bit_widths[{position}]: {error}") from error
        for layer, found in zip(layers, checked, strict=True):
            layer.unit_bits.copy_(found)

    def quantized_inputs(self, x: Tensor) -> Tensor:
        """Return the inputs as the first layer sees them, shape (n_samples, n_inputs).

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            Encoded rows.
        """
        quantizer = self.input_quantizer()
        return x if quantizer is None else quantizer(x)

    def input_quantizer(self) -> ColumnQuantizer | None:
        """Return what quantizes the inputs, as it is now; None where they are not quantized."""
        codes = self._input_codes()
        return None if codes is None else codes.quantizer()

    def _input_codes(self) -> InputCodes | None:
        if self.log_input_step is None:
            return None
        step = self.log_input_step.exp()
        return InputCodes(step, self.input_factors, self.input_centers, self._input_grid)

    def _selected(
        self, selection: Tensor | None
    ) -> tuple[list[WidthChoice], Sequence[Tensor | None]]:
        """Return the choice and the row of the selection of every layer."""
        if selection is None:
            choices = [layer.choice for layer in self.quantized_layers]
            return choices, [None] * len(choices)
        expected = (len(self.n_weights), len(self.candidates))
        if tuple(selection.shape) != expected:
            raise ValueError(
                f"selection has shape {tuple(selection.shape)}; give one row per layer and one "
                f"column per candidate width, {expected}."
            )
        return selection.detach().argmax(1).tolist(), selection.unbind(0)

    def _stale(self, choice: WidthChoice, unselected_only: bool) -> list[int]:
        indices = range(len(self.candidates))
        return [index for index in indices if not unselected_only or index != choice]

    @torch.no_grad()
    def _set_input_step(
        self,
        x: Tensor,
        sample_weight: Tensor | None,
        span: tuple[Tensor, Tensor] | None,
    ) -> None:
        if self.log_input_step is None or self.input_bits is None:
            return
        if self.input_bits >= COVERING_BITS:
            low, high = widened_span(*(span_of(x, sample_weight) if span is None else span))
            step, factors, centers = covering_steps(low, high, self.input_bits)
        else:
            step, factors = column_steps(x, self.input_bits, sample_weight)
            centers = torch.zeros_like(factors)
        self.log_input_step.copy_(step.log())
        self.input_factors.copy_(factors)
        self.input_centers.copy_(centers)
        codes = self._input_codes()
        assert codes is not None
        x = x.to(step.dtype)
        clipped = torch.ones_like(factors, dtype=torch.bool)
        if self.input_bits >= COVERING_BITS:
            clipped = is_coarse(step * factors, x, sample_weight)
        refine_input_codes(codes, self.unquantized, x, sample_weight, clipped)

    def parameter_groups(
        self,
        weight_decay: float = 0.0,
        *,
        learning_rate: float | None = None,
        policy: GumbelBits | None = None,
    ) -> list[dict[str, Any]]:
        """Return parameter groups for an optimizer.

        Parameters
        ----------
        weight_decay : float, default=0.0
            Decay of weights and biases.
        learning_rate : float, optional
            Learning rate of the quantizer parameters and of the bit logits; that of the optimizer
            by default.
        policy : GumbelBits, optional
            Bit policy that is trained along.

        Returns
        -------
        list of dict
            Weights and biases; then steps, clips and bit logits, which have no decay.
        """
        quantizers = [
            parameter for name, parameter in self.named_parameters() if ".log_" in f".{name}"
        ]
        quantizer_ids = {id(parameter) for parameter in quantizers}
        weights = [p for p in self.parameters() if id(p) not in quantizer_ids]
        if policy is not None:
            quantizers.extend(policy.parameters())
        group: dict[str, Any] = {"params": quantizers, "weight_decay": 0.0}
        if learning_rate is not None:
            group["lr"] = learning_rate
        return [{"params": weights, "weight_decay": weight_decay}, group]
