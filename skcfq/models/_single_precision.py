"""What single precision may change about a margin, from the raw row on.

A float32 copy of a model (an ONNX export, a mobile runtime) casts the raw row, encodes it and
multiplies in float32. Every rounding is taken for an independent error, uniform within half a unit
of the last place, and is carried on to the logits to first order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.models._functions import RowHead
from skcfq.models._heads import linear_weights

if TYPE_CHECKING:
    from skcfq.encoding import FeatureSpace

# Standard deviation of one rounding to float32, as a share of the number.
_ROUNDING = 2.0**-24 / 3**0.5
# How many standard deviations of the margin count as noise.
_DEVIATIONS = 4.0
# Noise of a network whose layers cannot be read, as a share of its largest logit.
_UNREAD = 2.0**-20
# Roundings of a function of one number, squared and added: libraries are right to an ulp or two.
_OF_FUNCTION = 6.0
# A relative step over which a function of a column is as good as straight.
_STEP = 1e-6
# Rows that are drawn to find out how large the noise typically is.
_N_TYPICAL = 64

Layers = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class SinglePrecision:
    """The noise of one model.

    Attributes
    ----------
    space : FeatureSpace
    layers : list of (ndarray of shape (n_out, n_in), ndarray of shape (n_out,)), or None
        Weights and biases; None where they are not known.
    activation : {"identity", "logistic", "relu", "tanh"}
    """

    space: FeatureSpace
    layers: Layers | None
    activation: str

    def noise(self, Z: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Return how much margin single precision may take from encoded rows, shape (n,).

        Parameters
        ----------
        Z : ndarray of shape (n, d)
        logits : ndarray of shape (n, n_classes)
        """
        if self.layers is None:
            return _UNREAD * np.maximum(np.abs(logits).max(axis=1), 1.0)
        H = np.nan_to_num(Z)
        inputs = self._of_inputs(H)
        own, slopes, activations = [], [], []
        for place, (weight, bias) in enumerate(self.layers):
            products = H @ weight.T
            # A weight is cast and multiplied, and every partial sum of k terms rounds: k / 2 times
            # the sum of squares where their signs vary, and k / 3 times its square where not.
            terms = np.count_nonzero(H, axis=1)[:, None]
            size = H**2 @ weight.T**2
            H = products + bias
            own.append((2 + terms / 2) * size + terms / 3 * products**2 + bias**2 + H**2)
            if place < len(self.layers) - 1:
                H, slope, error = _activated(H, self.activation)
                slopes.append(slope)
                activations.append(error)
        classes = range(own[-1].shape[1])
        variance = [self._of_class(k, inputs, own, slopes, activations) for k in classes]
        largest = np.sort(np.stack(variance, axis=1), axis=1)[:, -2:].sum(axis=1)
        return _rounded_up(_DEVIATIONS * _ROUNDING * np.sqrt(largest))

    def _of_class(
        self,
        k: int,
        inputs: np.ndarray,
        own: list[np.ndarray],
        slopes: list[np.ndarray],
        activations: list[np.ndarray],
    ) -> np.ndarray:
        """Carry all roundings on to one logit, in squared roundings, shape (n,)."""
        assert self.layers is not None
        total = own[-1][:, k].copy()
        slope = np.broadcast_to(self.layers[-1][0][k], (len(inputs), self.layers[-1][0].shape[1]))
        for place in range(len(self.layers) - 2, -1, -1):
            total += (slope**2 * activations[place]).sum(axis=1)
            slope = slope * slopes[place]
            total += (slope**2 * own[place]).sum(axis=1)
            slope = slope @ self.layers[place][0]
        return total + (slope**2 * inputs).sum(axis=1)

    def logits(self, Z: np.ndarray) -> np.ndarray | None:
        """Return the logits that a float32 copy computes from the raw row on; None if unread.

        Parameters
        ----------
        Z : ndarray of shape (n, d)

        Returns
        -------
        logits : ndarray of shape (n, n_classes), float32
        """
        if self.layers is None:
            return None
        H = Z.astype(np.float32)
        for block in self._blocks:
            if block.kind == "table":
                continue
            column = int(block.columns[0])
            raw = block.decode(Z[:, column]).astype(np.float32)
            if block.kind == "affine":
                H[:, column] = raw * np.float32(block.scale) + np.float32(block.offset)
            else:
                H[:, column] = block.encode(raw.astype(np.float64))[:, 0]
        for place, (weight, bias) in enumerate(self.layers):
            H = H @ weight.T.astype(np.float32) + bias.astype(np.float32)
            if place < len(self.layers) - 1:
                H = _activated(H, self.activation)[0]
        return H if H.shape[1] > 1 else np.column_stack([np.zeros_like(H), H])

    def typical(self, logits_of: Any) -> float:
        """Return the largest noise of some rows drawn from what is known of the population."""
        rows = np.random.RandomState(0).standard_normal((_N_TYPICAL, self.space.n_encoded))
        for block in self._blocks:
            if block.kind == "table":
                level = np.arange(_N_TYPICAL) % block.n_levels
                rows[:, block.columns] = block.codes[level]
                continue
            known = block.statistics
            center = 0.0
            if known.minimum is not None and known.maximum is not None:
                ends = np.nan_to_num(block.encode(np.array([known.minimum, known.maximum]))[:, 0])
                center = float(ends.mean() if known.mean is None else _code(block, known.mean))
            spread = 1.0 if known.encoded_std is None else known.encoded_std
            rows[:, block.columns[0]] = center + spread * rows[:, block.columns[0]]
        rows = np.nan_to_num(rows)
        return float(self.noise(rows, logits_of(rows)).max())

    @property
    def _blocks(self) -> tuple[Any, ...]:
        return tuple(self.space.blocks)

    def _of_inputs(self, Z: np.ndarray) -> np.ndarray:
        """Return the variance of the encoded columns, in squared roundings, shape (n, d)."""
        # A code of a category is a constant, which is cast.
        variance = Z**2
        for block in self._blocks:
            if block.kind == "table":
                continue
            column = int(block.columns[0])
            z = Z[:, column]
            if block.kind == "affine":
                # x, scale and offset are cast, and what comes of them rounds at every step.
                variance[:, column] = 3 * (z - block.offset) ** 2 + 2 * block.offset**2 + 3 * z**2
                continue
            variance[:, column] = _of_functions(block.functions, block.decode(z))
        return variance


