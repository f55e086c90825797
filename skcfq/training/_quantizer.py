"""How finely weights and activations are quantized, and where their steps start."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from sklearn.base import BaseEstimator

GRANULARITIES = ("per_channel", "per_tensor")
INITIALIZATIONS = ("mse", "lsq")
_MOST_BITS = 32


class Quantizer(BaseEstimator):
    """Quantizers of weights and activations; how many bits the weights get is a bit policy's.

    Parameters
    ----------
    activation_bits : int, None or sequence of these, default=None
        Width of hidden activations, from 1 to 32: one for all, or one for each hidden layer (with
        ``module``: of what enters each layer). None follows the weights of the layer that produces
        them, 32 leaves them unquantized.
    granularity : {"per_channel", "per_tensor"}, default="per_channel"
        Whether each unit (of a convolution: each channel) has a weight step of its own, or each
        layer has one.
    initialization : {"mse", "lsq"}, default="mse"
        Steps and clips that training starts from: of least squared error, or LSQ's rule.

    Examples
    --------
    >>> from skcfq.estimators import QATClassifier, Quantizer
    >>> model = QATClassifier(4, quantizer=Quantizer(activation_bits=8))
    >>> model.set_params(quantizer__granularity="per_tensor").quantizer.activation_bits
    8
    """

    def __init__(
        self,
        activation_bits: int | Sequence[int | None] | None = None,
        *,
        granularity: str = "per_channel",
        initialization: str = "mse",
    ) -> None:
        self.activation_bits = activation_bits
        self.granularity = granularity
        self.initialization = initialization

    def check(self) -> None:
        """Raise ValueError where a width is out of range or a rule unknown."""
        given: Any = self.activation_bits
        widths = list(given) if _is_sequence(given) else [given]
        if not all(bits is None or _is_width(bits) for bits in widths):
            raise ValueError(
                f"quantizer.activation_bits is {given!r}; give a whole number from 1 to "
                f"{_MOST_BITS}, None, or one of these for each hidden layer."
            )
        for name, known in (("granularity", GRANULARITIES), ("initialization", INITIALIZATIONS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"quantizer.{name} is {getattr(self, name)!r}; give one of {known}."
                )

    def network_options(self) -> dict[str, Any]:
        """Return the options of :class:`~skcfq.nn.QuantizedMLP` and ``QuantizedModule``."""
        return {
            "activation_bits": self.activation_bits,
            "start": self.initialization,
            "per_channel": self.granularity == "per_channel",
        }


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes)


def _is_width(value: Any) -> bool:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return whole and 1 <= int(value) <= _MOST_BITS
