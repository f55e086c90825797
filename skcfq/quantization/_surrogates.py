"""Bit allocations from one number a layer: greedy knapsack (Eq. 24), closed form (Eq. 75)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from skcfq.quantization._allocation import allocate_bits, capacity_of
from skcfq.quantization._bits import check_budget, check_candidates


def greedy_bits(
    sensitivities: ArrayLike,
    n_weights: Sequence[int],
    candidates: Iterable[int] = (2, 3, 4, 8),
    budget: float = 4.0,
) -> list[int]:
    r"""Choose widths by the greedy knapsack of Appendix F, :math:`\max\sum_\ell s_\ell b_\ell`.

    From the smallest width on, the next wider candidate goes to the layer with the largest
    sensitivity per weight that can still afford it.

    Parameters
    ----------
    sensitivities : array-like of shape (n_layers,)
        Non-negative.
    n_weights : sequence of int of shape (n_layers,)
    candidates : iterable of int, default=(2, 3, 4, 8)
    budget : float, default=4.0
        Average bits per weight, at most.

    Returns
    -------
    list of int
        Heuristic; :func:`exact_bits` solves the same problem exactly.

    Raises
    ------
    BudgetError
        If no choice meets the budget.

    Examples
    --------
    >>> greedy_bits([1.0, 9.0], [100, 300], budget=4)
    [4, 4]
    >>> greedy_bits([9.0, 1.0], [100, 300], budget=4)
    [8, 2]
    """
    widths, sizes, scores = _checked(sensitivities, n_weights, candidates, budget)
    capacity = capacity_of(min(budget, widths[-1]), int(sizes.sum()))
    chosen = np.zeros(len(sizes), dtype=int)
    order = np.argsort(-scores / sizes, kind="stable")
    while True:
        bits = np.array([widths[index] for index in chosen])
        for layer in order:
            if chosen[layer] + 1 == len(widths):
                continue
            more = sizes[layer] * (widths[chosen[layer] + 1] - bits[layer])
            if (sizes * bits).sum() + more <= capacity:
                chosen[layer] += 1
                break
        else:
            return bits.tolist()


def exact_bits(
    sensitivities: ArrayLike,
    n_weights: Sequence[int],
    candidates: Iterable[int] = (2, 3, 4, 8),
    budget: float = 4.0,
) -> list[int]:
    r"""Choose widths of the largest :math:`\sum_\ell s_\ell b_\ell` under a budget (Eq. 24).

    Parameters
    ----------
    sensitivities : array-like of shape (n_layers,)
        Non-negative.
    n_weights : sequence of int of shape (n_layers,)
    candidates : iterable of int, default=(2, 3, 4, 8)
    budget : float, default=4.0
        Average bits per weight, at most.

    Returns
    -------
    list of int
        Certified optimum of the integer program.

    Examples
    --------
    >>> exact_bits([1.0, 3.0], [100, 300], budget=4)
    [4, 4]
    """
    widths, sizes, scores = _checked(sensitivities, n_weights, candidates, budget)
    return allocate_bits(np.outer(scores, widths), sizes.tolist(), widths, budget)


def closed_form_widths(
    sensitivities: ArrayLike, n_weights: Sequence[int], budget: float, low: float, high: float
) -> np.ndarray:
    r"""Return the real widths of Eq. 75 within limits.

    Parameters
    ----------
    sensitivities : array-like of shape (n_layers,)
        :math:`\bar s_\ell\kappa_\ell`, non-negative.
    n_weights : sequence of int of shape (n_layers,)
    budget : float
        Average bits per weight.
    low, high : float
        Smallest and largest width.

    Returns
    -------
    widths : ndarray of shape (n_layers,)
        :math:`\log_2(\ln 2\,\bar s_\ell\kappa_\ell/(\nu n_\ell))`, clipped; the multiplier
        :math:`\nu` is that at which the budget is used up.

    Examples
    --------
    >>> closed_form_widths([1.0, 4.0], [100, 100], 4.0, 2.0, 8.0).tolist()
    [3.0, 5.0]
    """
    sizes = np.asarray(n_weights, dtype=float)
    tiny = np.finfo(float).tiny
    ratio = np.log2(np.maximum(np.asarray(sensitivities, dtype=float), tiny) / sizes)

    def widths(shift: float) -> np.ndarray:
        return np.clip(ratio + shift, low, high)

    below, above = low - ratio.max(), high - ratio.min()
    for _ in range(200):
        middle = (below + above) / 2
        if (sizes * widths(middle)).sum() <= budget * sizes.sum():
            below = middle
        else:
            above = middle
    return np.round(widths(below), 12)


def closed_form_bits(
    sensitivities: ArrayLike,
    n_weights: Sequence[int],
    candidates: Iterable[int] = (2, 3, 4, 8),
    budget: float = 4.0,
) -> list[int]:
    r"""Choose the widths that are best for the surrogate behind Eq. 75.

    Parameters
    ----------
    sensitivities : array-like of shape (n_layers,)
        :math:`\bar s_\ell\kappa_\ell`, non-negative.
    n_weights : sequence of int of shape (n_layers,)
    candidates : iterable of int, default=(2, 3, 4, 8)
    budget : float, default=4.0
        Average bits per weight, at most.

    Returns
    -------
    list of int
        Of all candidate widths within the budget, those nearest to :func:`closed_form_widths`,
        in squared distance weighted by the number of weights.

    Examples
    --------
    >>> closed_form_bits([1.0, 1.0], [100, 100], budget=4)
    [4, 4]
    >>> closed_form_bits([64.0, 1.0], [100, 100], budget=5.5)
    [8, 3]
    """
    widths, sizes, scores = _checked(sensitivities, n_weights, candidates, budget)
    real = closed_form_widths(scores, sizes.tolist(), budget, widths[0], widths[-1])
    misses = -sizes[:, None] * (np.asarray(widths)[None, :] - real[:, None]) ** 2
    return allocate_bits(misses, sizes.tolist(), widths, budget)


def _checked(
    sensitivities: ArrayLike, n_weights: Sequence[int], candidates: Iterable[int], budget: float
) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    widths = check_candidates(candidates)
    sizes = np.asarray(n_weights, dtype=np.int64)
    scores = np.asarray(sensitivities, dtype=np.float64)
    if scores.shape != sizes.shape or not (np.isfinite(scores).all() and (scores >= 0).all()):
        raise ValueError(
            f"sensitivities={scores!r} must be {len(sizes)} finite numbers of at least 0, one for "
            "each layer."
        )
    check_budget(budget, widths)
    return widths, sizes, scores
