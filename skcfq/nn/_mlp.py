"""The full-precision network: a plain rectifier network with one logit per class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from skcfq.nn._array_state import ArrayState
from skcfq.nn._frozen_mlp import FrozenMLP

# Units of a layer, and weights of all of them, at most.
MOST_UNITS = 2**20
_MOST_WEIGHTS = 2**30


class FullPrecisionMLP(ArrayState, nn.Module):
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

    def _settings(self) -> dict[str, Any]:
        return shape_settings(self.layers)

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
        *hidden, last = cast("list[nn.Linear]", list(self.layers))
        # Calls of modules cost as much as small products.
        for layer in hidden:
            x = torch.relu(nn.functional.linear(x, layer.weight, layer.bias))
        return nn.functional.linear(x, last.weight, last.bias)

    def frozen(self) -> FrozenMLP:
        """Return the same function on the same weights, as plain tensors without a gradient."""
        layers = cast("list[nn.Linear]", list(self.layers))
        *hidden, last = ((layer.weight.detach(), layer.bias.detach()) for layer in layers)
        return FrozenMLP(hidden, last)


def shape_settings(layers: Iterable[nn.Module]) -> dict[str, Any]:
    """Return the constructor arguments that give linear layers their shapes."""
    first, *others = cast("list[nn.Linear]", list(layers))
    sizes = [first.out_features, *(layer.out_features for layer in others)]
    return {
        "n_inputs": first.in_features,
        "hidden_layer_sizes": tuple(sizes[:-1]),
        "n_classes": sizes[-1],
    }


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
    if max(sizes) > MOST_UNITS:
        raise ValueError(
            f"hidden_layer_sizes={tuple(hidden_layer_sizes)} has a layer of more than "
            f"{MOST_UNITS} units, which no memory holds; give smaller ones."
        )
    shapes = list(pairwise(sizes))
    if sum(n_in * n_out for n_in, n_out in shapes) > _MOST_WEIGHTS:
        raise ValueError(
            f"hidden_layer_sizes={tuple(hidden_layer_sizes)} makes more than {_MOST_WEIGHTS} "
            f"weights of {n_inputs} inputs; give smaller layers."
        )
    return shapes
