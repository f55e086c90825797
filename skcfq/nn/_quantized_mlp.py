"""The quantized network f_q: LSQ weights, PACT activations, one width per layer (§4.3, 4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from skcfq.nn._array_state import ArrayState
from skcfq.nn._losses import logit_distance, weighted_mean
from skcfq.nn._mlp import FullPrecisionMLP, layer_shapes, shape_settings
from skcfq.quantization import (
    GumbelBits,
    QuantizedLinear,
    check_candidates,
    is_full_precision,
    signed_range,
)
from skcfq.quantization._bits import average_bits
from skcfq.quantization._calibration import column_steps
from skcfq.quantization._linear import quantize_layers
from skcfq.quantization._lsq import QuantizeColumns, step_gradient_scale

# A finer step clips more: it has to lower the loss by this factor.
_WORTHWHILE = 0.95


class QuantizedMLP(ArrayState, nn.Module):
    """Quantized multi-layer perceptron with bit-specific steps and clips.

    Parameters
    ----------
    n_inputs : int
        Number of encoded columns.
    hidden_layer_sizes : sequence of int
        Units of each hidden layer; empty for logistic regression.
    n_classes : int
        Number of classes, each with its logit.
    candidates : iterable of int, default=(2, 3, 4, 8)
        Increasing weight widths, R of them.
    activation_bits : int or None, default=None
        Width of the hidden activations; ``None`` follows the weight width of the layer that
        produces them, 32 leaves them unquantized.
    input_bits : int or None, default=8
        Width of the inputs; ``None`` or 32 leaves them unquantized.
    start : {"lsq", "mse"}, default="lsq"
        Rule of :meth:`calibrate` for steps and clips.
    per_channel : bool, default=False
        One weight step for each unit instead of one for each layer.

    Attributes
    ----------
    layers : ModuleList of QuantizedLinear
        The L layers.
    bit_widths : Tensor of shape (L,), int64
        The fixed weight widths; the widest candidate until :meth:`set_bit_widths` is called.
    n_weights : list of int
        Number of weights of each layer, biases not counted.
    log_input_step : Parameter of shape (1,) or None
        Logarithm of the step s of the inputs.
    input_factors : Tensor of shape (n_inputs,)
        Powers of two: column j has the step s times its factor. All 1 before calibration.

    Notes
    -----
    One step for all columns is the coarsest column's: with a heavy tail in one of them (capital
    gains), the 8 bits of the others are 3, and that error is the largest one at recourse points.
    With powers of two the codes are still added up as integers, after a shift.

    The logits are not quantized, nor are the biases.

    Examples
    --------
    >>> network = QuantizedMLP(5, (8,), 2)
    >>> network.calibrate(torch.randn(50, 5, generator=torch.Generator().manual_seed(0)))
    >>> network.set_bit_widths([4, 2])
    >>> network(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    bit_widths: Tensor
    input_factors: Tensor

    def __init__(
        self,
        n_inputs: int,
        hidden_layer_sizes: Sequence[int],
        n_classes: int,
        candidates: Iterable[int] = (2, 3, 4, 8),
        activation_bits: int | None = None,
        input_bits: int | None = 8,
        start: str = "lsq",
        per_channel: bool = False,
    ) -> None:
        super().__init__()
        self.candidates = check_candidates(candidates)
        self.activation_bits = activation_bits
        self.input_bits = input_bits
        shapes = layer_shapes(n_inputs, hidden_layer_sizes, n_classes)
        self.layers = nn.ModuleList(
            QuantizedLinear(
                n_in,
                n_out,
                self.candidates,
                rectified=position < len(shapes) - 1,
                activation_bits=activation_bits,
                start=start,
                per_channel=per_channel,
            )
            for position, (n_in, n_out) in enumerate(shapes)
        )
        self.log_input_step: nn.Parameter | None = None
        if input_bits is not None and not is_full_precision(input_bits):
            low, high = signed_range(input_bits)
            self._input_grid = low, high, step_gradient_scale(n_inputs, high)
            # Before calibration the range is [-4, 4], that of standardised columns.
            self.log_input_step = nn.Parameter(torch.tensor([-4.0 / low]).log())
        self.register_buffer("input_factors", torch.ones(n_inputs))
        self.n_weights = [n_in * n_out for n_in, n_out in shapes]
        widths = torch.full((len(shapes),), self.candidates[-1], dtype=torch.int64)
        self.register_buffer("bit_widths", widths)

    def _settings(self) -> dict[str, Any]:
        return {
            **shape_settings(self.layers),
            "candidates": self.candidates,
            "activation_bits": self.activation_bits,
            "input_bits": self.input_bits,
            "start": self._layers[0].start,
            "per_channel": self._layers[0].per_channel,
        }

    def forward(self, x: Tensor, selection: Tensor | None = None) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            Encoded rows.
        selection : Tensor of shape (L, R), optional
            Straight-through one-hot sample of the widths; ``bit_widths`` by default.

        Returns
        -------
        Tensor of shape (n_samples, n_classes)
        """
        if self.log_input_step is not None:
            x = self.quantized_inputs(x)
        if selection is None:
            indices = [self.candidates.index(width) for width in self.bit_widths.tolist()]
            rows: Sequence[Tensor | None] = [None] * len(indices)
        else:
            self._check_selection(selection)
            indices = selection.detach().argmax(1).tolist()
            rows = selection.unbind(0)
        weights = quantize_layers(self._layers, indices, selection)
        for layer, weight, index, row in zip(self._layers, weights, indices, rows, strict=True):
            x = layer.apply_weight(x, weight, index, row)
        return x

    def quantized_inputs(self, x: Tensor) -> Tensor:
        """Return the inputs as the first layer sees them, shape (n_samples, n_inputs).

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            Encoded rows.
        """
        if self.log_input_step is None:
            return x
        return QuantizeColumns.apply(x, self.log_input_step, self.input_factors, self._input_grid)

    @property
    def linear_layers(self) -> list[QuantizedLinear]:
        """The layers, as what they are."""
        return self._layers

    @property
    def _layers(self) -> list[QuantizedLinear]:
        return cast("list[QuantizedLinear]", self.layers)

    def _check_selection(self, selection: Tensor) -> None:
        expected = (len(self._layers), len(self.candidates))
        if tuple(selection.shape) != expected:
            raise ValueError(
                f"selection has shape {tuple(selection.shape)}; give one row per layer and one "
                f"column per candidate width, {expected}."
            )

    @property
    def average_bits(self) -> float:
        """Average weight bits per weight at the fixed widths."""
        return average_bits(self.bit_widths, self.n_weights)

    def set_bit_widths(self, bit_widths: int | Iterable[int]) -> None:
        """Fix the weight widths.

        Parameters
        ----------
        bit_widths : int or iterable of int of shape (L,)
            Candidate widths; one integer stands for all layers.

        Raises
        ------
        ValueError
            If a width is no candidate, or their number is not that of the layers.
        """
        n_layers = len(self._layers)
        widths = [bit_widths] * n_layers if isinstance(bit_widths, int) else list(bit_widths)
        widths = [int(width) for width in widths]
        if len(widths) != n_layers or not set(widths) <= set(self.candidates):
            raise ValueError(
                f"bit_widths={widths!r} must be {n_layers} widths out of the candidates "
                f"{self.candidates}; change them, or build the network with more candidates."
            )
        self.bit_widths.copy_(torch.tensor(widths))

    @torch.no_grad()
    def load_from(self, network: FullPrecisionMLP) -> None:
        """Copy weights and biases of a full-precision network, and reset the weight steps.

        Parameters
        ----------
        network : FullPrecisionMLP
            Network with layers of the same shapes.
        """
        sources = cast("list[nn.Linear]", network.layers)
        shapes = [tuple(layer.weight.shape) for layer in self._layers]
        given = [tuple(layer.weight.shape) for layer in sources]
        if shapes != given:
            raise ValueError(
                f"network has layers of shapes {given}, this one {shapes}; build both with the "
                "same n_inputs, hidden_layer_sizes and n_classes."
            )
        for layer, source in zip(self._layers, sources, strict=True):
            layer.weight.copy_(source.weight)
            layer.bias.copy_(source.bias)
            layer.reset_steps()

    def calibrate(self, x: Tensor, sample_weight: Tensor | None = None) -> None:
        """Set the input step, all weight steps and all clips from data.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            Encoded rows.
        sample_weight : Tensor of shape (n_samples,), optional
            Weight of each row; rows of weight 0 do not count.

        Notes
        -----
        Clips are set from the activations of the unquantized weights, so that those of all widths
        have seen the same values. The input step is always that of least squared error; the
        factors of the columns are those for which the unquantized network loses least near its
        decision boundary, so rows near it (recourse points) belong into ``x``.
        """
        for layer in self._layers:
            layer.reset_steps()
        self._set_input_step(x, sample_weight)
        self._set_clips(x, sample_weight, None, [None] * len(self._layers))

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
            Leave the parameters of the fixed ``bit_widths`` as they were learned.
        x : Tensor of shape (n_samples, n_inputs), optional
            Encoded rows; with them the clips are refitted too.
        sample_weight : Tensor of shape (n_samples,), optional
            Weight of each row.
        """
        stale = [self._stale(width, unselected_only) for width in self.bit_widths.tolist()]
        for layer, indices in zip(self._layers, stale, strict=True):
            layer.reset_steps("mse", indices)
        if x is None:
            return
        if self.activation_bits is not None:
            # The only clip of each layer belongs to every width, the selected one included.
            stale = [[] if unselected_only else [0] for _ in stale]
        self._set_clips(x, sample_weight, "mse", stale)

    def _stale(self, width: int, unselected_only: bool) -> list[int]:
        widths = enumerate(self.candidates)
        return [index for index, bits in widths if not unselected_only or bits != width]

    @torch.no_grad()
    def _set_input_step(self, x: Tensor, sample_weight: Tensor | None) -> None:
        if self.log_input_step is None or self.input_bits is None:
            return
        step, factors = column_steps(x, self.input_bits, sample_weight)
        self.log_input_step.copy_(step.log())
        self.input_factors.copy_(factors)
        self._refine_input_factors(x.to(step.dtype), sample_weight)

    def _refine_input_factors(self, x: Tensor, sample_weight: Tensor | None) -> None:
        """Choose the factor of every column by what the logits lose, one column after another.

        The squared error of a column with a heavy tail is that of its tail, where no decision is
        at stake. Errors of the logits count in full near the decision boundary, and linearly where
        they are large.
        """
        wanted = self._unquantized(x)
        best = wanted.topk(2, dim=1).values
        closeness = 1.0 / (1.0 + best[:, 0] - best[:, 1])
        weights = closeness if sample_weight is None else closeness * sample_weight

        def error(inputs: Tensor) -> Tensor:
            return weighted_mean(logit_distance(self._unquantized(inputs), wanted), weights)

        inputs = self.quantized_inputs(x)
        least = error(inputs)
        for j in self.input_factors.argsort(descending=True, stable=True).tolist():
            if len(x[:, j].unique()) <= 2:
                continue
            own = self.input_factors[j].item()
            for factor in (own / 2, own / 4, own / 8, own / 16, own * 2):
                before, self.input_factors[j] = self.input_factors[j].item(), factor
                column = self.quantized_inputs(x)[:, j]
                kept, inputs[:, j] = inputs[:, j].clone(), column
                found = error(inputs)
                if found < _WORTHWHILE * least:
                    least = found
                else:
                    self.input_factors[j], inputs[:, j] = before, kept

    def _unquantized(self, x: Tensor) -> Tensor:
        *hidden, last = self._layers
        for layer in hidden:
            x = torch.relu(nn.functional.linear(x, layer.weight, layer.bias))
        return nn.functional.linear(x, last.weight, last.bias)

    @torch.no_grad()
    def _set_clips(
        self,
        x: Tensor,
        sample_weight: Tensor | None,
        rule: str | None,
        indices: Sequence[list[int] | None],
    ) -> None:
        values = x.to(self._layers[0].weight.dtype)
        for layer, chosen in zip(self._layers[:-1], indices, strict=False):
            values = nn.functional.linear(values, layer.weight, layer.bias)
            layer.reset_clips(values, sample_weight, rule, chosen)
            values = torch.relu(values)

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
