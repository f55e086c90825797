"""Bit widths: their integer ranges, their candidates and the average over a network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from numbers import Integral, Real

import torch

from skcfq.exceptions import BudgetError
from skcfq.utils import is_list

FULL_PRECISION_BITS = 32
MAXIMUM_CANDIDATE_BITS = 16
# Beyond, an average is no exact number any more.
_MOST_WEIGHTS = 2**53


def is_full_precision(bits: int | None) -> bool:
    """Tell whether a width means "not quantized".

    Parameters
    ----------
    bits : int or None
        Bit width; ``None`` and 32 or more stand for full precision.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_full_precision(None), is_full_precision(32), is_full_precision(8)
    (True, True, False)
    """
    return bits is None or bits >= FULL_PRECISION_BITS


def signed_range(bits: int) -> tuple[int, int]:
    """Integer range of a signed quantizer.

    Parameters
    ----------
    bits : int
        Bit width, at least 2.

    Returns
    -------
    lowest, highest : int
        :math:`q^-=-2^{b-1}` and :math:`q^+=2^{b-1}-1` (§4.4 of the paper).

    Examples
    --------
    >>> signed_range(4)
    (-8, 7)
    """
    check_bits(bits, "bits", minimum=2)
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def unsigned_levels(bits: int) -> int:
    """Return the highest code of an unsigned quantizer, :math:`2^b-1`.

    Parameters
    ----------
    bits : int
        Bit width, at least 1.

    Returns
    -------
    int

    Examples
    --------
    >>> unsigned_levels(4)
    15
    """
    check_bits(bits, "bits", minimum=1)
    return 2**bits - 1


def check_bits(bits: int, name: str, *, minimum: int) -> None:
    """Refuse a width that no quantizer of this library has.

    Parameters
    ----------
    bits : int
        Bit width.
    name : str
        Parameter name for the message.
    minimum : int
        Smallest width allowed.

    Raises
    ------
    ValueError
        If ``bits`` is no integer from ``minimum`` to 16.
    """
    if not isinstance(bits, Integral) or isinstance(bits, bool):
        raise ValueError(f"{name}={bits!r} is no integer; give a bit width such as 4.")
    if not minimum <= bits <= MAXIMUM_CANDIDATE_BITS:
        raise ValueError(
            f"{name}={bits!r} is outside {minimum}..{MAXIMUM_CANDIDATE_BITS}; give a width in "
            "that range, or None (or 32) to leave the tensor unquantized."
        )


def check_candidates(candidates: Iterable[int]) -> tuple[int, ...]:
    """Return candidate widths as a tuple of Python integers.

    Parameters
    ----------
    candidates : iterable of int
        Strictly increasing widths between 2 and 16.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If the list is empty, not strictly increasing or holds a width out of range.

    Examples
    --------
    >>> check_candidates([2, 3, 4, 8])
    (2, 3, 4, 8)
    """
    widths = tuple(candidates) if is_list(candidates) else ()
    for width in widths:
        check_bits(width, "candidates", minimum=2)
    if not widths or any(a >= b for a, b in pairwise(widths)):
        raise ValueError(
            f"candidates={candidates!r} must be a non-empty, strictly increasing list of bit "
            "widths; give for example (2, 3, 4, 8)."
        )
    return tuple(int(width) for width in widths)


def check_budget(budget: float, widths: Sequence[int]) -> None:
    """Refuse a budget that not even the smallest width meets.

    Parameters
    ----------
    budget : float
        Average bits per weight.
    widths : sequence of int
        Increasing candidate widths.

    Raises
    ------
    BudgetError
        ``budget`` is below the first of them, or NaN.
    ValueError
        It is no number.
    """
    if not isinstance(budget, Real) or isinstance(budget, bool):
        raise ValueError(f"budget={budget!r}; give the average number of bits, such as 4.")
    if budget == math.inf:
        raise BudgetError(f"budget={budget!r} is no number of bits; the widest is {widths[-1]}.")
    if not widths[0] <= budget:
        raise BudgetError(
            f"budget={budget!r} is below the smallest candidate width of {tuple(widths)}; raise it "
            f"to at least {widths[0]}, or add a smaller candidate."
        )


def check_layer_sizes(n_weights: Sequence[int]) -> None:
    """Refuse numbers of weights that no layer has.

    Parameters
    ----------
    n_weights : sequence of int of shape (n_layers,)

    Raises
    ------
    ValueError
        There is no layer, or a number is not whole, below 1 or above 2^53, as all together.
    """
    sizes = list(n_weights)
    whole = all(isinstance(n, Integral) and not isinstance(n, bool) and n >= 1 for n in sizes)
    if not sizes or not whole or sum(map(int, sizes)) > _MOST_WEIGHTS:
        raise ValueError(
            f"n_weights={sizes!r} must hold a whole number of at least 1 for each layer, and at "
            "least one layer."
        )


def average_bits(bit_widths: Sequence[int] | torch.Tensor, n_weights: Sequence[int]) -> float:
    r"""Average weight bits per weight of a network.

    Parameters
    ----------
    bit_widths : sequence of int of shape (n_layers,)
        Chosen width :math:`b_\ell` of each layer.
    n_weights : sequence of int of shape (n_layers,)
        Number of weights :math:`n_\ell` of each layer.

    Returns
    -------
    float
        :math:`\sum_\ell n_\ell b_\ell / \sum_\ell n_\ell`. Biases, steps and
        activation widths are not counted.

    Examples
    --------
    >>> average_bits([8, 2], [100, 300])
    3.5
    """
    widths = [int(width) for width in bit_widths]
    check_layer_sizes(n_weights)
    total = sum(n * b for n, b in zip(n_weights, widths, strict=True))
    return total / sum(n_weights)
