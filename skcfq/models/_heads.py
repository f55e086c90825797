"""Differentiable heads: the part of a classifier that maps encoded rows to class logits.

Every head computes in float64 and keeps its parameters as buffers, so that no gradient is spent
on them. Binary scores s become the two logits (0, s), whose argmax is the estimator's ``predict``.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from skcfq.exceptions import UnsupportedModelError
from skcfq.nn import DeployedNetwork, FullPrecisionMLP

ACTIVATIONS = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}
REMEDY = (
    "Give a linear classifier, an MLPClassifier or an estimator of skcfq, alone or behind an "
    "encoder that works column by column; or give such a model trained on this one's labels."
)


class LinearHead(nn.Module):
    """Logits of a linear classifier.

    Parameters
    ----------
    coef : ndarray of shape (n_classes or 1, d)
        One row per class; a single row is a binary score.
    intercept : ndarray of shape (n_classes or 1,)

    Examples
    --------
    >>> import numpy as np, torch
    >>> head = LinearHead(np.array([[2.0, -1.0]]), np.array([0.5]))
    >>> head(torch.tensor([[1.0, 1.0]], dtype=torch.float64)).tolist()
    [[0.0, 1.5]]
    """

    coef: Tensor
    intercept: Tensor

    def __init__(self, coef: np.ndarray, intercept: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("coef", _float64(np.atleast_2d(coef)))
        self.register_buffer("intercept", _float64(np.atleast_1d(intercept)))
        self.n_inputs = self.coef.shape[1]

    def forward(self, Z: Tensor) -> Tensor:
        """Map encoded rows (n, d) to logits (n, n_classes)."""
        return _two_logits(torch.addmm(self.intercept, Z, self.coef.T))


class MLPHead(nn.Module):
    """Logits of a multilayer perceptron: the input of its softmax or logistic output.

    Parameters
    ----------
    coefs : list of ndarray, layer l of shape (n_l, n_{l+1})
    intercepts : list of ndarray, layer l of shape (n_{l+1},)
    activation : {"identity", "logistic", "relu", "tanh"}
        Activation after every layer but the last.

    Examples
    --------
    >>> import numpy as np, torch
    >>> head = MLPHead([np.eye(2), np.ones((2, 1))], [np.zeros(2), np.zeros(1)], "relu")
    >>> head(torch.tensor([[3.0, -1.0]], dtype=torch.float64)).tolist()
    [[0.0, 3.0]]
    """

    def __init__(
        self, coefs: list[np.ndarray], intercepts: list[np.ndarray], activation: str
    ) -> None:
        super().__init__()
        for position, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
            self.register_buffer(f"coef_{position}", _float64(coef))
            self.register_buffer(f"intercept_{position}", _float64(intercept))
        self.n_layers = len(coefs)
        self.n_inputs = coefs[0].shape[0]
        self.activation = ACTIVATIONS[activation]()

    def forward(self, Z: Tensor) -> Tensor:
        """Map encoded rows (n, d) to logits (n, n_classes)."""
        buffers = cast(dict[str, Tensor], self._buffers)
        for position in range(self.n_layers):
            Z = torch.addmm(buffers[f"intercept_{position}"], Z, buffers[f"coef_{position}"])
            if position < self.n_layers - 1:
                Z = self.activation(Z)
        return _two_logits(Z)


class EstimatorHead:
    """Logits of an estimator of this library: its own ``logits_``, which ``predict`` uses too."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.n_inputs = estimator.feature_space_.n_encoded

    def __call__(self, Z: Tensor) -> Tensor:
        """Map encoded rows (n, d) to logits (n, n_classes)."""
        return self.estimator.logits_(Z)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the parameters and buffers of the estimator's network."""
        return self.estimator.network_.state_dict()

    def __repr__(self) -> str:
        return repr(self.estimator.network_)


Head = LinearHead | MLPHead | EstimatorHead | DeployedNetwork


def read_head(estimator: Any) -> Head:
    """Read the differentiable head of a fitted final estimator.

    Parameters
    ----------
    estimator : object
        A fitted classifier: one of this library (``feature_space_``, ``classes_``, ``logits_``),
        a linear classifier (``coef_``, ``intercept_``) or an ``MLPClassifier``.

    Returns
    -------
    head : LinearHead, MLPHead or EstimatorHead

    Raises
    ------
    UnsupportedModelError
        The estimator has none, or its ``predict`` is not the argmax of the head that was read.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> read_head(LogisticRegression().fit([[0.0], [1.0]], ["no", "yes"])).n_inputs
    1
    """
    if is_own_estimator(estimator):
        return EstimatorHead(estimator)
    head = _foreign_head(estimator)
    _verify(head, estimator)
    return head


