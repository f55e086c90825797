"""The exact choice of one bit width per layer under a budget, a knapsack with one item a layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds, LinearConstraint, milp

from skcfq.exceptions import BudgetError
from skcfq.quantization._bits import (
    average_bits,
    check_budget,
    check_candidates,
    check_layer_sizes,
)

# Partial choices to keep track of; of more, a solver for integer programs is quicker.
_MOST_PARTIAL = 50_000
# Gains are scaled to this for that solver, whose gap is absolute.
_SCORE_SCALE = 1000.0


def allocate_bits(
    scores: ArrayLike,
    n_weights: Sequence[int],
    candidates: Iterable[int] = (2, 3, 4, 8),
    budget: float = 4.0,
    *,
    spend: bool = False,
) -> list[int]:
    r"""Choose widths of the highest total score whose average meets a budget.

    Parameters
    ----------
    scores : array-like of shape (n_layers, R)
        Finite score of every width in every layer; greater is better.
    n_weights : sequence of int of shape (n_layers,)
        Number of weights :math:`n_\ell` of each layer.
    candidates : iterable of int, default=(2, 3, 4, 8)
        Increasing widths, R of them.
    budget : float, default=4.0
        Bound on :math:`\sum_\ell n_\ell b_\ell / \sum_\ell n_\ell`.
    spend : bool, default=False
        Then widen layers by what the best choice leaves of the budget, the step of the highest
        score first, even where that lowers the score.

    Returns
    -------
    list of int
        One width per layer. Certified: its average never exceeds the budget, and no other choice
        within the budget has a higher score (to rounding). No layer
        can have the next width within the budget without a lower score.

    Raises
    ------
    BudgetError
        If no choice meets the budget.

    Examples
    --------
    >>> allocate_bits([[0, 1, 2, 3], [0, 1, 2, 3]], [100, 300], budget=4)
    [4, 4]
    >>> allocate_bits([[0, 0, 0, 9], [0, 1, 2, 3]], [100, 300], budget=4)
    [8, 2]
    """
    widths = check_candidates(candidates)
    check_layer_sizes(n_weights)
    sizes = np.asarray(n_weights, dtype=np.int64)
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(sizes), len(widths)) or not np.isfinite(values).all():
        raise ValueError(
            f"scores has shape {values.shape}; give finite numbers of shape "
            f"({len(sizes)}, {len(widths)}), one row per layer and one column per candidate."
        )
    check_budget(budget, widths)
    capacity = capacity_of(min(budget, widths[-1]), int(sizes.sum()))
    costs = np.outer(sizes, widths)
    least_gain = -math.inf if spend else 0.0
    chosen = _widened(_solve(values, costs, capacity), values, costs, capacity, least_gain)
    result = [widths[index] for index in chosen]
    if average_bits(result, sizes.tolist()) > budget:
        raise BudgetError(f"budget={budget!r} was missed by the solver; report this as a bug.")
    return result


def capacity_of(budget: float, total: int) -> int:
    """Return the largest number of bits whose average, as a float, is within the budget."""
    capacity = math.floor(budget * total)
    while (capacity + 1) / total <= budget:
        capacity += 1
    while capacity / total > budget:
        capacity -= 1
    return capacity


def _solve(values: np.ndarray, costs: np.ndarray, capacity: int) -> np.ndarray:
    """Return the column chosen in each row."""
    # The least that the layers after each one cost.
    least = costs.min(axis=1)
    after = np.concatenate([np.cumsum(least[::-1])[::-1][1:], [0]])
    spent, gained = np.zeros(1, dtype=np.int64), np.zeros(1)
    trail: list[tuple[np.ndarray, np.ndarray]] = []
    for own_values, own_costs, rest in zip(values, costs, after, strict=True):
        spent = (spent[:, None] + own_costs).ravel()
        gained = (gained[:, None] + own_values).ravel()
        kept = _undominated(spent, gained, capacity - rest)
        if len(kept) > _MOST_PARTIAL:
            return _solve_program(values, costs, capacity)
        spent, gained = spent[kept], gained[kept]
        trail.append(np.divmod(kept, len(own_costs)))
    # Dearer ones are kept only where they are better: the last is the best.
    position, chosen = len(spent) - 1, []
    for parents, columns in reversed(trail):
        chosen.append(columns[position])
        position = parents[position]
    return np.array(chosen[::-1])


def _undominated(spent: np.ndarray, gained: np.ndarray, most: int) -> np.ndarray:
    """Return the positions of what may be spent where nothing cheaper gains as much, by cost."""
    order = np.lexsort((-gained, spent))
    order = order[spent[order] <= most]
    best = np.maximum.accumulate(gained[order])
    return order[np.concatenate([[True], gained[order][1:] > best[:-1]])]


def _solve_program(values: np.ndarray, costs: np.ndarray, capacity: int) -> np.ndarray:
    """Return the column chosen in each row, by a solver for integer programs."""
    n_layers, n_candidates = values.shape
    gains = values - values.max(axis=1, keepdims=True)
    if gains.min() < 0:
        gains = gains / -gains.min() * _SCORE_SCALE
    # A common factor of all costs is removed, so that the solver's tolerance stays below one unit.
    factor = int(np.gcd.reduce(costs, axis=None))
    one_per_layer = np.kron(np.eye(n_layers), np.ones(n_candidates))
    solution = milp(
        -gains.ravel(),
        integrality=np.ones(values.size),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(one_per_layer, 1, 1),
            LinearConstraint(costs.reshape(1, -1) // factor, -np.inf, capacity // factor),
        ],
        options={"mip_rel_gap": 0.0},
    )
    if solution.x is None:
        raise BudgetError(f"The bit allocation found no solution: {solution.message}")
    return solution.x.reshape(values.shape).argmax(axis=1)


def _widened(
    chosen: np.ndarray, values: np.ndarray, costs: np.ndarray, capacity: int, least_gain: float
) -> np.ndarray:
    """Spend what is left on steps of some gain: the highest first, of equal ones the narrowest."""
    rows = np.arange(len(values))
    while True:
        left = capacity - costs[rows, chosen].sum()
        wider = np.minimum(chosen + 1, values.shape[1] - 1)
        extra = costs[rows, wider] - costs[rows, chosen]
        gains = values[rows, wider] - values[rows, chosen]
        fitting = np.flatnonzero((extra > 0) & (extra <= left) & (gains >= least_gain))
        if len(fitting) == 0:
            return chosen
        layer = max(fitting, key=lambda row: (gains[row], -chosen[row], row))
        chosen = np.where(rows == layer, wider, chosen)
