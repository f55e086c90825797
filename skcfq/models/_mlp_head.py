"""The heads' arithmetic on tensors, and the head of a multilayer perceptron."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from skcfq.nn import FrozenMLP, in_lanes, product

ACTIVATIONS = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}


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
        self.activation, self.activation_name = ACTIVATIONS[activation](), activation

    def forward(self, Z: Tensor) -> Tensor:
        """Map encoded rows (n, d) to logits (n, n_classes)."""
        return _two_logits(in_lanes(self._scores, Z))

    def _scores(self, Z: Tensor) -> Tensor:
        buffers = cast(dict[str, Tensor], self._buffers)
        for position in range(self.n_layers):
            coef, intercept = buffers[f"coef_{position}"], buffers[f"intercept_{position}"]
            Z = product(Z, coef.T, intercept)
            if position < self.n_layers - 1:
                Z = self.activation(Z)
        return Z

    def network(self) -> FrozenMLP | None:
        """Return the same as rectified layers, of which the last has two outputs at least."""
        if self.activation_name != "relu":
            return None
        *hidden, (weight, bias) = [
            (coef.T.contiguous(), intercept)
            for coef, intercept in (
                (self.get_buffer(f"coef_{i}"), self.get_buffer(f"intercept_{i}"))
                for i in range(self.n_layers)
            )
        ]
        if len(weight) == 1:
            # A score is the second of two logits, the first of which is 0.
            weight, bias = nn.functional.pad(weight, (0, 0, 1, 0)), nn.functional.pad(bias, (1, 0))
        return FrozenMLP(hidden, (weight, bias))

    def frozen(self) -> Callable[[Tensor], Tensor]:
        """Return the map from rows to logits without modules around the weights."""
        network = self.network()
        return self if network is None else partial(in_lanes, network.logits)

    def shifted(self, margin: float) -> MLPHead:
        """Return a head whose margin of class 1 over class 0 is smaller by a number."""
        head = copy.deepcopy(self)
        head.get_buffer(f"intercept_{self.n_layers - 1}")[-1] -= margin
        return head

    def behind(self, matrix: np.ndarray, offset: np.ndarray) -> MLPHead:
        """Return the head of other codes, of which its own are an affine function.

        Parameters
        ----------
        matrix : ndarray of shape (d, n_inputs)
        offset : ndarray of shape (n_inputs,)
        """
        coefs, intercepts = zip(*self._coefficients, strict=True)
        first = intercepts[0] + offset @ coefs[0]
        return MLPHead(
            [matrix @ coefs[0], *coefs[1:]], [first, *intercepts[1:]], self.activation_name
        )

    def array_logits(self, Z: np.ndarray) -> np.ndarray:
        """Map encoded rows to logits, as arrays."""
        return self(torch.from_numpy(Z)).numpy()

    def array_layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return weights (n_out, n_in) and biases (n_out,) of every layer, as arrays."""
        return [(coef.T, intercept) for coef, intercept in self._coefficients]

    @property
    def _coefficients(self) -> list[tuple[np.ndarray, np.ndarray]]:
        names = [(f"coef_{i}", f"intercept_{i}") for i in range(self.n_layers)]
        return [(self.get_buffer(w).numpy(), self.get_buffer(b).numpy()) for w, b in names]

    def linear_weights(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return coefficients and intercepts where there is one layer, else None."""
        if self.n_layers > 1:
            return None
        return self.get_buffer("coef_0").T.numpy(), self.get_buffer("intercept_0").numpy()


class TranslatedHead(nn.Module):
    """The head of other codes, of which a model's own are an affine function.

    Parameters
    ----------
    head : callable
        From the model's own codes to logits.
    matrix : ndarray of shape (d, d_own)
    offset : ndarray of shape (d_own,)
    """

    def __init__(
        self, head: Callable[[Tensor], Tensor], matrix: np.ndarray, offset: np.ndarray
    ) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("matrix", _float64(matrix.T))
        self.register_buffer("offset", _float64(offset))
        self.n_inputs = len(matrix)

    def forward(self, Z: Tensor) -> Tensor:
        """Map encoded rows (n, d) to logits (n, n_classes)."""
        return self.head(self._own_codes(Z))

    def _own_codes(self, Z: Tensor) -> Tensor:
        matrix, offset = self.get_buffer("matrix"), self.get_buffer("offset")
        return in_lanes(lambda tiles: product(tiles, matrix, offset), Z).contiguous()


def linear_logits(Z: Tensor, coef: Tensor, intercept: Tensor) -> Tensor:
    """Return the logits of a linear classifier, differentiable with respect to the rows."""
    return _two_logits(in_lanes(lambda tiles: product(tiles, coef, intercept), Z))


def _two_logits(scores: Tensor) -> Tensor:
    if scores.shape[1] > 1:
        return scores
    return nn.functional.pad(scores, (1, 0))


def _float64(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64))