def linear_weights(head: Head) -> tuple[Tensor, Tensor] | None:
    """Return the weights of a head that is linear.

    Parameters
    ----------
    head : LinearHead, MLPHead or EstimatorHead

    Returns
    -------
    weights : (Tensor of shape (n_classes, d), Tensor of shape (n_classes,)) or None
        Weights and intercepts of the logits, float64; a binary score has the rows (0, w). None
        for a head with a hidden layer or with quantized inputs.
    """
    if isinstance(head, LinearHead):
        weights = head.coef, head.intercept
    elif isinstance(head, MLPHead) and head.n_layers == 1:
        weights = head.get_buffer("coef_0").T, head.get_buffer("intercept_0")
    elif isinstance(head, EstimatorHead):
        network = head.estimator.network_
        if not isinstance(network, FullPrecisionMLP) or len(network.layers) > 1:
            return None
        layer = cast(nn.Linear, network.layers[0])
        weights = layer.weight.detach().double(), layer.bias.detach().double()
    else:
        return None
    coef, intercept = weights
    if len(coef) > 1:
        return coef, intercept
    return (
        torch.cat([torch.zeros_like(coef), coef]),
        torch.cat([torch.zeros_like(intercept), intercept]),
    )


def is_own_estimator(estimator: Any) -> bool:
    """Tell whether a fitted estimator speaks this library's protocol."""
    return all(hasattr(estimator, name) for name in ("feature_space_", "classes_", "logits_"))


def head_digest(head: Head) -> str:
    """Return the SHA-256 of a head's architecture and parameters."""
    digest = hashlib.sha256(f"{type(head).__name__} {head!r}".encode())
    for name, value in sorted(head.state_dict().items()):
        array = np.ascontiguousarray(torch.as_tensor(value).detach().cpu().numpy())
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _foreign_head(estimator: Any) -> LinearHead | MLPHead:
    name = type(estimator).__name__
    if not hasattr(estimator, "classes_"):
        raise UnsupportedModelError(f"{name} is no classifier: it has no `classes_`. {REMEDY}")
    if all(hasattr(estimator, part) for part in ("coefs_", "intercepts_", "out_activation_")):
        single_label = estimator.n_outputs_ == 1 or estimator.out_activation_ == "softmax"
        if not single_label or estimator.activation not in ACTIVATIONS:
            raise UnsupportedModelError(
                f"{name} with output {estimator.out_activation_!r} and activation "
                f"{estimator.activation!r} cannot be read: only single-label perceptrons with "
                f"activation {', '.join(ACTIVATIONS)} can. {REMEDY}"
            )
        return MLPHead(estimator.coefs_, estimator.intercepts_, estimator.activation)
    if hasattr(estimator, "coef_") and hasattr(estimator, "intercept_"):
        return LinearHead(np.asarray(estimator.coef_), np.asarray(estimator.intercept_))
    raise UnsupportedModelError(f"{name} has no linear or neural head that can be read. {REMEDY}")


def _verify(head: LinearHead | MLPHead, estimator: Any) -> None:
    """Compare the argmax of the head with ``predict`` on rows drawn in the encoded space.

    ``coef_`` means different things to different estimators (one-against-one machines have one
    row per pair of classes), so reading it is not enough.
    """
    rows = np.random.RandomState(0).standard_normal((64, head.n_inputs))
    logits = head(torch.from_numpy(rows)).numpy()
    if logits.shape[1] == len(estimator.classes_):
        top = np.sort(logits, axis=1)
        clear = top[:, -1] - top[:, -2] > 1e-9 * np.abs(logits).max()
        expected = np.asarray(estimator.classes_)[logits.argmax(axis=1)]
        if np.array_equal(estimator.predict(_named(rows, estimator))[clear], expected[clear]):
            return
    raise UnsupportedModelError(
        f"The coefficients of {type(estimator).__name__} do not give one logit per class whose "
        f"argmax is its `predict`. {REMEDY}"
    )


def _named(rows: np.ndarray, estimator: Any) -> Any:
    if not hasattr(estimator, "feature_names_in_"):
        return rows
    import pandas as pd

    return pd.DataFrame(rows, columns=estimator.feature_names_in_)


def _two_logits(scores: Tensor) -> Tensor:
    if scores.shape[1] > 1:
        return scores
    return nn.functional.pad(scores, (1, 0))


def _float64(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64))
