"""ε from above before there is a deployed network: what rounding weights to some bits may do."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from skcfq.exceptions import UnsupportedModelError
from skcfq.models import Predictor, as_predictor
from skcfq.proofs import Network, readable_network
from skcfq.theory._at_points import OVER, RADIUS
from skcfq.theory._neighborhoods import neighborhood
from skcfq.theory._perturbation import Perturbation
from skcfq.theory._weight_changes import rounding_bound
from skcfq.utils import Interval, ListOf, as_table, check_parameters

# Norms and sums are computed in float64; this is far more than they are off.
_ROUNDING = 1e-12


_WIDTH = Interval(Integral, 2, 64, closed="both")


@check_parameters(bits=[_WIDTH, ListOf(_WIDTH)], radius=RADIUS, over=OVER)
def rounding_perturbation(
    reference: Any,
    X: Any,
    bits: int | Sequence[int],
    *,
    radius: float = 0.0,
    over: str = "numbers",
    background: Any = None,
) -> Perturbation:
    r"""Bound ε by the bits of the layers alone (Eq. 60), for weights that are rounded.

    .. math:: \epsilon(u, \rho) \le \sum_{\ell=1}^L \Big(\prod_{j=\ell+1}^L (\|W_j\|_2
              + \delta_j)\Big) \, \delta_\ell \sup\|z_\ell\|_2, \qquad
              \delta_\ell = \sqrt{n_\ell n_{\ell-1}} \, \frac{s_\ell}{2}, \quad
              s_\ell = \frac{\max|W_\ell|}{2^{b_\ell - 1} - 1}

    where :math:`z_\ell` is what layer :math:`\ell` of the reference reads. The paper has
    :math:`\lesssim` and a constant :math:`C_\ell 2^{-b_\ell}`; here the constants are written out,
    and :math:`\delta_j` stands beside :math:`\|W_j\|_2` because the layers behind are rounded too.

    Parameters
    ----------
    reference : estimator or Predictor
        A linear model or a network of rectifiers.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    bits : int or sequence of L ints
        :math:`b_\ell`, from 2 to 64: of all layers, or one each.
    radius : float, default=0.0
        :math:`\rho`, as in :func:`sampled_perturbation`. The bound is that of the box, which holds
        the ball.
    over : {"numbers", "encoded"}, default="numbers"
        As in :func:`sampled_perturbation`.
    background : DataFrame or ndarray, optional
        Where the model carries no statistics.

    Returns
    -------
    perturbation : Perturbation
        Certified, an upper bound, for a network whose weights were rounded to steps of
        :math:`s_\ell` and whose biases, inputs and activations are those of the reference. Its
        ``parts`` are ``"weights"`` of shape (n, L); they add up to it.

    Raises
    ------
    UnsupportedModelError
        The model has no such layers, or is quantized already.
    ValueError
        `bits` are not one number a layer.

    Notes
    -----
    It says which layer's bits would help most, and asks for no second network. Of one that was
    trained it says nothing: its weights moved further (:func:`weight_changes`). As a bound it is
    looser still than :func:`lipschitz_perturbation`, which measures :math:`\|\Delta W_\ell\|_2`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> model = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> four, eight = (theory.rounding_perturbation(model, X, b, background=X) for b in (4, 8))
    >>> float(round(four.maximum / eight.maximum, 1))
    18.1
    """
    X = as_table(X)
    predictor = as_predictor(reference, background=background, example=X)
    network = _unquantized(predictor)
    widths = _widths(bits, len(network.layers))
    box = neighborhood((predictor,), radius, "linf", over).ends(predictor.space.encode(X))
    parts = _parts(network, widths, box) * (1 + _ROUNDING)
    told = float(radius), "linf", over, False, {"weights": parts}
    return Perturbation(parts.sum(axis=1), "certified", "upper bound", *told)


def _unquantized(predictor: Predictor) -> Network:
    network = readable_network(predictor)
    if network.integers is not None:
        raise UnsupportedModelError(
            f"The reference {predictor.name} is quantized already: give the network in full "
            "precision, and its bits."
        )
    return network


def _widths(bits: int | Sequence[int], n_layers: int) -> list[int]:
    widths = [bits] * n_layers if isinstance(bits, Integral) else list(bits)  # type: ignore[arg-type]
    if len(widths) != n_layers:
        raise ValueError(
            f"bits={bits!r} are {len(widths)} numbers, and the reference has {n_layers} layers: "
            "give one number, or one for each layer."
        )
    return [int(b) for b in widths]


def _parts(network: Network, widths: list[int], box: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return what the rounding of each layer may do at most in boxes, shape (n, L)."""
    low, high = box
    moved, reads, stretches = [], [], []
    for layer, bits in zip(network.layers, widths, strict=True):
        half_step = rounding_bound(float(np.abs(layer.matrix).max(initial=0.0)), bits)
        moved.append(np.sqrt(layer.matrix.size) * half_step)
        stretches.append(np.linalg.norm(layer.matrix, ord=2) + moved[-1])
        reads.append(np.linalg.norm(np.maximum(np.abs(low), np.abs(high)), axis=1))
        low, high = layer.totals_between(low, high)
        if layer.activation is not None:
            low, high = layer.activation(low), layer.activation(high)
    behind = np.append(np.cumprod(stretches[:0:-1])[::-1], 1.0)
    return np.stack(reads, axis=1) * (np.array(moved) * behind)
