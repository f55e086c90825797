"""A linear layer whose weights, and whose rectified output, are quantized at a selectable width."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

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
from skcfq.quantization._dither import DitheredClipped
from skcfq.quantization._lsq import QuantizeSelected, step_gradient_scale
from skcfq.quantization._pact import SelectedClipped

UNCALIBRATED_CLIP = 6.0
# Highest code of an activation that dither is worth its cost for: 4 bits.
_COARSE = 15


class QuantizedLinear(nn.Linear):
    """Linear layer with a step, and a clip, of its own for every candidate width (§4.3).

    Parameters
    ----------
    in_features, out_features : int
        Shape of the layer. Weights and bias start as in :class:`torch.nn.Linear`.
    candidates : iterable of int
        Increasing weight widths, R of them.
    rectified : bool, default=True
        Whether a ReLU with PACT follows. The last layer of a network has none.
    activation_bits : int or None, default=None
        Width of the rectified output; ``None`` follows the weight width, 32 leaves it unquantized.
    start : {"lsq", "mse"}, default="lsq"
        Rule of the starting steps; the clips start at the largest activation with "lsq" and at the
        clip of least squared error with "mse".
    per_channel : bool, default=False
        One weight step for each output unit instead of one for the layer.

    Attributes
    ----------
    log_steps : Parameter of shape (R,), or (R, out_features) with ``per_channel``
        Logarithms of the weight steps, which makes the steps positive by construction.
    log_clips : Parameter of shape (R,) or (1,), or None
        Logarithms of the clips: one per weight width, or one if ``activation_bits`` is fixed.

    Notes
    -----
    The bias is not quantized.

    Examples
    --------
    >>> layer = QuantizedLinear(3, 2, candidates=(2, 8))
    >>> layer(torch.ones(4, 3), index=1).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        candidates: Iterable[int] = (2, 3, 4, 8),
        *,
        rectified: bool = True,
        activation_bits: int | None = None,
        start: str = "lsq",
        per_channel: bool = False,
    ) -> None:
        super().__init__(in_features, out_features)
        self.candidates = check_candidates(candidates)
        self.rectified = rectified
        self.activation_bits = activation_bits
        self.start = start
        self.per_channel = per_channel
        shared_by = in_features if per_channel else self.weight.numel()
        self.grids = tuple(
            (low, high, step_gradient_scale(shared_by, high))
            for low, high in map(signed_range, self.candidates)
        )
        self._levels = self._activation_levels()
        per_width = (out_features,) if per_channel else ()
        self.log_steps = nn.Parameter(torch.zeros(len(self.candidates), *per_width))
        self.log_clips: nn.Parameter | None = None
        if self._levels:
            clips = torch.full((len(self._levels),), UNCALIBRATED_CLIP)
            self.log_clips = nn.Parameter(clips.log())
        self.reset_steps()

    def _activation_levels(self) -> tuple[int, ...]:
        if not self.rectified or is_full_precision(self.activation_bits or 1):
            return ()
        if self.activation_bits is None:
            return tuple(unsigned_levels(bits) for bits in self.candidates)
        check_bits(self.activation_bits, "activation_bits", minimum=1)
        return (unsigned_levels(self.activation_bits),)

    @property
    def steps(self) -> Tensor:
        """Weight steps, of the shape of ``log_steps``."""
        return self.log_steps.exp()

    @property
    def clips(self) -> Tensor | None:
        """Clips of the rectified output, shape (R,) or (1,), or None."""
        return None if self.log_clips is None else self.log_clips.exp()

    def clip_at(self, index: int) -> tuple[Tensor | float, int | None]:
        """Return the clip and the width of the rectified output; infinite and None without one.

        Parameters
        ----------
        index : int
            Position of the weight width in ``candidates``.
        """
        if self.log_clips is None:
            return math.inf, None
        width = self.candidates[index] if self.activation_bits is None else self.activation_bits
        return self.log_clips[index if len(self.log_clips) > 1 else 0].exp(), width

    def forward(  # type: ignore[override]  # at a width
        self, inputs: Tensor, index: int, selection: Tensor | None = None
    ) -> Tensor:
        """Apply the layer at one candidate width.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, in_features)
            Inputs.
        index : int
            Position of the width in ``candidates``.
        selection : Tensor of shape (R,), optional
            Straight-through one-hot sample with its 1 at ``index``, which receives the gradient of
            all R widths.

        Returns
        -------
        Tensor of shape (n_samples, out_features)
        """
        weight = self.quantized_weight(index, selection)
        return self.apply_weight(inputs, weight, index, selection)

    def apply_weight(
        self,
        inputs: Tensor,
        weight: Tensor,
        index: int,
        selection: Tensor | None = None,
        dither: Callable[[tuple[int, ...]], Tensor] | None = None,
    ) -> Tensor:
        """Apply the layer with weights that are quantized already.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, in_features)
            Inputs.
        weight : Tensor of shape (out_features, in_features)
            Quantized weights, as of :meth:`quantized_weight` or :func:`quantize_layers`.
        index : int
            Position of the width in ``candidates``.
        selection : Tensor of shape (R,), optional
            As in :meth:`forward`.
        dither : callable, optional
            A shape to numbers in [0, 1): where codes are coarse, the thresholds between them are
            drawn by it.

        Returns
        -------
        Tensor of shape (n_samples, out_features)
        """
        outputs = nn.functional.linear(inputs, weight, self.bias)
        if not self.rectified:
            return outputs
        if self.log_clips is None:
            return torch.relu(outputs)
        if len(self._levels) == 1:
            selection, index = None, 0
        chosen = (outputs, self.log_clips, selection, index, self._levels)
        if dither is not None and self._levels[index] <= _COARSE:
            return DitheredClipped.apply(*chosen, dither((self.out_features,)) - 0.5)
        return SelectedClipped.apply(*chosen)

    def quantized_weight(self, index: int, selection: Tensor | None = None) -> Tensor:
        """Return the quantized weights.

        Parameters
        ----------
        index : int
            Position of the width in ``candidates``.
        selection : Tensor of shape (R,), optional
            As in :meth:`forward`.

        Returns
        -------
        Tensor of shape (out_features, in_features)
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
        reset_weight_steps(self, rule, indices)

    @torch.no_grad()
    def reset_clips(
        self,
        values: Tensor,
        sample_weight: Tensor | None = None,
        rule: str | None = None,
        indices: Iterable[int] | None = None,
    ) -> None:
        """Set clips anew from pre-activations.

        Parameters
        ----------
        values : Tensor of shape (n_samples, out_features)
            Outputs of the layer before the ReLU.
        sample_weight : Tensor of shape (n_samples,), optional
            Weight of each row.
        rule : {"lsq", "mse"}, optional
            Rule; that of the constructor by default.
        indices : iterable of int, optional
            Positions in ``log_clips`` to reset; all by default.
        """
        if self.log_clips is None:
            return
        chosen = range(len(self._levels)) if indices is None else indices
        if check_start(self.start if rule is None else rule) == "lsq":
            for index in chosen:
                self.log_clips[index] = max_clip(values, sample_weight).log()
            return
        sample = ValueSample(torch.relu(values), sample_weight)
        for index in chosen:
            levels = self._levels[index]
            self.log_clips[index] = (sample.best_step(0, levels) * levels).log()


def quantize_layers(
    layers: Iterable[Any], indices: Sequence[int], selection: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Return the quantized weights of several layers, in one pass.

    Parameters
    ----------
    layers : sequence of QuantizedLinear or QuantizedLayer
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
    weights = [layer.weight for layer in layers]
    log_steps = [layer.log_steps for layer in layers]
    grids = [layer.grids for layer in layers]
    return QuantizeSelected.apply(selection, indices, grids, *weights, *log_steps)


@torch.no_grad()
def reset_weight_steps(
    layer: Any, rule: str | None = None, indices: Iterable[int] | None = None
) -> None:
    """Set the weight steps of a layer anew from its weights.

    Parameters
    ----------
    layer : QuantizedLinear or QuantizedLayer
        With ``weight``, a matrix, ``log_steps``, ``candidates``, ``start`` and ``per_channel``.
    rule : {"lsq", "mse"}, optional
        Rule; that of the layer by default.
    indices : iterable of int, optional
        Positions of the widths to reset; all by default.
    """
    rules = _CHANNEL_RULES if layer.per_channel else _STEP_RULES
    step_of = rules[check_start(layer.start if rule is None else rule)]
    for index in range(len(layer.candidates)) if indices is None else indices:
        layer.log_steps[index] = step_of(layer.weight, layer.candidates[index]).log()


_STEP_RULES = {"lsq": lsq_step, "mse": mse_step}
_CHANNEL_RULES = {"lsq": lsq_steps, "mse": mse_steps}


def check_start(start: str) -> str:
    """Return the name of a rule of starting steps, or raise."""
    if start not in _STEP_RULES:
        raise ValueError(f"start={start!r} is unknown; give one of {sorted(_STEP_RULES)}.")
    return start
