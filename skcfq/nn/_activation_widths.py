"""Widths of activations as a user gives them, and as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from skcfq.quantization import FULL_PRECISION_BITS, is_full_precision


def width_of(bits: int | None, follows: int) -> int:
    """Return an activation width as a number: that of the weights, its own, or 32.

    Parameters
    ----------
    bits : int or None
        What was asked for.
    follows : int
        Weight width that ``None`` follows.
    """
    if bits is None:
        return follows
    return FULL_PRECISION_BITS if is_full_precision(bits) else bits


def activation_widths_of(
    activation_bits: int | Sequence[int | None] | None, n_layers: int
) -> list[int | None]:
    """Return one activation width a layer.

    Parameters
    ----------
    activation_bits : int, None or sequence of these
        One for all layers, or one for each.
    n_layers : int

    Raises
    ------
    ValueError
        Their number is not that of the layers.
    """
    if activation_bits is None:
        return [None] * n_layers
    if isinstance(activation_bits, int | Integral):
        return [int(activation_bits)] * n_layers
    widths = [None if bits is None else int(bits) for bits in activation_bits]
    if len(widths) != n_layers:
        raise ValueError(
            f"activation_bits={activation_bits!r} has {len(widths)} widths for {n_layers} "
            "quantized activations. Give one for each, or one number for all."
        )
    return widths
