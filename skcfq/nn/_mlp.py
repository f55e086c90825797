"""The full-precision network: a plain rectifier network with one logit per class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class FullPrecisionMLP(nn.Module):
    """Multi-layer perceptron with ReLU.

    Parameters
    ----------
    n_inputs : int
        Number of encoded columns.
    hidden_layer_sizes : sequence of int
        Units of each hidden layer; empty for logistic regression.
    n_classes : int
        Number of classes, each with its logit.

    Attributes
    ----------
    layers : ModuleList of Linear
        The L = len(hidden_layer_sizes) + 1 layers.

    Examples
    --------
    >>> FullPrecisionMLP(5, (8, 8), 2)(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    def __init__(self, n_inputs: int, hidden_layer_sizes: Sequence[int], n_classes: int) -> None:
        super().__init__()
        shapes = layer_shapes(n_inputs, hidden_layer_sizes, n_classes)
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in shapes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            Encoded rows.

        Returns
        -------
        Tensor of shape (n_samples, n_classes)
        """
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.relu(layer(x))
        return last(x)


def layer_shapes(
    n_inputs: int, hidden_layer_sizes: Sequence[int], n_classes: int
) -> list[tuple[int, int]]:
    """Return (inputs, outputs) of every linear layer.

    Parameters
    ----------
    n_inputs : int
        Number of encoded columns.
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.
    n_classes : int
        Number of classes.

    Returns
    -------
    list of tuple of int

    Examples
    --------
    >>> layer_shapes(5, (8,), 2)
    [(5, 8), (8, 2)]
    """
    sizes = [int(n_inputs), *(int(size) for size in hidden_layer_sizes), int(n_classes)]
    if min(sizes) < 1:
        raise ValueError(
            f"n_inputs={n_inputs}, hidden_layer_sizes={tuple(hidden_layer_sizes)} and "
            f"n_classes={n_classes} must all be at least 1; remove empty layers."
        )
    return list(pairwise(sizes))