def _of_functions(functions: Any, x: np.ndarray) -> np.ndarray:
    """Return the variance of a number that goes through a chain of functions, shape (n,)."""
    variance = np.zeros_like(x)
    with np.errstate(all="ignore"):
        for function in functions:
            y = function.forward(x)
            slope = (function.forward(x * (1 + _STEP)) - y) / (x * _STEP)
            # The number is cast, its multiple and a number that is added to it round, and the sum.
            straight = (slope * x) ** 2
            variance = slope**2 * variance + 2 * straight + 2 * (y - slope * x) ** 2 + 3 * y**2
            x, variance = y, np.nan_to_num(variance)
    return variance


def single_precision_of(space: FeatureSpace, head: Any, integer: bool) -> SinglePrecision | None:
    """Return what single precision does to a model; None where it does nothing that is known.

    Parameters
    ----------
    space : FeatureSpace
    head : LinearHead, MLPHead, EstimatorHead, DeployedNetwork or RowHead
    integer : bool
        Whether the model computes with integers, which no precision changes.
    """
    if integer or isinstance(head, RowHead):
        return None
    weights = linear_weights(head)
    if weights is not None:
        return SinglePrecision(space, [weights], "identity")
    return SinglePrecision(space, *_read_layers(head))


def _read_layers(head: Any) -> tuple[Layers | None, str]:
    from skcfq.models._mlp_head import MLPHead
    from skcfq.nn import FullPrecisionMLP

    if isinstance(head, MLPHead):
        return head.array_layers(), head.activation_name
    network = getattr(getattr(head, "estimator", None), "network_", None)
    if not isinstance(network, FullPrecisionMLP):
        return None, "identity"
    layers = []
    for layer in network.layers:
        weight, bias = (layer.get_parameter(name) for name in ("weight", "bias"))
        layers.append((weight.detach().double().numpy(), bias.detach().double().numpy()))
    return layers, "relu"


def _activated(Z: np.ndarray, activation: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return activations, their slopes, and the variance that they add in squared roundings."""
    if activation == "relu":
        return np.maximum(Z, 0.0), (Z > 0).astype(float), np.zeros_like(Z)
    if activation == "tanh":
        H = np.tanh(Z)
        return H, 1 - H**2, _OF_FUNCTION * H**2
    if activation == "logistic":
        H = 1 / (1 + np.exp(-np.clip(Z, -700, 700)))
        return H, H * (1 - H), _OF_FUNCTION * H**2
    return Z, np.ones_like(Z), np.zeros_like(Z)


def _rounded_up(noise: np.ndarray) -> np.ndarray:
    """Round to the next eighth of a power of two: last bits depend on the rows beside a row."""
    with np.errstate(divide="ignore"):
        return np.exp2(np.ceil(8 * np.log2(noise)) / 8)


def _code(block: Any, raw: float) -> float:
    return float(np.nan_to_num(block.encode(np.array([raw])))[0, 0])
