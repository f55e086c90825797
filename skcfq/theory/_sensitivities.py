"""How much each layer of the deployed network matters at recourse points (Eq. 75 to 79)."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skcfq.models import as_predictor
from skcfq.proofs import Network, Staircase, readable_network
from skcfq.quantization import closed_form_bits, closed_form_widths
from skcfq.theory._model_pairs import wanted_classes
from skcfq.utils import Interval, ListOf, as_table, check_parameters, tile_products


def estimated_sensitivities(
    deployed: Any, X: Any, *, target: Any = None, background: Any = None
) -> np.ndarray:
    r"""Estimate how much each layer's weights matter at each point (Eq. 76 to 79).

    .. math:: s_\ell(u) = \|\nabla_{W_\ell}\,\ell_\mathrm{valid}(u)\|_1, \qquad
              \ell_\mathrm{valid}(u) = -\log\,\mathrm{softmax}(g_q(u))_y

    To first order, this is the most that the loss rises when each weight of the layer moves by at
    most 1 (Eq. 77, 78), at the deployed network :math:`f_q` as the paper has it.

    Parameters
    ----------
    deployed : estimator or Predictor
        A quantized classifier of skcfq, as the integers that it is deployed as; a linear model or a
        network of rectifiers too.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    target : label or array-like of shape (n,), optional
        As in :func:`target_margin`.
    background : DataFrame or ndarray, optional
        Where the model carries no statistics.

    Returns
    -------
    sensitivities : ndarray of shape (n, L)
        Estimated. Their mean over the points is :math:`\bar s_\ell`.

    Raises
    ------
    UnsupportedModelError
        The model has no such layers.

    Notes
    -----
    A staircase has the gradient 0; what is differentiated is the surrogate that the network was
    trained as, clipped and without rounding, at the values of the integers (straight-through).
    ``SensitivityBits("counterfactual")`` takes the same norm before anything is quantized, where
    bit widths are chosen.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> model = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> theory.estimated_sensitivities(model, X, background=X).shape
    (8, 1)
    """
    X = as_table(X)
    predictor = as_predictor(deployed, background=background, example=X)
    network = readable_network(predictor)
    inputs, passes = _trace(network, network.inputs(predictor.space.encode(X)))
    logits = inputs.pop() * network.unit - network.shift
    wanted = wanted_classes(target, len(logits), predictor)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    slope = shares / shares.sum(axis=1, keepdims=True)
    slope[np.arange(len(slope)), wanted] -= 1.0
    slope, found = slope * network.unit, []
    units = _codes_by_weight(network)
    for position in reversed(range(len(network.layers))):
        # The gradient of one row is an outer product, whose norm is the product of two.
        by_unit = np.abs(slope * units[position]).sum(axis=1)
        found.append(by_unit * np.abs(inputs[position]).sum(axis=1))
        if position:
            slope = tile_products(slope, network.layers[position].matrix.T) * passes[position - 1]
    return np.stack(found[::-1], axis=1)


def _trace(network: Network, given: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what each layer reads, and the last totals; and how slopes pass activations."""
    inputs, passes = [given], list[np.ndarray]()
    for layer in network.layers:
        totals = tile_products(inputs[-1], layer.matrix) + layer.offset
        if layer.activation is None:
            return [*inputs, totals], passes
        inputs.append(layer.activation(totals))
        if isinstance(layer.activation, Staircase):
            codes = totals * layer.activation.scale
            passes.append(((codes > 0) & (codes < layer.activation.top)) * layer.activation.scale)
        else:
            passes.append((totals > 0).astype(np.float64))
    raise AssertionError("the last layer has no activation")


def _codes_by_weight(network: Network) -> list[np.ndarray | float]:
    """Return by how much an entry of each layer's matrix grows with a weight."""
    if network.integers is None:
        return [1.0] * len(network.layers)
    found = [layer.unit_factors / layer.step for layer in network.integers.layers]
    last = network.integers.layers[-1]
    if last.rescale is not None:
        found[-1] = found[-1] * last.rescale
    return found


@check_parameters(
    sensitivities=[ListOf(Interval(Real, 0, None, closed="left"), least=1)],
    n_weights=[ListOf(Interval(Integral, 1, 2**53, closed="both"), least=1)],
    budget=[Interval(Real, 0, None, closed="neither")],
)
def sensitivity_bits(
    sensitivities: ArrayLike,
    n_weights: Sequence[int],
    *,
    budget: float = 4.0,
    candidates: Sequence[int] | None = None,
) -> np.ndarray:
    r"""Return the widths that Eq. 75 gives to layers of given sensitivities.

    .. math:: b_\ell = \log_2\frac{\ln 2\,\bar s_\ell\kappa_\ell}{\nu n_\ell}

    with the multiplier :math:`\nu` at which the budget is used up, and no width below 0.

    Parameters
    ----------
    sensitivities : array-like of shape (L,)
        :math:`\bar s_\ell\kappa_\ell`: mean sensitivities, times the weight step of each layer at
        one and the same width. Not negative.
    n_weights : sequence of int of shape (L,)
        :math:`n_\ell`.
    budget : float, default=4.0
        :math:`B/\sum_\ell n_\ell`: average bits per weight.
    candidates : list of int, optional
        Widths to choose from: of all choices within the budget, that nearest to Eq. 75. By default
        widths are real numbers, as in the equation.

    Returns
    -------
    bits : ndarray of shape (L,)
        Best for the surrogate of Eq. 71, which is itself an estimate. Widths as float64, or int64
        with ``candidates``.

    Raises
    ------
    BudgetError
        No choice of the candidates is within the budget.

    Examples
    --------
    >>> from skcfq import theory
    >>> theory.sensitivity_bits([1.0, 4.0], [100, 100], budget=4.0)
    array([3., 5.])
    >>> theory.sensitivity_bits([64.0, 1.0], [100, 100], budget=5.5, candidates=[2, 3, 4, 8])
    array([8, 3])
    """
    if np.size(sensitivities) != len(n_weights):
        raise ValueError(
            f"`sensitivities` has {np.size(sensitivities)} entries, but `n_weights` has "
            f"{len(n_weights)}. Give one of each for every layer."
        )
    if candidates is not None:
        return np.array(closed_form_bits(sensitivities, n_weights, candidates, budget))
    # The width of a layer that gets the whole budget.
    most = budget * sum(n_weights) / min(n_weights)
    return closed_form_widths(sensitivities, n_weights, budget, 0.0, most)
