"""ε from above by products of Lipschitz constants, term by term (Eq. 52 to 58)."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.proofs import Staircase
from skcfq.theory._at_points import OVER, RADIUS
from skcfq.theory._model_pairs import read_pair
from skcfq.theory._neighborhoods import neighborhood
from skcfq.theory._network_pairs import NetworkPair, pair_of
from skcfq.theory._perturbation import Perturbation
from skcfq.utils import check_parameters

Ends = tuple[np.ndarray, np.ndarray]
# Norms and sums are computed in float64; this is far more than they are off.
_ROUNDING = 1e-12


@check_parameters(radius=RADIUS, over=OVER, centered=["boolean"])
def lipschitz_perturbation(
    reference: Any,
    deployed: Any,
    X: Any,
    *,
    radius: float = 0.0,
    over: str = "numbers",
    centered: bool = False,
    background: Any = None,
) -> Perturbation:
    r"""Bound ε by the layerwise Lipschitz products of the paper (Eq. 56 to 58).

    .. math:: \epsilon(u, \rho) \le \sum_{\ell=0}^L \Big(\prod_{j=\ell+1}^L \|W_j\|_2\Big)
              \Big(\|\Delta W_\ell\|_2 \sup\|z_\ell\|_2 + \|\Delta b_\ell\|_2
              + \sup\|e_\ell\|_2\Big)

    where :math:`z_\ell` is what layer :math:`\ell` of the deployed network reads. The paper has the
    weights, and says how the rounding of activations :math:`e_\ell` would be added; the biases, and
    the rounding of the inputs :math:`e_0`, are in the sum too.

    Parameters
    ----------
    reference : estimator or Predictor
        A linear model or a network of rectifiers.
    deployed : estimator or Predictor
        One with as many units in every layer: a quantized classifier of skcfq, as the integers that
        it is deployed as, or one like the reference.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    radius : float, default=0.0
        :math:`\rho`, as in :func:`sampled_perturbation`. The bound is that of the box, which holds
        the ball.
    over : {"numbers", "encoded"}, default="numbers"
        As in :func:`sampled_perturbation`.
    centered : bool, default=False
        As in :func:`exact_perturbation`; the bound is divided by :math:`\sqrt 2`.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    perturbation : Perturbation
        Certified, an upper bound over the box. Its ``parts`` are ``"inputs"`` of shape (n,),
        ``"weights"`` and ``"biases"`` of shape (n, L) and ``"activations"`` of shape (n, L - 1);
        they add up to it.

    Raises
    ------
    UnsupportedModelError
        A model has no such layers, or the two have layers of different sizes.

    Notes
    -----
    It is true, and of little use for certifying points: it is many times the distance at the point.
    What it shows is where that may come from.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> bound = theory.lipschitz_perturbation(reference, stricter, X, radius=0.1, background=X)
    >>> exact = theory.exact_perturbation(reference, stricter, X, background=X)
    >>> bound.direction, bool((bound.values >= exact.values).all())
    ('upper bound', True)
    """
    pair = read_pair(reference, deployed, X, background)
    networks = pair_of(pair.reference, pair.deployed)
    around = neighborhood((pair.reference, pair.deployed), radius, "linf", over)
    parts = _parts(networks, around.ends(pair.encoded))
    scale = (1 + _ROUNDING) / (np.sqrt(2) if centered else 1.0)
    parts = {name: part * scale for name, part in parts.items()}
    terms = [part if part.ndim == 1 else part.sum(axis=1) for part in parts.values()]
    total = np.sum(terms, axis=0)
    return Perturbation(
        total, "certified", "upper bound", float(radius), "linf", over, centered, parts
    )


def _parts(networks: NetworkPair, box: Ends) -> dict[str, np.ndarray]:
    """Return the terms of the bound over boxes, ends of shape (n, d)."""
    behind = _products_behind([np.linalg.norm(layer.matrix, ord=2) for layer in networks.layers])
    read = networks.read_as(box[0]), networks.read_as(box[1])
    rounded = np.zeros(len(box[0]))
    if networks.input_steps is not None:
        rounded = np.linalg.norm(_rounding(box, read, networks.input_steps), axis=1)
    codes = networks.deployed.inputs(box[0]), networks.deployed.inputs(box[1])
    weights, biases, activations = [], [], []
    for position, (layer, real) in enumerate(
        zip(networks.deployed.layers, networks.layers, strict=True)
    ):
        after = behind[position + 1]
        largest = np.linalg.norm(np.maximum(np.abs(read[0]), np.abs(read[1])), axis=1)
        weights.append(after * np.linalg.norm(real.difference, ord=2) * largest)
        biases.append(np.full(len(largest), after * np.linalg.norm(real.offset_difference)))
        if layer.activation is None:
            break
        totals = _totals(layer.matrix, layer.offset, codes)
        codes = layer.activation(totals[0]), layer.activation(totals[1])
        read, lost = codes, np.zeros_like(codes[0])
        if isinstance(layer.activation, Staircase) and real.step is not None:
            read = codes[0] * real.step, codes[1] * real.step
            positive = [np.maximum(total * layer.activation.scale, 0.0) for total in totals]
            lost = _rounding((positive[0], positive[1]), codes, 1.0) * real.step
        activations.append(after * np.linalg.norm(lost, axis=1))
    return {
        "inputs": behind[0] * rounded,
        "weights": np.stack(weights, axis=1),
        "biases": np.stack(biases, axis=1),
        "activations": np.stack(activations, axis=1)
        if activations
        else np.zeros((len(rounded), 0)),
    }


def _products_behind(norms: list[np.floating]) -> np.ndarray:
    """Return the product of the norms of the layers behind the first 0, …, L, shape (L + 1,)."""
    return np.append(np.cumprod(norms[::-1])[::-1], 1.0)


def _totals(matrix: np.ndarray, offset: np.ndarray, box: Ends) -> Ends:
    """Return the ends of the totals of a layer over a box; of integers exactly."""
    positive, negative = np.maximum(matrix, 0.0), np.minimum(matrix, 0.0)
    low, high = box
    return (
        low @ positive + high @ negative + offset,
        high @ positive + low @ negative + offset,
    )


def _rounding(values: Ends, rounded: Ends, step: np.ndarray | float) -> np.ndarray:
    """Return how far clipped rounding is off between two values, at most.

    Parameters
    ----------
    values, rounded : (ndarray, ndarray)
        The two, and what they are rounded to.
    step : float or ndarray
        Distance of two codes.

    Notes
    -----
    Among values of one code, and beyond the last ones, it is largest at an end; else half a step.
    """
    at_ends = np.maximum(np.abs(rounded[0] - values[0]), np.abs(rounded[1] - values[1]))
    return np.where(rounded[0] == rounded[1], at_ends, np.maximum(at_ends, step / 2))
