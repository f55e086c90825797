"""The loss of a network as a function of its weights: gradients and products with its Hessian.

In closed form, of a mean over people; what each person adds is at hand too, so that a figure of a
group is a mean over its people, and has an interval as any mean has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.metrics.skew._decisions import log_losses
from skcfq.proofs import RealNetwork

# A change of all weights and biases, layer by layer.
Direction = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class NetworkLoss:
    r"""The mean log loss of some people, at the weights of a network.

    Values are those of the network, rounded activations included. Derivatives pass through a
    rounding as if it were not there, and stop at a clip (straight-through): of a network in full
    precision they are its own, of a quantized one those of its training, at the dequantized
    weights.

    Attributes
    ----------
    matrices : list of ndarray of shape (n_in, n_out)
    inputs : list of ndarray of shape (n, n_in)
        What each layer reads.
    open_ : list of bool ndarray of shape (n, n_out)
        Of hidden layers, where a change passes.
    back : list of ndarray of shape (n, n_out)
        Derivative of each person's loss with respect to the totals of each layer.
    probabilities : ndarray of shape (n, K)
    loss : ndarray of shape (n,)
    """

    matrices: list[np.ndarray]
    inputs: list[np.ndarray]
    open_: list[np.ndarray]
    back: list[np.ndarray]
    probabilities: np.ndarray
    loss: np.ndarray

    @classmethod
    def at(cls, network: RealNetwork, encoded: np.ndarray, position: np.ndarray) -> NetworkLoss:
        """Look at a network.

        Parameters
        ----------
        network : RealNetwork
        encoded : ndarray of shape (n, d)
        position : int64 ndarray of shape (n,)
            Of the true label among the classes.
        """
        (*inputs, logits), open_ = network.trace(encoded)
        matrices = [layer.matrix for layer in network.layers]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = odds / odds.sum(axis=1, keepdims=True)
        error = probabilities.copy()
        error[np.arange(len(error)), position] -= 1
        back = [error]
        for matrix, passes in zip(matrices[:0:-1], open_[::-1], strict=True):
            back.append(back[-1] @ matrix.T * passes)
        return cls(matrices, inputs, open_, back[::-1], probabilities, log_losses(logits, position))

    @property
    def n_people(self) -> int:
        """Number n of people."""
        return len(self.loss)

    @property
    def size(self) -> int:
        """Number of weights and biases."""
        return sum(matrix.size + matrix.shape[1] for matrix in self.matrices)

    def gradient(self) -> np.ndarray:
        """Return the gradient of the mean loss, shape (size,)."""
        parts = [
            (values.T @ back, back.sum(axis=0))
            for values, back in zip(self.inputs, self.back, strict=True)
        ]
        return _flat(parts) / self.n_people

    def slopes(self, direction: np.ndarray) -> np.ndarray:
        """Return the derivative of each person's loss along a direction (size,), shape (n,)."""
        parts = zip(self.inputs, self.back, self._parts(direction), strict=True)
        return sum(((values @ V + v) * back).sum(axis=1) for values, back, (V, v) in parts)

    def hessian_product(self, direction: np.ndarray) -> np.ndarray:
        """Return the Hessian of the mean loss times a direction (size,), shape (size,)."""
        moved, turned = self._second_order(self._parts(direction))
        parts = [
            (da.T @ back + values.T @ dback, dback.sum(axis=0))
            for da, values, back, dback in zip(moved, self.inputs, self.back, turned, strict=True)
        ]
        return _flat(parts) / self.n_people

    def curvatures(self, direction: np.ndarray) -> np.ndarray:
        """Return the second derivative of each person's loss along a direction, shape (n,)."""
        parts = self._parts(direction)
        moved, turned = self._second_order(parts)
        each = zip(moved, self.inputs, self.back, turned, parts, strict=True)
        return sum(
            (da @ V * back).sum(axis=1) + ((values @ V + v) * dback).sum(axis=1)
            for da, values, back, dback, (V, v) in each
        )

    def _second_order(self, parts: Direction) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the derivatives of ``inputs`` and of ``back`` along a direction (Pearlmutter)."""
        moved = [np.zeros_like(self.inputs[0])]
        for position, (matrix, (V, v)) in enumerate(zip(self.matrices, parts, strict=True)):
            total = self.inputs[position] @ V + v
            if position:
                total += moved[-1] @ matrix
            moved.append(total if position == len(self.open_) else total * self.open_[position])
        change = self.probabilities * moved.pop()
        turned = [change - self.probabilities * change.sum(axis=1, keepdims=True)]
        for position in range(len(self.open_), 0, -1):
            V = parts[position][0]
            dback = turned[-1] @ self.matrices[position].T + self.back[position] @ V.T
            turned.append(dback * self.open_[position - 1])
        return moved, turned[::-1]

    def _parts(self, direction: np.ndarray) -> Direction:
        """Cut a flat direction into weights and biases of layers."""
        parts, start = [], 0
        for matrix in self.matrices:
            middle, end = start + matrix.size, start + matrix.size + matrix.shape[1]
            V = direction[start:middle].reshape(matrix.shape)
            parts.append((V, direction[middle:end]))
            start = end
        return parts


def _flat(parts: Direction) -> np.ndarray:
    return np.concatenate([piece.ravel() for pair in parts for piece in pair])
