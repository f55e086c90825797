"""A linear layer whose weights, and whose rectified output, are quantized at a selectable width."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from skcfq.quantization._dither import DitheredClipped
from skcfq.quantization._pact import SelectedClipped
from skcfq.quantization._selectable import SelectableLayer
from skcfq.quantization._width_choice import WidthChoice

UNCALIBRATED_CLIP = 6.0
# Highest code of an activation that dither is worth its cost for: 4 bits.
_COARSE = 15


class QuantizedLinear(SelectableLayer, nn.Linear):
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
    >>> layer(torch.ones(4, 3), 1).shape
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
        self.rectified = rectified
        self._set_up_widths(
            candidates, activation_bits, start, per_channel, has_activation=rectified
        )
        self.log_clips: nn.Parameter | None = None
        if self.activation_widths:
            clips = torch.full((len(self.activation_widths),), UNCALIBRATED_CLIP)
            self.log_clips = nn.Parameter(clips.log())
        self.reset_steps()

    @property
    def weight_matrix(self) -> Tensor:
        """The unquantized weights, shape (out_features, in_features)."""
        return self.weight

    @property
    def clips(self) -> Tensor | None:
        """Clips of the rectified output, shape (R,) or (1,), or None."""
        return None if self.log_clips is None else self.log_clips.exp()

    def clip_at(self, choice: WidthChoice) -> tuple[Tensor | float, int | None]:
        """Return the clip and the width of the rectified output; infinite and None without one.

        Parameters
        ----------
        choice : int or UnitChoice
            Position of the weight width in ``candidates``, or those of the units.
        """
        if self.log_clips is None:
            return math.inf, None
        position, _ = self.activation_choice(choice)
        return self.log_clips[position].exp(), self.activation_widths[position]

    def forward(  # type: ignore[override]  # at a width
        self, inputs: Tensor, choice: WidthChoice, selection: Tensor | None = None
    ) -> Tensor:
        """Apply the layer at one candidate width, or at one for each unit.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, in_features)
            Inputs.
        choice : int or UnitChoice
            Position of the width in ``candidates``, or those of the units.
        selection : Tensor of shape (R,), optional
            Straight-through one-hot sample with its 1 at ``choice``, which receives the gradient
            of all R widths.

        Returns
        -------
        Tensor of shape (n_samples, out_features)
        """
        weight = self.quantized_weight(choice, selection)
        return self.apply_weight(inputs, weight, choice, selection)

    def apply_weight(
        self,
        inputs: Tensor,
        weight: Tensor,
        choice: WidthChoice,
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
        choice : int or UnitChoice
            Position of the width in ``candidates``, or those of the units.
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
        index, selection = self.activation_choice(choice, selection)
        chosen = (outputs, self.log_clips, selection, index, self._levels)
        if dither is not None and self._levels[index] <= _COARSE:
            return DitheredClipped.apply(*chosen, dither((self.out_features,)) - 0.5)
        return SelectedClipped.apply(*chosen)

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
        rectified = torch.relu(values)
        for index, clip in self._starting_scales(rectified, sample_weight, rule, indices):
            self.log_clips[index] = clip.log()
