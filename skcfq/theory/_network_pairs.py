"""Two networks of the same shape side by side, the second in the units of the first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skcfq.exceptions import UnsupportedModelError
from skcfq.models import Predictor
from skcfq.proofs import Network, as_read, in_real_units, readable_network
from skcfq.utils import tile_products

# Totals of a layer of the reference, and what the deployed network adds to them.
Totals = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class LayerPair:
    """One layer of both networks.

    Attributes
    ----------
    matrix, other_matrix : ndarray of shape (n_in, n_out)
        Weights of the reference, and of the deployed network.
    offset, other_offset : ndarray of shape (n_out,)
    step : ndarray of shape (n_out,) or None
        Where the deployed network rounds its activations to multiples of a step.
    top : float
        Highest of these multiples.
    """

    matrix: np.ndarray
    offset: np.ndarray
    other_matrix: np.ndarray
    other_offset: np.ndarray
    step: np.ndarray | None = None
    top: float = np.inf

    @cached_property
    def difference(self) -> np.ndarray:
        """Weights of the deployed network less those of the reference."""
        return self.other_matrix - self.matrix

    @cached_property
    def offset_difference(self) -> np.ndarray:
        """The same of the offsets."""
        return self.other_offset - self.offset


@dataclass(frozen=True, eq=False)
class NetworkPair:
    """A reference of rectifiers and a deployed network with as many units.

    Attributes
    ----------
    layers : tuple of LayerPair
    reference, deployed : Network
    """

    layers: tuple[LayerPair, ...]
    reference: Network
    deployed: Network

    def read_as(self, encoded: np.ndarray) -> np.ndarray:
        """Return encoded points (N, d) as the deployed network reads them, in encoded units."""
        return as_read(self.deployed, encoded)

    @property
    def input_steps(self) -> np.ndarray | None:
        """Steps to which the deployed network rounds encoded columns, shape (d,); None without."""
        integers = self.deployed.integers
        return None if integers is None else integers.input_steps

    def hidden_totals(self, encoded: np.ndarray) -> list[Totals]:
        """Return the totals of the hidden layers at encoded points (N, d)."""
        own, other = encoded, self.read_as(encoded)
        found = []
        for layer in self.layers[:-1]:
            own = tile_products(own, layer.matrix) + layer.offset
            other = tile_products(other, layer.other_matrix) + layer.other_offset
            found.append((own, other - own))
            own, other = np.maximum(own, 0.0), np.maximum(other, 0.0)
            if layer.step is not None:
                other = np.minimum(np.rint(other / layer.step), layer.top) * layer.step
        return found


def pair_of(reference: Predictor, deployed: Predictor) -> NetworkPair:
    """Put two models side by side.

    Parameters
    ----------
    reference : Predictor
        Linear, or a network of rectifiers.
    deployed : Predictor
        The same with other weights, or a network of integers.

    Raises
    ------
    UnsupportedModelError
        A model cannot be read, the reference is quantized, or the layers differ in size.
    """
    first, second = readable_network(reference), readable_network(deployed)
    if first.integers is not None:
        raise UnsupportedModelError(
            f"The reference {reference.name} is quantized: differences are those to a network in "
            "full precision. Give the teacher, or exchange the two models."
        )
    sizes = [[len(layer.offset) for layer in network.layers] for network in (first, second)]
    if sizes[0] != sizes[1]:
        raise UnsupportedModelError(
            f"{reference.name} has layers of {sizes[0]} units and {deployed.name} of {sizes[1]}: "
            "the difference is followed unit by unit. Give networks of one shape, or ask each of "
            "them alone with `robustness`."
        )
    ours, theirs = in_real_units(first), in_real_units(second)
    layers = tuple(
        LayerPair(one.matrix, one.offset, other.matrix, other.offset, other.step, other.top)
        for one, other in zip(ours.layers, theirs.layers, strict=True)
    )
    return NetworkPair(layers, first, second)
