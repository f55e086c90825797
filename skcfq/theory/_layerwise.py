"""What each layer takes from the margin, by hybrid networks (Eq. 53, 67 to 69)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.proofs import in_real_units
from skcfq.theory._model_pairs import margins_at, read_pair
from skcfq.theory._network_pairs import LayerPair, NetworkPair, pair_of
from skcfq.theory._perturbation import sizes
from skcfq.utils import StrOptions, check_parameters, tile_products


@dataclass(frozen=True, eq=False, repr=False)
class LayerwiseDegradation:
    r"""What the inputs and each of L layers add to logits, and take from margins, at n points.

    Returned by :func:`layerwise_degradation`, never made by a user.

    Attributes
    ----------
    names : tuple of str
        ``"inputs"``, ``"layer 1"``, … ``"layer L"``: the rounding of what is read, and weights,
        biases and activations of each layer.
    logits : ndarray of shape (n, L + 1, n_classes)
        :math:`\Delta g_\ell`, in logit units.
    degradations : ndarray of shape (n, L + 1)
        What each takes from the target margin.
    kind : {"certified", "estimated"}
        Whether they add up to what the deployed model does (Eq. 53), or about to it (Eq. 68).
    """

    names: tuple[str, ...]
    logits: np.ndarray
    degradations: np.ndarray
    kind: str

    @property
    def perturbations(self) -> np.ndarray:
        r""":math:`\|\Delta g_\ell\|_\infty`, shape (n, L + 1)."""
        return sizes(self.logits, centered=False)

    @property
    def bound(self) -> np.ndarray:
        r"""The right side of Eq. 69, :math:`2\sum_\ell\|\Delta g_\ell\|_\infty`, shape (n,).

        An upper bound of what the margin changes by where the kind is certified.
        """
        return 2 * self.perturbations.sum(axis=1)

    def __repr__(self) -> str:
        what = f"{self.kind}, {len(self.logits)} points"
        if len(self.logits):
            shares = zip(self.names, np.abs(self.degradations).mean(axis=0), strict=True)
            shown = ", ".join(f"{name} {share:.3g}" for name, share in shares)
            what += f": mean change of the margin by {shown}"
        return f"LayerwiseDegradation({what})"


@check_parameters(attribution=[StrOptions({"hybrid", "alone"})])
def layerwise_degradation(
    reference: Any,
    deployed: Any,
    X: Any,
    *,
    target: Any = None,
    attribution: str = "hybrid",
    background: Any = None,
) -> LayerwiseDegradation:
    r"""Return what each layer's quantization does to logits and margins (Eq. 53, 67 to 69).

    .. math:: g_q(u) - g(u) = \sum_\ell \left(g^{(\ell)}(u) - g^{(\ell-1)}(u)\right)

    where :math:`g^{(\ell)}` has the layers up to :math:`\ell` of the deployed network, and the
    others of the reference. Beyond the paper, the rounding of the inputs is a step of its own, the
    first one, and a layer's activations and biases belong to it as its weights do.

    Parameters
    ----------
    reference : estimator or Predictor
        A linear model or a network of rectifiers.
    deployed : estimator or Predictor
        One with as many units in every layer: a quantized classifier of skcfq, as the integers that
        it is deployed as, or one like the reference.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    target : label or array-like of shape (n,), optional
        As in :func:`target_margin`.
    attribution : {"hybrid", "alone"}, default="hybrid"
        ``"hybrid"`` puts one layer after the other into its place (Eq. 53). ``"alone"`` puts each
        one alone among those of the reference (Eq. 68), whose effects add up only about.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    degradation : LayerwiseDegradation
        Certified for ``"hybrid"``, up to float64 rounding, estimated for ``"alone"``.

    Raises
    ------
    UnsupportedModelError
        A model has no such layers, or the two have layers of different sizes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> parts = theory.layerwise_degradation(reference, stricter, X, background=X)
    >>> parts.names
    ('inputs', 'layer 1')
    >>> lost = theory.margin_degradation(reference, stricter, X, background=X)
    >>> bool(np.allclose(parts.degradations.sum(axis=1), lost))
    True
    """
    pair = read_pair(reference, deployed, X, background)
    networks, wanted = pair_of(pair.reference, pair.deployed), pair.wanted(target)
    names = ("inputs", *(f"layer {i + 1}" for i in range(len(networks.layers))))
    if attribution == "hybrid":
        stages = [pair.logits[0], *hybrid_logits(networks, pair.encoded)[:-1], pair.logits[1]]
        before = stages[:-1]
    else:
        stages = [pair.logits[0], *_logits_of_one(networks, pair.encoded)]
        before = [stages[0]] * len(names)
    after = stages[1:]
    logits = np.stack([new - old for old, new in zip(before, after, strict=True)], axis=1)
    degradations = np.stack(
        [
            margins_at(old, wanted) - margins_at(new, wanted)
            for old, new in zip(before, after, strict=True)
        ],
        axis=1,
    )
    kind = "certified" if attribution == "hybrid" else "estimated"
    return LayerwiseDegradation(names, logits, degradations, kind)


def hybrid_logits(networks: NetworkPair, encoded: np.ndarray) -> list[np.ndarray]:
    """Return the logits with the first 0, …, L layers of the deployed network, each (n, K).

    The inputs are those that it reads; its layers work on codes, as it is deployed.

    Parameters
    ----------
    networks : NetworkPair
    encoded : ndarray of shape (n, d)
    """
    stages = in_real_units(networks.deployed).activations(encoded)
    return [_behind(networks.layers[done:], values) for done, values in enumerate(stages)]


def _behind(layers: tuple[LayerPair, ...], values: np.ndarray) -> np.ndarray:
    """Return the logits of the reference's layers behind some values."""
    for position, layer in enumerate(layers):
        if position:
            values = np.maximum(values, 0.0)
        values = tile_products(values, layer.matrix) + layer.offset
    return values


def _logits_of_one(networks: NetworkPair, encoded: np.ndarray) -> list[np.ndarray]:
    """Return the logits with the deployed inputs alone, then with each deployed layer alone."""
    layers, values = networks.layers, encoded
    found = [_behind(layers, networks.read_as(encoded))]
    for position, layer in enumerate(layers):
        totals = tile_products(values, layer.other_matrix) + layer.other_offset
        rest = layers[position + 1 :]
        found.append(_behind(rest, _activated(layer, totals)) if rest else totals)
        values = np.maximum(tile_products(values, layer.matrix) + layer.offset, 0.0)
    return found


def _activated(layer: LayerPair, totals: np.ndarray) -> np.ndarray:
    """Return the activations of a deployed hidden layer."""
    if layer.step is None:
        return np.maximum(totals, 0.0)
    return np.clip(np.rint(totals / layer.step), 0.0, layer.top) * layer.step
