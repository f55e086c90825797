"""How finely weights and activations are quantized, and where their steps start."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from sklearn.base import BaseEstimator

from skcfq.utils import Interval, ListOf, StrOptions, check_options

GRANULARITIES = ("per_channel", "per_tensor")
INITIALIZATIONS = ("mse", "lsq")
_WIDTH = Interval(Integral, 1, 32, closed="both")


class Quantizer(BaseEstimator):
    """Quantizers of weights and activations; how many bits the weights get is a bit policy's.

    Parameters
    ----------
    activation_bits : int, None or sequence of these, default=8
        Width of hidden activations, from 1 to 32: one for all, or one for each hidden layer (with
        ``module``: of what enters each layer). None, the paper's rule, follows the weights of the
        layer that produces them; 32 leaves them unquantized. What activations of few bits lose is
        most of what a student of few weight bits does not follow of its teacher, and integer
        arithmetic on most machines has 8 bits for them anyway (W4A8).
    granularity : {"per_channel", "per_tensor"}, default="per_channel"
        Whether each unit (of a convolution: each channel) has a weight step of its own, or each
        layer has one.
    initialization : {"mse", "lsq"}, default="mse"
        Steps and clips that training starts from: of least squared error, or LSQ's rule.
    input_bits : int, default=12
        Width of the inputs, from 2 to 16. They are codes of what a row holds, so that more of them
        cost no memory, and no more of the budget of the weights. From 10 bits on, the codes of a
        column go beyond all that the training has seen; with fewer they are clipped where that
        costs the decisions least, which few people with extreme values pay for. 8 is for machines
        that multiply bytes only.

    Examples
    --------
    >>> from skcfq.estimators import QATClassifier, Quantizer
    >>> model = QATClassifier(4, quantizer=Quantizer(activation_bits=4))
    >>> model.set_params(quantizer__granularity="per_tensor").quantizer.activation_bits
    4
    """

    _parameter_constraints: dict = {
        "activation_bits": [_WIDTH, None, ListOf(_WIDTH, None)],
        "granularity": [StrOptions(set(GRANULARITIES))],
        "initialization": [StrOptions(set(INITIALIZATIONS))],
        "input_bits": [Interval(Integral, 2, 16, closed="both")],
    }

    def __init__(
        self,
        activation_bits: int | Sequence[int | None] | None = 8,
        *,
        granularity: str = "per_channel",
        initialization: str = "mse",
        input_bits: int = 12,
    ) -> None:
        self.activation_bits = activation_bits
        self.granularity = granularity
        self.initialization = initialization
        self.input_bits = input_bits

    def check(self) -> None:
        """Raise ValueError where a width is out of range or a rule unknown."""
        check_options(self, "quantizer")

    def network_options(self) -> dict[str, Any]:
        """Return the options of :class:`~skcfq.nn.QuantizedMLP` and ``QuantizedModule``."""
        return {
            "activation_bits": self.activation_bits,
            "input_bits": self.input_bits,
            "start": self.initialization,
            "per_channel": self.granularity == "per_channel",
        }
