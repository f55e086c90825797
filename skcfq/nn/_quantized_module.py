"""A user's own torch module, its linear and convolution layers quantized (§4.3, 4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor, nn

from skcfq.exceptions import UnsupportedModelError
from skcfq.nn._activation_widths import activation_widths_of, width_of
from skcfq.nn._quantized_network import LogitsOfUnit, QuantizedNetwork
from skcfq.quantization import (
    FULL_PRECISION_BITS,
    QUANTIZABLE,
    LayerUse,
    QuantizedLayer,
    quantize_layers,
    using,
)


class QuantizedModule(QuantizedNetwork):
    """A module whose Linear, Conv1d and Conv2d layers have quantized weights and inputs.

    Everything else (normalization, dropout, reshapes, sums) stays as it is, in floating point.

    Parameters
    ----------
    module : Module
        Encoded rows (n, n_inputs) to logits (n, n_classes). It is copied; its weights are where
        training starts.
    n_inputs : int
        Number of encoded columns.
    n_classes : int
        Number of classes.
    candidates : iterable of int, default=(2, 3, 4, 8)
        Increasing weight widths, R of them.
    activation_bits : int, None or sequence of these, default=None
        Width of what enters a layer, one for all or one for each; ``None`` follows the weight width
        of that layer, 32 leaves it unquantized. Not used by layers that read the module's input.
    input_bits : int or None, default=8
        Width of the module's input; ``None`` or 32 leaves it unquantized.
    start : {"lsq", "mse"}, default="lsq"
        Rule of :meth:`calibrate` for steps and clips.
    per_channel : bool, default=False
        One weight step for each output unit or channel instead of one for each layer.

    Attributes
    ----------
    module : Module
        The copy; its layers are :class:`~skcfq.quantization.QuantizedLayer`.
    quantized_layers : list of QuantizedLayer
        In the order of ``module.named_modules()``.
    layer_names : list of str
    bit_widths, n_weights, log_input_step, input_factors, input_centers
        As in :class:`QuantizedNetwork`.
    logit_offset : Tensor of shape (n_classes,)
        Added to the logits; 0 until :meth:`add_logit_bias` is called.

    Raises
    ------
    UnsupportedModelError
        The module has no such layer, weights outside of them that no budget would count, or
        another output than one logit per class.

    Notes
    -----
    Whether a layer's input is rectified or signed, and which layers read the module's own input
    (or a view of it), is found out on the calibration rows. What is computed is floating-point
    arithmetic on quantized values; integers exist for :class:`QuantizedMLP` only.

    Examples
    --------
    >>> convolutions = nn.Sequential(
    ...     nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
    ... )
    >>> network = QuantizedModule(convolutions, 6, 2)
    >>> network.calibrate(torch.randn(50, 6, generator=torch.Generator().manual_seed(0)))
    >>> network.set_bit_widths([4, 2])
    >>> network(torch.zeros(3, 6)).shape, network.n_macs
    (torch.Size([3, 2]), [48, 32])
    """

    logit_offset: Tensor

    def __init__(
        self,
        module: nn.Module,
        n_inputs: int,
        n_classes: int,
        candidates: Iterable[int] = (2, 3, 4, 8),
        activation_bits: int | Sequence[int | None] | None = None,
        input_bits: int | None = 8,
        start: str = "lsq",
        per_channel: bool = False,
    ) -> None:
        super().__init__(candidates, input_bits)
        check_quantizable(module)
        found = [name for name, one in module.named_modules() if type(one) in QUANTIZABLE]
        made: dict[int, QuantizedLayer] = {}
        module = deepcopy(module)
        widths = activation_widths_of(activation_bits, len(found))
        for name, bits in zip(found, widths, strict=True):
            layer = module.get_submodule(name)
            made[id(layer)] = QuantizedLayer(
                layer, self.candidates, activation_bits=bits, start=start, per_channel=per_channel
            )
        self.module = _replaced(module, made)
        self.layer_names = found
        self._set_up(n_inputs, [layer.weight.numel() for layer in self.quantized_layers])
        self.register_buffer("logit_offset", torch.zeros(n_classes))
        weight = self.quantized_layers[0].weight
        self.to(weight.dtype)
        self._n_macs = self._measured(weight.new_zeros(2, n_inputs))

    @property
    def quantized_layers(self) -> list[QuantizedLayer]:
        """The L layers, each once."""
        return [one for one in self.module.modules() if isinstance(one, QuantizedLayer)]

    @property
    def n_macs(self) -> list[int]:
        """Multiplications that every layer makes for one row."""
        return list(self._n_macs)

    @property
    def activation_widths(self) -> list[int]:
        """Bits of what enters every layer at the fixed widths; 32 where it is not quantized."""
        inputs = width_of(self.input_bits, FULL_PRECISION_BITS)
        return [
            inputs if layer.reads_inputs else width_of(layer.activation_bits, layer.widest)
            for layer in self.quantized_layers
        ]

    def forward(self, x: Tensor, selection: Tensor | None = None) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            Encoded rows.
        selection : Tensor of shape (L, R), optional
            Straight-through one-hot sample of the widths; the fixed widths by default.

        Returns
        -------
        Tensor of shape (n_samples, n_classes)
        """
        choices, rows = self._selected(selection)
        layers = self.quantized_layers
        weights = quantize_layers(layers, choices, selection)
        uses = map(LayerUse, weights, choices, rows)
        return self._run(self.quantized_inputs(x), dict(zip(layers, uses, strict=True)))

    def unquantized(self, x: Tensor) -> Tensor:
        """Return the logits without any quantizer, in evaluation mode.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
        """
        with self._evaluating():
            return self._run(x, self._exact())

    def with_unit(self, x: Tensor, position: int) -> LogitsOfUnit:
        """Return the logits as a function of what one unit has, without any quantizer."""
        uses, layer = self._exact(), self.quantized_layers[position]

        def logits(unit: int, weights: Tensor, shift: Tensor) -> Tensor:
            if shift:
                raise ValueError(f"shift={shift}, but biases of a user's module stay; give 0.")
            matrix = layer.weight_matrix.clone()
            matrix[unit] = weights
            with self._evaluating():
                return self._run(x, {**uses, layer: LayerUse(matrix)})

        return logits

    def partly_quantized(self, x: Tensor, position: int, index: int) -> Tensor:
        """Return the logits with one layer alone, and what enters it, quantized.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
        position, index : int
            Of the layer, and of its width among the candidates. In evaluation mode.
        """
        uses = self._exact()
        layer = self.quantized_layers[position]
        uses[layer] = LayerUse(layer.quantized_weight(index), index)
        with self._evaluating():
            return self._run(x, uses)

    @torch.no_grad()
    def add_logit_bias(self, position: int, bias: float) -> None:
        """Add a constant to the logit of one class."""
        self.logit_offset[position] += bias

    def _run(self, x: Tensor, uses: dict[nn.Module, LayerUse]) -> Tensor:
        with using(uses):
            return self.module(x) + self.logit_offset

    def _exact(self) -> dict[nn.Module, LayerUse]:
        return {layer: LayerUse(layer.weight) for layer in self.quantized_layers}

    @torch.no_grad()
    def _set_activations(
        self,
        x: Tensor,
        sample_weight: Tensor | None,
        rule: str | None,
        indices: Sequence[list[int] | None],
    ) -> None:
        entered: dict[nn.Module, list[Tensor]] = {layer: [] for layer in self.quantized_layers}
        storage = x.untyped_storage().data_ptr()

        def note(layer: QuantizedLayer, inputs: tuple[Tensor, ...]) -> None:
            given = inputs[0]
            if rule is None:
                # The network's own input, or a view of it, is quantized where it enters.
                layer.reads_inputs = given.untyped_storage().data_ptr() == storage
            # What follows may work in place. Several rows may stand for one (one for each column).
            entered[layer].append(given.detach().reshape(len(x), -1).clone())

        handles = [layer.register_forward_pre_hook(note) for layer in self.quantized_layers]
        try:
            self.unquantized(x)
        finally:
            for handle in handles:
                handle.remove()
        for layer, chosen in zip(self.quantized_layers, indices, strict=True):
            if entered[layer]:
                layer.reset_scales(torch.cat(entered[layer], 1), sample_weight, rule, chosen)

    @torch.no_grad()
    def _measured(self, x: Tensor) -> list[int]:
        """Return the multiplications of every layer for one row, from a first pass."""
        macs = dict.fromkeys(self.quantized_layers, 0)

        def note(layer: QuantizedLayer, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
            macs[layer] += outputs.numel() // len(x) * layer.weight_matrix.shape[1]

        handles = [layer.register_forward_hook(note) for layer in self.quantized_layers]
        try:
            with self._evaluating(), using(self._exact()):
                check_logits(self.module, x, len(self.logit_offset))
        finally:
            for handle in handles:
                handle.remove()
        return list(macs.values())

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = [one for one in self.modules() if one.training]
        self.eval()
        try:
            yield
        finally:
            for one in training:
                one.training = True


def _replaced(module: nn.Module, made: dict[int, QuantizedLayer]) -> nn.Module:
    """Put the quantized layers in the place of those that they hold."""
    if id(module) in made:
        return made[id(module)]
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in made:
                setattr(parent, name, made[id(child)])
    return module


def check_quantizable(module: nn.Module) -> None:
    """Raise unless all weights of a module are in layers that are quantized.

    Parameters
    ----------
    module : Module

    Raises
    ------
    UnsupportedModelError
        There is no such layer, or there are weights that no budget would count.
    """
    layers = [one for one in module.modules() if type(one) in QUANTIZABLE]
    if not layers:
        raise UnsupportedModelError(
            f"The module {type(module).__name__} has no layer that is quantized. Build it of "
            "nn.Linear, nn.Conv1d and nn.Conv2d."
        )
    counted = {id(parameter) for layer in layers for parameter in layer.parameters()}
    for name, parameter in module.named_parameters():
        if id(parameter) not in counted and parameter.ndim > 1:
            raise UnsupportedModelError(
                f"The module has weights outside of Linear, Conv1d and Conv2d layers: {name!r} of "
                f"shape {tuple(parameter.shape)}. They would not be quantized, nor counted in the "
                "budget. Build the module of those layers, without weight normalization."
            )


@torch.no_grad()
def check_logits(module: nn.Module, x: Tensor, n_classes: int) -> None:
    """Raise unless a module gives one logit a class.

    Parameters
    ----------
    module : Module
        Called in evaluation mode.
    x : Tensor of shape (n_samples, n_inputs)
        In its precision.
    n_classes : int

    Raises
    ------
    UnsupportedModelError
        It takes other columns, or returns something else.
    """
    name = type(module).__name__
    training = module.training
    try:
        logits = module.eval()(x)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise UnsupportedModelError(
            f"The module {name} does not map {x.shape[1]} encoded columns to {n_classes} logits: "
            f"{error}. Give a module that does, or a callable `(n_inputs, n_classes) -> Module` "
            "that builds it."
        ) from error
    finally:
        module.train(training)
    if not isinstance(logits, Tensor) or logits.shape != (len(x), n_classes):
        raise UnsupportedModelError(
            f"The module {name} maps {tuple(x.shape)} to {_kind(logits)}; it must give one logit "
            f"for each of the {n_classes} classes."
        )


def _kind(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
