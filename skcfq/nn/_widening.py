"""A wider network that computes what a narrower one does, and is quantized with less loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from skcfq.nn._mlp import FullPrecisionMLP
from skcfq.quantization import unsigned_levels


def can_be_widened(source: FullPrecisionMLP, like: FullPrecisionMLP) -> bool:
    """Tell whether copies of a network's units make it as wide as another.

    Parameters
    ----------
    source, like : FullPrecisionMLP
    """
    given, wanted = source._settings(), like._settings()
    sizes, wide = (one.pop("hidden_layer_sizes") for one in (given, wanted))
    if given != wanted or len(sizes) != len(wide):
        return False
    return all(size % n == 0 for size, n in zip(wide, sizes, strict=True))


@torch.no_grad()
def widened(
    source: FullPrecisionMLP,
    hidden_layer_sizes: Sequence[int],
    rows: Tensor,
    activation_bits: Sequence[int],
) -> FullPrecisionMLP:
    r"""Return a network whose units are copies of another's, with thresholds between each other's.

    Parameters
    ----------
    source : FullPrecisionMLP
    hidden_layer_sizes : sequence of int
        Whole multiples of those of ``source``.
    rows : Tensor of shape (n, n_inputs)
        Some rows, which show how large activations become.
    activation_bits : sequence of int
        Width at which each hidden layer is going to be quantized.

    Returns
    -------
    network : FullPrecisionMLP
        The same logits, but for the small shifts.

    Notes
    -----
    k copies of a unit with the k-th part of its weight are the same function. Their biases differ
    by fractions of the activation's step, so that together they have k times as many codes. What
    the rounding of one unit loses, the others partly make good: about :math:`1/\sqrt{k}` is left.

    References
    ----------
    Chen et al., "Net2Net", ICLR 2016; Zhao et al., "Improving Neural Network Quantization without
    Retraining using Outlier Channel Splitting", ICML 2019.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> source, rows = FullPrecisionMLP(3, (4,), 2), torch.randn(50, 3)
    >>> wide = widened(source, (8,), rows, [8])
    >>> wide.layers[0].weight.shape, bool((wide(rows) - source(rows)).abs().max() < 0.01)
    (torch.Size([8, 3]), True)
    """
    *hidden, last = cast("list[nn.Linear]", list(source.layers))
    made = FullPrecisionMLP(hidden[0].in_features, hidden_layer_sizes, last.out_features)
    made.to(last.weight.dtype)
    values, before = rows.to(last.weight.dtype), 1
    for position, (layer, size) in enumerate(zip(hidden, hidden_layer_sizes, strict=True)):
        copies = size // layer.out_features
        values = torch.relu(layer(values))
        step = values.max() / unsigned_levels(activation_bits[position])
        shifts = step * ((torch.arange(copies) + 0.5) / copies - 0.5)
        wide = cast(nn.Linear, made.layers[position])
        wide.weight.copy_(layer.weight.repeat(copies, before) / before)
        wide.bias.copy_(layer.bias.repeat(copies) + shifts.repeat_interleave(layer.out_features))
        before = copies
    wide = cast(nn.Linear, made.layers[-1])
    wide.weight.copy_(last.weight.repeat(1, before) / before)
    wide.bias.copy_(last.bias)
    return made
