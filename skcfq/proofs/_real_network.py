"""One network in real units: weights, steps of activations, and what each layer lets through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcfq.models import Predictor
from skcfq.proofs._layers import Network, Staircase
from skcfq.proofs._reading import readable_network
from skcfq.utils import tile_products


@dataclass(frozen=True, eq=False)
class RealLayer:
    """One layer; where it is quantized, with the dequantized weights.

    Attributes
    ----------
    matrix : ndarray of shape (n_in, n_out)
    offset : ndarray of shape (n_out,)
    step : ndarray of shape (n_out,) or None
        Where activations are rounded to multiples of a step; None in the last layer too.
    top : float
        Highest of these multiples.
    """

    matrix: np.ndarray
    offset: np.ndarray
    step: np.ndarray | None = None
    top: float = np.inf


@dataclass(frozen=True, eq=False)
class RealNetwork:
    """A linear model, a network of rectifiers or one of integers, in encoded and logit units.

    Attributes
    ----------
    layers : tuple of RealLayer
    source : Network
        Whose values are these, bit for bit up to the units.
    """

    layers: tuple[RealLayer, ...]
    source: Network

    def activations(self, encoded: np.ndarray) -> list[np.ndarray]:
        """Return what each layer reads, and the logits, in real units.

        Parameters
        ----------
        encoded : ndarray of shape (n, d)

        Returns
        -------
        values : list of L + 1 ndarray
            Layers of integers work on codes, as they are deployed.
        """
        return self.trace(encoded)[0]

    def trace(self, encoded: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the activations, and of each hidden layer where a small change passes.

        Parameters
        ----------
        encoded : ndarray of shape (n, d)

        Returns
        -------
        values : list of L + 1 ndarray
        passes : list of L - 1 bool ndarray of shape (n, n_out)
            Where a total is above 0, and below the highest activation there is.
        """
        codes, values, passes = self.source.inputs(encoded), [as_read(self.source, encoded)], []
        for layer, real in zip(self.source.layers, self.layers, strict=True):
            total = tile_products(codes, layer.matrix) + layer.offset
            if layer.activation is None:
                values.append(total * self.source.unit - self.source.shift)
                break
            codes = layer.activation(total)
            passes.append(total > 0)
            if isinstance(layer.activation, Staircase):
                passes[-1] &= total * layer.activation.scale < real.top
            values.append(codes if real.step is None else codes * real.step)
        return values, passes


def real_network(predictor: Predictor) -> RealNetwork:
    """Read a model as a network in real units.

    Parameters
    ----------
    predictor : Predictor

    Raises
    ------
    UnsupportedModelError
        The model is neither linear, nor a network of rectifiers or integers.
    """
    return in_real_units(readable_network(predictor))


def as_read(network: Network, encoded: np.ndarray) -> np.ndarray:
    """Return encoded points (n, d) as a network reads them, in encoded units."""
    integers = network.integers
    if integers is None:
        return encoded
    return integers.codes(encoded) * (integers.input_steps / integers.input_factors)


def in_real_units(network: Network) -> RealNetwork:
    """Return a network with its weights in real units, and the shift of its logits in the last."""
    layers = [RealLayer(*layer) for layer in _real_layers(network)]
    last = layers[-1]
    layers[-1] = RealLayer(last.matrix, last.offset - network.shift)
    return RealNetwork(tuple(layers), network)


def _real_layers(network: Network) -> list[tuple]:
    """Return weights, offsets, steps and highest codes of layers in real units."""
    if network.integers is None:
        return [(layer.matrix, layer.offset) for layer in network.layers]
    integers = network.integers
    found: list[tuple] = []
    # What the first layer reads is an encoded value over this.
    before = integers.input_steps / integers.input_factors
    nominal = integers.input_step
    for layer, stored in zip(network.layers, integers.layers, strict=True):
        if layer.activation is None:
            unit = np.full(len(layer.offset), network.unit)
        else:
            unit = np.ldexp(nominal * np.asarray(stored.step), -np.asarray(stored.fraction_bits))
            unit = np.broadcast_to(unit, layer.offset.shape)
        matrix, offset = layer.matrix / before[:, None] * unit, layer.offset * unit
        if layer.activation is None:
            found.append((matrix, offset))
            break
        before = unit / (1.0 if stored.rescale is None else stored.rescale)
        nominal = float(before.mean())
        found.append((matrix, offset, before, float(stored.levels)))
    return found
