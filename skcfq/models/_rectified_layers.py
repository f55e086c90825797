"""The weights of networks that are nothing but linear layers with rectifiers between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from skcfq.models._heads import EstimatorHead
from skcfq.models._mlp_head import MLPHead
from skcfq.nn import FullPrecisionMLP

if TYPE_CHECKING:
    from skcfq.models._predictor import Predictor

# What does nothing once a network is trained.
_IDLE = (nn.Identity, nn.Dropout, nn.Flatten)


def rectified_layers(predictor: Predictor) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Return the layers of a rectifier network.

    Parameters
    ----------
    predictor : Predictor

    Returns
    -------
    layers : list of (ndarray of shape (n_in, n_out), ndarray of shape (n_out,)), or None
        Weights and biases in float64; a rectifier follows every layer but the last, which has one
        column a class. None for a model that is no such network, or that has quantized inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skcfq.models import as_predictor
    >>> X = np.random.RandomState(0).randn(40, 3)
    >>> model = MLPClassifier((5,), random_state=0, tol=1.0).fit(X, X[:, 0] > 0)
    >>> layers = rectified_layers(as_predictor(model, background=X))
    >>> [weight.shape for weight, _ in layers]
    [(3, 5), (5, 2)]
    """
    head = predictor.head
    if predictor.is_piecewise_constant:
        return None
    if isinstance(head, MLPHead):
        return _of_perceptron(head)
    if isinstance(head, EstimatorHead):
        return _of_module(head.estimator.network_)
    return None


def _of_perceptron(head: MLPHead) -> list[tuple[np.ndarray, np.ndarray]] | None:
    if not isinstance(head.activation, nn.ReLU):
        return None
    layers = [
        (head.get_buffer(f"coef_{i}").numpy(), head.get_buffer(f"intercept_{i}").numpy())
        for i in range(head.n_layers)
    ]
    weight, bias = layers[-1]
    if weight.shape[1] == 1:
        # A binary score is the second of two logits, the first of which is 0.
        layers[-1] = np.pad(weight, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
    return layers


def _of_module(network: nn.Module) -> list[tuple[np.ndarray, np.ndarray]] | None:
    if isinstance(network, FullPrecisionMLP):
        return [_arrays(layer) for layer in network.layers if isinstance(layer, nn.Linear)]
    layers: list[tuple[np.ndarray, np.ndarray]] = []
    rectified = True
    for part in _chain(network):
        if isinstance(part, nn.Linear) and rectified:
            layers.append(_arrays(part))
            rectified = False
        elif isinstance(part, nn.ReLU) and not rectified:
            rectified = True
        elif not isinstance(part, _IDLE):
            return None
    return None if rectified else layers


def _chain(network: nn.Module) -> list[nn.Module]:
    """Return the modules that a network runs one after the other, itself where it is no chain."""
    if not isinstance(network, nn.Sequential):
        return [network]
    return [part for child in network for part in _chain(child)]


def _arrays(layer: nn.Linear) -> tuple[np.ndarray, np.ndarray]:
    weight = layer.weight.detach().double().numpy().T
    bias = np.zeros(weight.shape[1]) if layer.bias is None else layer.bias.detach().double().numpy()
    return np.ascontiguousarray(weight), bias
